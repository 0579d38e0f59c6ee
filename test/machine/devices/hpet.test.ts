import { describe, expect, test } from 'vitest';
import { Hpet, HPET_PAGE } from '../../../machine/devices/hpet.ts';
import type { InterruptLine } from '../../../machine/devices/device.ts';
import { ManualClock } from './manual-clock.ts';
import { createBoard } from './test-board.ts';

const [CONFIGURATION, STATUS, COUNTER] = [0x10, 0x20, 0xf0];
const [ENABLED, LEGACY] = [1, 2];
const [LEVEL, INTERRUPTS, PERIODIC, SET_VALUE, SHORT] = [0x2, 0x4, 0x8, 0x40, 0x100];
const TICKS_PER_COUNT = 10n;
const timer = (index: number): number => 0x100 + 0x20 * index;
const comparator = (index: number): number => timer(index) + 8;
const route = (input: number): number => input << 9;

function createHpet() {
  const clock = new ManualClock();
  /** `count:line` of each rising edge. */
  const edges: string[] = [];
  const high = new Set<string>();
  const line = (name: string): InterruptLine => ({
    set: (asserted) => {
      if (asserted && !high.has(name)) edges.push(`${clock.now() / TICKS_PER_COUNT}:${name}`);
      if (asserted) high.add(name);
      else high.delete(name);
    },
  });
  const routes = Array.from({ length: 8 }, (_, index) => line(`in${16 + index}`));
  const notes: string[] = [];
  const lines = { legacy: [line('irq0'), line('irq8')] as const, routes };
  const hpet = new Hpet(clock, lines, (text) => notes.push(text));
  hpet.reset();
  const read = (offset: number, lengthBytes = 8): bigint => hpet.readPage(offset, lengthBytes);
  const write = (offset: number, value: number | bigint, lengthBytes = 8): void => {
    hpet.writePage(offset, lengthBytes, BigInt(value));
  };
  const run = (counts: number): void => clock.run(BigInt(counts) * TICKS_PER_COUNT);
  return { hpet, clock, edges, high, notes, read, write, run };
}

describe('the registers of the HPET', () => {
  test('tell of three 64-bit timers at 100 MHz with the legacy route', () => {
    const { read } = createHpet();
    expect(read(0)).toBe(0x0098_9680_8086_a201n);
    expect([read(0, 4), read(4, 4)]).toEqual([0x8086_a201n, 10_000_000n]);
    for (const index of [0, 1, 2]) expect(read(timer(index))).toBe(0x00ff_0000_0000_0030n);
    expect([read(timer(3)), read(comparator(3)), read(0x8)]).toEqual([0n, 0n, 0n]);
    expect([read(CONFIGURATION), read(STATUS), read(COUNTER)]).toEqual([0n, 0n, 0n]);
  });

  test('keep only what can be written, and only routes that exist', () => {
    const { read, write } = createHpet();
    write(0, ~0n & 0xffff_ffffn);
    write(CONFIGURATION, 0xffff_fffc);
    write(timer(2), 0xffff_ffff_ffff_ffffn);
    expect([read(0), read(CONFIGURATION)]).toEqual([0x0098_9680_8086_a201n, 0n]);
    expect(read(timer(2), 4)).toBe(0x17en);
    write(timer(2), route(23) | INTERRUPTS);
    expect(read(timer(2), 4)).toBe(BigInt(route(23) | INTERRUPTS) | 0x30n);
    write(comparator(2), 0x1122_3344_5566_7788n);
    write(comparator(2) + 4, 0x99, 4);
    expect(read(comparator(2))).toBe(0x99_5566_7788n);
  });

  test('are written in halves or whole, and oddities are noted once', () => {
    const { read, write, notes } = createHpet();
    write(COUNTER, 1, 2);
    write(COUNTER, 1, 1);
    write(COUNTER + 2, 1, 4);
    write(timer(7), 1, 4);
    expect(read(COUNTER)).toBe(0n);
    expect(notes).toEqual([
      'HPET: a write of 2 bytes at 0xf0 is ignored',
      'HPET: a write of 1 bytes at 0xf0 is ignored',
      'HPET: a write of 4 bytes at 0xf2 is ignored',
      'HPET: register 0x1e0 is not written',
    ]);
  });
});

describe('the main counter', () => {
  test('runs with the instructions while it is enabled, and can be set', () => {
    const { read, write, run } = createHpet();
    run(1000);
    expect(read(COUNTER)).toBe(0n);
    write(CONFIGURATION, ENABLED);
    run(1000);
    expect([read(COUNTER), read(COUNTER)]).toEqual([1000n, 1000n]);
    write(CONFIGURATION, 0);
    run(5);
    expect(read(COUNTER)).toBe(1000n);
    write(COUNTER, 0xffff_ffff_ffff_fff0n);
    write(CONFIGURATION, ENABLED);
    run(17);
    expect(read(COUNTER)).toBe(1n);
    expect(read(COUNTER + 4, 4)).toBe(0n);
  });
});

describe('a one-shot timer', () => {
  test('asks once, when the counter equals its comparator', () => {
    const { edges, read, write, run } = createHpet();
    write(timer(1), route(20) | INTERRUPTS);
    write(comparator(1), 500);
    write(CONFIGURATION, ENABLED);
    run(499);
    expect(edges).toEqual([]);
    run(1_000_000);
    expect(edges).toEqual(['500:in20']);
    expect([read(comparator(1)), read(STATUS)]).toEqual([500n, 0n]);
  });

  test('asks at once when it is set to the present count, and not for one that has passed', () => {
    const { edges, clock, write, run } = createHpet();
    write(timer(0), route(16) | INTERRUPTS);
    write(CONFIGURATION, ENABLED);
    run(100);
    write(comparator(0), 100);
    clock.fireDue();
    expect(edges).toEqual(['100:in16']);
    run(50);
    write(comparator(0), 120);
    run(1_000_000);
    expect(edges).toHaveLength(1);
  });

  test('of 32 bits compares the low half, and so again a wrap later', () => {
    const { edges, read, write, run } = createHpet();
    write(timer(0), route(16) | INTERRUPTS | SHORT);
    write(comparator(0), 0x7_0000_0010n);
    expect(read(comparator(0))).toBe(0x10n);
    write(COUNTER, 0xffff_fff0n);
    write(CONFIGURATION, ENABLED);
    run(0x1_0000_0100);
    expect(edges).toEqual(['32:in16', `${2 ** 32 + 32}:in16`]);
  });

  test('without interrupts asks nobody and arms nothing', () => {
    const { clock, edges, write, run } = createHpet();
    write(comparator(0), 500);
    write(timer(0), route(16));
    write(CONFIGURATION, ENABLED);
    expect(clock.nextEventAt()).toBeUndefined();
    run(1000);
    write(timer(0), route(16) | INTERRUPTS);
    run(1000);
    expect(edges).toEqual([]);
  });

  test('is not waited for while the counter is halted or the match is years away', () => {
    const { clock, write } = createHpet();
    write(timer(0), route(16) | INTERRUPTS);
    write(comparator(0), 500);
    expect(clock.nextEventAt()).toBeUndefined();
    write(CONFIGURATION, ENABLED);
    expect(clock.nextEventAt()).toBe(5000n);
    write(comparator(0), -1n & 0xffff_ffff_ffff_ffffn);
    expect(clock.nextEventAt()).toBeUndefined();
  });
});

describe('a periodic timer', () => {
  const begin = ({ write }: ReturnType<typeof createHpet>, first: number, period: number): void => {
    write(timer(0), route(17) | INTERRUPTS | PERIODIC | SET_VALUE);
    write(comparator(0), first);
    write(comparator(0), period);
    write(CONFIGURATION, ENABLED);
  };

  test('takes its first match with VAL_SET and its period without, and goes on by itself', () => {
    const board = createHpet();
    begin(board, 1000, 300);
    expect(board.read(timer(0), 4)).toBe(BigInt(route(17) | INTERRUPTS | PERIODIC) | 0x30n);
    board.run(1650);
    expect(board.edges).toEqual(['1000:in17', '1300:in17', '1600:in17']);
    expect(board.read(comparator(0))).toBe(1900n);
  });

  test('that was skipped over asks once and keeps its rhythm', () => {
    const board = createHpet();
    begin(board, 1000, 300);
    board.clock.skip(10_000n * TICKS_PER_COUNT);
    expect(board.read(comparator(0))).toBe(10_300n);
    board.clock.fireDue();
    board.run(300);
    expect(board.edges).toEqual(['10000:in17', '10300:in17']);
  });

  test('of 32 bits goes on over the wrap, as Linux has it', () => {
    const board = createHpet();
    board.write(COUNTER, 0xffff_ff00n);
    board.write(timer(0), INTERRUPTS | PERIODIC | SET_VALUE | SHORT, 4);
    board.write(CONFIGURATION, ENABLED | LEGACY);
    board.write(comparator(0), 0xffff_ff80n, 4);
    board.write(comparator(0), 0x100, 4);
    board.run(0x300);
    expect(board.edges).toEqual(['128:irq0', '384:irq0', '640:irq0']);
    expect(board.read(comparator(0))).toBe(0x280n);
  });

  test('without a period never asks twice', () => {
    const board = createHpet();
    begin(board, 1000, 0);
    board.run(100_000);
    expect(board.edges).toEqual(['1000:in17']);
  });
});

describe('a level-triggered timer', () => {
  test('asks until its status is cleared', () => {
    const { clock, edges, high, read, write, run } = createHpet();
    write(timer(2), route(16) | INTERRUPTS | LEVEL);
    write(comparator(2), 10);
    write(CONFIGURATION, ENABLED);
    clock.skip(100n);
    expect(read(STATUS)).toBe(4n);
    run(5);
    expect([...high]).toEqual(['in16']);
    write(STATUS, 3);
    expect([...high]).toEqual(['in16']);
    write(STATUS, 4);
    expect([[...high], read(STATUS), edges.length]).toEqual([[], 0n, 1]);
  });

  test('sets its status without interrupts, and holds its line only while all is enabled', () => {
    const { high, read, write, run } = createHpet();
    write(timer(0), route(16) | LEVEL);
    write(comparator(0), 10);
    write(CONFIGURATION, ENABLED);
    run(20);
    expect([read(STATUS), high.size]).toEqual([1n, 0]);
    write(timer(0), route(16) | LEVEL | INTERRUPTS);
    expect([...high]).toEqual(['in16']);
    write(timer(0), route(18) | LEVEL | INTERRUPTS);
    expect([...high]).toEqual(['in18']);
    write(CONFIGURATION, 0);
    expect([read(STATUS), high.size]).toEqual([1n, 0]);
    write(timer(0), route(18) | INTERRUPTS);
    expect(read(STATUS)).toBe(0n);
  });

  test('shares an input with another one', () => {
    const { edges, high, write, run } = createHpet();
    for (const index of [0, 1]) {
      write(timer(index), route(19) | INTERRUPTS | LEVEL);
      write(comparator(index), 10 + index);
    }
    write(timer(2), route(19) | INTERRUPTS);
    write(comparator(2), 12);
    write(CONFIGURATION, ENABLED);
    run(20);
    write(STATUS, 1);
    expect([...high]).toEqual(['in19']);
    write(STATUS, 2);
    expect([[...high], edges]).toEqual([[], ['10:in19']]);
  });
});

describe('the legacy replacement route', () => {
  test('gives timers 0 and 1 the lines of the PIT and the RTC, and gives them back', () => {
    const { hpet, edges, high, write, run } = createHpet();
    const [pit, rtc] = [hpet.replacedLine(0), hpet.replacedLine(1)];
    pit.set(true);
    expect(edges.splice(0)).toEqual(['0:irq0']);
    write(timer(0), route(16) | INTERRUPTS);
    write(timer(1), INTERRUPTS | LEVEL);
    write(comparator(0), 10);
    write(comparator(1), 20);
    write(CONFIGURATION, ENABLED | LEGACY);
    expect([...high]).toEqual([]);
    rtc.set(true);
    run(30);
    pit.set(false);
    expect(edges.splice(0)).toEqual(['10:irq0', '20:irq8']);
    expect([...high]).toEqual(['irq8']);
    write(STATUS, 2);
    expect([...high]).toEqual([]);
    write(CONFIGURATION, ENABLED);
    expect([...high]).toEqual(['irq8']);
  });

  test('silences the PIT on the board, whose place at the 8259 it takes', () => {
    const board = createBoard();
    const { clock, portBus, interruptController } = board;
    const hpet = board.device('hpet');
    for (const [port, value] of [[0x20, 0x11], [0x21, 0x20], [0x21, 4], [0x21, 1]] as const) {
      portBus.write(port, value, 8);
    } // prettier-ignore
    const ticksIn = (milliseconds: number): number => {
      let count = 0;
      for (let passed = 0; passed < milliseconds * 10; passed++) {
        clock.run(100_000n);
        if (!interruptController.hasInterrupt()) continue;
        expect(interruptController.acknowledge()).toBe(0x20);
        portBus.write(0x20, 0x20, 8);
        count++;
      }
      return count;
    };
    ticksIn(60);
    expect(ticksIn(1000)).toBe(18);
    hpet.writePage?.(timer(0), 4, BigInt(INTERRUPTS | PERIODIC | SET_VALUE));
    hpet.writePage?.(comparator(0), 8, 100_000n);
    hpet.writePage?.(CONFIGURATION, 4, BigInt(ENABLED | LEGACY));
    expect(ticksIn(1000)).toBe(1000);
    hpet.writePage?.(CONFIGURATION, 4, BigInt(ENABLED));
    // Its output may just be high: that is an edge.
    expect([18, 19]).toContain(ticksIn(1000));
    expect(hpet.page).toBe(HPET_PAGE);
    expect(hpet.describe()).toContain('running; timer 0 every 100000 counts, next at ');
  });
});
