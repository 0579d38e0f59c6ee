/**
 * What a machine has done, move by move, as a second machine saw it: the measure of going back in time.
 * Nothing of the recording that is tested is used here. The second machine makes each step by itself,
 * and is put back to one of its own states when it is asked for something earlier.
 *
 *     spots   0 ──step── 1 ──step── 2 ──write── 3 ──masked step── 4 ──serial── 5 ──step── 6
 *     states  ●                     ●           ●                                         ●
 */
import type { Machine, MachineState } from '../../machine/index.ts';
import { spotOf, textOf, type Spot } from './spot.ts';

/** A watchpoint as the machine takes it. */
export type Watch = readonly [
  linear: bigint,
  lengthBytes: number,
  kind: 'write' | 'read' | 'access',
];

export type Move =
  | { readonly kind: 'step'; readonly isMasked: boolean; readonly watches: readonly Watch[] }
  /** Time that passes for a halted CPU. */
  | { readonly kind: 'idle'; readonly ticks: bigint }
  | { readonly kind: 'serial'; readonly bytes: Uint8Array }
  /** What a debugger changes: nothing that came before leads to it. */
  | { readonly kind: 'write'; readonly write: (machine: Machine) => void };

/** Where a stop was met: it is told at one spot, and going back to it leads to another. */
export interface Meeting {
  readonly kind: 'breakpoint' | 'watchpoint';
  readonly told: number;
  readonly landing: number;
  /** An interrupt may have come first, or the instruction with the breakpoint was begun before. */
  readonly isDoubtful: boolean;
}

export interface Stops {
  readonly breakpoints: ReadonlySet<bigint>;
  readonly watches: readonly Watch[];
}

const MOST_MOVES_OF_A_RUN = 40_000;

export class Timeline {
  readonly spots: Spot[] = [];
  readonly moves: Move[] = [];
  readonly #shadow: Machine;
  readonly #states = new Map<number, MachineState>();
  #at = 0;
  /** Those of the second machine's that stop it now. */
  #watches: readonly Watch[] = [];

  /** Begins where the machine `shadow` stands. */
  constructor(shadow: Machine) {
    this.#shadow = shadow;
    this.spots.push(spotOf(shadow));
    this.keepState();
  }

  get end(): number {
    return this.moves.length;
  }

  /** Keeps the whole state of the end. */
  keepState(): void {
    this.goTo(this.end);
    this.#states.set(this.end, this.#shadow.save());
  }

  /** The whole state at a spot, as text. */
  textAt(index: number): string {
    this.goTo(index);
    return textOf(this.#shadow);
  }

  /** The spot, from one on, at which the whole state is this. */
  find(spot: Spot, text: string, from: number): number | undefined {
    for (let index = from; index <= this.end; index++) {
      const isCandidate = this.spots[index]!.key === spot.key;
      if (isCandidate && this.textAt(index) === text) return index;
    }
    return undefined;
  }

  truncate(end: number): void {
    this.moves.length = end;
    this.spots.length = end + 1;
    for (const index of this.#states.keys()) if (index > end) this.#states.delete(index);
    this.goTo(end);
  }

  add(move: Move): void {
    this.goTo(this.end);
    this.#make(move);
    this.moves.push(move);
    this.spots.push(spotOf(this.#shadow));
    this.#at = this.end;
  }

  /**
   * Goes on to a state nobody has seen; false: it does not come. A guest that faults for ever may come to the
   * same spot again and again, each time with more on its stack.
   */
  extendTo(spot: Spot, text: string, watches: readonly Watch[]): boolean {
    this.goTo(this.end);
    for (let count = 0; count < MOST_MOVES_OF_A_RUN; count++) {
      const here = this.spots[this.end]!;
      if (here.key === spot.key && this.textAt(this.end) === text) return true;
      if (here.icount > spot.icount || here.ticks > spot.ticks) return false;
      this.add(this.#waitFor(spot) ?? { kind: 'step', isMasked: false, watches });
    }
    return false;
  }

  /** All meetings with these stops on the way from one spot to another. */
  meetings(stops: Stops, from: number, to: number): Meeting[] {
    this.goTo(from);
    const found: Meeting[] = [];
    for (let index = from; index < to; index++) {
      const move = this.moves[index]!;
      if (move.kind !== 'step') {
        this.#make(move);
        continue;
      }
      const isAtBreakpoint = stops.breakpoints.has(this.spots[index]!.linear);
      const watched = this.#stepWith(move, stops.watches);
      const hasRetired = this.#shadow.icount > this.spots[index]!.icount;
      // A watchpoint of now has stopped before what was delivered at the end of this step.
      if (watched !== 'no' && spotOf(this.#shadow).key !== this.spots[index + 1]!.key) {
        this.#shadow.run({ budget: 0 });
      }
      const [landing, told] = [index, index + 1];
      if (isAtBreakpoint) {
        const isDoubtful = !hasRetired || this.#isRepeated(index);
        found.push({ kind: 'breakpoint', told: index, landing, isDoubtful });
      }
      if (watched === 'no') continue;
      found.push({ kind: 'watchpoint', told, landing, isDoubtful: watched === 'perhaps' });
    }
    this.#at = to;
    const isSame = spotOf(this.#shadow).key === this.spots[to]!.key;
    if (!isSame) throw new Error('the second machine does not do as it did');
    return found;
  }

  /** The spots where nothing lies between but what came from outside. */
  sameAs(index: number): readonly number[] {
    let first = index;
    while (first > 0 && isFromOutside(this.moves[first - 1]!)) first--;
    return Array.from({ length: index - first + 1 }, (_, offset) => first + offset);
  }

  /** The last step made before a spot; undefined: there was none. */
  stepBefore(index: number): number | undefined {
    const step = this.moves.slice(0, index).findLastIndex(({ kind }) => kind === 'step');
    return step < 0 ? undefined : step;
  }

  /** The same, and those before it as long as they led to the same place: a fault that comes again. */
  stepsBefore(index: number): readonly number[] {
    const steps: number[] = [];
    const { place } = this.spots[index]!;
    for (let at: number | undefined = index; at !== undefined && this.spots[at]!.place === place;) {
      at = this.stepBefore(at);
      if (at !== undefined) steps.push(at);
    }
    return steps;
  }

  /**
   * An instruction has faulted and control is there again. Inputs are recorded by instructions and rip, and
   * one given here is repeated before the fault, which nobody can tell.
   */
  isFaultingAgain(index: number): boolean {
    const { icount, linear } = this.spots[index]!;
    const before = this.spots[this.stepBefore(index) ?? -1];
    return before?.icount === icount && before.linear === linear;
  }

  /** The spot from one on behind the last that came from outside. */
  afterInputs(index: number): number {
    const isInput = (move: Move): boolean => move.kind !== 'step' || move.isMasked;
    return Math.max(index, this.moves.findLastIndex(isInput) + 1);
  }

  /** The first spot from one on at which a debugger changed something, or the end. */
  endOfSegment(index: number): number {
    const write = this.moves.findIndex((move, at) => at >= index && move.kind === 'write');
    return write < 0 ? this.end : write;
  }

  /** Puts the second machine to a spot. */
  goTo(index: number): void {
    if (this.#at > index || this.#isFar(index)) {
      const from = Math.max(...[...this.#states.keys()].filter((kept) => kept <= index));
      this.#shadow.restore(this.#states.get(from)!);
      this.#at = from;
    }
    while (this.#at < index) this.#make(this.moves[this.#at++]!);
  }

  /** Perhaps between two elements of a repeated string instruction. */
  #isRepeated(index: number): boolean {
    const { linear } = this.spots[index]!;
    const before = this.sameAs(index)[0]! - 1;
    if (this.moves[before]?.kind !== 'step' || this.spots[before]!.linear !== linear) return false;
    return this.#shadow.readLinear(linear, 3).some((byte) => byte === 0xf2 || byte === 0xf3);
  }

  #isFar(index: number): boolean {
    return [...this.#states.keys()].some((kept) => kept > this.#at && kept <= index);
  }

  /** Part of the time that a halted CPU waits. */
  #waitFor(spot: Spot): Move | undefined {
    const here = this.spots[this.end]!;
    if (!this.#shadow.isHalted() || here.place !== spot.place) return undefined;
    return { kind: 'idle', ticks: spot.ticks - here.ticks };
  }

  /** A step with watchpoints of now beside those of then, of which only the first one met is told. */
  #stepWith(move: Move & { kind: 'step' }, watches: readonly Watch[]): 'yes' | 'no' | 'perhaps' {
    let met = 0;
    const see = (): boolean => ++met > 0;
    const keys = watches.map(String);
    const others = move.watches.filter((watch) => !keys.includes(String(watch)));
    this.#setWatches(others);
    for (const watch of watches) this.#shadow.addWatchpoint(...watch, see);
    const hasStopped = this.#make({ ...move, watches: others });
    for (const watch of watches) this.#shadow.removeWatchpoint(...watch);
    if (met > 0) return 'yes';
    return hasStopped && watches.length > 0 ? 'perhaps' : 'no';
  }

  /** True: a watchpoint was met. */
  #make(move: Move): boolean {
    const machine = this.#shadow;
    switch (move.kind) {
      case 'serial':
        machine.enterSerialInput(move.bytes);
        return false;
      case 'idle':
        // What is due comes first.
        machine.run({ budget: 0 });
        if (machine.isHalted()) machine.skipIdle(move.ticks);
        return false;
      case 'write':
        move.write(machine);
        return false;
      case 'step': {
        this.#setWatches(move.watches);
        const maskInterrupts = move.isMasked;
        return machine.run({ budget: 1, step: true, maskInterrupts }).kind === 'watchpoint';
      }
    }
  }

  #setWatches(watches: readonly Watch[]): void {
    if (String(watches) === String(this.#watches)) return;
    for (const watch of this.#watches) this.#shadow.removeWatchpoint(...watch);
    for (const watch of watches) this.#shadow.addWatchpoint(...watch);
    this.#watches = watches;
  }
}

function isFromOutside({ kind }: Move): boolean {
  return kind === 'serial' || kind === 'idle';
}
