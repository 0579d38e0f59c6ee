/**
 * Runs the machine on the event loop in slices of a twentieth of a millisecond, so that sockets are served
 * in between and an interrupt is seen within a slice. An idle guest costs nothing: it sleeps until
 * its next timer event is due by the wall clock. The pump reads the clock; the machine never does.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { RunEnd, SliceResult } from './plan-runner.ts';
import type { ThreadNumber } from './target.ts';
import { WallClockPacing } from './wall-clock-pacing.ts';

/** What the pump drives: the plan of one resume. */
export interface SliceRunner {
  runSlice(budget: number): SliceResult;
  dispose(): void;
}

type PumpState =
  | { readonly kind: 'halted' }
  | { readonly kind: 'slicing'; readonly runner: SliceRunner; readonly immediate: NodeJS.Immediate }
  | {
      readonly kind: 'sleeping';
      readonly runner: SliceRunner;
      /** Absent: no timer of the guest is armed; only input wakes it. */
      readonly timer: NodeJS.Timeout | undefined;
    };

/** Sockets are served between slices: a break-in is seen within one. */
const SLICE_MS = 0.05;
const FIRST_BUDGET = 5000;
/** Run at once when a client resumes: a step or a breakpoint nearby needs no turn of the loop. */
const SHORT_BUDGET = 500;
const MINIMUM_BUDGET = 1000;
const MAXIMUM_BUDGET = 10_000_000;
/** setTimeout counts in 31 bits. */
const MAXIMUM_SLEEP_MS = 0x7fff_ffff;

export class MachinePump {
  readonly #machine: MachineView & MachineControl;
  readonly #onEnd: (end: RunEnd, thread: ThreadNumber) => void;
  readonly #now: () => number;
  readonly #pacing: WallClockPacing;
  #state: PumpState = { kind: 'halted' };
  #budget = FIRST_BUDGET;

  /** `now`: milliseconds, monotonic; `onEnd` hears how each run ended by itself. */
  constructor(
    machine: MachineView & MachineControl,
    onEnd: (end: RunEnd, thread: ThreadNumber) => void,
    now: () => number = () => performance.now(),
  ) {
    this.#machine = machine;
    this.#onEnd = onEnd;
    this.#now = now;
    this.#pacing = new WallClockPacing(now);
  }

  get isRunning(): boolean {
    return this.#state.kind !== 'halted';
  }

  start(runner: SliceRunner): void {
    if (this.isRunning) throw new Error('the machine is running already');
    this.#pacing.start(this.#machine.ticks);
    this.#go(runner, runner.runSlice(SHORT_BUDGET));
  }

  /** Halts at the present instruction boundary without calling `onEnd`. */
  halt(): void {
    if (this.#state.kind === 'halted') return;
    this.#leaveState();
    this.#state.runner.dispose();
    this.#state = { kind: 'halted' };
  }

  /** Something came from outside that an idle guest may be waiting for. */
  wake(): void {
    if (this.#state.kind !== 'sleeping') return;
    this.#leaveState();
    this.#sliceSoon(this.#state.runner);
  }

  /** Cancels what is scheduled; the time that an idle guest has slept has passed for it. */
  #leaveState(): void {
    if (this.#state.kind === 'slicing') clearImmediate(this.#state.immediate);
    if (this.#state.kind !== 'sleeping') return;
    clearTimeout(this.#state.timer);
    this.#machine.skipIdle(this.#pacing.elapsedTicks(this.#machine.ticks));
  }

  #sliceSoon(runner: SliceRunner): void {
    const immediate = setImmediate(() => this.#slice(runner));
    this.#state = { kind: 'slicing', runner, immediate };
  }

  #slice(runner: SliceRunner): void {
    const start = this.#now();
    const before = this.#machine.icount;
    const result = runner.runSlice(this.#budget);
    if (result.kind === 'more') this.#adapt(this.#machine.icount - before, this.#now() - start);
    this.#go(runner, result);
  }

  #go(runner: SliceRunner, result: SliceResult): void {
    switch (result.kind) {
      case 'more':
        this.#sliceSoon(runner);
        break;
      case 'idle':
        this.#sleep(runner, result.ticks);
        break;
      case 'ended':
        runner.dispose();
        this.#state = { kind: 'halted' };
        this.#onEnd(result.end, result.thread);
    }
  }

  /** Only a slice that used up its budget says how fast the machine is. */
  #adapt(instructions: bigint, elapsedMs: number): void {
    if (instructions < BigInt(this.#budget)) return;
    const factor = elapsedMs <= 0 ? 2 : Math.min(2, Math.max(0.25, SLICE_MS / elapsedMs));
    const budget = Math.round(this.#budget * factor);
    this.#budget = Math.min(MAXIMUM_BUDGET, Math.max(MINIMUM_BUDGET, budget));
  }

  #sleep(runner: SliceRunner, ticks: bigint | undefined): void {
    this.#pacing.settle(this.#machine.ticks);
    if (ticks === undefined) {
      this.#state = { kind: 'sleeping', runner, timer: undefined };
      return;
    }
    const sleepMs = this.#pacing.untilDue(this.#machine.ticks, ticks);
    if (sleepMs <= 0) {
      this.#machine.skipIdle(ticks);
      this.#sliceSoon(runner);
      return;
    }
    const timer = setTimeout(
      () => {
        this.#machine.skipIdle(ticks);
        this.#sliceSoon(runner);
      },
      Math.min(sleepMs, MAXIMUM_SLEEP_MS),
    );
    this.#state = { kind: 'sleeping', runner, timer };
  }
}
