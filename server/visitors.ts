/**
 * Who is connected, and who has to go when there are too many: a debugger must always get in. Port
 * scanners, editors that look whether the port is open and clients that hang say nothing; they would
 * fill the listener. A connection that says nothing for a while goes by itself; when the house is full
 * the one goes that has been unheard for longest, those that never spoke first, the debugger never.
 */

/** Beside the first debugger: a few monitor clients are all that is needed. */
const MOST_OTHERS = 63;
/** Every client speaks as soon as it is connected; a person with netcat takes a moment. */
const SILENCE_MS = 30_000;

export interface Visitor {
  /** It is the debugger. */
  readonly isWanted: boolean;
  sendAway(why: string): void;
}

export class Visitors<V extends Visitor> {
  /** Those that have never spoken, with the end of our patience; who came first is first. */
  private readonly silent = new Map<V, NodeJS.Timeout>();
  /** By the time when they were last heard, longest ago first. */
  private readonly talking = new Set<V>();
  private readonly silenceMs: number;
  private readonly mostVisitors: number;

  /** `debuggers`: how many there may be at once. */
  constructor(silenceMs = SILENCE_MS, debuggers = 1) {
    this.silenceMs = silenceMs;
    this.mostVisitors = MOST_OTHERS + debuggers;
  }

  get present(): readonly V[] {
    return [...this.silent.keys(), ...this.talking];
  }

  enter(visitor: V): void {
    if (this.silent.size + this.talking.size >= this.mostVisitors) this.makeRoom();
    const patience = setTimeout(() => {
      this.sendAway(visitor, 'it says nothing');
    }, this.silenceMs);
    this.silent.set(visitor, patience.unref());
  }

  hasSpoken(visitor: V): void {
    clearTimeout(this.silent.get(visitor));
    this.silent.delete(visitor);
    this.talking.delete(visitor);
    this.talking.add(visitor);
  }

  leave(visitor: V): void {
    clearTimeout(this.silent.get(visitor));
    this.silent.delete(visitor);
    this.talking.delete(visitor);
  }

  private makeRoom(): void {
    const victim = this.present.find(({ isWanted }) => !isWanted);
    if (victim !== undefined) this.sendAway(victim, 'there are too many');
  }

  private sendAway(visitor: V, why: string): void {
    this.leave(visitor);
    visitor.sendAway(why);
  }
}
