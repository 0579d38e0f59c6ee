import { describe, expect, test } from 'vitest';
import { PIT_HZ, Pit8254 } from '../../../machine/devices/pit8254.ts';
import { ManualClock } from './manual-clock.ts';

const CONTROL = 0x43;
const PORT_B = 0x61;

function createPit() {
  const clock = new ManualClock();
  const line = { level: false, rises: [] as bigint[] };
  const set = (asserted: boolean): void => {
    if (asserted && !line.level) line.rises.push(pitClock(clock));
    line.level = asserted;
  };
  const pit = new Pit8254(clock, { set });
  pit.reset();
  return { pit, clock, line };
}

function pitClock(clock: ManualClock): bigint {
  return (clock.now() * PIT_HZ) / 1_000_000_000n;
}

/** Brings the PIT's own count of clocks to exactly `target`. */
function runTo(clock: ManualClock, target: bigint): void {
  clock.run((target * 1_000_000_000n + PIT_HZ - 1n) / PIT_HZ - clock.now() + 9n);
  expect(pitClock(clock)).toBe(target);
}

function program(pit: Pit8254, counter: number, mode: number, count: number, bcd = 0): void {
  pit.writePort(CONTROL, (counter << 6) | 0x30 | (mode << 1) | bcd);
  pit.writePort(0x40 + counter, count & 0xff);
  pit.writePort(0x40 + counter, count >> 8);
}

function readCount(pit: Pit8254, counter: number): number {
  pit.writePort(CONTROL, counter << 6);
  return pit.readPort(0x40 + counter) | (pit.readPort(0x40 + counter) << 8);
}

function isOut2High(pit: Pit8254): boolean {
  return (pit.readPort(PORT_B) & 0x20) !== 0;
}

/** Levels of counter 2's output at each of the clocks from 0 on. */
function waveform(pit: Pit8254, clock: ManualClock, clocks: number): string {
  const start = pitClock(clock);
  let wave = '';
  for (let index = 0; index < clocks; index++) {
    runTo(clock, start + BigInt(index));
    wave += isOut2High(pit) ? '1' : '0';
  }
  return wave;
}

describe('the outputs of the 8254, clock by clock after the write', () => {
  test.each([
    ['0, interrupt on terminal count', 0, 4, '000001111111'],
    ['2, rate generator', 2, 4, '111101110111'],
    ['3, square wave, even', 3, 4, '111001100110'],
    ['3, square wave, odd', 3, 5, '111100111001'],
    ['4, software-triggered strobe', 4, 4, '111110111111'],
  ])('mode %s', (_name, mode, count, wave) => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, mode, count);
    expect(waveform(pit, clock, wave.length)).toBe(wave);
  });

  test.each([
    ['1, one-shot', 1, '10001111', '10001111'],
    ['5, hardware-triggered strobe', 5, '11110111', '11110111'],
  ])('mode %s starts with a rising gate, again and again', (_name, mode, first, second) => {
    const { pit, clock } = createPit();
    program(pit, 2, mode, 3);
    expect(waveform(pit, clock, 8)).toBe('11111111');
    pit.writePort(PORT_B, 1);
    expect(waveform(pit, clock, 8)).toBe(first);
    pit.writePort(PORT_B, 0);
    pit.writePort(PORT_B, 1);
    expect(waveform(pit, clock, 8)).toBe(second);
  });

  test('a low gate stops mode 0 where it is, and a high one lets it go on', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 0, 10);
    runTo(clock, 5n);
    const before = readCount(pit, 2);
    pit.writePort(PORT_B, 0);
    runTo(clock, 100n);
    expect(readCount(pit, 2)).toBe(before);
    expect(isOut2High(pit)).toBe(false);
    pit.writePort(PORT_B, 1);
    runTo(clock, 100n + BigInt(before));
    expect(isOut2High(pit)).toBe(true);
  });

  test('a low gate holds mode 2 high and a rising one starts the period anew', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 2, 4);
    runTo(clock, 4n);
    expect(isOut2High(pit)).toBe(false);
    pit.writePort(PORT_B, 0);
    expect(isOut2High(pit)).toBe(true);
    runTo(clock, 50n);
    expect(isOut2High(pit)).toBe(true);
    pit.writePort(PORT_B, 1);
    expect(waveform(pit, clock, 9)).toBe('111101110');
  });

  test('a new count in mode 2 waits for the end of the period', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 2, 6);
    runTo(clock, 3n);
    pit.writePort(0x42, 3);
    pit.writePort(0x42, 0);
    expect(waveform(pit, clock, 11)).toBe('11101101101');
  });

  test('the first byte of a new count stops mode 0', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 0, 3);
    runTo(clock, 10n);
    expect(isOut2High(pit)).toBe(true);
    pit.writePort(0x42, 3);
    expect(isOut2High(pit)).toBe(false);
    runTo(clock, 30n);
    expect(isOut2High(pit)).toBe(false);
    pit.writePort(0x42, 0);
    expect(waveform(pit, clock, 6)).toBe('000011');
  });
});

describe('the counts of the 8254', () => {
  test('follow virtual time at every read, as calibration loops need it', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 0, 0xffff);
    pit.writePort(CONTROL, 0x80 | 0x20); // read the high byte only
    pit.writePort(0x42, 0xff);
    const seen = new Set<number>();
    for (let index = 0; index < 1000; index++) {
      clock.run(1000n);
      seen.add(pit.readPort(0x42));
    }
    expect([...seen]).toEqual([0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa]);
  });

  test.each([
    [0, 4, [4, 4, 3, 2, 1, 0, 0xffff, 0xfffe]],
    [2, 4, [4, 4, 3, 2, 1, 4, 3, 2]],
    [3, 4, [4, 4, 2, 4, 2, 4, 2, 4]],
    [3, 5, [5, 4, 2, 0, 4, 2, 4, 2]],
  ])('in mode %i from %i', (mode, count, values) => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, mode, count);
    const seen = values.map((_, index) => {
      runTo(clock, BigInt(index));
      return readCount(pit, 2);
    });
    expect(seen).toEqual(values);
  });

  test('stay latched until read, while the counter goes on', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 2, 1000);
    runTo(clock, 101n);
    pit.writePort(CONTROL, 0x80);
    runTo(clock, 201n);
    pit.writePort(CONTROL, 0x80); // ignored: one is latched
    expect(pit.readPort(0x42) | (pit.readPort(0x42) << 8)).toBe(900);
    expect(pit.readPort(0x42) | (pit.readPort(0x42) << 8)).toBe(800);
  });

  test('count in decimal when asked to', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 2, 0x1000, 1);
    runTo(clock, 2n);
    expect(readCount(pit, 2)).toBe(0x0999);
    program(pit, 2, 0, 0, 1); // 0 is 10000
    runTo(clock, 4n);
    expect(readCount(pit, 2)).toBe(0x9999);
  });

  test('take 0 for 65536', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 2, 0);
    runTo(clock, 1n);
    expect(readCount(pit, 2)).toBe(0);
    runTo(clock, 2n);
    expect(readCount(pit, 2)).toBe(0xffff);
  });

  test('can be written and read as one byte', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    pit.writePort(CONTROL, 0x80 | 0x10 | (2 << 1));
    pit.writePort(0x42, 200);
    runTo(clock, 11n);
    expect([pit.readPort(0x42), pit.readPort(0x42)]).toEqual([190, 190]);
  });
});

describe('the 8254 read-back command', () => {
  test('latches status and count of several counters, status first', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    program(pit, 2, 3, 100);
    runTo(clock, 11n);
    pit.writePort(CONTROL, 0xc0 | (1 << 1) | (1 << 3)); // counters 0 and 2, both
    expect(pit.readPort(0x42)).toBe(0x80 | 0x30 | (3 << 1));
    expect(pit.readPort(0x42) | (pit.readPort(0x42) << 8)).toBe(80);
    expect(pit.readPort(0x40) & 0x3f).toBe(0x30 | (2 << 1));
  });

  test('shows a null count until the count is loaded', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 1);
    const status = (): number => {
      pit.writePort(CONTROL, 0xc0 | 0x20 | (1 << 3));
      return pit.readPort(0x42);
    };
    pit.writePort(CONTROL, 0x80 | 0x30);
    expect(status() & 0x40).toBe(0x40);
    pit.writePort(0x42, 9);
    pit.writePort(0x42, 0);
    expect(status() & 0x40).toBe(0x40);
    runTo(clock, 1n);
    expect(status() & 0x40).toBe(0);
  });
});

describe('IRQ 0', () => {
  test('comes 18.2 times a second before anybody has programmed the chip', () => {
    const { clock, line } = createPit();
    line.rises.length = 0;
    clock.run(1_000_000_000n);
    expect(line.rises).toHaveLength(18);
    expect(line.rises[1]! - line.rises[0]!).toBe(65536n);
  });

  test.each([2, 3])('comes a thousand times a second in mode %i', (mode) => {
    const { pit, clock, line } = createPit();
    program(pit, 0, mode, 1193);
    line.rises.length = 0;
    clock.run(1_000_000_000n);
    expect(line.rises).toHaveLength(1000);
    expect(line.rises.slice(1).every((at, index) => at - line.rises[index]! === 1193n)).toBe(true);
  });

  test('comes once in mode 0', () => {
    const { pit, clock, line } = createPit();
    program(pit, 0, 0, 1000);
    line.rises.length = 0;
    clock.run(1_000_000_000n);
    expect(line.rises).toEqual([1001n]);
  });

  test('keeps its phase over an hour', () => {
    const { clock, line } = createPit();
    for (let minute = 0; minute < 60; minute++) clock.run(60_000_000_000n);
    expect(line.rises.at(-1)! % 65536n).toBe(0n);
    expect(line.rises).toHaveLength(Number((3600n * PIT_HZ) / 65536n) + 1);
  });
});

describe('port 0x61', () => {
  test('keeps the writable bits and toggles the refresh bit with time', () => {
    const { pit, clock } = createPit();
    pit.writePort(PORT_B, 0xff);
    expect(pit.readPort(PORT_B) & 0xcf).toBe(0x0f);
    let toggles = 0;
    let last = 0;
    for (let index = 0; index < 1000; index++) {
      clock.run(1000n);
      const bit = pit.readPort(PORT_B) & 0x10;
      if (bit !== last) toggles++;
      last = bit;
    }
    expect(toggles).toBe(66); // 1 ms / 15.086 µs
  });
});
