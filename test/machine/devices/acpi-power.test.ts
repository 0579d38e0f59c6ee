import { describe, expect, test } from 'vitest';
import { AcpiPower } from '../../../machine/devices/acpi-power.ts';
import { ManualClock } from './manual-clock.ts';
import { createBoard } from './test-board.ts';

const [STATUS, ENABLE, CONTROL, TIMER] = [0x600, 0x602, 0x604, 0x608] as const;
/** 2^23 clocks of 3.579545 MHz, in whole ticks, rounded up. */
const HALF_PERIOD = 2_343_484_438n;

function createPower() {
  const clock = new ManualClock();
  const sci: boolean[] = [];
  const events: string[] = [];
  const power = new AcpiPower(
    clock,
    { set: (asserted) => sci.push(asserted) },
    () => events.push('off'),
    (text) => events.push(text),
  );
  power.reset();
  const read16 = (port: number): number => power.readPort(port) | (power.readPort(port + 1) << 8);
  const write16 = (port: number, value: number): void => {
    power.writePort(port, value & 0xff);
    power.writePort(port + 1, value >> 8);
  };
  const count = (): number => read16(TIMER) | (read16(TIMER + 2) << 16);
  return { power, clock, sci, events, read16, write16, count };
}

describe('the control register', () => {
  test('shows ACPI mode from the beginning and never SLP_EN', () => {
    const { read16, write16 } = createPower();
    expect(read16(CONTROL)).toBe(1);
    write16(CONTROL, 0x1c00 | 0x2000);
    expect(read16(CONTROL)).toBe(0x1c01);
  });

  test('switches the PC off with SLP_EN and the sleep type of S5', () => {
    const { write16, events } = createPower();
    write16(CONTROL, 0x0000);
    expect(events).toEqual([]);
    write16(CONTROL, 0x2000);
    expect(events).toEqual(['off']);
  });

  test('refuses other sleep types with one note', () => {
    const { write16, events } = createPower();
    write16(CONTROL, 0x2400);
    write16(CONTROL, 0x2400);
    expect(events).toEqual(['ACPI: there is no sleep state of type 1, only 0, S5']);
  });

  test('is also where Bochs has it, and wider accesses reach it', () => {
    const { portBus, events } = createBoard();
    expect(portBus.read(0xb004, 16)).toBe(1);
    portBus.write(0xb004, 0x2000, 16);
    portBus.write(CONTROL, 0x2000, 32);
    expect(events).toEqual(['power off', 'power off']);
  });
});

describe('the power management timer', () => {
  test('counts 3.579545 MHz in 24 bits', () => {
    const { clock, count } = createPower();
    expect(count()).toBe(0);
    clock.skip(1_000_000_000n);
    expect(count()).toBe(3_579_545);
    clock.skip(4_000_000_000n);
    expect(count()).toBe((5 * 3_579_545) % 2 ** 24);
  });

  test('sets TMR_STS when its top bit changes, until 1 is written there', () => {
    const { clock, read16, write16, sci } = createPower();
    clock.skip(HALF_PERIOD - 1n);
    expect(read16(STATUS)).toBe(0);
    clock.skip(1n);
    expect(read16(STATUS)).toBe(1);
    write16(STATUS, 0xfffe);
    expect(read16(STATUS)).toBe(1);
    write16(STATUS, 1);
    expect(read16(STATUS)).toBe(0);
    expect(sci.includes(true)).toBe(false);
    expect(clock.nextEventAt()).toBeUndefined();
  });

  test('asks for the SCI while it is enabled, at the tick of the change', () => {
    const { clock, read16, write16, sci } = createPower();
    write16(ENABLE, 0xffff);
    expect(read16(ENABLE)).toBe(0x0721);
    expect(clock.nextEventAt()).toBe(HALF_PERIOD);
    clock.skip(HALF_PERIOD);
    clock.fireDue();
    expect(sci.at(-1)).toBe(true);
    write16(STATUS, 1);
    expect(sci.at(-1)).toBe(false);
    expect(clock.nextEventAt()).toBe(4_686_968_875n);
    write16(ENABLE, 0);
    expect(clock.nextEventAt()).toBeUndefined();
  });
});
