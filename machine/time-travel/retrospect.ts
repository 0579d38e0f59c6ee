/**
 * Looks for a place in the past, on a machine of its own: the step before a place, or the last stop. A
 * search is long: it is a generator that pauses now and then, and may be given up at each pause.
 */
import type { Machine } from '../machine.ts';
import {
  HistoryError,
  type Checkpoint,
  type History,
  type Landing,
  type Segment,
} from './history.ts';
import { placeOf, type Place } from './position.ts';
import { DIVERGED, Replayer, type Hit } from './replayer.ts';

/** Instructions from one pause to the next, and from one to the next stop that is counted. */
const PAUSE_INSTRUCTIONS = 200_000;
const HITS_PER_PAUSE = 1000;
/** A whole state is kept so far before the goal of a search that came from further away. */
const NEARBY_INSTRUCTIONS = 20_000n;
/** States on the way to it: each at a quarter of the distance of the one before. */
const DISTANCE_RATIO = 4n;
/** From here on a search for a stop keeps such states first: half a second's run. */
const FAR_INSTRUCTIONS = 50_000_000n;
/** Steps from one instruction to the next: deliveries of faults. */
const MOST_STEPS = 100_000;

export interface Found {
  readonly landing: Landing;
  /** Absent: no breakpoint or watchpoint, the step before. */
  readonly hit?: Hit;
}

/** Undefined: the past that is known begins here. */
export type Search = Generator<undefined, Found | undefined>;

/** A place in a segment of the past. */
interface Whereabouts {
  readonly segment: number;
  readonly place: Place;
}

/** What replays, and its breakpoints and watchpoints. */
export interface Replica {
  readonly machine: Machine;
  setStops(areSet: boolean): void;
  /** The stop that was looked for is this one; the machine stands where it was told. */
  stopped(hit: Hit): void;
}

export class Retrospect {
  readonly #history: History;
  readonly #replica: Replica;

  constructor(history: History, replica: Replica) {
    this.#history = history;
    this.#replica = replica;
  }

  /** The step before `place`, where the machine stands. */
  *stepBefore(place: Place): Search {
    const landing = yield* this.#before({ segment: this.#history.segments.length - 1, place });
    return landing && { landing };
  }

  /** The last breakpoint before `place`, or the access before that a watchpoint saw last. */
  *lastStop(place: Place): Search {
    let end: Place | bigint | undefined = place;
    for (let index = this.#history.segments.length - 1; index >= 0; index--) {
      const segment = this.#segment(index);
      end ??= segment.end;
      if (typeof end === 'object') yield* this.#comeNearer(segment, end);
      for (const checkpoint of beforeOrAll(segment, end).toReversed()) {
        if (end === undefined) break;
        const found = yield* this.#lastIn(index, checkpoint, end);
        if (found !== undefined) return found;
        end = checkpoint.at.icount;
      }
      end = undefined;
    }
    return undefined;
  }

  /** The place to be when there is nothing before. */
  begin(): Landing | undefined {
    const [segment] = this.#history.segments;
    const origin = segment?.checkpoints[0];
    if (segment === undefined || origin === undefined) return undefined;
    return new Replayer(this.#replica.machine, segment, origin).landing;
  }

  #segment(index: number): Segment {
    const segment = this.#history.segments[index];
    if (segment === undefined) throw new HistoryError('nothing of the past is known');
    return segment;
  }

  *#before({ segment: index, place }: Whereabouts): Generator<undefined, Landing | undefined> {
    const segment = this.#segment(index);
    this.#replica.setStops(false);
    const checkpoint = beforeOrAll(segment, place).at(-1)!;
    const goal = place.icount - 1n;
    yield* this.#keepStatesNear(segment, checkpoint, goal);
    const steps = yield* this.#stepsTo(index, goal, place);
    if (steps > 0) return yield* this.#replay(segment, goal, steps - 1);
    const before = index === 0 ? undefined : this.#segment(index - 1).end;
    return before && (yield* this.#before({ segment: index - 1, place: before }));
  }

  /** How many steps it is from the first place with `goal` instructions to `place`. */
  *#stepsTo(index: number, goal: bigint, place: Place): Generator<undefined, number> {
    const segment = this.#segment(index);
    const replayer = yield* this.#runTo(segment, goal);
    for (let steps = 0; ; steps++) {
      if (replayer.isAt(place)) return steps;
      if (this.#replica.machine.icount > place.icount || steps > MOST_STEPS) {
        throw new HistoryError(DIVERGED);
      }
      replayer.step();
    }
  }

  *#replay(segment: Segment, goal: bigint, steps: number): Generator<undefined, Landing> {
    const replayer = yield* this.#runTo(segment, goal);
    for (let count = 0; count < steps; count++) replayer.step();
    return replayer.landing;
  }

  *#runTo(segment: Segment, goal: bigint): Generator<undefined, Replayer> {
    const checkpoint = beforeOrAll(segment, goal + 1n).at(-1)!;
    const replayer = new Replayer(this.#replica.machine, segment, checkpoint);
    while (replayer.run(goal, PAUSE_INSTRUCTIONS) === 'more') yield;
    return replayer;
  }

  /** What is looked for is mostly near: then the long way to the present is gone once, not for each stop. */
  *#comeNearer(segment: Segment, end: Place): Generator<undefined, void> {
    const checkpoint = beforeOrAll(segment, end).at(-1)!;
    if (end.icount - checkpoint.at.icount < FAR_INSTRUCTIONS) return;
    this.#replica.setStops(false);
    yield* this.#keepStatesNear(segment, checkpoint, end.icount - 1n);
  }

  /** Who steps back once does it again, and goes further back: the next time it is not far. */
  *#keepStatesNear(segment: Segment, from: Checkpoint, goal: bigint): Generator<undefined, void> {
    const least = 10n * NEARBY_INSTRUCTIONS;
    let distance = goal - from.at.icount;
    if (distance < least + NEARBY_INSTRUCTIONS) return;
    const replayer = new Replayer(this.#replica.machine, segment, from);
    let last = from;
    while (distance > NEARBY_INSTRUCTIONS) {
      distance = distance > least ? distance / DISTANCE_RATIO : 0n;
      if (distance < NEARBY_INSTRUCTIONS) distance = NEARBY_INSTRUCTIONS;
      while (replayer.run(goal - distance, PAUSE_INSTRUCTIONS) === 'more') yield;
      if (!this.#history.hasRoomFor(this.#replica.machine.savedBytes())) return;
      last = replayer.checkpoint(last);
      this.#history.keep(segment, last);
    }
  }

  /** The last stop from a checkpoint on, before a place or before any place with so many instructions. */
  *#lastIn(index: number, from: Checkpoint, end: Place | bigint): Search {
    const segment = this.#segment(index);
    this.#replica.setStops(true);
    let last: Hit | undefined;
    let count = 0;
    for (const hit of this.#hits(segment, from, end)) {
      if (hit === 'pause') yield;
      else [last, count] = [hit, count + 1];
    }
    if (last === undefined) return undefined;
    let seen = 0;
    let landing: Landing | undefined;
    const again = this.#hits(segment, from, end, (replayer) => (landing = replayer.landing));
    for (const hit of again) {
      if (hit === 'pause') yield;
      else if (++seen === count) break;
    }
    if (landing === undefined || seen !== count) throw new HistoryError(DIVERGED);
    this.#replica.stopped(last);
    if (last.kind === 'breakpoint') return { landing, hit: last };
    // A watchpoint is told when the access is done: back to where it is about to be made.
    const place = placeOf(this.#replica.machine);
    const before = yield* this.#before({ segment: index, place });
    return before && { landing: before, hit: last };
  }

  *#hits(
    segment: Segment,
    from: Checkpoint,
    end: Place | bigint,
    onHit?: (replayer: Replayer) => void,
  ): Generator<Hit | 'pause'> {
    const replayer = new Replayer(this.#replica.machine, segment, from);
    let sincePause = 0;
    const goal = typeof end === 'bigint' ? end : end.icount - 1n;
    for (;;) {
      const result = replayer.run(goal, PAUSE_INSTRUCTIONS);
      if (result === 'there') break;
      if (result === 'more') yield 'pause';
      else {
        onHit?.(replayer);
        yield result;
        if (++sincePause % HITS_PER_PAUSE === 0) yield 'pause';
      }
    }
    if (typeof end === 'bigint') return;
    for (let steps = 0; !replayer.isAt(end); steps++) {
      if (this.#replica.machine.icount > end.icount || steps > MOST_STEPS) {
        throw new HistoryError(DIVERGED);
      }
      const hit = replayer.step();
      if (hit === undefined) continue;
      onHit?.(replayer);
      yield hit;
    }
  }
}

/** The checkpoints that come before a place; the origin in any case. */
function beforeOrAll(segment: Segment, end: Place | bigint | undefined): readonly Checkpoint[] {
  const icount = typeof end === 'object' ? end.icount : end;
  return segment.checkpoints.filter(
    ({ at }, index) => index === 0 || icount === undefined || at.icount < icount,
  );
}
