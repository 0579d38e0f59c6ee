/**
 * The loop in which CPU, devices and time meet. Between two instructions, in this order: due events
 * fire, an interrupt is delivered, a halted CPU waits, the engine runs up to the next event. Where a
 * slice ends changes nothing of what the guest sees.
 */
import { assertNever } from './assert-never.ts';
import type { VirtualClock } from './clock/event-queue.ts';
import type { Cpu } from './cpu/cpu.ts';
import { deliverException, deliverInterrupt } from './cpu/exceptions.ts';
import { RFLAGS_IF, RFLAGS_RF, RFLAGS_TF } from './cpu/rflags.ts';
import type { InterruptController } from './devices/interrupt-controller.ts';
import type { Engine } from './engine.ts';
import type { ExecutionHooks } from './execution-hooks.ts';
import { fault, VECTOR } from './guest-fault.ts';
import type { MachineView, RunOptions } from './machine-interface.ts';
import type { StopReason, TripleFaultReport } from './stop-reason.ts';

/** Engines count in 32 bits. */
const LONGEST_RUN = 0x1000_0000n;
/** DR6.BS: a single step (Intel SDM 3B §17.2.3). */
const DR6_BS = 1n << 14n;

export interface RunLoopParts {
  readonly cpu: Cpu;
  readonly engine: Engine;
  readonly clock: VirtualClock;
  readonly interrupts: InterruptController;
  readonly hooks: ExecutionHooks;
  readonly view: MachineView;
}

/** What a device asked for; it takes effect when the instruction has retired. */
export type MachineRequest = Extract<StopReason, { kind: 'debug-exit' | 'reset-request' }>;

export class RunLoop {
  private readonly parts: RunLoopParts;
  private requested: MachineRequest | undefined;
  /** The breakpoint that stands at this position is to be passed. */
  private passed: { readonly rip: bigint; readonly icount: bigint } | undefined;

  constructor(parts: RunLoopParts) {
    this.parts = parts;
  }

  request(request: MachineRequest): void {
    this.requested = request;
    this.parts.cpu.requestExit();
  }

  reset(): void {
    this.requested = undefined;
    this.parts.hooks.reset();
  }

  run(options: RunOptions): StopReason {
    const { cpu, clock } = this.parts;
    const { state } = cpu;
    const end = state.icount + BigInt(options.budget);
    this.passed = options.passBreakpoint === true ? this.position() : undefined;
    for (;;) {
      clock.fireDue();
      const boundary = this.atBoundary(options);
      if (boundary !== undefined) return boundary;
      const left = end - state.icount;
      if (left <= 0n) return { kind: options.step === true ? 'step' : 'budget' };
      const stop = cpu.halted
        ? this.whileHalted(options)
        : this.runEngine(left, options.step === true);
      if (stop !== undefined) return stop;
    }
  }

  /** Where the CPU stands between two instructions. */
  private position(): { readonly rip: bigint; readonly icount: bigint } {
    const { rip, icount } = this.parts.cpu.state;
    return { rip, icount };
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
    if (interrupts.hasNmi()) {
      interrupts.acknowledgeNmi();
      return { report: deliverInterrupt(cpu, VECTOR.NMI, 'nmi') };
    }
    if ((state.rflagsSystem & BigInt(RFLAGS_IF)) === 0n || !interrupts.hasInterrupt()) {
      return undefined;
    }
    return { report: deliverInterrupt(cpu, interrupts.acknowledge(), 'external') };
  }

  /** A halted CPU: time goes on to the next event, or the caller is told to wait for it. */
  private whileHalted(options: RunOptions): StopReason | undefined {
    const { clock, cpu } = this.parts;
    const next = clock.nextEventAt();
    // With interrupts off only an NMI could wake it, and no chip sends one.
    const isDead = (cpu.state.rflagsSystem & BigInt(RFLAGS_IF)) === 0n;
    if (next === undefined || isDead) return { kind: 'idle', ticks: undefined };
    const ticks = next - clock.now();
    if (options.skipIdle !== true && options.step !== true) return { kind: 'idle', ticks };
    clock.skip(ticks > 0n ? ticks : 0n);
    return undefined;
  }

  private runEngine(left: bigint, isStep: boolean): StopReason | undefined {
    const { cpu, engine, hooks, view } = this.parts;
    const { state } = cpu;
    const isPassing = this.passed?.rip === state.rip && this.passed.icount === state.icount;
    if (isPassing) hooks.runHooks(this.linearRip(), view);
    const isTrapping = (state.rflagsSystem & BigInt(RFLAGS_TF)) !== 0n;
    const budget = isTrapping || isStep ? 1n : this.untilNextEvent(left);
    state.exitRequest = 0;
    const exit = engine.run(Number(budget), isPassing);
    switch (exit.kind) {
      case 'budget':
      case 'attention':
        return this.afterInstructions(isTrapping);
      case 'fault': {
        cpu.memory.discardPending();
        const report = deliverException(cpu, exit.fault, state.rip);
        if (report !== undefined) return { kind: 'triple-fault', report };
        cpu.memory.commitPending();
        return isStep ? { kind: 'step' } : undefined;
      }
      case 'breakpoint':
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
    const [hit] = memory.takeWatchHits();
    if (this.requested !== undefined) {
      const { requested } = this;
      this.requested = undefined;
      return requested;
    }
    if (hit !== undefined) return { kind: 'watchpoint', address: hit.address, watch: hit.watch };
    return undefined;
  }

  /** #DB after an instruction: TF, or a data watch of the guest's own. */
  private guestDebugTrap(isTrapping: boolean): StopReason | undefined {
    const { cpu } = this.parts;
    const { state } = cpu;
    const hits = cpu.memory.takeGuestWatchHits();
    if (!isTrapping && hits.length === 0) return undefined;
    if (isTrapping) state.dr6 |= DR6_BS;
    for (const { owner } of hits) if (typeof owner === 'number') state.dr6 |= 1n << BigInt(owner);
    const report = deliverException(cpu, fault(VECTOR.DB), state.rip);
    return report === undefined ? undefined : { kind: 'triple-fault', report };
  }

  private atBreakpoint(): StopReason | undefined {
    const { cpu, hooks, view } = this.parts;
    const { state } = cpu;
    const linear = this.linearRip();
    hooks.runHooks(linear, view);
    if (hooks.isBreakpoint(linear)) return { kind: 'breakpoint', address: linear };
    const isResuming = (state.rflagsSystem & BigInt(RFLAGS_RF)) !== 0n;
    if (hooks.isGuestBreakpoint(linear) && !isResuming) {
      const report = deliverException(cpu, fault(VECTOR.DB), state.rip);
      return report === undefined ? undefined : { kind: 'triple-fault', report };
    }
    // Only a hook: past it and on.
    this.passed = this.position();
    return undefined;
  }

  private linearRip(): bigint {
    const { state } = this.parts.cpu;
    return BigInt.asUintN(64, state.csBase + state.rip);
  }
}
