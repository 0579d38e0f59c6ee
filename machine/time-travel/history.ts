/**
 * What is known of a machine's past: what came from outside and where, and whole states to begin from.
 * Everything else follows, as the machine is deterministic.
 *
 *     segment ──────────────────────────────┐ a debugger wrote ┌ segment ────────────
 *     origin   checkpoint     checkpoint   end                origin        the present
 *       ●──i───i──●───────i──────●───i──────●                    ●──────i─────┤
 *                                                        i: an input
 *
 * What a debugger writes is not recorded: there a segment ends and another begins with a whole state.
 * A machine that has been taken back repeats the inputs that came after, at the same places, and does
 * as it did; when it is given something else, what was to come is forgotten.
 */
import { bytesOf, type CheckpointState } from './checkpoint-state.ts';
import type { Place, Position } from './position.ts';

export type RecordedInput = { readonly at: Position } & (
  | { readonly kind: 'serial'; readonly bytes: Uint8Array }
  /** So much of the time to the next event passed for a halted CPU before something else came. */
  | { readonly kind: 'idle'; readonly ticks: bigint }
  /** A single step for which no interrupt was delivered. */
  | { readonly kind: 'masked step' }
);

export interface Checkpoint {
  readonly at: Position;
  /** How many of the segment's inputs came before. */
  readonly inputs: number;
  /** Absent: power-on. */
  readonly state?: CheckpointState;
}

export interface Segment {
  /** In order, the origin first. */
  checkpoints: Checkpoint[];
  inputs: RecordedInput[];
  /** Where it ended; absent: it is the last. */
  end?: Place;
}

/** A place in the past, reached on another machine. */
export interface Landing {
  readonly segment: Segment;
  /** How many of its inputs came before. */
  readonly inputs: number;
}

/** The past cannot be repeated: one line says why. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';
}

/** How much is kept. */
export interface HistoryLimits {
  /** With more inputs the past is forgotten. */
  readonly inputs: number;
  /** Whole states, and the bytes of the host's memory that they may take together. */
  readonly states: number;
  readonly stateBytes: number;
}

const LIMITS: HistoryLimits = { inputs: 200_000, states: 48, stateBytes: 256 * 2 ** 20 };
/** The last states of a segment stay when others go, as long as memory lasts. */
const LATEST_CHECKPOINTS = 8;

export class History {
  segments: Segment[] = [];
  readonly #limits: HistoryLimits;
  /** How many inputs of the last segment are behind the machine. */
  #cursor = 0;
  /** Up to where the machine has been before. */
  #furthest = 0n;

  constructor(limits: Partial<HistoryLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits };
  }

  get last(): Segment | undefined {
    return this.segments.at(-1);
  }

  /** What comes next from outside, when the machine goes where it has been. */
  get nextInput(): RecordedInput | undefined {
    return this.last?.inputs[this.#cursor];
  }

  /** Whether the machine has been where it is now, or there are inputs to come. */
  isPast(icount: bigint): boolean {
    return icount < this.#furthest || this.nextInput !== undefined;
  }

  /** How many instructions it is to the next input, or to where the machine has not been yet. */
  unchangingFrom(icount: bigint): bigint {
    const until = this.nextInput?.at.icount ?? this.#furthest;
    return until > icount ? until - icount : 0n;
  }

  /** The state kept last: the next one is much the same. */
  get latestState(): CheckpointState | undefined {
    return this.last?.checkpoints.at(-1)?.state;
  }

  /** A new segment, from a power-on (no state) or from a state that came about from outside. */
  begin(at: Position, state?: CheckpointState): void {
    const origin = { at, inputs: 0, ...(state === undefined ? {} : { state }) };
    this.segments.push({ checkpoints: [origin], inputs: [] });
    this.#spareMemory();
    this.#cursor = 0;
    this.#furthest = 0n;
  }

  /** From here on nothing follows from what was. */
  end(place: Place): void {
    const { last } = this;
    if (last !== undefined) last.end ??= place;
  }

  forget(): void {
    this.segments = [];
    this.#cursor = 0;
    this.#furthest = 0n;
  }

  /** What comes behind the end of a segment is in the state with which the next one begins. */
  add(input: RecordedInput): void {
    const { last } = this;
    if (last === undefined || last.end !== undefined) return;
    last.inputs.push(input);
    this.#cursor = last.inputs.length;
  }

  get isFull(): boolean {
    return this.segments.reduce((sum, { inputs }) => sum + inputs.length, 0) >= this.#limits.inputs;
  }

  /** The next input has been brought in again. */
  repeated(): void {
    this.#cursor += 1;
  }

  /** Whether a state of so many bytes would stay at all. */
  hasRoomFor(bytes: number): boolean {
    return bytes <= this.#limits.stateBytes;
  }

  checkpoint(at: Position, state: CheckpointState): void {
    const { last } = this;
    if (last === undefined) return;
    this.keep(last, { at, inputs: this.#cursor, state });
  }

  /** Keeps a whole state of a segment in the order of the run. */
  keep({ checkpoints }: Segment, kept: Checkpoint): void {
    const { icount } = kept.at;
    const index = checkpoints.findLastIndex(({ at }) => at.icount <= icount);
    if (index > 0 && checkpoints[index]?.at.icount === icount) return;
    checkpoints.splice(index + 1, 0, kept);
    this.#spareMemory();
  }

  /** Thins the states out, and forgets the oldest segments when that does not do. */
  #spareMemory(): void {
    for (;;) {
      const states = this.segments.flatMap(({ checkpoints }) =>
        checkpoints.flatMap(({ state }) => state ?? []),
      );
      if (states.length <= this.#limits.states && bytesOf(states) <= this.#limits.stateBytes)
        return;
      const thinned = this.segments.map(({ checkpoints }) => thin(checkpoints));
      const isThinner = thinned.some((kept, index) => {
        return kept.length < this.segments[index]!.checkpoints.length;
      });
      this.segments.forEach((segment, index) => (segment.checkpoints = thinned[index]!));
      if (isThinner) continue;
      if (this.segments.length > 1) this.segments.shift();
      else if (!this.#dropOldest()) return;
    }
  }

  /** False: only the state with which the past begins is left, without which there is none. */
  #dropOldest(): boolean {
    const { checkpoints } = this.segments[0]!;
    return checkpoints.splice(1, 1).length > 0;
  }

  /** What was to come will not: the machine has been given something else. */
  diverge(icount: bigint): void {
    const { last } = this;
    this.#furthest = 0n;
    if (last === undefined) return;
    last.inputs.length = this.#cursor;
    last.checkpoints = last.checkpoints.filter(
      ({ at, inputs }, index) => index === 0 || (at.icount <= icount && inputs <= this.#cursor),
    );
  }

  /** The machine is taken to a place in the past; `from`: where it stands. */
  goTo({ segment, inputs }: Landing, from: bigint): void {
    const index = this.segments.indexOf(segment);
    if (index < 0) throw new HistoryError('the past was forgotten while it was searched');
    const known = segment === this.last ? from : (segment.end?.icount ?? 0n);
    if (segment !== this.last || known > this.#furthest) this.#furthest = known;
    this.segments.length = index + 1;
    delete segment.end;
    this.#cursor = inputs;
  }
}

/** Every second one goes; the origin stays, and so do the latest, as most searches are for what was just now. */
function thin(checkpoints: readonly Checkpoint[]): Checkpoint[] {
  return checkpoints.filter((_, index) => {
    return index % 2 === 0 || index >= checkpoints.length - LATEST_CHECKPOINTS;
  });
}
