/**
 * The local APIC in xAPIC mode (Intel SDM 3A chapter 11, register names as in table 11-1): one page
 * at 0xfee00000, fixed and self IPIs, the timer in all three modes, LINT0 as the virtual wire from
 * the 8259 pair, LINT1 for NMI. There is one CPU, so INIT and start-up IPIs have no receiver; lowest
 * priority means this CPU. x2APIC, performance and thermal sources are left out.
 *
 * Power-on is what PC firmware leaves: enabled, spurious vector 0xff, LINT0 ExtINT, LINT1 NMI, so
 * that 8259 interrupts arrive without the kernel knowing of the APIC.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { ApicTimer } from './apic-timer.ts';
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import type { InterruptMessage } from './io-apic.ts';
import { lineTo } from './interrupt-lines.ts';
import { apicLines } from './local-apic-text.ts';
import {
  APR,
  BITMAPS_END,
  CURRENT_COUNT,
  DELIVERY_EXTINT,
  DELIVERY_FIXED,
  DELIVERY_LOWEST_PRIORITY,
  DELIVERY_NMI,
  DFR,
  DIVIDE_CONFIGURATION,
  EOI,
  ESR,
  ESR_ILLEGAL_REGISTER,
  ESR_RECEIVED_ILLEGAL_VECTOR,
  ESR_SEND_ILLEGAL_VECTOR,
  FIRST_LEGAL_VECTOR,
  ICR_HIGH,
  ICR_LOGICAL,
  ICR_LOW,
  ICR_WRITABLE,
  ID,
  INITIAL_COUNT,
  IRR,
  ISR,
  LDR,
  LVT_ERROR,
  LVT_LEVEL,
  LVT_LINT0,
  LVT_LINT1,
  LVT_MASKED,
  LVT_OFFSETS,
  LVT_REMOTE_IRR,
  LVT_TIMER,
  LVT_WRITABLE,
  PPR,
  SHORTHAND_NONE,
  SHORTHAND_OTHERS,
  SVR,
  SVR_ENABLED,
  SVR_WRITABLE,
  TMR,
  TPR,
  VERSION,
  VERSION_VALUE,
  deliveryMode,
  lvtIndex,
} from './local-apic-registers.ts';
import { noteOnce } from './note-once.ts';
import { clearBit, hasBit, highestBit, setBit } from './vector-set.ts';

export const APIC_PAGE = 0xfee0_0000;

function hardwareState() {
  return {
    isGloballyEnabled: true,
    id: 0,
    tpr: 0,
    ldr: 0,
    dfr: 0xffff_ffff,
    svr: 0xff,
    isr: new Array<number>(8).fill(0),
    tmr: new Array<number>(8).fill(0),
    irr: new Array<number>(8).fill(0),
    /** What ESR shows, and what has been detected since it was last written. */
    esr: 0,
    pendingErrors: 0,
    icrLow: 0,
    icrHigh: 0,
    /** The six LVT entries in the order of their offsets. */
    lvt: new Array<number>(LVT_OFFSETS.length).fill(LVT_MASKED),
    isLint0High: false,
    isNmiPending: false,
    timer: {} as DeviceState,
  };
}

function powerOnState() {
  const state = hardwareState();
  state.svr |= SVR_ENABLED;
  state.lvt[lvtIndex(LVT_LINT0)] = DELIVERY_EXTINT << 8;
  state.lvt[lvtIndex(LVT_LINT1)] = DELIVERY_NMI << 8;
  return state;
}

export class LocalApic implements Device {
  readonly name = 'local-apic';
  readonly version = 1;
  readonly ports = [];
  readonly page = APIC_PAGE;
  private readonly timer: ApicTimer;
  private readonly note: (text: string) => void;
  private readonly broadcastEnd: (vector: number) => void;
  private state = powerOnState();

  /**
   * `note` hears once of each register or message that is not there, `broadcastEnd` of the EOI of each
   * level-triggered vector.
   */
  constructor(
    clock: Clock,
    note: (text: string) => void = () => undefined,
    broadcastEnd: (vector: number) => void = () => undefined,
  ) {
    this.broadcastEnd = broadcastEnd;
    this.note = noteOnce(note);
    this.timer = new ApicTimer(clock, () => this.raiseLocal(LVT_TIMER));
  }

  /** The timer's MSR side, for IA32_TSC_DEADLINE. */
  get tscDeadlineTimer(): Pick<ApicTimer, 'tscDeadline' | 'setTscDeadline'> {
    return this.timer;
  }

  /** TPR, 8 bits; CR8 is its bits 7–4 (SDM §11.8.6). */
  get taskPriority(): number {
    return this.state.tpr;
  }

  set taskPriority(value: number) {
    this.state.tpr = value & 0xff;
  }

  /** IA32_APIC_BASE bit 11. Off, the INTR pin goes to the CPU; on again, the APIC is as after reset. */
  setGloballyEnabled(isEnabled: boolean): void {
    if (isEnabled === this.state.isGloballyEnabled) return;
    const { isLint0High } = this.state;
    this.state = { ...hardwareState(), isGloballyEnabled: isEnabled, isLint0High };
    this.timer.reset();
  }

  /** The LINT0 pin, to which the 8259 pair is wired. */
  readonly lint0: InterruptLine = lineTo((asserted) => {
    const wasHigh = this.state.isLint0High;
    this.state.isLint0High = asserted;
    if (asserted && !wasHigh) this.raiseLint0();
  });

  /** The LINT1 pin: a rising edge is an NMI as firmware programs it. */
  raiseLint1(): void {
    this.raiseLocal(LVT_LINT1);
  }

  /** A message of the I/O APIC; false when nobody here takes it. */
  receive({ vector, mode, destination, isLogical, isLevel }: InterruptMessage): boolean {
    if (!this.state.isGloballyEnabled || !this.isAddressed(destination, isLogical)) return false;
    if (mode === DELIVERY_FIXED || mode === DELIVERY_LOWEST_PRIORITY) {
      return this.accept(vector, isLevel);
    }
    if (mode === DELIVERY_NMI) this.state.isNmiPending = true;
    else this.note(`local APIC: an interrupt of delivery mode ${mode} is ignored`);
    return mode === DELIVERY_NMI;
  }

  /** The vector that may interrupt the CPU now; undefined when none exceeds the priority. */
  deliverableVector(): number | undefined {
    if (!this.state.isGloballyEnabled) return undefined;
    const vector = highestBit(this.state.irr);
    return vector !== undefined && vector >> 4 > this.processorPriority() >> 4 ? vector : undefined;
  }

  /** True while the 8259 pair asks and LINT0 lets it through as ExtINT. */
  isExternalInterruptAsserted(): boolean {
    const { state } = this;
    if (!state.isLint0High) return false;
    if (!state.isGloballyEnabled) return true;
    const entry = this.lvt(LVT_LINT0);
    return (entry & LVT_MASKED) === 0 && deliveryMode(entry) === DELIVERY_EXTINT;
  }

  /** Moves the deliverable vector from IRR to ISR; the spurious vector when there is none. */
  acknowledge(): number {
    const vector = this.deliverableVector();
    if (vector === undefined) return this.state.svr & 0xff;
    clearBit(this.state.irr, vector);
    setBit(this.state.isr, vector);
    return vector;
  }

  hasNmi(): boolean {
    return this.state.isNmiPending;
  }

  acknowledgeNmi(): void {
    this.state.isNmiPending = false;
  }

  /** Registers are 32 bits at multiples of 16; other bytes read as 0. Turned off, nobody answers. */
  readPage(offset: number, lengthBytes: number): bigint {
    if (!this.state.isGloballyEnabled) return BigInt.asUintN(8 * lengthBytes, -1n);
    const register = this.readRegister(offset & 0xff0);
    const inRegister = offset & 0xf;
    if (inRegister >= 4) return 0n;
    return BigInt.asUintN(8 * lengthBytes, BigInt(register) >> BigInt(8 * inRegister));
  }

  /** Only whole registers can be written (SDM §11.4.1). */
  writePage(offset: number, lengthBytes: number, value: bigint): void {
    if (!this.state.isGloballyEnabled) return;
    if ((offset & 0xf) !== 0 || lengthBytes < 4) {
      this.note(`local APIC: a write of ${lengthBytes} bytes at ${hex(offset)} is ignored`);
      return;
    }
    this.writeRegister(offset & 0xff0, Number(BigInt.asUintN(32, value)));
  }

  reset(): void {
    this.state = powerOnState();
    this.timer.reset();
  }

  describe(): string {
    const { state } = this;
    const enabled = (state.svr & SVR_ENABLED) !== 0 ? 'enabled' : 'disabled';
    return (
      `${enabled}, TPR ${hex(state.tpr)}, LINT0 ${hex(this.lvt(LVT_LINT0))}, ` +
      `LVT timer ${hex(this.lvt(LVT_TIMER))}, ${this.timer.describe()}`
    );
  }

  registerLines(): readonly string[] {
    const { isGloballyEnabled: isEnabled } = this.state;
    return apicLines((offset) => this.readRegister(offset), isEnabled, this.timer.describe());
  }

  save(): DeviceState {
    return copyState({ ...this.state, timer: this.timer.save() });
  }

  load(saved: DeviceState): void {
    const { timer, ...rest } = saved;
    if (timer === undefined) throw new Error('local-apic: saved state lacks field timer');
    this.state = restoreState(this.name, powerOnState(), { ...rest, timer: {} });
    this.timer.load(timer as DeviceState);
  }

  private lvt(offset: number): number {
    return this.state.lvt[lvtIndex(offset)] ?? LVT_MASKED;
  }

  private processorPriority(): number {
    const { state } = this;
    const inService = highestBit(state.isr) ?? 0;
    return state.tpr >> 4 >= inService >> 4 ? state.tpr : inService & 0xf0;
  }

  private readRegister(offset: number): number {
    const { state } = this;
    if (offset >= ISR && offset < BITMAPS_END) return this.readBitmap(offset);
    if (offset in LVT_WRITABLE) return this.lvt(offset);
    switch (offset) {
      case ID:
        return (state.id << 24) >>> 0;
      case VERSION:
        return VERSION_VALUE;
      case TPR:
        return state.tpr;
      case APR:
      case PPR:
        return this.processorPriority();
      case LDR:
        return state.ldr;
      case DFR:
        return state.dfr;
      case SVR:
        return state.svr;
      case ESR:
        return state.esr;
      case ICR_LOW:
        return state.icrLow;
      case ICR_HIGH:
        return state.icrHigh;
      case INITIAL_COUNT:
        return this.timer.initialCount;
      case CURRENT_COUNT:
        return this.timer.currentCount();
      case DIVIDE_CONFIGURATION:
        return this.timer.divideConfiguration;
      case EOI:
        return 0;
      default:
        this.illegalRegister(offset, 'read');
        return 0;
    }
  }

  private readBitmap(offset: number): number {
    const { isr, tmr, irr } = this.state;
    const bitmap = offset < TMR ? isr : offset < IRR ? tmr : irr;
    return bitmap[(offset >> 4) & 7] ?? 0;
  }

  private writeRegister(offset: number, value: number): void {
    const { state } = this;
    if (offset in LVT_WRITABLE) {
      this.writeLvt(offset, value);
      return;
    }
    switch (offset) {
      case ID:
        state.id = value >>> 24;
        break;
      case TPR:
        state.tpr = value & 0xff;
        break;
      case EOI:
        this.endInterrupt();
        break;
      case LDR:
        state.ldr = (value & 0xff00_0000) >>> 0;
        break;
      case DFR:
        state.dfr = (value | 0x0fff_ffff) >>> 0;
        break;
      case SVR:
        this.writeSvr(value);
        break;
      case ESR:
        // A write shows what has been detected since the write before (SDM §11.5.3).
        state.esr = state.pendingErrors;
        state.pendingErrors = 0;
        break;
      case ICR_LOW:
        state.icrLow = value & ICR_WRITABLE;
        this.sendInterrupt(state.icrLow);
        break;
      case ICR_HIGH:
        state.icrHigh = (value & 0xff00_0000) >>> 0;
        break;
      case INITIAL_COUNT:
        this.timer.setInitialCount(value);
        break;
      case DIVIDE_CONFIGURATION:
        this.timer.setDivideConfiguration(value);
        break;
      default:
        this.illegalRegister(offset, 'write');
    }
  }

  private writeSvr(value: number): void {
    const { state } = this;
    state.svr = value & SVR_WRITABLE;
    if ((state.svr & SVR_ENABLED) !== 0) return;
    // Software-disabled: every LVT entry is masked and stays so (SDM §11.4.7.2).
    state.lvt = state.lvt.map((entry) => entry | LVT_MASKED);
  }

  private writeLvt(offset: number, value: number): void {
    const { state } = this;
    const forcedMask = (state.svr & SVR_ENABLED) === 0 ? LVT_MASKED : 0;
    const kept = this.lvt(offset) & LVT_REMOTE_IRR;
    state.lvt[lvtIndex(offset)] = (value & (LVT_WRITABLE[offset] ?? 0)) | kept | forcedMask;
    if (offset === LVT_TIMER) this.timer.setMode((value >> 17) & 3);
  }

  /** A local source has fired: what its LVT entry says happens. */
  private raiseLocal(offset: number): void {
    const { state } = this;
    const entry = this.lvt(offset);
    if (!state.isGloballyEnabled || (entry & LVT_MASKED) !== 0) return;
    const mode =
      offset === LVT_TIMER || offset === LVT_ERROR ? DELIVERY_FIXED : deliveryMode(entry);
    if (mode === DELIVERY_FIXED) this.accept(entry & 0xff, false);
    else if (mode === DELIVERY_NMI) state.isNmiPending = true;
    // ExtINT is a level that the CPU asks for; SMI and INIT do not exist here.
  }

  /** LINT0 in fixed mode can be level-triggered: then EOI looks at the pin again. */
  private raiseLint0(): void {
    const entry = this.lvt(LVT_LINT0);
    const isLevel = (entry & LVT_LEVEL) !== 0 && deliveryMode(entry) === DELIVERY_FIXED;
    if (!isLevel) {
      this.raiseLocal(LVT_LINT0);
      return;
    }
    if ((entry & (LVT_MASKED | LVT_REMOTE_IRR)) !== 0 || !this.state.isGloballyEnabled) return;
    this.state.lvt[lvtIndex(LVT_LINT0)] = entry | LVT_REMOTE_IRR;
    this.accept(entry & 0xff, true);
  }

  /** Takes a fixed interrupt into IRR. A software-disabled APIC accepts none. */
  private accept(vector: number, isLevel: boolean): boolean {
    const { state } = this;
    if ((state.svr & SVR_ENABLED) === 0) return false;
    if (vector < FIRST_LEGAL_VECTOR) {
      this.recordError(ESR_RECEIVED_ILLEGAL_VECTOR);
      return false;
    }
    setBit(state.irr, vector);
    if (isLevel) setBit(state.tmr, vector);
    else clearBit(state.tmr, vector);
    return true;
  }

  private endInterrupt(): void {
    const { state } = this;
    const vector = highestBit(state.isr);
    if (vector === undefined) return;
    clearBit(state.isr, vector);
    if (hasBit(state.tmr, vector)) this.broadcastEnd(vector);
    const lint0 = this.lvt(LVT_LINT0);
    if ((lint0 & LVT_REMOTE_IRR) === 0 || (lint0 & 0xff) !== vector) return;
    state.lvt[lvtIndex(LVT_LINT0)] = lint0 & ~LVT_REMOTE_IRR;
    if (state.isLint0High) this.raiseLint0();
  }

  private sendInterrupt(icr: number): void {
    const { state } = this;
    const shorthand = icr >> 18;
    if (shorthand === SHORTHAND_OTHERS) return;
    if (
      shorthand === SHORTHAND_NONE &&
      !this.isAddressed(state.icrHigh >>> 24, (icr & ICR_LOGICAL) !== 0)
    )
      return;
    const mode = deliveryMode(icr);
    const vector = icr & 0xff;
    if (mode === DELIVERY_FIXED || mode === DELIVERY_LOWEST_PRIORITY) {
      if (vector < FIRST_LEGAL_VECTOR) this.recordError(ESR_SEND_ILLEGAL_VECTOR);
      else this.accept(vector, false);
    } else if (mode === DELIVERY_NMI) {
      state.isNmiPending = true;
    } else {
      this.note(`local APIC: an IPI of delivery mode ${mode} to this CPU is ignored`);
    }
  }

  /** Whether the destination of a message names this CPU (SDM §11.6.2). */
  private isAddressed(destination: number, isLogical: boolean): boolean {
    const { state } = this;
    if (destination === 0xff) return true;
    if (!isLogical) return destination === state.id;
    const logicalId = state.ldr >>> 24;
    const isFlat = state.dfr >>> 28 === 0xf;
    if (isFlat) return (destination & logicalId) !== 0;
    const isCluster = destination >> 4 === 0xf || destination >> 4 === logicalId >> 4;
    return isCluster && (destination & logicalId & 0xf) !== 0;
  }

  private recordError(bit: number): void {
    this.state.pendingErrors |= bit;
    // An illegal vector in the error entry itself must not come back here for ever.
    if ((this.lvt(LVT_ERROR) & 0xff) >= FIRST_LEGAL_VECTOR) this.raiseLocal(LVT_ERROR);
  }

  private illegalRegister(offset: number, access: 'read' | 'write'): void {
    this.recordError(ESR_ILLEGAL_REGISTER);
    this.note(`local APIC: no register at ${hex(offset)} (first ${access})`);
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
