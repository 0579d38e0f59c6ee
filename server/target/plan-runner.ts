/**
 * Carries out a resume plan, a slice at a time, and says how a slice ended. Synchronous: it knows
 * neither timers nor sockets, so a test drives it by hand.
 *
 *     continue      run until something stops a thread that was resumed
 *     step          if the thread is on the CPU: one instruction, interrupts masked, so that a step
 *                   does not land in the timer's handler;
 *                   if not: run until the guest's scheduler puts it on, then that
 */
import type { MachineControl, MachineView, StopReason } from '../../machine/index.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import type { MachineBreakpoints } from './machine-breakpoints.ts';
import type { MachineThreads } from './machine-threads.ts';
import type { AddressRange, ResumePlan } from './resume-plan.ts';
import { BREAKPOINT_KIND, type Breakpoint, type TargetStop, type ThreadNumber } from './target.ts';

/** Ends of a slice that the debugger hears of: everything but budget and idle. */
export type RunEnd =
  | Exclude<StopReason, { kind: 'budget' | 'idle' }>
  /** What was resumed has ended. */
  | { readonly kind: 'no-resumed' }
  /** Going back, there is nothing before; `message`: a line about why, with a line feed. */
  | { readonly kind: 'history-begin'; readonly message?: string }
  /** Something has happened to a process that the debugger has. */
  | { readonly kind: 'process'; readonly stop: TargetStop };

/** What happens to processes, where the debugger has any (`processes/machine-processes.ts`). */
export interface RunnerProcesses {
  readonly isActive: boolean;
  /** Under which it watches the places where something happens. */
  readonly owner: object;
  /** Control is at an instruction that is to be executed next. */
  arrived(): void;
  takeStop(): TargetStop | undefined;
}

export type SliceResult =
  | { readonly kind: 'more' }
  | { readonly kind: 'idle'; readonly ticks: bigint | undefined }
  | { readonly kind: 'ended'; readonly end: RunEnd; readonly thread: ThreadNumber };

/**
 * Instructions that a range step executes with interrupts masked. A line that goes on longer is
 * likely to wait for an interrupt (`while (!ticked);`) and then gets it.
 */
const MASKED_RANGE_INSTRUCTIONS = 100_000;
/** How many steps of a range run before the budget is looked at in wall time: about 1 ms. */
const RANGE_STEPS_PER_SLICE = 1000;

export interface RunnerParts {
  readonly machine: MachineView & MachineControl;
  readonly guest: GuestView;
  readonly threads: MachineThreads;
  readonly breakpoints: MachineBreakpoints;
  /** Absent: the kernel's processes are not known. */
  readonly processes: RunnerProcesses | undefined;
  /** What a tracepoint collects after each step (while-stepping). */
  readonly tracing: { readonly isStepping: boolean; afterStep(): void };
  /** Conditions and collecting have taken long: the slice is to end after this step. */
  readonly isSliceOver?: () => boolean;
  /** Called when a part of the run is over, before its end is told. */
  readonly afterSlice: () => void;
}

export class PlanRunner {
  readonly #parts: RunnerParts;
  readonly #plan: ResumePlan;
  /** Where a thread that is stepped off the CPU will come back, while it has not. */
  #awaited: Breakpoint | undefined;
  #passBreakpoint: boolean;
  #rangeSteps = 0;
  /** A step found the CPU halted: only an interrupt can end that. */
  #isHalted = false;

  /** `passBreakpoint`: the debugger has been told of the breakpoint at rip already. */
  constructor(parts: RunnerParts, plan: ResumePlan, passBreakpoint: boolean) {
    this.#parts = parts;
    this.#plan = plan;
    this.#passBreakpoint = passBreakpoint;
  }

  /** The thread that a stop from outside (interrupt) is reported in. */
  get reportedThread(): ThreadNumber {
    return this.#plan.kind === 'step' ? this.#reported(this.#plan.thread) : this.#current();
  }

  runSlice(budget: number): SliceResult {
    if (this.#isNobodyLeft()) {
      this.#stopWaiting();
      return { kind: 'ended', end: { kind: 'no-resumed' }, thread: this.#current() };
    }
    if (this.#plan.kind === 'continue') return this.#continue(budget);
    const { thread, range } = this.#plan;
    if (this.#current() !== thread) return this.#awaitThread(thread, budget);
    this.#stopWaiting();
    return range === undefined ? this.#step(thread) : this.#stepRange(thread, range);
  }

  /** Takes back what the run put into the machine. */
  dispose(): void {
    this.#stopWaiting();
  }

  #isNobodyLeft(): boolean {
    const { named } = this.#plan;
    return named !== undefined && !named.some((thread) => this.#parts.threads.has(thread));
  }

  #continue(budget: number): SliceResult {
    if (this.#parts.tracing.isStepping) return this.#traceSteps();
    return this.#afterRun(this.#run({ budget }));
  }

  /** A tracepoint follows the CPU, interrupts and all: the run is the same as without it. */
  #traceSteps(): SliceResult {
    for (let count = 0; count < RANGE_STEPS_PER_SLICE; count++) {
      const result = this.#afterRun(this.#run({ budget: 1, step: true }));
      if (result.kind !== 'more' || !this.#parts.tracing.isStepping) return result;
      if (this.#parts.isSliceOver?.() === true) break;
    }
    return { kind: 'more' };
  }

  #afterRun(reason: StopReason): SliceResult {
    if (reason.kind === 'budget' || reason.kind === 'step') return { kind: 'more' };
    if (reason.kind === 'idle') return reason;
    const thread = this.#current();
    const { processes } = this.#parts;
    if (processes?.isActive === true && !this.#plan.isResumed(thread) && isOfOneThread(reason)) {
      return { kind: 'more' };
    }
    if (reason.kind === 'breakpoint') processes?.arrived();
    const isPassed = reason.kind === 'breakpoint' && !this.#isForDebugger(reason.address, thread);
    if (!isPassed) return { kind: 'ended', end: reason, thread: this.#resumedThread(thread) };
    this.#passBreakpoint = true;
    return this.#processStop() ?? { kind: 'more' };
  }

  #processStop(): SliceResult | undefined {
    const stop = this.#parts.processes?.takeStop();
    return stop && { kind: 'ended', end: { kind: 'process', stop }, thread: this.#current() };
  }

  #isForDebugger(address: bigint, thread: ThreadNumber): boolean {
    const { breakpoints, processes } = this.#parts;
    const own = [this, processes?.owner];
    return this.#plan.isResumed(thread) && breakpoints.hasStoppedForOthers(address, own);
  }

  /** A triple fault or a watchpoint may come while a thread runs that was not resumed. */
  #resumedThread(thread: ThreadNumber): ThreadNumber {
    const isStep = this.#plan.kind === 'step';
    if (this.#plan.isResumed(thread) || !isStep) return thread;
    return this.#reported(this.#plan.thread);
  }

  #awaitThread(thread: ThreadNumber, budget: number): SliceResult {
    // Killed and reaped while it waited for the CPU: nothing is left to be stepped.
    if (!this.#parts.threads.has(thread)) {
      this.#stopWaiting();
      return { kind: 'ended', end: { kind: 'step' }, thread: this.#current() };
    }
    const place = this.#parts.threads.place(thread);
    if (this.#awaited === undefined && place.kind === 'saved') {
      const address = place.thread.registers.get('rip') ?? 0n;
      const kind = BREAKPOINT_KIND.software;
      this.#awaited = { kind, address, lengthBytes: 1, process: 1 };
      this.#parts.breakpoints.insert(this, this.#awaited);
    }
    return this.#continue(budget);
  }

  #stopWaiting(): void {
    if (this.#awaited === undefined) return;
    this.#parts.breakpoints.remove(this, this.#awaited);
    this.#awaited = undefined;
  }

  #step(thread: ThreadNumber): SliceResult {
    const result = this.#stepOnce(!this.#isHalted);
    if (result !== 'done') return result;
    return { kind: 'ended', end: { kind: 'step' }, thread: this.#reported(thread) };
  }

  #stepRange(thread: ThreadNumber, range: AddressRange): SliceResult {
    for (let count = 0; count < RANGE_STEPS_PER_SLICE; count++) {
      const isMasked = !this.#isHalted && this.#rangeSteps++ < MASKED_RANGE_INSTRUCTIONS;
      const result = this.#stepOnce(isMasked);
      if (result !== 'done') return result;
      const rip = this.#parts.machine.readRegister('rip') ?? 0n;
      if (this.#current() !== thread || rip < range.start || rip >= range.end) {
        return { kind: 'ended', end: { kind: 'step' }, thread: this.#reported(thread) };
      }
      if (this.#parts.breakpoints.stopsAt(rip)) {
        return { kind: 'ended', end: { kind: 'breakpoint', address: rip }, thread };
      }
      if (this.#parts.isSliceOver?.() === true) break;
    }
    return { kind: 'more' };
  }

  /** One instruction; 'done' when it, or the delivery of its exception, is behind us. */
  #stepOnce(maskInterrupts: boolean): SliceResult | 'done' {
    const { machine, processes } = this.#parts;
    const before = machine.icount;
    processes?.arrived();
    const reason = this.#run({ budget: 1, step: true, maskInterrupts, passBreakpoint: true });
    if (reason.kind === 'idle') {
      if (machine.icount !== before) return 'done';
      this.#isHalted = true;
      return reason;
    }
    this.#isHalted = false;
    if (reason.kind === 'budget' || reason.kind === 'step') return this.#processStop() ?? 'done';
    return { kind: 'ended', end: reason, thread: this.#resumedThread(this.#current()) };
  }

  #run(options: {
    budget: number;
    step?: boolean;
    maskInterrupts?: boolean;
    passBreakpoint?: boolean;
  }): StopReason {
    const passBreakpoint = options.passBreakpoint ?? this.#passBreakpoint;
    this.#passBreakpoint = false;
    const reason = this.#parts.machine.run({ ...options, passBreakpoint });
    if (reason.kind === 'step') this.#parts.tracing.afterStep();
    this.#parts.guest.forget();
    this.#parts.afterSlice();
    return reason;
  }

  #current(): ThreadNumber {
    return this.#parts.threads.current();
  }

  /** A thread may have ended in its own step: then the one on the CPU must do. */
  #reported(thread: ThreadNumber): ThreadNumber {
    return this.#parts.threads.has(thread) ? thread : this.#current();
  }
}

/** What only concerns the thread to which it happens. */
function isOfOneThread({ kind }: StopReason): boolean {
  return kind === 'system-call' || kind === 'watchpoint';
}
