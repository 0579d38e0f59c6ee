import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayOfWeek, fromCalendar, toCalendar } from '../../../machine/devices/calendar.ts';
import { RtcCmos } from '../../../machine/devices/rtc-cmos.ts';
import { ManualClock } from './manual-clock.ts';

const SECOND = 1_000_000_000n;
const MIB = 2 ** 20;
const [A, B, C, D] = [0x0a, 0x0b, 0x0c, 0x0d] as const;

function createRtc(memoryBytes = 256 * MIB, epochSeconds?: bigint) {
  const clock = new ManualClock();
  const line = { level: false, rises: [] as bigint[] };
  const set = (asserted: boolean): void => {
    if (asserted && !line.level) line.rises.push(clock.now());
    line.level = asserted;
  };
  const rtc = new RtcCmos(clock, { set }, memoryBytes, epochSeconds);
  rtc.reset();
  const read = (index: number): number => {
    rtc.writePort(0x70, index);
    return rtc.readPort(0x71);
  };
  const write = (index: number, value: number): void => {
    rtc.writePort(0x70, index);
    rtc.writePort(0x71, value);
  };
  const dateTime = (): string =>
    [0x32, 9, 8, 7, 4, 2, 0].map((index) => read(index).toString(16).padStart(2, '0')).join(' ');
  return { rtc, clock, line, read, write, dateTime };
}

describe('the date of the RTC', () => {
  test('is the epoch plus virtual time, in BCD and 24 hours', () => {
    const { clock, dateTime, read } = createRtc();
    expect(dateTime()).toBe('20 26 01 01 00 00 00');
    expect(read(6)).toBe(5); // Thursday, Sunday being 1
    clock.skip((86_400n + 13n * 3600n + 59n * 60n + 58n) * SECOND);
    expect(dateTime()).toBe('20 26 01 02 13 59 58');
    clock.skip(2n * SECOND);
    expect(dateTime()).toBe('20 26 01 02 14 00 00');
    expect(read(6)).toBe(6);
    expect(read(0x37)).toBe(0x20);
  });

  test('starts at the epoch that is configured', () => {
    expect(createRtc(MIB, 951_782_399n).dateTime()).toBe('20 00 02 28 23 59 59');
  });

  test('is shown in binary and in 12 hours when register B says so', () => {
    const { clock, write, read } = createRtc();
    clock.skip(45n * SECOND);
    write(B, 0x06);
    expect(read(0)).toBe(45);
    expect(read(9)).toBe(26);
    write(B, 0x00);
    expect([read(0), read(4)]).toEqual([0x45, 0x12]);
    clock.skip(15n * 3600n * SECOND);
    expect(read(4)).toBe(0x83);
    write(B, 0x04);
    expect(read(4)).toBe(0x83);
    clock.skip(21n * 3600n * SECOND);
    expect(read(4)).toBe(0x8c);
  });

  test('stands still while SET is 1 and goes on from what was written', () => {
    const { clock, write, dateTime, read } = createRtc();
    write(B, 0x82);
    write(0x32, 0x19);
    for (const [index, value] of [
      [9, 0x99],
      [8, 0x12],
      [7, 0x31],
      [4, 0x23],
      [2, 0x59],
      [0, 0x59],
    ] as const) {
      write(index, value);
    }
    clock.skip(10n * SECOND);
    expect(dateTime()).toBe('19 99 12 31 23 59 59');
    write(B, 0x02);
    clock.skip(SECOND);
    expect(dateTime()).toBe('20 00 01 01 00 00 00');
    expect(read(6)).toBe(7); // a Saturday
  });

  test('can be set without SET, and the day of the week by itself', () => {
    const { write, read, dateTime, clock } = createRtc();
    write(2, 0x30);
    expect(dateTime()).toBe('20 26 01 01 00 30 00');
    write(6, 1);
    expect(read(6)).toBe(1);
    clock.skip(86_400n * SECOND);
    expect(read(6)).toBe(2);
  });

  test('announces each change by UIP, 244 µs before', () => {
    const { clock, read } = createRtc();
    expect(read(A) & 0x80).toBe(0);
    clock.skip(SECOND - 244_000n - 10n);
    expect(read(A)).toBe(0x26);
    clock.skip(10n);
    expect(read(A)).toBe(0xa6);
    expect(read(0)).toBe(0x00);
    clock.skip(244_000n);
    expect(read(A)).toBe(0x26);
    expect(read(0)).toBe(0x01);
  });
});

describe('IRQ 8', () => {
  test('comes at the periodic rate, once per read of register C', () => {
    const { clock, line, read, write } = createRtc();
    write(B, 0x42);
    for (let index = 0; index < 1024; index++) {
      clock.run(SECOND / 1024n + 10n);
      expect(read(C)).toBe(index === 1023 ? 0xd0 : 0xc0);
    }
    expect(line.rises).toHaveLength(1024);
    expect(line.level).toBe(false);
  });

  test.each([
    [1, 256],
    [2, 128],
    [3, 8192],
    [15, 2],
  ])('with rate %i has %i periods a second', (rate, hertz) => {
    const { clock, line, write, read } = createRtc();
    write(A, 0x20 | rate);
    write(B, 0x42);
    clock.run(SECOND / BigInt(hertz) - 10n);
    expect(line.level).toBe(false);
    clock.run(20n);
    expect(line.level).toBe(true);
    expect(read(C) & 0x40).toBe(0x40);
  });

  test('stays asserted and quiet until register C is read', () => {
    const { clock, line, write } = createRtc();
    write(B, 0x42);
    clock.run(SECOND);
    expect(line.rises).toHaveLength(1);
    expect(clock.nextEventAt()).toBeUndefined();
  });

  test('comes after each update with UIE', () => {
    const { clock, line, read, write } = createRtc();
    write(B, 0x12);
    clock.run(3n * SECOND - 10n);
    read(C);
    clock.run(20n);
    expect(line.rises).toHaveLength(2);
    expect(read(C)).toBe(0xd0);
  });

  test('comes at the alarm, of which any byte can match always', () => {
    const { clock, line, read, write } = createRtc();
    write(1, 0x30);
    write(3, 0x15);
    write(5, 0x02);
    write(B, 0x22);
    clock.run(86_400n * SECOND);
    expect(line.rises).toEqual([(2n * 3600n + 15n * 60n + 30n) * SECOND]);
    expect(read(C) & 0xa0).toBe(0xa0);
    write(5, 0xff);
    write(3, 0xc0);
    clock.run(61n * SECOND);
    expect(line.rises).toHaveLength(2);
  });

  test('does not come for an alarm that no time matches', () => {
    const { clock, line, write } = createRtc();
    write(1, 0x75);
    write(B, 0x22);
    expect(clock.nextEventAt()).toBeUndefined();
    clock.run(200_000n * SECOND);
    expect(line.rises).toEqual([]);
  });

  test('flags can be polled without any interrupt enabled', () => {
    const { clock, line, read } = createRtc();
    read(C);
    expect(read(C)).toBe(0);
    clock.skip(SECOND);
    expect(read(C) & 0xf0).toBe(0x50);
    expect(read(C)).toBe(0);
    expect(line.rises).toEqual([]);
  });
});

describe('CMOS memory', () => {
  test.each([
    [2, 1024, 0],
    [16, 15 * 1024, 0],
    [64, 63 * 1024, 48 * 16],
    [256, 0xffff, 240 * 16],
    [2048, 0xffff, 2032 * 16],
  ])('tells of %i MiB as firmware does', (mebibytes, extendedKib, above16) => {
    const { read } = createRtc(mebibytes * MIB);
    expect(read(0x15) | (read(0x16) << 8)).toBe(640);
    expect(read(0x17) | (read(0x18) << 8)).toBe(extendedKib);
    expect(read(0x30) | (read(0x31) << 8)).toBe(extendedKib);
    expect(read(0x34) | (read(0x35) << 8)).toBe(above16);
    let sum = 0;
    for (let index = 0x10; index < 0x2e; index++) sum += read(index);
    expect((read(0x2e) << 8) | read(0x2f)).toBe(sum);
  });

  test('keeps what is written, except the flags and the battery bit', () => {
    const { read, write } = createRtc();
    write(0x50, 0xa5);
    write(C, 0xff);
    write(D, 0x00);
    expect([read(0x50), read(D)]).toEqual([0xa5, 0x80]);
    expect(read(C)).toBe(0);
  });

  test('has the NMI mask in bit 7 of the index', () => {
    const { rtc } = createRtc();
    rtc.writePort(0x70, 0x8d);
    expect(rtc.isNmiMasked()).toBe(true);
    expect(rtc.readPort(0x71)).toBe(0x80);
    expect(rtc.readPort(0x70)).toBe(0xff);
    rtc.writePort(0x70, 0x0d);
    expect(rtc.isNmiMasked()).toBe(false);
  });
});

describe('the calendar', () => {
  test('agrees with JavaScript from 1970 to 9999', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (seconds) => {
        const date = new Date(seconds * 1000);
        expect(toCalendar(BigInt(seconds))).toEqual({
          year: date.getUTCFullYear(),
          month: date.getUTCMonth() + 1,
          day: date.getUTCDate(),
          hour: date.getUTCHours(),
          minute: date.getUTCMinutes(),
          second: date.getUTCSeconds(),
        });
        expect(dayOfWeek(BigInt(seconds))).toBe(date.getUTCDay());
        expect(fromCalendar(toCalendar(BigInt(seconds)))).toBe(BigInt(seconds));
      }),
      { numRuns: 1000 },
    );
  });
});
