/**
 * The loop in which CPU, devices and time meet. Between two instructions, in this order: due events
 * fire, an interrupt is delivered, a halted CPU waits, the engine runs up to the next event. Where a
 * slice ends changes nothing of what the guest sees.
 */
import { assertNever } from './assert-never.ts';
import type { VirtualClock } from './clock/event-queue.ts';
import type { Cpu } from './cpu/cpu.ts';
import {
  endTrapShadow,
  instructionBreakpoint,
  instructionBreakpoints,
  isSingleStepping,
  takeDebugTrap,
} from './cpu/debug-registers.ts';
import { deliverException, deliverInterrupt, isHeldBack } from './cpu/exceptions.ts';
import { RFLAGS_IF, RFLAGS_RF } from './cpu/rflags.ts';
import { WATCH_NMI_RETURN, WATCH_RING_3 } from './cpu/transfer-watch.ts';
import type { InterruptController } from './devices/interrupt-controller.ts';
import type { Engine } from './engine.ts';
import type { ExecutionHooks } from './execution-hooks.ts';
import { PAGE_FAULT, VECTOR, type GuestFault } from './guest-fault.ts';
import type { CodeHold, MachineView, RunOptions } from './machine-interface.ts';
import { LONGEST_INSTRUCTION, Repetition } from './repetition.ts';
import { WORD } from './state/fields.ts';
import type { StopReason, TripleFaultReport } from './stop-reason.ts';

/** Engines count in 32 bits. */
const LONGEST_RUN = 0x1000_0000n;
/**
 * Turns of the loop in which nothing retires, after which a slice ends all the same: a handler that
 * faults at its first instruction, or HLT beside a timer whose interrupt is masked, goes on for ever.
 */
const MOST_FRUITLESS_TURNS = 200;
/** DR7: L0–L3 and G0–G3 (Intel SDM 3B §17.2.4). */
const DR7_ENABLES = 0xffn;
/** A page fault's error code: the page is there, and an instruction was to be fetched from it. */
const FORBIDDEN_FETCH = PAGE_FAULT.present | PAGE_FAULT.instruction;

/** No instruction has this number (state.shadowIcount). */
const NO_SHADOW = 0xffff_ffff_ffff_ffffn;

export interface RunLoopParts {
  readonly cpu: Cpu;
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly interrupts: InterruptController;
  readonly hooks: ExecutionHooks;
  readonly view: MachineView;
}

/** What a device asked for; it takes effect when the instruction has retired. */
export type MachineRequest = Extract<
  StopReason,
  { kind: 'debug-exit' | 'reset-request' | 'power-off' }
>;

export class RunLoop {
  private readonly parts: RunLoopParts;
  private requested: MachineRequest | undefined;
  private hasGuestBreakpoints = false;
  /** Exceptions that the debugger has been told of at this position: to be delivered now. */
  private told: { rip: bigint; icount: bigint; readonly vectors: Set<number> } | undefined;
  /** The system call at which the last run stopped. */
  private systemCall: { readonly number: bigint; readonly icount: bigint } | undefined;
  /** A system call at whose instruction the last run stopped for a watchpoint: told next. */
  private late: StopReason | undefined;
  private hold: CodeHold | undefined;
  /** The breakpoint that stands at this position is to be passed. */
  private passed: { readonly rip: bigint; readonly icount: bigint } | undefined;
  private readonly repetition = new Repetition();

  constructor(parts: RunLoopParts) {
    this.parts = parts;
  }

  request(request: MachineRequest): void {
    this.requested = request;
    this.parts.cpu.requestExit();
  }

  /** orig_rax at a stop in a system call; -1 elsewhere. */
  systemCallNumber(): bigint {
    const { systemCall } = this;
    if (systemCall === undefined) return -1n;
    return systemCall.icount === this.parts.cpu.state.icount ? systemCall.number : -1n;
  }

  /** orig_rax from now on until the machine runs: a call that the debugger has found by itself. */
  noteSystemCall(number: bigint): true {
    this.systemCall = { number, icount: this.parts.cpu.state.icount };
    return true;
  }

  holdCode(hold: CodeHold | undefined): void {
    this.hold = hold;
    this.parts.hooks.setHeldPlaces(hold?.places ?? new Set());
  }

  reset(): void {
    this.requested = undefined;
    this.told = undefined;
    this.systemCall = undefined;
    this.late = undefined;
    this.repetition.reset();
    this.parts.cpu.watch.reset();
    this.parts.hooks.reset();
  }

  run(options: RunOptions): StopReason {
    const { cpu, clock } = this.parts;
    const { state } = cpu;
    const end = state.icount + BigInt(options.budget);
    this.passed = options.passBreakpoint === true ? this.position() : undefined;
    this.parts.hooks.takeEnd();
    const late = this.takeLate();
    if (late !== undefined) return late;
    let lastRetired = state.icount;
    for (let turns = 0; ; turns++) {
      if (state.icount !== lastRetired) turns = 0;
      else if (turns > MOST_FRUITLESS_TURNS) return this.fruitless(options);
      lastRetired = state.icount;
      clock.fireDue();
      const boundary = this.atBoundary(options);
      if (boundary === undefined || boundary.kind === 'step') {
        const watched = this.watchStop();
        if (watched !== undefined) return watched;
      }
      if (boundary !== undefined) return boundary;
      // A step is to make its instruction: nothing ends it before.
      const isEnding = this.parts.hooks.takeEnd() && options.step !== true;
      const left = isEnding ? 0n : end - state.icount;
      if (left <= 0n) return { kind: options.step === true ? 'step' : 'budget' };
      const isWaiting = cpu.halted || this.isHeld();
      const stop = isWaiting
        ? this.whileHalted(options)
        : this.runEngine(left, options.step === true);
      if (stop !== undefined) return stop;
    }
  }

  /** Nothing has retired for long; a debugger's step of a halted CPU waits as for any interrupt. */
  private fruitless(options: RunOptions): StopReason {
    const isStep = options.step === true;
    if (!isStep || !this.parts.cpu.halted) return { kind: isStep ? 'step' : 'budget' };
    return this.whileHalted({ budget: options.budget }) ?? { kind: 'step' };
  }

  /** Where the CPU stands between two instructions. */
  private position(): { readonly rip: bigint; readonly icount: bigint } {
    const { rip, icount } = this.parts.cpu.state;
    return { rip, icount };
  }

  private isPassing(): boolean {
    const { rip, icount } = this.parts.cpu.state;
    return this.passed?.rip === rip && this.passed.icount === icount;
  }

  /** Between two elements of a string instruction whose breakpoint has been passed. */
  private isRepeating(): boolean {
    const { cpu, view } = this.parts;
    return this.repetition.goesOn(cpu.state, () =>
      view.readLinear(this.linearRip(), LONGEST_INSTRUCTION),
    );
  }

  /** Delivers what waits at this boundary. */
  private atBoundary(options: RunOptions): StopReason | undefined {
    if (options.maskInterrupts === true && !this.parts.cpu.halted) return undefined;
    const delivered = this.deliverPending();
    if (delivered === undefined) return undefined;
    if (delivered.report !== undefined) return { kind: 'triple-fault', report: delivered.report };
    return options.step === true ? { kind: 'step' } : undefined;
  }

  private deliverPending(): { report: TripleFaultReport | undefined } | undefined {
    const { cpu, interrupts } = this.parts;
    const { state } = cpu;
    if (state.icount === state.shadowIcount) return undefined;
    if (this.hasNmi()) {
      interrupts.acknowledgeNmi();
      state.nmiBlocked = 1;
      return this.interrupt(VECTOR.NMI, 'nmi');
    }
    if (!this.takesInterrupts() || !interrupts.hasInterrupt()) return undefined;
    return this.interrupt(interrupts.acknowledge(), 'external');
  }

  /** One that may be delivered. */
  private hasNmi(): boolean {
    return this.parts.cpu.state.nmiBlocked === 0 && this.parts.interrupts.hasNmi();
  }

  private interrupt(
    vector: number,
    kind: 'external' | 'nmi',
  ): { report: TripleFaultReport | undefined } {
    const { cpu } = this.parts;
    const report = deliverInterrupt(cpu, vector, kind);
    cpu.memory.commitPending();
    return { report };
  }

  /** In ring 3 or at a place of the hold, and the debugger wants nothing executed there. */
  private isHeld(): boolean {
    const { hold } = this;
    if (hold === undefined) return false;
    const { state } = this.parts.cpu;
    const isPlace = state.cpl === 0 && hold.places.has(state.rip) && this.takesInterrupts();
    if ((state.cpl !== 3 && !isPlace) || !hold.isHeld(this.parts.view)) return false;
    // The instruction that would end the shadow of MOV SS does not come.
    state.shadowIcount = NO_SHADOW;
    return true;
  }

  private takesInterrupts(): boolean {
    return (this.parts.cpu.state.rflagsSystem & BigInt(RFLAGS_IF)) !== 0n;
  }

  /** A halted CPU, or one whose program is held: time goes on to the next event, or the caller is told to wait for it. */
  private whileHalted(options: RunOptions): StopReason | undefined {
    const { clock } = this.parts;
    const next = clock.nextEventAt();
    // With interrupts off only an NMI could wake it, and no chip sends one.
    if (next === undefined || !this.takesInterrupts()) return { kind: 'idle', ticks: undefined };
    const ticks = next - clock.now();
    if (options.skipIdle !== true && options.step !== true) return { kind: 'idle', ticks };
    clock.skip(ticks > 0n ? ticks : 0n);
    return undefined;
  }

  private runEngine(left: bigint, isStep: boolean): StopReason | undefined {
    const { cpu, engine, hooks, interrupts, view } = this.parts;
    const { state } = cpu;
    const isPassing = this.isPassing();
    if (isPassing) {
      hooks.runHooks(this.linearRip(), view);
      this.repetition.begin(state);
    }
    this.followDebugRegisters();
    const [before, hasResumeFlag] = [state.icount, this.dropResumeFlag()];
    const isTrapping = isSingleStepping(state);
    cpu.singleStepTrap = undefined;
    const isInterruptWaiting = interrupts.hasInterrupt() || this.hasNmi();
    // What waits in the shadow of STI or MOV SS comes as soon as one instruction has retired.
    const mayCome = isInterruptWaiting || state.trapShadow !== 0;
    const isShadowed = mayCome && state.icount === state.shadowIcount;
    const budget = isTrapping || isStep || isShadowed ? 1n : this.untilNextEvent(left);
    state.exitRequest = 0;
    const ring3 = this.hold === undefined ? 0 : WATCH_RING_3;
    const nmiReturn = state.nmiBlocked === 0 ? 0 : WATCH_NMI_RETURN;
    state.watchedTransfers = cpu.watch.beginRun() | ring3 | nmiReturn;
    // Whatever changes it while the engine runs asks for an exit.
    state.interruptPending = isInterruptWaiting ? 1 : 0;
    const exit = engine.run(Number(budget), isPassing || this.isRepeating());
    switch (exit.kind) {
      case 'budget':
      case 'attention':
        return this.afterInstructions(isTrapping);
      case 'fault': {
        cpu.memory.discardPending();
        endTrapShadow(cpu);
        if (this.isOnForbiddenPage(exit.fault)) return this.atBreakpoint();
        return (
          this.deliver(exit.fault, true) ??
          this.watchStop() ??
          (isStep ? { kind: 'step' } : undefined)
        );
      }
      case 'breakpoint':
        // It is for the instruction, which has not been executed.
        if (hasResumeFlag && state.icount === before) state.rflagsSystem |= BigInt(RFLAGS_RF);
        return this.atBreakpoint();
      default:
        return assertNever(exit);
    }
  }

  private untilNextEvent(left: bigint): bigint {
    const { clock } = this.parts;
    const next = clock.nextEventAt();
    const until = next === undefined ? LONGEST_RUN : clock.instructionsUntil(next);
    const most = until < LONGEST_RUN ? until : LONGEST_RUN;
    return most < left ? most : left;
  }

  private afterInstructions(isTrapping: boolean): StopReason | undefined {
    const { cpu } = this.parts;
    const { memory } = cpu;
    memory.commitPending();
    const trap = this.guestDebugTrap(isTrapping);
    if (trap !== undefined) return trap;
    const call = this.systemCallStop();
    const watched = this.watchStop();
    if (this.requested !== undefined) {
      const { requested } = this;
      this.requested = undefined;
      return requested;
    }
    if (watched === undefined) return call;
    this.late = call;
    return watched;
  }

  /** What an instruction, or the delivery of an interrupt or a fault to a watched stack, has touched. */
  private watchStop(): StopReason | undefined {
    const { cpu, view } = this.parts;
    const hits = cpu.memory.takeWatchHits();
    const hit = hits.find(({ predicate }) => predicate?.(view) ?? true);
    return hit && { kind: 'watchpoint', address: hit.address, watch: hit.watch };
  }

  private takeLate(): StopReason | undefined {
    const { late } = this;
    this.late = undefined;
    return this.systemCallNumber() === -1n ? undefined : late;
  }

  private systemCallStop(): StopReason | undefined {
    const { state, watch } = this.parts.cpu;
    const stop = watch.takeSystemCall();
    if (stop === undefined) return undefined;
    this.systemCall = { number: BigInt(stop.number), icount: state.icount };
    return { kind: 'system-call', ...stop };
  }

  /** Whether the debugger is to hear of an exception first; it is told of each once. */
  private isToBeTold(raised: GuestFault): boolean {
    const { cpu } = this.parts;
    if (!cpu.watch.isCaught(raised)) return false;
    const { rip, icount } = this.position();
    if (this.told?.rip !== rip || this.told.icount !== icount) {
      this.told = { rip, icount, vectors: new Set() };
    }
    if (this.told.vectors.has(raised.vector)) return false;
    this.told.vectors.add(raised.vector);
    return true;
  }

  /** #DB after an instruction: TF, or a data watch of the guest's own. */
  private guestDebugTrap(isTrapping: boolean): StopReason | undefined {
    const trap = takeDebugTrap(this.parts.cpu, isTrapping);
    return trap === undefined ? undefined : this.deliver(trap);
  }

  /**
   * Delivers an exception at the present instruction. One that the instruction raises again when it
   * is executed again can be held back for the debugger to see first.
   */
  private deliver(raised: GuestFault, isRepeatable = false): StopReason | undefined {
    const { cpu } = this.parts;
    const isCaught = (next: GuestFault): boolean => isRepeatable && this.isToBeTold(next);
    const report = deliverException(cpu, raised, cpu.state.rip, isCaught);
    if (report !== undefined) {
      return { kind: isHeldBack(report) ? 'exception' : 'triple-fault', report };
    }
    cpu.memory.commitPending();
    return undefined;
  }

  /** DR0–DR3 are the guest's: its instruction breakpoints follow what it writes there. */
  private followDebugRegisters(): void {
    const { state } = this.parts.cpu;
    if ((state.dr7 & DR7_ENABLES) === 0n && !this.hasGuestBreakpoints) return;
    const addresses = instructionBreakpoints(state);
    this.hasGuestBreakpoints = addresses.length > 0;
    this.parts.hooks.setGuestBreakpoints(addresses);
  }

  /** RF is for one instruction: it does not wait for a breakpoint further on. True: it was set. */
  private dropResumeFlag(): boolean {
    const { state } = this.parts.cpu;
    if ((state.words[WORD.rflagsSystem]! & RFLAGS_RF) === 0) return false;
    if (this.parts.hooks.isGuestBreakpoint(this.linearRip())) return false;
    state.rflagsSystem &= ~BigInt(RFLAGS_RF);
    return true;
  }

  private atBreakpoint(): StopReason | undefined {
    if (this.isRepeating()) return undefined;
    const { cpu, hooks, view } = this.parts;
    const linear = this.linearRip();
    hooks.runHooks(linear, view);
    if (hooks.stopsAt(linear, view)) return { kind: 'breakpoint', address: linear };
    if (this.isHeld()) return undefined;
    const raised = hooks.isGuestBreakpoint(linear) ? instructionBreakpoint(cpu, linear) : undefined;
    if (raised !== undefined) return this.deliver(raised);
    // Only a hook, or a condition that is false: past it and on.
    this.passed = this.position();
    return undefined;
  }

  /**
   * A breakpoint where nothing may be executed is reached all the same, before the fault: gdb lets the
   * functions that it calls return to one on the stack. Where nothing is mapped the fault comes first,
   * as the guest may map it and come back.
   */
  private isOnForbiddenPage({ vector, errorCode = 0, address }: GuestFault): boolean {
    if (vector !== VECTOR.PF || (errorCode & FORBIDDEN_FETCH) !== FORBIDDEN_FETCH) return false;
    if (this.isPassing()) return false;
    const linear = this.linearRip();
    return address === linear && this.parts.hooks.stopsAt(linear, this.parts.view);
  }

  private linearRip(): bigint {
    const { state } = this.parts.cpu;
    return BigInt.asUintN(64, state.csBase + state.rip);
  }
}
