import { beforeEach, describe, expect, test } from 'vitest';
import { LocalApic } from '../../../machine/devices/local-apic.ts';
import { createBoard } from './test-board.ts';
import { ManualClock } from './manual-clock.ts';

const [ID, TPR, PPR, EOI, LDR, DFR, SVR] = [0x20, 0x80, 0xa0, 0xb0, 0xd0, 0xe0, 0xf0] as const;
const [ISR, IRR, ESR, ICR, ICR_HIGH] = [0x100, 0x200, 0x280, 0x300, 0x310] as const;
const [LVT_TIMER, LINT0, LINT1, LVT_ERROR] = [0x320, 0x350, 0x360, 0x370] as const;
const [INITIAL, CURRENT, DIVIDE] = [0x380, 0x390, 0x3e0] as const;
const SELF = 0x4_0000;
const DIVIDE_BY_1 = 0xb;

let apic: LocalApic;
let clock: ManualClock;
let notes: string[];

beforeEach(() => {
  clock = new ManualClock();
  notes = [];
  apic = new LocalApic(clock, (text) => notes.push(text));
  apic.reset();
});

function read(offset: number): number {
  return Number(apic.readPage(offset, 4));
}

function write(offset: number, value: number): void {
  apic.writePage(offset, 4, BigInt(value));
}

function sendToSelf(vector: number): void {
  write(ICR, SELF | vector);
}

describe('the local APIC registers', () => {
  test('start as firmware leaves them: enabled, virtual wire, the rest masked', () => {
    expect(read(SVR)).toBe(0x1ff);
    expect(read(LINT0)).toBe(0x700);
    expect(read(LINT1)).toBe(0x400);
    expect([read(LVT_TIMER), read(LVT_ERROR), read(0x330), read(0x340)]).toEqual(
      new Array(4).fill(0x1_0000),
    );
    expect(read(0x30)).toBe(0x0005_0014);
    expect([read(ID), read(LDR), read(DFR)]).toEqual([0, 0, 0xffff_ffff]);
  });

  test('are 32 bits at multiples of 16 and can be read in part', () => {
    expect(apic.readPage(0x30, 1)).toBe(0x14n);
    expect(apic.readPage(0x32, 2)).toBe(0x05n);
    expect(apic.readPage(0x30, 8)).toBe(0x0005_0014n);
    expect(apic.readPage(0x34, 4)).toBe(0n);
    apic.writePage(TPR, 1, 0x55n);
    expect(read(TPR)).toBe(0);
    expect(notes).toHaveLength(1);
  });

  test('keep only the bits that exist', () => {
    for (const [offset, value] of [
      [ID, 0xff00_0000],
      [TPR, 0xff],
      [LDR, 0xff00_0000],
      [SVR, 0x3ff],
      [LVT_TIMER, 0x7_00ff],
      [LINT0, 0x1_a7ff],
      [LVT_ERROR, 0x1_00ff],
      [DIVIDE, 0xb],
    ] as const) {
      write(offset, 0xffff_ffff);
      expect(read(offset), `register 0x${offset.toString(16)}`).toBe(value);
    }
  });

  test('that do not exist are an error, noted once', () => {
    read(0x40);
    write(0x40, 1);
    read(0x40);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x80);
    expect(notes).toEqual(['local APIC: no register at 0x40 (first read)', expect.any(String)]);
  });
});

describe('the priorities of the local APIC', () => {
  test('give the highest vector first and hold lower classes back until EOI', () => {
    sendToSelf(0x31);
    sendToSelf(0x42);
    expect(read(IRR + 0x10)).toBe(1 << 17);
    expect(apic.acknowledge()).toBe(0x42);
    expect(read(ISR + 0x20)).toBe(1 << 2);
    expect(read(PPR)).toBe(0x40);
    expect(apic.deliverableVector()).toBeUndefined();
    sendToSelf(0x4f); // the same class waits
    expect(apic.deliverableVector()).toBeUndefined();
    sendToSelf(0x50);
    expect(apic.acknowledge()).toBe(0x50);
    write(EOI, 0);
    expect(apic.deliverableVector()).toBeUndefined();
    write(EOI, 0);
    expect(apic.acknowledge()).toBe(0x4f);
    write(EOI, 0);
    expect(apic.acknowledge()).toBe(0x31);
  });

  test('follow TPR, which CR8 is the upper half of', () => {
    sendToSelf(0x45);
    write(TPR, 0x40);
    expect(apic.taskPriority).toBe(0x40);
    expect(apic.deliverableVector()).toBeUndefined();
    apic.taskPriority = 0x30;
    expect(read(TPR)).toBe(0x30);
    expect(apic.deliverableVector()).toBe(0x45);
    expect(read(PPR)).toBe(0x30);
  });

  test('answer an acknowledge without a request with the spurious vector, not in service', () => {
    write(SVR, 0x1ef);
    expect(apic.acknowledge()).toBe(0xef);
    expect(read(ISR + 0x70)).toBe(0);
  });
});

describe('interrupt commands', () => {
  test.each([
    ['self', SELF, 0, true],
    ['all including self', 0x8_0000, 0, true],
    ['all excluding self', 0xc_0000, 0, false],
    ['its own id', 0, 0, true],
    ['another id', 0, 0x0100_0000, false],
    ['broadcast', 0, 0xff00_0000, true],
  ])('to %s', (_name, low, high, arrives) => {
    write(ICR_HIGH, high);
    write(ICR, low | 0x60);
    expect(apic.deliverableVector()).toBe(arrives ? 0x60 : undefined);
    expect(read(ICR) & 0x1000).toBe(0);
  });

  test.each([
    ['flat', 0xffff_ffff, 0x0600_0000, 0x0200_0000, true],
    ['flat, not addressed', 0xffff_ffff, 0x0600_0000, 0x0100_0000, false],
    ['cluster', 0x0fff_ffff, 0x2600_0000, 0x2400_0000, true],
    ['another cluster', 0x0fff_ffff, 0x2600_0000, 0x3400_0000, false],
  ])('to a logical destination, %s', (_name, dfr, ldr, destination, arrives) => {
    write(DFR, dfr);
    write(LDR, ldr);
    write(ICR_HIGH, destination);
    write(ICR, 0x800 | 0x60);
    expect(apic.deliverableVector()).toBe(arrives ? 0x60 : undefined);
  });

  test('can send an NMI to this CPU', () => {
    write(ICR, 0x400);
    expect(apic.hasNmi()).toBe(true);
    apic.acknowledgeNmi();
    expect(apic.hasNmi()).toBe(false);
  });

  test('with an illegal vector are an error that the error entry reports', () => {
    write(LVT_ERROR, 0x70);
    sendToSelf(5);
    expect(apic.acknowledge()).toBe(0x70);
    expect(read(ESR)).toBe(0);
    write(ESR, 0);
    expect(read(ESR)).toBe(0x20);
    write(ESR, 0);
    expect(read(ESR)).toBe(0);
  });

  test('to start another processor are noted and ignored', () => {
    write(ICR, 0x4500);
    write(ICR, 0x4608);
    expect(notes).toHaveLength(2);
  });

  test('do nothing while the APIC is software-disabled, and its LVT is masked', () => {
    write(SVR, 0xff);
    sendToSelf(0x60);
    expect(apic.deliverableVector()).toBeUndefined();
    write(LINT0, 0x700);
    expect(read(LINT0)).toBe(0x1_0700);
  });
});

describe('the local APIC timer', () => {
  test('counts down with time, divided', () => {
    write(INITIAL, 1000);
    clock.run(100n);
    expect(read(CURRENT)).toBe(950); // the divider starts at 2
    write(DIVIDE, DIVIDE_BY_1);
    clock.run(100n);
    expect(read(CURRENT)).toBe(850);
    write(DIVIDE, 0xa); // by 128
    clock.run(1280n);
    expect(read(CURRENT)).toBe(840);
  });

  test.each([
    [0x0, 2],
    [0x1, 4],
    [0x2, 8],
    [0x3, 16],
    [0x8, 32],
    [0x9, 64],
    [0xa, 128],
    [0xb, 1],
  ])('with divide configuration %i divides by %i', (code, divisor) => {
    write(DIVIDE, code);
    write(INITIAL, 1000);
    clock.run(BigInt(10 * divisor));
    expect(read(CURRENT)).toBe(990);
  });

  test('fires once in one-shot mode', () => {
    write(DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, 0x60);
    write(INITIAL, 1000);
    clock.run(990n);
    expect(apic.deliverableVector()).toBeUndefined();
    clock.run(10n);
    expect(apic.acknowledge()).toBe(0x60);
    write(EOI, 0);
    clock.run(10_000n);
    expect(apic.deliverableVector()).toBeUndefined();
    expect(read(CURRENT)).toBe(0);
  });

  test('fires again and again in periodic mode, keeping its phase', () => {
    write(DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, 0x2_0060);
    write(INITIAL, 1005);
    let count = 0;
    for (let index = 0; index < 1005; index++) {
      clock.run(1000n);
      while (apic.deliverableVector() !== undefined) {
        expect(apic.acknowledge()).toBe(0x60);
        write(EOI, 0);
        count++;
      }
    }
    expect(count).toBe(1000);
  });

  test('is one interrupt when it expires many times between two instructions', () => {
    write(DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, 0x2_0060);
    write(INITIAL, 1);
    clock.skip(1_000_000_000_000n);
    clock.fireDue();
    expect(apic.acknowledge()).toBe(0x60);
    expect(clock.nextEventAt()).toBe(clock.now() + 1n);
  });

  test('counts while masked and stops at an initial count of 0', () => {
    write(DIVIDE, DIVIDE_BY_1);
    write(LVT_TIMER, 0x3_0060);
    write(INITIAL, 100);
    clock.run(150n);
    expect(read(CURRENT)).toBe(50);
    expect(apic.deliverableVector()).toBeUndefined();
    write(INITIAL, 0);
    expect(read(CURRENT)).toBe(0);
    expect(clock.nextEventAt()).toBeUndefined();
  });

  test('fires at the TSC deadline and disarms', () => {
    apic.tscDeadlineTimer.setTscDeadline(500n, 500n); // not in this mode: ignored
    expect(apic.tscDeadlineTimer.tscDeadline).toBe(0n);
    write(LVT_TIMER, 0x4_0060);
    write(INITIAL, 100);
    expect(read(INITIAL)).toBe(0);
    apic.tscDeadlineTimer.setTscDeadline(5500n, 500n);
    expect(apic.tscDeadlineTimer.tscDeadline).toBe(5500n);
    clock.run(500n);
    expect(apic.acknowledge()).toBe(0x60);
    expect(apic.tscDeadlineTimer.tscDeadline).toBe(0n);
  });
});

describe('the wire from the 8259 pair', () => {
  test('passes its vector through while LINT0 is ExtINT, whatever TPR says', () => {
    const board = createBoard();
    board.portBus.write(0x20, 0x20, 8);
    board.clock.run(60_000_000n);
    const { interruptController, localApic } = board;
    localApic.taskPriority = 0xf0;
    expect(interruptController.hasInterrupt()).toBe(true);
    localApic.writePage(LINT0, 4, 0x1_0700n);
    expect(interruptController.hasInterrupt()).toBe(false);
    localApic.writePage(LINT0, 4, 0x700n);
    expect(interruptController.acknowledge()).toBe(8);
    expect(interruptController.hasInterrupt()).toBe(false);
  });

  test('serves the APIC first', () => {
    const { interruptController, localApic, clock: time } = createBoard();
    time.run(60_000_000n);
    localApic.writePage(ICR, 4, BigInt(SELF | 0x60));
    expect(interruptController.acknowledge()).toBe(0x60);
    expect(interruptController.acknowledge()).toBe(8);
  });

  test('goes to the CPU directly when IA32_APIC_BASE turns the APIC off', () => {
    const { interruptController, localApic, clock: time } = createBoard();
    time.run(60_000_000n);
    localApic.writePage(LINT0, 4, 0x1_0700n);
    localApic.setGloballyEnabled(false);
    expect(interruptController.acknowledge()).toBe(8);
    localApic.writePage(SVR, 4, 0x1ffn);
    expect(localApic.readPage(SVR, 4)).toBe(0xffff_ffffn); // its page is nobody's
    localApic.setGloballyEnabled(true);
    expect(localApic.readPage(SVR, 4)).toBe(0xffn); // as after a reset: software-disabled
  });

  test('in fixed mode is an edge, or a level that returns after EOI', () => {
    write(LINT0, 0x60);
    apic.lint0.set(true);
    expect(apic.acknowledge()).toBe(0x60);
    write(EOI, 0);
    expect(apic.deliverableVector()).toBeUndefined();
    apic.lint0.set(false);
    write(LINT0, 0x8061);
    apic.lint0.set(true);
    expect(read(LINT0) & 0x4000).toBe(0x4000);
    expect(apic.acknowledge()).toBe(0x61);
    expect(read(0x180 + 0x30) & 2).toBe(2);
    write(EOI, 0);
    expect(apic.deliverableVector()).toBe(0x61);
    apic.lint0.set(false);
    apic.acknowledge();
    write(EOI, 0);
    expect(apic.deliverableVector()).toBeUndefined();
  });

  test('LINT1 is NMI', () => {
    apic.raiseLint1();
    expect(apic.hasNmi()).toBe(true);
  });
});
