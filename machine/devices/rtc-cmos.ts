/**
 * The MC146818 real-time clock with its CMOS memory (Motorola MC146818 datasheet; register names as
 * there). The date is a configured epoch plus virtual time, never the host's. Periodic, alarm and
 * update-ended interrupts drive IRQ 8. Left out: daylight saving, the divider's reset (register A
 * bits 6–4 are stored only), square-wave output.
 *
 * CMOS memory holds what PC firmware puts there for the memory size, as on QEMU. Bit 7 of port 0x70
 * masks NMI.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import type { CalendarTime } from './calendar.ts';
import { dayOfWeek, fromCalendar, toCalendar } from './calendar.ts';
import { firmwareCmos } from './cmos-memory.ts';
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import {
  SECONDS_ALARM,
  MINUTES_ALARM,
  HOURS_ALARM,
  DAY_OF_WEEK,
  REGISTER_A,
  REGISTER_B,
  REGISTER_C,
  REGISTER_D,
  A_UIP,
  A_RATE,
  B_SET,
  B_ENABLES,
  B_24_HOUR,
  C_IRQF,
  C_PF,
  C_AF,
  C_UF,
  D_VRT,
  ALARM_ANY,
  encode,
  decode,
  decodeHour,
  timeRegister,
  withRegister,
} from './rtc-registers.ts';

/** 2026-01-01T00:00:00Z in seconds since 1970. */
export const DEFAULT_EPOCH_SECONDS = 1_767_225_600n;

const INDEX_PORT = 0x70;
const DATA_PORT = 0x71;
const NMI_MASK = 0x80;

/** UIP is set 244 µs before the time changes (datasheet, "Update Cycle"). */
const UIP_TICKS = 244_000n;
const SECONDS_PER_DAY = 86_400;
const EVENT = 'rtc-cmos';

/** A CalendarTime as a saved state holds it. */
type CalendarState = { -readonly [Field in keyof CalendarTime]: number };

const RULES: FieldRules = {
  nullable: { stopped: { ...toCalendar(0n) }, eventAt: 0n },
  ranges: { memory: [0, 0xff], index: [0, 0xff], weekdayOffset: [0, 6] },
};

export class RtcCmos implements Device {
  readonly name = 'rtc-cmos';
  readonly version = 1;
  readonly ports = [{ first: INDEX_PORT, last: DATA_PORT }];
  private readonly clock: Clock;
  private readonly irq8: InterruptLine;
  private readonly memoryBytes: number;
  private readonly epochSeconds: bigint;
  private state: ReturnType<RtcCmos['powerOnState']>;

  /** `epochSeconds`: the date at tick 0, in seconds since 1970-01-01T00:00:00Z. */
  constructor(
    clock: Clock,
    irq8: InterruptLine,
    memoryBytes: number,
    epochSeconds = DEFAULT_EPOCH_SECONDS,
  ) {
    this.clock = clock;
    this.irq8 = irq8;
    this.memoryBytes = memoryBytes;
    this.epochSeconds = epochSeconds;
    this.state = this.powerOnState();
  }

  /** True while the guest keeps NMI from the CPU (port 0x70 bit 7). */
  isNmiMasked(): boolean {
    return (this.state.index & NMI_MASK) !== 0;
  }

  readPort(port: number): number {
    const index = this.state.index & ~NMI_MASK;
    // The index register is write-only; QEMU answers with ones too.
    if (port === INDEX_PORT) return 0xff;
    switch (index) {
      case REGISTER_A:
        return (this.state.memory[index] ?? 0) | (this.isUpdateInProgress() ? A_UIP : 0);
      case REGISTER_C:
        return this.readFlags();
      case REGISTER_D:
        return D_VRT;
      default:
        return this.readTime(index) ?? this.state.memory[index] ?? 0;
    }
  }

  writePort(port: number, value: number): void {
    const { state } = this;
    if (port === INDEX_PORT) {
      state.index = value;
      return;
    }
    const index = state.index & ~NMI_MASK;
    this.collectFlags();
    if (index === REGISTER_A) state.memory[index] = value & ~A_UIP;
    else if (index === REGISTER_B) this.writeRegisterB(value);
    else if (this.isTimeRegister(index)) this.writeTime(index, value);
    else if (index !== REGISTER_C && index !== REGISTER_D) state.memory[index] = value;
    this.update();
  }

  /** The date starts again at the epoch given to the constructor plus the time that has passed. */
  reset(): void {
    this.state = this.powerOnState();
    this.state.flagsUpTo = this.clock.now();
    this.update();
  }

  describe(): string {
    const time = this.time();
    const two = (value: number): string => String(value).padStart(2, '0');
    const date = `${time.year}-${two(time.month)}-${two(time.day)}`;
    const clock = `${two(time.hour)}:${two(time.minute)}:${two(time.second)}`;
    return `${date} ${clock}, B 0x${this.registerB().toString(16)}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, this.powerOnState(), saved, RULES);
    this.armEvent();
  }

  private powerOnState() {
    const memory = firmwareCmos(this.memoryBytes);
    memory[REGISTER_A] = 0x26; // 32.768 kHz, 1024 Hz
    memory[REGISTER_B] = B_24_HOUR;
    return {
      index: 0,
      /** All 128 bytes; those of time and of registers C and D are not used. */
      memory,
      baseSeconds: this.epochSeconds,
      /** The tick at which the date was `baseSeconds`. */
      baseTicks: 0n,
      /** The time registers while register B's SET stops them. */
      stopped: null as CalendarState | null,
      /** Days by which the guest has set the day of the week apart from the date. */
      weekdayOffset: 0,
      /** PF, AF and UF of register C, complete up to the tick `flagsUpTo`. */
      flags: 0,
      flagsUpTo: 0n,
      eventAt: null as bigint | null,
    };
  }

  private registerB(): number {
    return this.state.memory[REGISTER_B] ?? 0;
  }

  private secondsAt(ticks: bigint): bigint {
    return this.state.baseSeconds + (ticks - this.state.baseTicks) / TICKS_PER_SECOND;
  }

  private time(): CalendarTime {
    return this.state.stopped ?? toCalendar(this.secondsAt(this.clock.now()));
  }

  private isUpdateInProgress(): boolean {
    if (this.state.stopped !== null) return false;
    const phase = (this.clock.now() - this.state.baseTicks) % TICKS_PER_SECOND;
    return phase >= TICKS_PER_SECOND - UIP_TICKS;
  }

  private isTimeRegister(index: number): boolean {
    return this.readTime(index) !== undefined;
  }

  /** A time register as the guest sees it now; undefined for any other byte. */
  private readTime(index: number): number | undefined {
    const time = this.time();
    const registerB = this.registerB();
    if (index === DAY_OF_WEEK) return encode(this.weekday(time), registerB);
    return timeRegister(time, index, registerB);
  }

  private writeTime(index: number, value: number): void {
    const { state } = this;
    if (index === DAY_OF_WEEK) {
      state.weekdayOffset = 0;
      state.weekdayOffset =
        (decode(value, this.registerB()) - this.weekday(this.time()) + 7 * 37) % 7;
      return;
    }
    const time = withRegister(this.time(), index, value, this.registerB());
    if (state.stopped !== null) state.stopped = { ...time };
    else this.setTime(time);
  }

  /** Continues from `time`; the fraction of the second goes on, as the divider does. */
  private setTime(time: CalendarTime): void {
    const { state } = this;
    const now = this.clock.now();
    state.baseTicks = now - ((now - state.baseTicks) % TICKS_PER_SECOND);
    state.baseSeconds = fromCalendar(time);
  }

  private writeRegisterB(value: number): void {
    const { state } = this;
    const isStopping = (value & B_SET) !== 0;
    if (isStopping) state.stopped ??= { ...this.time() };
    else if (state.stopped !== null) {
      this.setTime(state.stopped);
      state.stopped = null;
    }
    // SET clears the update-ended interrupt enable (datasheet, "SET").
    state.memory[REGISTER_B] = isStopping ? value & ~C_UF : value;
  }

  private weekday(time: CalendarTime): number {
    return ((dayOfWeek(fromCalendar(time)) + this.state.weekdayOffset) % 7) + 1;
  }

  private readFlags(): number {
    this.collectFlags();
    const { state } = this;
    const isRequesting = (state.flags & this.registerB() & B_ENABLES) !== 0;
    const value = state.flags | (isRequesting ? C_IRQF : 0);
    state.flags = 0;
    this.update();
    return value;
  }

  /** Sets the flags of everything that has happened since the last time. */
  private collectFlags(): void {
    const { state } = this;
    const from = state.flagsUpTo;
    const now = this.clock.now();
    if (now <= from) return;
    state.flagsUpTo = now;
    if (this.nextPeriodic(from, now) !== undefined) state.flags |= C_PF;
    if (state.stopped !== null) return;
    const until = this.secondsAt(now);
    if (until > this.secondsAt(from)) state.flags |= C_UF;
    const alarm = this.nextAlarm(this.secondsAt(from));
    if (alarm !== undefined && alarm <= until) state.flags |= C_AF;
  }

  /** The tick of the first periodic interrupt after `from`; with `until`, not after that. */
  private nextPeriodic(from: bigint, until?: bigint): bigint | undefined {
    const rate = (this.state.memory[REGISTER_A] ?? 0) & A_RATE;
    if (rate === 0) return undefined;
    // Rates 1 and 2 are 256 and 128 Hz with a 32.768 kHz crystal (datasheet, table 5).
    const hertz = 32_768n >> BigInt((rate <= 2 ? rate + 7 : rate) - 1);
    const count = (from * hertz) / TICKS_PER_SECOND + 1n;
    const at = (count * TICKS_PER_SECOND + hertz - 1n) / hertz;
    return until === undefined || at <= until ? at : undefined;
  }

  /** The first second after `seconds` that matches the alarm bytes; at most a day ahead. */
  private nextAlarm(seconds: bigint): bigint | undefined {
    const { memory } = this.state;
    const registerB = this.registerB();
    const matches = (register: number, value: number): boolean => {
      const byte = memory[register] ?? 0;
      if ((byte & ALARM_ANY) === ALARM_ANY) return true;
      const decodeByte = register === HOURS_ALARM ? decodeHour : decode;
      return decodeByte(byte, registerB) === value;
    };
    const alarmSecond = memory[SECONDS_ALARM] ?? 0;
    // Without this an impossible second would be looked for through the whole day.
    if (alarmSecond < ALARM_ANY && decode(alarmSecond, registerB) > 59) return undefined;
    const start = Number(seconds % BigInt(SECONDS_PER_DAY));
    for (let ahead = 1; ahead <= SECONDS_PER_DAY;) {
      const ofDay = (start + ahead) % SECONDS_PER_DAY;
      if (!matches(HOURS_ALARM, Math.floor(ofDay / 3600))) ahead += 3600 - (ofDay % 3600);
      else if (!matches(MINUTES_ALARM, Math.floor(ofDay / 60) % 60)) ahead += 60 - (ofDay % 60);
      else if (matches(SECONDS_ALARM, ofDay % 60)) return seconds + BigInt(ahead);
      else ahead += 1;
    }
    return undefined;
  }

  private update(): void {
    const { state } = this;
    this.irq8.set((state.flags & this.registerB() & B_ENABLES) !== 0);
    state.eventAt = this.nextEventAt();
    this.armEvent();
  }

  /** When the next enabled flag that is not set yet will be set. */
  private nextEventAt(): bigint | null {
    const { state } = this;
    const wanted = this.registerB() & B_ENABLES & ~state.flags;
    if (wanted === 0) return null;
    const from = state.flagsUpTo;
    const times: (bigint | undefined)[] = [];
    if ((wanted & C_PF) !== 0) times.push(this.nextPeriodic(from));
    if (state.stopped === null) {
      const seconds = this.secondsAt(from);
      if ((wanted & C_UF) !== 0) times.push(this.tickOfSecond(seconds + 1n));
      const alarm = (wanted & C_AF) !== 0 ? this.nextAlarm(seconds) : undefined;
      if (alarm !== undefined) times.push(this.tickOfSecond(alarm));
    }
    return times.reduce<bigint | null>(
      (first, at) => (at !== undefined && (first === null || at < first) ? at : first),
      null,
    );
  }

  private tickOfSecond(seconds: bigint): bigint {
    return this.state.baseTicks + (seconds - this.state.baseSeconds) * TICKS_PER_SECOND;
  }

  private armEvent(): void {
    const { eventAt } = this.state;
    if (eventAt === null) this.clock.cancel(EVENT);
    else this.clock.schedule(EVENT, eventAt, () => this.onEvent());
  }

  private onEvent(): void {
    this.collectFlags();
    this.update();
  }
}
