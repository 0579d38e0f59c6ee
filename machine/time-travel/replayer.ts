/** Goes along a segment of the past on a machine of its own, from one of its states on. */
import type { Machine } from '../machine.ts';
import type { StopReason } from '../stop-reason.ts';
import {
  HistoryError,
  type Checkpoint,
  type Landing,
  type RecordedInput,
  type Segment,
} from './history.ts';
import { isAtPlace, isAtPosition, positionOf, type Place } from './position.ts';

/** A breakpoint or a watchpoint of the replaying machine's. */
export type Hit = Extract<StopReason, { kind: 'breakpoint' | 'watchpoint' }>;

/** Turns in which nothing retires; a guest that faults for ever makes more of them in a run. */
const MOST_FRUITLESS_TURNS = 100_000;

export class Replayer {
  readonly #machine: Machine;
  readonly #segment: Segment;
  #inputs: number;
  /** The breakpoint here has been told of. */
  #passes = false;
  #fruitless = 0;

  /** Takes the machine to the checkpoint. */
  constructor(machine: Machine, segment: Segment, checkpoint: Checkpoint) {
    this.#machine = machine;
    this.#segment = segment;
    this.#inputs = checkpoint.inputs;
    if (checkpoint.state === undefined) machine.reset();
    else machine.restore(checkpoint.state);
  }

  get landing(): Landing {
    return { segment: this.#segment, inputs: this.#inputs };
  }

  /** The whole state as it stands; most of it is as in an earlier one. */
  checkpoint(before: Checkpoint): Checkpoint {
    const at = positionOf(this.#machine);
    return { at, inputs: this.#inputs, state: this.#machine.saveBeside(before.state) };
  }

  isAt(place: Place): boolean {
    return isAtPlace(this.#machine, place);
  }

  /**
   * On to the first place with `until` instructions, but no further than `budget` instructions from here.
   * Throws `HistoryError` if the machine does not do as it did.
   */
  run(until: bigint, budget: number): 'there' | 'more' | Hit {
    const machine = this.#machine;
    const end = machine.icount + BigInt(budget);
    while (machine.icount < until) {
      if (machine.icount >= end) return 'more';
      const next = this.#nextInput();
      if (next !== undefined && next.at.icount <= machine.icount) {
        const hit = this.#approach(next);
        if (hit !== undefined) return hit;
        continue;
      }
      const most = [until, end, next?.at.icount ?? until].reduce((a, b) => (a < b ? a : b));
      const hit = this.#run({ budget: Number(most - machine.icount), skipIdle: true });
      if (hit !== undefined) return hit;
    }
    return 'there';
  }

  /** The smallest way on: an instruction, or the delivery of what interrupts. */
  step(): Hit | undefined {
    for (;;) {
      const next = this.#nextInput();
      if (next === undefined || next.at.icount > this.#machine.icount) {
        return this.#run({ budget: 1, step: true });
      }
      const isStep = next.kind === 'masked step' || !isAtPosition(this.#machine, next.at);
      const hit = this.#approach(next);
      if (isStep || hit !== undefined) return hit;
    }
  }

  #nextInput(): RecordedInput | undefined {
    return this.#segment.inputs[this.#inputs];
  }

  /** Brings the next input in, or goes towards it where no instruction lies between. */
  #approach(input: RecordedInput): Hit | undefined {
    const machine = this.#machine;
    if (!isAtPosition(machine, input.at)) return this.#towards(input);
    switch (input.kind) {
      case 'serial':
        machine.enterSerialInput(input.bytes);
        break;
      case 'idle':
        machine.skipIdle(input.ticks);
        break;
      case 'masked step': {
        const reason = this.#once({ budget: 1, step: true, maskInterrupts: true });
        if (reason.kind === 'breakpoint') return reason;
        this.#inputs += 1;
        return reason.kind === 'watchpoint' ? reason : undefined;
      }
    }
    this.#inputs += 1;
    return undefined;
  }

  #towards(input: RecordedInput): Hit | undefined {
    const machine = this.#machine;
    const { icount, ticks } = input.at;
    if (machine.icount > icount || machine.ticks > ticks) throw new HistoryError(DIVERGED);
    if (!machine.isHalted()) return this.#run({ budget: 1, step: true });
    // What is due comes now; if nothing wakes the CPU, time goes on to what comes next.
    this.#once({ budget: 0 });
    if (!machine.isHalted() || isAtPosition(machine, input.at)) return undefined;
    const waiting = this.#once({ budget: 1 });
    if (waiting.kind !== 'idle' || waiting.ticks === undefined) throw new HistoryError(DIVERGED);
    machine.skipIdle(waiting.ticks);
    this.#once({ budget: 0 });
    return undefined;
  }

  #run(options: Parameters<Machine['run']>[0]): Hit | undefined {
    const reason = this.#once(options);
    return reason.kind === 'breakpoint' || reason.kind === 'watchpoint' ? reason : undefined;
  }

  #once(options: Parameters<Machine['run']>[0]): StopReason {
    const before = this.#machine.icount;
    const reason = this.#machine.run({ ...options, passBreakpoint: this.#passes });
    this.#passes = reason.kind === 'breakpoint';
    this.#fruitless = this.#machine.icount === before ? this.#fruitless + 1 : 0;
    if (this.#fruitless > MOST_FRUITLESS_TURNS) throw new HistoryError(DIVERGED);
    return reason;
  }
}

export const DIVERGED = 'the machine does not do again what it did: this part of the past is lost';
