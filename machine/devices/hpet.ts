/**
 * The High Precision Event Timer (IA-PC HPET Specification 1.0a, chapter 2), as QEMU has it: a counter of
 * 100 MHz and three comparators, each one-shot or periodic, of 64 or 32 bits. A count is ten ticks, so that
 * it goes on by one with each instruction. Reading changes nothing.
 *
 *     0x000 capabilities   0x010 configuration   0x020 interrupt status   0x0f0 main counter
 *     0x100 + 0x20·n configuration of timer n, its comparator 8 bytes behind
 *
 * Timers ask at inputs 16–23 of the I/O APIC. With the legacy replacement route timer 0 has the place of
 * the PIT at IRQ 0 and timer 1 that of the RTC at IRQ 8, whose lines therefore pass through here. There is
 * no delivery by messages (FSB).
 */
import type { Clock } from '../clock/virtual-clock.ts';
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import {
  advanced,
  countsToMatch,
  powerOnTimer,
  TIMER_32_BIT,
  TIMER_ENABLED,
  TIMER_LEVEL,
  TIMER_PERIODIC,
  TIMER_SET_VALUE,
  widthOf,
  type HpetTimer,
} from './hpet-timer.ts';
import { lineTo } from './interrupt-lines.ts';
import { noteOnce } from './note-once.ts';

export const HPET_PAGE = 0xfed0_0000;
/** Intel's, legacy replacement, 64 bits, three timers, revision 1. */
export const HPET_BLOCK_ID = 0x8086_a201;

const TIMERS = [0, 1, 2];
const TICKS_PER_COUNT = 10n;
const FEMTOSECONDS_PER_COUNT = 10_000_000n;
const COUNTER_BITS = 64;
/** Beyond this, some 22 years, nobody waits. */
const FARTHEST_COUNTS = 1n << 56n;

const CAPABILITIES = 0x000;
const CONFIGURATION = 0x010;
const STATUS = 0x020;
const COUNTER = 0x0f0;
const FIRST_TIMER = 0x100;
const TIMER_BYTES = 0x20;
const TIMER_COMPARATOR = 8;

const ENABLED = 1;
const LEGACY = 2;

/** Periodic and 64-bit capable; routes to inputs 16–23. */
const TIMER_CAPABILITIES = (0x00ff_0000n << 32n) | 0x30n;
const FIRST_ROUTE = 16;
const ROUTES = 8;
const ROUTE_SHIFT = 9;
const ROUTE_MASK = 0x3e00;
const TIMER_WRITABLE =
  TIMER_LEVEL | TIMER_ENABLED | TIMER_PERIODIC | TIMER_SET_VALUE | TIMER_32_BIT;

export interface HpetLines {
  /** IRQ 0 and IRQ 8. */
  readonly legacy: readonly [InterruptLine, InterruptLine];
  /** Inputs of the I/O APIC, from 16 on. */
  readonly routes: readonly InterruptLine[];
}

function powerOnState() {
  return {
    configuration: 0,
    status: 0,
    /** The main counter, halted, or as it was at `startedAt`. */
    counter: 0n,
    startedAt: 0n,
    /** Levels of the PIT's and the RTC's lines, a bit each. */
    replaced: 0,
    timers: TIMERS.map(powerOnTimer),
  };
}

export class Hpet implements Device {
  readonly name = 'hpet';
  readonly version = 1;
  readonly ports = [];
  readonly page = HPET_PAGE;
  private readonly clock: Clock;
  private readonly lines: HpetLines;
  private readonly note: (text: string) => void;
  private state = powerOnState();

  constructor(clock: Clock, lines: HpetLines, note: (text: string) => void = () => undefined) {
    this.clock = clock;
    this.lines = lines;
    this.note = noteOnce(note);
  }

  /** The line for the PIT, 0, or the RTC, 1: it leads on unless a timer has its place. */
  replacedLine(index: 0 | 1): InterruptLine {
    return lineTo((asserted) => {
      const bit = 1 << index;
      this.state.replaced = (this.state.replaced & ~bit) | (asserted ? bit : 0);
      if (!this.isLegacy()) this.lines.legacy[index].set(asserted);
    });
  }

  readPage(offset: number, lengthBytes: number): bigint {
    const value = this.readRegister(offset & ~7) >> BigInt(8 * (offset & 7));
    return BigInt.asUintN(8 * lengthBytes, value);
  }

  /** Halves and whole registers (§2.3.1). */
  writePage(offset: number, lengthBytes: number, value: bigint): void {
    if (lengthBytes < 4 || offset % lengthBytes !== 0) {
      this.note(`HPET: a write of ${lengthBytes} bytes at 0x${offset.toString(16)} is ignored`);
      return;
    }
    const bits = BigInt.asUintN(8 * lengthBytes, value);
    const shift = BigInt(8 * (offset & 7));
    const others = ~(((1n << BigInt(8 * lengthBytes)) - 1n) << shift);
    this.catchUp();
    this.writeRegister(offset & ~7, (old) => BigInt.asUintN(64, (old & others) | (bits << shift)));
    this.follow();
  }

  /** Disabled, as firmware leaves it; the chips behind it, reset later, drive their lines again. */
  reset(): void {
    this.state = powerOnState();
    this.follow();
  }

  describe(): string {
    const { configuration, timers } = this.state;
    const state = (configuration & ENABLED) === 0 ? 'halted' : 'running';
    const route = this.isLegacy() ? ', in place of PIT and RTC' : '';
    const words = timers.map((timer, index) => `timer ${index} ${describeTimer(timer)}`);
    return `counter ${this.count()} ${state}${route}; ${words.join(', ')}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, {
      ranges: {
        configuration: [0, TIMER_WRITABLE | ROUTE_MASK],
        status: [0, 7],
        replaced: [0, 3],
      },
    });
    this.arm();
  }

  private isRunning(): boolean {
    return (this.state.configuration & ENABLED) !== 0;
  }

  private isLegacy(): boolean {
    return (this.state.configuration & LEGACY) !== 0;
  }

  /** Counts since `startedAt`. */
  private elapsed(): bigint {
    return this.isRunning() ? (this.clock.now() - this.state.startedAt) / TICKS_PER_COUNT : 0n;
  }

  /** The main counter now. */
  private count(): bigint {
    return BigInt.asUintN(COUNTER_BITS, this.state.counter + this.elapsed());
  }

  private readRegister(register: number): bigint {
    const { configuration } = this.state;
    switch (register) {
      case CAPABILITIES:
        return (FEMTOSECONDS_PER_COUNT << 32n) | BigInt(HPET_BLOCK_ID);
      case CONFIGURATION:
        return BigInt(configuration);
      case STATUS:
        return BigInt(this.statusNow());
      case COUNTER:
        return this.count();
      default:
        return this.readTimer(register);
    }
  }

  private readTimer(register: number): bigint {
    const timer = this.timerAt(register);
    switch (register & (TIMER_BYTES - 1)) {
      case 0:
        if (timer === undefined) break;
        return TIMER_CAPABILITIES | BigInt(timer.configuration);
      case TIMER_COMPARATOR:
        if (timer === undefined) break;
        return this.passed(timer).comparator;
    }
    return 0n;
  }

  /** `change` makes the new value of a register of its old one. */
  private writeRegister(register: number, change: (old: bigint) => bigint): void {
    const { state } = this;
    switch (register) {
      case CONFIGURATION:
        this.configure(Number(change(BigInt(state.configuration)) & BigInt(ENABLED | LEGACY)));
        break;
      case STATUS:
        state.status &= ~Number(change(0n) & 7n);
        break;
      case COUNTER:
        this.begin(change(this.count()));
        break;
      default:
        this.writeTimer(register, change);
    }
  }

  private writeTimer(register: number, change: (old: bigint) => bigint): void {
    const timer = this.timerAt(register);
    const part = register & (TIMER_BYTES - 1);
    if (timer === undefined || part > TIMER_COMPARATOR) {
      const isReserved = register !== CAPABILITIES && part <= TIMER_COMPARATOR;
      if (isReserved) this.note(`HPET: register 0x${register.toString(16)} is not written`);
    } else if (part === 0)
      this.configureTimer(timer, Number(change(BigInt(timer.configuration)) & 0xffffn));
    else this.writeComparator(timer, change);
  }

  private configure(configuration: number): void {
    const { state } = this;
    const count = this.count();
    const wasRunning = this.isRunning();
    state.configuration = configuration;
    if (this.isRunning() !== wasRunning) this.begin(count);
  }

  /** The counter stands at `count` now: an equal comparator matches. */
  private begin(count: bigint): void {
    this.state.counter = count;
    this.state.startedAt = this.clock.now();
    for (const timer of this.state.timers) timer.checked = BigInt.asUintN(64, count - 1n);
  }

  private configureTimer(timer: HpetTimer, value: number): void {
    const route = (value & ROUTE_MASK) >> ROUTE_SHIFT;
    const isRoute = route >= FIRST_ROUTE && route < FIRST_ROUTE + ROUTES;
    timer.configuration = (value & TIMER_WRITABLE) | (isRoute ? value & ROUTE_MASK : 0);
    timer.comparator = BigInt.asUintN(widthOf(timer), timer.comparator);
    timer.period = BigInt.asUintN(widthOf(timer), timer.period);
    const bit = 1 << this.state.timers.indexOf(timer);
    if ((value & TIMER_LEVEL) === 0) this.state.status &= ~bit;
  }

  /** §2.3.9.2: a periodic timer takes its period, and its first match only while VAL_SET is set. */
  private writeComparator(timer: HpetTimer, change: (old: bigint) => bigint): void {
    const width = widthOf(timer);
    const isPeriodic = (timer.configuration & TIMER_PERIODIC) !== 0;
    if (!isPeriodic || (timer.configuration & TIMER_SET_VALUE) !== 0) {
      timer.comparator = BigInt.asUintN(width, change(timer.comparator));
      timer.checked = BigInt.asUintN(64, this.count() - 1n);
    }
    if (isPeriodic) timer.period = BigInt.asUintN(width, change(timer.period));
    timer.configuration &= ~TIMER_SET_VALUE;
  }

  /** What the counter has passed: periodic comparators grow, and timers ask. */
  private catchUp(): void {
    if (!this.isRunning()) return;
    const count = this.count();
    this.state.status = this.statusNow();
    this.state.timers.forEach((timer, index) => {
      const { comparator, hasMatched } = this.passed(timer);
      timer.comparator = comparator;
      timer.checked = count;
      if (hasMatched && !isLevel(timer) && isEnabled(timer)) {
        this.outputOf(index)?.set(true);
        this.drive();
      }
    });
  }

  private passed(timer: HpetTimer): ReturnType<typeof advanced> {
    if (this.isRunning()) return advanced(timer, this.count());
    return { comparator: timer.comparator, hasMatched: false };
  }

  private statusNow(): number {
    return this.state.timers.reduce((bits, timer, index) => {
      const isSet = isLevel(timer) && this.passed(timer).hasMatched;
      return isSet ? bits | (1 << index) : bits;
    }, this.state.status);
  }

  private follow(): void {
    this.drive();
    this.arm();
  }

  /** All lines as levels say; an edge is over at once. */
  private drive(): void {
    const asking = this.state.timers.map((timer, index) => {
      return this.isAsking(timer, index) ? this.outputOf(index) : undefined;
    });
    this.lines.legacy.forEach((line, index) => {
      const isReplaced = (this.state.replaced & (1 << index)) !== 0;
      line.set(this.isLegacy() ? asking.includes(line) : isReplaced);
    });
    for (const line of this.lines.routes) line.set(asking.includes(line));
  }

  /** A level-triggered timer whose match has not been acknowledged. */
  private isAsking(timer: HpetTimer, index: number): boolean {
    const isPending = (this.state.status & (1 << index)) !== 0;
    return this.isRunning() && isPending && isEnabled(timer);
  }

  private outputOf(index: number): InterruptLine | undefined {
    if (this.isLegacy() && index < 2) return this.lines.legacy[index];
    const route = ((this.state.timers[index]?.configuration ?? 0) & ROUTE_MASK) >> ROUTE_SHIFT;
    return this.lines.routes[route - FIRST_ROUTE];
  }

  /** Time stops at the next match of each timer that asks then. */
  private arm(): void {
    const { startedAt, timers, counter } = this.state;
    timers.forEach((timer, index) => {
      const event = `hpet-timer${index}`;
      const counts = BigInt.asIntN(64, timer.checked - counter) + countsToMatch(timer);
      const isAwaited =
        this.isRunning() && isEnabled(timer) && counts - this.elapsed() < FARTHEST_COUNTS;
      if (!isAwaited) this.clock.cancel(event);
      else {
        this.clock.schedule(event, startedAt + counts * TICKS_PER_COUNT, () => {
          this.catchUp();
          this.follow();
        });
      }
    });
  }

  /** The timer whose register this is. */
  private timerAt(register: number): HpetTimer | undefined {
    return this.state.timers[Math.floor((register - FIRST_TIMER) / TIMER_BYTES)];
  }
}

function isEnabled({ configuration }: HpetTimer): boolean {
  return (configuration & TIMER_ENABLED) !== 0;
}

function isLevel({ configuration }: HpetTimer): boolean {
  return (configuration & TIMER_LEVEL) !== 0;
}

function describeTimer({ configuration, comparator, period }: HpetTimer): string {
  if ((configuration & TIMER_ENABLED) === 0) return 'off';
  const kind = (configuration & TIMER_PERIODIC) === 0 ? 'one-shot' : `every ${period} counts`;
  const trigger = (configuration & TIMER_LEVEL) === 0 ? 'edge' : 'level';
  return `${kind}, next at ${comparator}, ${trigger}`;
}
