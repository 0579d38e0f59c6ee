/**
 * The virtual clock itself: counted time and the events that devices arm on it. The machine asks
 * it how many instructions may run before the next event, runs them, and calls `fireDue`.
 */
import type { Clock } from './virtual-clock.ts';
import { TICKS_PER_INSTRUCTION, TICKS_PER_SECOND } from './virtual-clock.ts';

/** What is due is done at the next instruction boundary. */
const MOST_OVERDUE_TICKS = TICKS_PER_SECOND;

interface ArmedEvent {
  readonly name: string;
  readonly at: bigint;
  /** Counts armings: among events of equal time the one armed first fires first. */
  readonly order: number;
  /** Absent between `load` and the moment when the owner arms the event again. */
  readonly action: (() => void) | undefined;
}

export interface SavedClock {
  readonly skippedTicks: bigint;
  readonly nextOrder: number;
  readonly events: readonly {
    readonly name: string;
    readonly at: bigint;
    readonly order: number;
  }[];
}

export class VirtualClock implements Clock {
  readonly #instructionCount: () => bigint;
  readonly #onNextEventChange: () => void;
  readonly #events = new Map<string, ArmedEvent>();
  #first: ArmedEvent | undefined;
  #skippedTicks = 0n;
  #nextOrder = 0;

  /**
   * `instructionCount` gives the instructions retired since power-on, exact at the instruction that
   * asks. `onNextEventChange` is called whenever `nextEventAt` has changed: an OUT that arms a timer
   * in the midst of a slice must shorten that slice.
   */
  constructor(instructionCount: () => bigint, onNextEventChange: () => void = () => undefined) {
    this.#instructionCount = instructionCount;
    this.#onNextEventChange = onNextEventChange;
  }

  now(): bigint {
    return this.#instructionCount() * TICKS_PER_INSTRUCTION + this.#skippedTicks;
  }

  schedule(name: string, at: bigint, action: () => void): void {
    const old = this.#events.get(name);
    // Loading a snapshot: the owner gives the event its action back; its place in the order stays.
    const isRestored = old !== undefined && old.action === undefined && old.at === at;
    const order = isRestored ? old.order : this.#nextOrder++;
    this.#events.set(name, { name, at, order, action });
    this.#findFirst();
  }

  cancel(name: string): void {
    if (this.#events.delete(name)) this.#findFirst();
  }

  /** The time of the earliest armed event, in ticks; it may lie in the past if it is due. */
  nextEventAt(): bigint | undefined {
    return this.#first?.at;
  }

  /**
   * Runs every event that is due, in order of time, then of arming; also those that these arm, as
   * long as they are due. A periodic device must re-arm later than the event that fired.
   */
  fireDue(): void {
    const now = this.now();
    for (let event = this.#first; event !== undefined && event.at <= now; event = this.#first) {
      if (event.action === undefined) {
        throw new Error(`event ${event.name} was restored but its device did not arm it again`);
      }
      this.#events.delete(event.name);
      this.#findFirst();
      event.action();
    }
  }

  /** Lets time pass without instructions, as HLT does. The caller fires what becomes due. */
  skip(ticks: bigint): void {
    if (ticks < 0n) throw new RangeError(`time cannot go back by ${-ticks} ticks`);
    this.#skippedTicks += ticks;
  }

  /** Instructions that must retire before the time is at least `at`; 0 when it already is. */
  instructionsUntil(at: bigint): bigint {
    const ticks = at - this.now();
    return ticks <= 0n ? 0n : (ticks + TICKS_PER_INSTRUCTION - 1n) / TICKS_PER_INSTRUCTION;
  }

  save(): SavedClock {
    const events = [...this.#events.values()].map(({ name, at, order }) => ({ name, at, order }));
    return { skippedTicks: this.#skippedTicks, nextOrder: this.#nextOrder, events };
  }

  /**
   * Restores time and the order of events. Must come before the devices' `load`, which arms each
   * event again; functions cannot be saved.
   */
  load(saved: SavedClock): void {
    this.#skippedTicks = saved.skippedTicks;
    this.#nextOrder = saved.nextOrder;
    this.#events.clear();
    for (const event of saved.events) this.#events.set(event.name, { ...event, action: undefined });
    this.#findFirst();
  }

  /**
   * After the devices' `load`: throws an Error for an event that no device has armed again, or that is
   * long past. No machine saves either, and all that a device missed would be made up one by one.
   */
  checkRestored(): void {
    const earliest = this.now() - MOST_OVERDUE_TICKS;
    for (const { name, at, action } of this.#events.values()) {
      if (action === undefined) throw new Error(`clock: no device has armed ${name}`);
      if (at < earliest) throw new Error(`clock: ${name} is long past`);
    }
  }

  #findFirst(): void {
    let first: ArmedEvent | undefined;
    for (const event of this.#events.values()) {
      if (first === undefined || isBefore(event, first)) first = event;
    }
    const hasChanged = first?.at !== this.#first?.at;
    this.#first = first;
    if (hasChanged) this.#onNextEventChange();
  }
}

function isBefore(left: ArmedEvent, right: ArmedEvent): boolean {
  return left.at === right.at ? left.order < right.order : left.at < right.at;
}
