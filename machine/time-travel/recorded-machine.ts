/**
 * A machine that remembers: what comes from outside is recorded at its place, and now and then the whole
 * state is kept, so that any place of the run can be reached again. The guest sees no difference.
 */
import type { CodeHold, MachineOptions, RunOptions } from '../machine-interface.ts';
import { Machine } from '../machine.ts';
import type { StopReason } from '../stop-reason.ts';
import { History, type Landing, type RecordedInput } from './history.ts';
import type { MachineState } from './machine-state.ts';
import { isAtPosition, placeOf, positionOf, type Place } from './position.ts';

/** From one whole state to the next, at least. */
const CHECKPOINT_INSTRUCTIONS = 20_000_000n;
/** A whole state is kept when it has been run for so many times as long as it takes to keep one. */
const RUN_PER_CHECKPOINT = 40;
/** Runs from one look at whether it is time for one to the next; a slice is a run, and so is a step. */
const RUNS_PER_LOOK = 256;

interface OutputGate {
  isOpen: () => boolean;
}

export class RecordedMachine extends Machine {
  readonly history: History;
  readonly #clock: () => number;
  /** A debugger has changed something: what follows is a new segment. */
  #isChanged = true;
  #isHeld = false;
  /** The machine is where it has been before. */
  #isRepeating = false;
  #runsToLook = RUNS_PER_LOOK;
  /** What the last run said it waits for; undefined: it does not. */
  #idleTicks: bigint | undefined;
  #checkpointAt = 0n;
  #checkpointAfterMs = 0;

  /**
   * What the guest prints where it has been before is not told again. `stateBytes`: of the host's memory, for
   * whole states.
   */
  constructor(options: MachineOptions, stateBytes?: number) {
    const gate: OutputGate = { isOpen: () => true };
    const { onSerialOutput } = options;
    const gated = (bytes: Uint8Array): void => {
      if (gate.isOpen()) onSerialOutput?.(bytes);
    };
    super(onSerialOutput === undefined ? options : { ...options, onSerialOutput: gated });
    this.history = new History(stateBytes === undefined ? {} : { stateBytes });
    gate.isOpen = () => !this.#isRepeating;
    this.#clock = options.hostClock ?? (() => 0);
    if (options.state === undefined) this.#powerOn();
  }

  override run(options: RunOptions): StopReason {
    if (this.#isChanged || --this.#runsToLook < 0) this.#keepStates();
    if (this.#isRepeating && this.#isStillPast()) return this.#repeat(options);
    if (options.maskInterrupts === true && !this.isHalted()) return this.#maskedStep(options);
    return this.#noteIdle(super.run(options));
  }

  override skipIdle(ticks: bigint): void {
    const isWhole = this.#idleTicks !== undefined && ticks >= this.#idleTicks;
    if (!isWhole) {
      // Where it has been before it waits as it did.
      if (this.#isRepeating || ticks <= 0n) return;
      this.history.add({ kind: 'idle', at: positionOf(this), ticks });
    }
    this.#idleTicks = undefined;
    super.skipIdle(ticks);
  }

  override enterSerialInput(bytes: Uint8Array): void {
    this.#diverge();
    this.history.add({ kind: 'serial', at: positionOf(this), bytes: bytes.slice() });
    super.enterSerialInput(bytes);
  }

  override writeRegister(name: string, value: bigint): boolean {
    // That one is the debugger's own.
    if (name !== 'orig_rax') this.#changes();
    return super.writeRegister(name, value);
  }

  override writeVector(register: number, bytes: Uint8Array): void {
    this.#changes();
    super.writeVector(register, bytes);
  }

  override writeLinear(linear: bigint, bytes: Uint8Array, cr3?: bigint): number {
    this.#changes();
    return super.writeLinear(linear, bytes, cr3);
  }

  override writePhysical(physical: bigint, bytes: Uint8Array): number {
    this.#changes();
    return super.writePhysical(physical, bytes);
  }

  /** What a hold keeps back is not recorded: the past begins when it is over. */
  override holdCode(hold: CodeHold | undefined): void {
    if (hold !== undefined || this.#isHeld) this.#changes();
    this.#isHeld = hold !== undefined;
    super.holdCode(hold);
  }

  override restore(state: MachineState): void {
    this.#changes();
    this.history.forget();
    super.restore(state);
  }

  override reset(): void {
    super.reset();
    this.#powerOn();
  }

  /** It goes where it has been before. */
  get isRepeating(): boolean {
    return this.#isRepeating;
  }

  /** Where the search for what came before begins; undefined: nothing is known of the past. */
  get present(): Place | undefined {
    const { last } = this.history;
    return this.#isChanged ? last?.end : last && placeOf(this);
  }

  /** Takes the machine to a place in the past; `state` is the whole state there. */
  travel(landing: Landing, state: MachineState): void {
    this.history.goTo(landing, this.icount);
    super.restore(state);
    this.#isChanged = false;
    this.#isRepeating = this.history.isPast(this.icount);
    this.#idleTicks = undefined;
    this.#checkpointAt = this.icount + CHECKPOINT_INSTRUCTIONS;
  }

  #powerOn(): void {
    this.history.forget();
    this.history.begin(positionOf(this));
    this.#isChanged = false;
    this.#isRepeating = false;
    this.#idleTicks = undefined;
    this.#checkpointAt = CHECKPOINT_INSTRUCTIONS;
  }

  #changes(): void {
    if (this.#isChanged) return;
    this.#diverge();
    this.history.end(placeOf(this));
    this.#isChanged = true;
  }

  #isStillPast(): boolean {
    this.#isRepeating = this.history.isPast(this.icount);
    return this.#isRepeating;
  }

  /** Something else happens now than happened then. */
  #diverge(): void {
    if (!this.#isRepeating) return;
    this.history.diverge(this.icount);
    this.#isRepeating = false;
  }

  /** Begins a segment after a change; keeps a state from time to time. */
  #keepStates(): void {
    this.#runsToLook = RUNS_PER_LOOK;
    if (!this.#isChanged && this.icount < this.#checkpointAt) return;
    if (this.#isHeld) return;
    if (this.history.isFull) this.history.forget();
    const isNew = this.#isChanged || this.history.last === undefined;
    const started = this.#clock();
    this.#checkpointAt = this.icount + CHECKPOINT_INSTRUCTIONS;
    if (isNew) this.history.begin(positionOf(this), this.saveBeside(this.history.latestState));
    else if (started < this.#checkpointAfterMs) return;
    else if (this.history.hasRoomFor(this.savedBytes())) {
      this.history.checkpoint(positionOf(this), this.saveBeside(this.history.latestState));
    }
    this.#isChanged = false;
    const finished = this.#clock();
    this.#checkpointAfterMs = finished + RUN_PER_CHECKPOINT * (finished - started);
  }

  #noteIdle(reason: StopReason): StopReason {
    this.#idleTicks = reason.kind === 'idle' ? reason.ticks : undefined;
    return reason;
  }

  #maskedStep(options: RunOptions): StopReason {
    const at = positionOf(this);
    const reason = this.#noteIdle(super.run(options));
    const hasStepped = reason.kind !== 'breakpoint' && reason.kind !== 'exception';
    if (hasStepped) this.history.add({ kind: 'masked step', at });
    return reason;
  }

  /** Does again what was done here, the same inputs at the same places. */
  #repeat(options: RunOptions): StopReason {
    const { history } = this;
    for (;;) {
      const next = history.nextInput;
      if (next === undefined || next.at.icount > this.icount) break;
      // What was due when time had passed for a halted CPU came before anything from outside.
      if (this.isHalted()) super.run({ budget: 0 });
      const step = this.#repeatInput(next, options);
      if (step !== undefined) return step;
    }
    const most = history.unchangingFrom(this.icount);
    if (most === 0n) {
      this.#isRepeating = false;
      return this.run(options);
    }
    const budget = Math.min(options.budget, Number(most));
    return this.#noteIdle(super.run({ ...options, budget, maskInterrupts: false }));
  }

  /** Undefined: it has been brought in, or given up. */
  #repeatInput(input: RecordedInput, options: RunOptions): StopReason | undefined {
    if (!isAtPosition(this, input.at)) return this.#goTowards(input, options);
    switch (input.kind) {
      case 'serial':
        super.enterSerialInput(input.bytes);
        break;
      case 'idle':
        super.skipIdle(input.ticks);
        break;
      case 'masked step': {
        const reason = super.run({ ...options, budget: 1, step: true, maskInterrupts: true });
        if (reason.kind === 'breakpoint' || reason.kind === 'exception') return reason;
        this.history.repeated();
        return asAsked(reason, options);
      }
    }
    this.history.repeated();
    return undefined;
  }

  /** The input comes at this instruction, but what is delivered before it has not been yet. */
  #goTowards(input: RecordedInput, options: RunOptions): StopReason | undefined {
    if (this.icount > input.at.icount || this.ticks > input.at.ticks) {
      this.#diverge();
      return undefined;
    }
    if (!this.isHalted()) {
      const step = { ...options, budget: 1, step: true, maskInterrupts: false };
      return asAsked(super.run(step), options);
    }
    // Nothing wakes the CPU: time goes on to what comes next.
    const reason = this.#noteIdle(super.run({ budget: 1 }));
    const ticks = reason.kind === 'idle' ? reason.ticks : undefined;
    if (options.step !== true || ticks === undefined) return reason;
    super.skipIdle(ticks);
    return undefined;
  }
}

/** A step made to come to an input's place is to the caller the end of a budget. */
function asAsked(reason: StopReason, { step }: RunOptions): StopReason {
  return reason.kind === 'step' && step !== true ? { kind: 'budget' } : reason;
}
