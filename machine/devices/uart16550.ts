/**
 * The 16550A UART as COM1 (National Semiconductor PC16550D datasheet, §8).
 *
 * - Transmission takes no time: a byte leaves at the instruction that writes it, THRE and TEMT stay
 *   set, and the THRE interrupt is pending at once. QEMU's serial port behaves so as well.
 * - Reception takes the time that line rate and frame ask for, in virtual time, so that a guest with
 *   a small ring buffer can keep up with pasted text. Bytes wait on the wire, however many, until
 *   the FIFO has room: nothing from outside is lost or overruns.
 * - In loopback a byte arrives at once: self-tests write it and read it back with the next
 *   instruction.
 * - The interrupt is not gated by MCR.OUT2, unlike on a PC board: xv6 leaves MCR 0, relies on
 *   receive interrupts, and works on QEMU, which does not gate either.
 * - The word length of LCR sets the pace but masks no bits: early consoles print before they set it.
 *   Parity and framing errors do not exist on this line; break is seen in loopback only.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine, PortRange } from './device.ts';
import {
  RBR_THR_DLL,
  IER_DLM,
  IIR_FCR,
  LCR,
  MCR,
  LSR,
  MSR,
  SCR,
  IER_ERBFI,
  IER_ETBEI,
  IER_ELSI,
  IER_EDSSI,
  IER_DEFINED,
  IIR_NONE,
  IIR_LINE_STATUS,
  IIR_DATA_AVAILABLE,
  IIR_CHARACTER_TIMEOUT,
  IIR_THR_EMPTY,
  IIR_MODEM_STATUS,
  IIR_FIFOS_ENABLED,
  FCR_ENABLE,
  FCR_RESET_RECEIVER,
  FCR_STORED,
  FIFO_BYTES,
  TRIGGER_LEVELS,
  LCR_WORD_LENGTH,
  LCR_STOP_BITS,
  LCR_PARITY,
  LCR_BREAK,
  LCR_DLAB,
  MCR_DTR,
  MCR_RTS,
  MCR_OUT1,
  MCR_OUT2,
  MCR_LOOP,
  MCR_DEFINED,
  LSR_DR,
  LSR_OE,
  LSR_BI,
  LSR_THRE,
  LSR_TEMT,
  LSR_FIFO_ERROR,
  MSR_CTS,
  MSR_DSR,
  MSR_RI,
  MSR_DCD,
  MSR_CONNECTED,
} from './uart16550-registers.ts';

/** The crystal of a PC, divided by 16 for the bit clock. */
const CLOCK_HZ = 1_843_200n;
const CLOCKS_PER_BIT = 16n;
/** Firmware's usual 9600 baud. */
const DIVISOR_AT_POWER_ON = 12;
/** Character times without a byte moving after which the timeout interrupt comes (§8.4). */
const TIMEOUT_CHARACTERS = 4n;

const ARRIVAL_EVENT = 'uart16550-arrival';
const TIMEOUT_EVENT = 'uart16550-timeout';

function powerOnState() {
  return {
    /** Bytes that the receiver holds, oldest first; at most 16, or 1 with the FIFO off. */
    receiver: [] as number[],
    /** Bytes from outside that have not arrived yet. */
    wire: [] as number[],
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    /** OE and BI; the rest of LSR follows from other fields. */
    lineErrors: 0,
    /** MSR bits 0–3. */
    modemDeltas: 0,
    scr: 0,
    divisor: DIVISOR_AT_POWER_ON,
    isThrInterruptPending: false,
    isTimeoutPending: false,
    arrivalAt: null as bigint | null,
    timeoutAt: null as bigint | null,
  };
}

const RULES: FieldRules = {
  nullable: { arrivalAt: 0n, timeoutAt: 0n },
  ranges: { receiver: [0, 0xff], wire: [0, 0xff], divisor: [0, 0xffff], fcr: [0, 0xff] },
};

export class Uart16550 implements Device {
  readonly name = 'uart16550';
  readonly version = 1;
  readonly ports: readonly PortRange[];
  private readonly basePort: number;
  private readonly clock: Clock;
  private readonly interrupt: InterruptLine;
  private readonly transmit: (byte: number) => void;
  private state = powerOnState();

  /** `transmit` gets each byte at the instruction that writes it. */
  constructor(
    clock: Clock,
    interrupt: InterruptLine,
    transmit: (byte: number) => void,
    basePort = 0x3f8,
  ) {
    this.clock = clock;
    this.interrupt = interrupt;
    this.transmit = transmit;
    this.basePort = basePort;
    this.ports = [{ first: basePort, last: basePort + 7 }];
  }

  /** Bytes from outside, as if typed; they arrive one after the other and none is lost. */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) this.state.wire.push(byte);
    this.armArrival();
  }

  readPort(port: number): number {
    const { state } = this;
    const isDivisor = (state.lcr & LCR_DLAB) !== 0;
    switch (port - this.basePort) {
      case RBR_THR_DLL:
        return isDivisor ? state.divisor & 0xff : this.readReceiver();
      case IER_DLM:
        return isDivisor ? state.divisor >> 8 : state.ier;
      case IIR_FCR:
        return this.readInterruptIdentification();
      case LCR:
        return state.lcr;
      case MCR:
        return state.mcr;
      case LSR:
        return this.readLineStatus();
      case MSR:
        return this.readModemStatus();
      default:
        return state.scr;
    }
  }

  writePort(port: number, value: number): void {
    const { state } = this;
    const isDivisor = (state.lcr & LCR_DLAB) !== 0;
    switch (port - this.basePort) {
      case RBR_THR_DLL:
        if (isDivisor) state.divisor = (state.divisor & 0xff00) | value;
        else this.writeTransmitter(value);
        break;
      case IER_DLM:
        if (isDivisor) state.divisor = (state.divisor & 0x00ff) | (value << 8);
        else this.writeInterruptEnable(value);
        break;
      case IIR_FCR:
        this.writeFifoControl(value);
        break;
      case LCR:
        this.writeLineControl(value);
        break;
      case MCR:
        this.writeModemControl(value & MCR_DEFINED);
        break;
      case SCR:
        state.scr = value;
        break;
      default: // LSR and MSR: factory test only
    }
    this.updateInterrupt();
  }

  reset(): void {
    this.state = powerOnState();
    this.clock.cancel(ARRIVAL_EVENT);
    this.clock.cancel(TIMEOUT_EVENT);
    this.updateInterrupt();
  }

  describe(): string {
    const { state } = this;
    const baud = Number(CLOCK_HZ / CLOCKS_PER_BIT) / Math.max(state.divisor, 1);
    const fifo = this.isFifoEnabled() ? `FIFO, trigger ${this.triggerLevel()}` : 'no FIFO';
    const waiting = state.receiver.length + state.wire.length;
    return (
      `port 0x${this.basePort.toString(16)}, ${Math.round(baud)} baud, ${fifo}, ` +
      `IER 0x${state.ier.toString(16)}, MCR 0x${state.mcr.toString(16)}, ${waiting} bytes unread`
    );
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, RULES);
    this.scheduleAt(ARRIVAL_EVENT, this.state.arrivalAt, () => this.arrive());
    this.scheduleAt(TIMEOUT_EVENT, this.state.timeoutAt, () => this.timeOut());
  }

  private isFifoEnabled(): boolean {
    return (this.state.fcr & FCR_ENABLE) !== 0;
  }

  private triggerLevel(): number {
    return this.isFifoEnabled() ? TRIGGER_LEVELS[(this.state.fcr >> 6) as 0 | 1 | 2 | 3] : 1;
  }

  private isLooped(): boolean {
    return (this.state.mcr & MCR_LOOP) !== 0;
  }

  private hasRoom(): boolean {
    return this.state.receiver.length < (this.isFifoEnabled() ? FIFO_BYTES : 1);
  }

  /** How long one character takes on the line: start, data, parity and stop bits. */
  private characterTicks(): bigint {
    const { lcr, divisor } = this.state;
    const parity = (lcr & LCR_PARITY) !== 0 ? 1 : 0;
    const stop = (lcr & LCR_STOP_BITS) !== 0 ? 2 : 1;
    const bits = BigInt(1 + 5 + (lcr & LCR_WORD_LENGTH) + parity + stop);
    const clocks = bits * CLOCKS_PER_BIT * BigInt(Math.max(divisor, 1));
    return (clocks * TICKS_PER_SECOND) / CLOCK_HZ;
  }

  private readReceiver(): number {
    const { state } = this;
    const byte = state.receiver.shift() ?? 0;
    state.isTimeoutPending = false;
    this.armTimeout();
    this.armArrival();
    this.updateInterrupt();
    return byte;
  }

  private readInterruptIdentification(): number {
    const id = this.interruptIdentification();
    // Reading IIR acknowledges the THRE interrupt, and only that one (table VI).
    if (id === IIR_THR_EMPTY) {
      this.state.isThrInterruptPending = false;
      this.updateInterrupt();
    }
    return id | (this.isFifoEnabled() ? IIR_FIFOS_ENABLED : 0);
  }

  private readLineStatus(): number {
    const { state } = this;
    const dataReady = state.receiver.length > 0 ? LSR_DR : 0;
    const fifoError = this.isFifoEnabled() && (state.lineErrors & LSR_BI) !== 0;
    const errors = state.lineErrors | (fifoError ? LSR_FIFO_ERROR : 0);
    state.lineErrors = 0;
    this.updateInterrupt();
    return LSR_THRE | LSR_TEMT | dataReady | errors;
  }

  private readModemStatus(): number {
    const value = this.modemLines() | this.state.modemDeltas;
    this.state.modemDeltas = 0;
    this.updateInterrupt();
    return value;
  }

  /** MSR bits 4–7: in loopback the outputs of MCR come back as inputs (§8.6). */
  private modemLines(): number {
    const { mcr } = this.state;
    if (!this.isLooped()) return MSR_CONNECTED;
    return (
      ((mcr & MCR_RTS) !== 0 ? MSR_CTS : 0) |
      ((mcr & MCR_DTR) !== 0 ? MSR_DSR : 0) |
      ((mcr & MCR_OUT1) !== 0 ? MSR_RI : 0) |
      ((mcr & MCR_OUT2) !== 0 ? MSR_DCD : 0)
    );
  }

  private writeTransmitter(value: number): void {
    this.state.isThrInterruptPending = true;
    if (this.isLooped()) this.takeByte(value);
    else this.transmit(value);
  }

  private writeInterruptEnable(value: number): void {
    const { state } = this;
    const wasEnabled = (state.ier & IER_ETBEI) !== 0;
    state.ier = value & IER_DEFINED;
    const isEnabled = (state.ier & IER_ETBEI) !== 0;
    // Enabling it while THR is empty, which it always is, raises the interrupt: drivers start so.
    if (isEnabled !== wasEnabled) state.isThrInterruptPending = isEnabled;
  }

  private writeFifoControl(value: number): void {
    const { state } = this;
    const hasToggled = ((state.fcr ^ value) & FCR_ENABLE) !== 0;
    if (hasToggled || (value & FCR_RESET_RECEIVER) !== 0) {
      state.receiver = [];
      state.isTimeoutPending = false;
      state.lineErrors &= ~LSR_BI;
    }
    // The other bits are programmed only while bit 0 is written as 1.
    state.fcr = (value & FCR_ENABLE) !== 0 ? value & FCR_STORED : 0;
    this.armTimeout();
    this.armArrival();
  }

  private writeLineControl(value: number): void {
    const { state } = this;
    const isBreakBegun = (value & ~state.lcr & LCR_BREAK) !== 0;
    state.lcr = value;
    if (!isBreakBegun || !this.isLooped()) return;
    this.takeByte(0);
    state.lineErrors |= LSR_BI;
  }

  private writeModemControl(value: number): void {
    const { state } = this;
    const before = this.modemLines();
    state.mcr = value;
    const after = this.modemLines();
    const changed = before ^ after;
    // DCTS, DDSR and DDCD follow any change, TERI only the trailing edge of RI.
    state.modemDeltas |= ((changed & MSR_CONNECTED) | (changed & before & MSR_RI)) >> 4;
    this.armArrival();
  }

  private takeByte(byte: number): void {
    const { state } = this;
    if (this.hasRoom()) state.receiver.push(byte);
    else state.lineErrors |= LSR_OE;
    state.isTimeoutPending = false;
    this.armTimeout();
  }

  private armArrival(): void {
    const { state } = this;
    if (state.arrivalAt !== null || state.wire.length === 0) return;
    if (!this.hasRoom() || this.isLooped()) return;
    state.arrivalAt = this.clock.now() + this.characterTicks();
    this.scheduleAt(ARRIVAL_EVENT, state.arrivalAt, () => this.arrive());
  }

  private arrive(): void {
    const { state } = this;
    state.arrivalAt = null;
    if (this.hasRoom() && !this.isLooped()) {
      const byte = state.wire.shift();
      if (byte !== undefined) this.takeByte(byte);
    }
    this.armArrival();
    this.updateInterrupt();
  }

  private armTimeout(): void {
    const { state } = this;
    const isNeeded = this.isFifoEnabled() && state.receiver.length > 0;
    state.timeoutAt = isNeeded
      ? this.clock.now() + TIMEOUT_CHARACTERS * this.characterTicks()
      : null;
    this.scheduleAt(TIMEOUT_EVENT, state.timeoutAt, () => this.timeOut());
  }

  private timeOut(): void {
    this.state.timeoutAt = null;
    this.state.isTimeoutPending = true;
    this.updateInterrupt();
  }

  private scheduleAt(name: string, at: bigint | null, action: () => void): void {
    if (at === null) this.clock.cancel(name);
    else this.clock.schedule(name, at, action);
  }

  /** The pending interrupt of highest priority (table VI), as IIR bits 3–0. */
  private interruptIdentification(): number {
    const { state } = this;
    const { ier } = state;
    if ((ier & IER_ELSI) !== 0 && state.lineErrors !== 0) return IIR_LINE_STATUS;
    if ((ier & IER_ERBFI) !== 0) {
      if (state.receiver.length >= this.triggerLevel()) return IIR_DATA_AVAILABLE;
      if (state.isTimeoutPending) return IIR_CHARACTER_TIMEOUT;
    }
    if ((ier & IER_ETBEI) !== 0 && state.isThrInterruptPending) return IIR_THR_EMPTY;
    if ((ier & IER_EDSSI) !== 0 && state.modemDeltas !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  private updateInterrupt(): void {
    this.interrupt.set(this.interruptIdentification() !== IIR_NONE);
  }
}
