/**
 * The 8254 interval timer and the system control port 0x61 beside it (Intel 8254 datasheet;
 * 82371AB datasheet §4.3.5). Counter 0 drives IRQ 0, counter 1 the memory refresh of old, counter 2
 * the loudspeaker; its gate and output are bits of port 0x61, which kernels calibrate with.
 *
 * Every read follows virtual time: Linux (tsc.c, quick_pit_calibrate) reads counter 2 back to back
 * and waits for its high byte to change.
 *
 * Power-on is what PC firmware leaves: counter 0 interrupts 18.2 times a second.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import type { Counter } from './pit-counter.ts';
import {
  NULLABLE_OF_COUNTER,
  RANGES_OF_COUNTER,
  isOutHigh,
  latchCount,
  latchStatus,
  nextTransition,
  powerOnCounter,
  readByte,
  setGate,
  writeControl,
  writeCountByte,
} from './pit-counter.ts';

/** 14.31818 MHz / 12, the frequency that kernels compute with. */
export const PIT_HZ = 1_193_182n;

const COUNTER_0 = 0x40;
const CONTROL_WORD = 0x43;
const PORT_B = 0x61;

const READ_BACK = 3;
const READ_BACK_NO_COUNT = 0x20;
const READ_BACK_NO_STATUS = 0x10;

const PORT_B_GATE2 = 0x01;
const PORT_B_WRITABLE = 0x0f;
const PORT_B_REFRESH = 0x10;
const PORT_B_OUT2 = 0x20;
/** The refresh bit toggles with each request of counter 1, every 18 clocks. */
const REFRESH_CLOCKS = 18n;

const EVENT = 'pit8254-counter0';

function powerOnState() {
  return {
    counter0: { ...powerOnCounter(2, true), loadedAt: 0n as bigint | null },
    counter1: { ...powerOnCounter(2, true), loadedAt: 0n as bigint | null, count: 18 },
    counter2: powerOnCounter(3, false),
    portB: 0,
    transitionAt: null as bigint | null,
  };
}

const RULES: FieldRules = {
  nullable: { ...NULLABLE_OF_COUNTER, transitionAt: 0n },
  ranges: RANGES_OF_COUNTER,
};

export class Pit8254 implements Device {
  readonly name = 'pit8254';
  readonly version = 1;
  readonly ports = [
    { first: COUNTER_0, last: CONTROL_WORD },
    { first: PORT_B, last: PORT_B },
  ];
  private readonly clock: Clock;
  private readonly irq0: InterruptLine;
  private state = powerOnState();

  /** `irq0` follows the OUT pin of counter 0. */
  constructor(clock: Clock, irq0: InterruptLine) {
    this.clock = clock;
    this.irq0 = irq0;
  }

  readPort(port: number): number {
    if (port === PORT_B) return this.readPortB();
    const counter = this.counter(port - COUNTER_0);
    // The control word register cannot be read (datasheet table 1).
    return counter === undefined ? 0xff : readByte(counter, this.pitClock());
  }

  writePort(port: number, value: number): void {
    const clock = this.pitClock();
    const { state } = this;
    if (port === PORT_B) {
      state.portB = value & PORT_B_WRITABLE;
      setGate(state.counter2, (value & PORT_B_GATE2) !== 0, clock);
    } else if (port === CONTROL_WORD) {
      this.writeControlWord(value, clock);
    } else {
      const counter = this.counter(port - COUNTER_0);
      if (counter !== undefined) writeCountByte(counter, value, clock);
      if (port === COUNTER_0) this.followCounter0(clock);
    }
  }

  reset(): void {
    this.state = powerOnState();
    const clock = this.pitClock();
    this.state.counter0.loadedAt = clock;
    this.state.counter1.loadedAt = clock;
    this.followCounter0(clock);
  }

  describe(): string {
    const { counter0, counter2, portB } = this.state;
    return (
      `counter 0 ${describeCounter(counter0)}; counter 2 ${describeCounter(counter2)}, ` +
      `gate ${portB & PORT_B_GATE2}`
    );
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, RULES);
    const { transitionAt } = this.state;
    if (transitionAt === null) this.clock.cancel(EVENT);
    else this.clock.schedule(EVENT, transitionTicks(transitionAt), () => this.onTransition());
  }

  private counter(index: number): Counter | undefined {
    return [this.state.counter0, this.state.counter1, this.state.counter2][index];
  }

  private pitClock(): bigint {
    return (this.clock.now() * PIT_HZ) / TICKS_PER_SECOND;
  }

  private readPortB(): number {
    const clock = this.pitClock();
    const refresh = (clock / REFRESH_CLOCKS) % 2n === 1n ? PORT_B_REFRESH : 0;
    const output = isOutHigh(this.state.counter2, clock) ? PORT_B_OUT2 : 0;
    return this.state.portB | refresh | output;
  }

  private writeControlWord(value: number, clock: bigint): void {
    const selected = value >> 6;
    if (selected === READ_BACK) {
      this.readBack(value, clock);
      return;
    }
    const counter = this.counter(selected);
    if (counter === undefined) return;
    if ((value & 0x30) === 0) {
      latchCount(counter, clock);
      return;
    }
    writeControl(counter, value);
    if (selected === 0) this.followCounter0(clock);
  }

  private readBack(value: number, clock: bigint): void {
    for (let index = 0; index < 3; index++) {
      const counter = this.counter(index);
      if (counter === undefined || (value & (2 << index)) === 0) continue;
      if ((value & READ_BACK_NO_COUNT) === 0) latchCount(counter, clock);
      if ((value & READ_BACK_NO_STATUS) === 0) latchStatus(counter, clock);
    }
  }

  /** Sets IRQ 0 to OUT of counter 0 as of `clock` and arms the next change. */
  private followCounter0(clock: bigint): void {
    const { state } = this;
    this.irq0.set(isOutHigh(state.counter0, clock));
    state.transitionAt = nextTransition(state.counter0, clock) ?? null;
    if (state.transitionAt === null) this.clock.cancel(EVENT);
    else this.clock.schedule(EVENT, transitionTicks(state.transitionAt), () => this.onTransition());
  }

  private onTransition(): void {
    // Time may be past the transition; the ones in between are made up one after the other.
    const at = this.state.transitionAt;
    if (at !== null) this.followCounter0(at);
  }
}

/** The first tick at which the PIT's clock count has reached `clock`. */
function transitionTicks(clock: bigint): bigint {
  return (clock * TICKS_PER_SECOND + PIT_HZ - 1n) / PIT_HZ;
}

function describeCounter(counter: Counter): string {
  const hertz = Number(PIT_HZ) / counter.count;
  return `mode ${counter.mode} count ${counter.count} (${hertz.toFixed(1)} Hz)`;
}
