/**
 * Whether the event loop sleeps or polls for a client's next packet, which comes some ten microseconds
 * after a reply. Where client and server run on two cores, waking this process costs more than that, and
 * polling halves the round trip. Where they share a core, because the others are busy, polling keeps the
 * client from running and doubles it. Which it is only the scheduler knows, so both are tried from time
 * to time, and what was quicker is done (npm run bench, "round trip").
 */

/** Polling ends when the client has been silent for so long: it waits for its user. */
const AWAKE_MS = 1;
/** Exchanges in which one way is tried. */
const TRIAL = 16;
/** Exchanges that go the better way before both are tried again. */
const SETTLED = 1024;

type Phase = 'try polling' | 'try sleeping' | 'settled';

/** Learns from the time between replies and next packets, of all connections of a server. */
export class PollingChoice {
  #phase: Phase = 'try polling';
  #polls = true;
  #left = TRIAL;
  #times: number[] = [];
  #pollingMs = 0;

  get polls(): boolean {
    return this.#polls;
  }

  /** The client's next packet came `milliseconds` after the reply. */
  learn(milliseconds: number): void {
    // It waited for its user, or had work to do.
    if (milliseconds >= AWAKE_MS) return;
    if (this.#phase !== 'settled') this.#times.push(milliseconds);
    this.#left -= 1;
    if (this.#left === 0) this.#next();
  }

  #next(): void {
    const usualMs = median(this.#times);
    this.#times = [];
    switch (this.#phase) {
      case 'try polling':
        this.#pollingMs = usualMs;
        this.#enter('try sleeping', TRIAL, false);
        return;
      case 'try sleeping':
        this.#enter('settled', SETTLED, this.#pollingMs <= usualMs);
        return;
      case 'settled':
        this.#enter('try polling', TRIAL, true);
    }
  }

  #enter(phase: Phase, exchanges: number, polls: boolean): void {
    this.#phase = phase;
    this.#left = exchanges;
    this.#polls = polls;
  }
}

/** One long wait, when another process got the core, says nothing of the others. */
function median(times: readonly number[]): number {
  return [...times].sort((left, right) => left - right)[times.length >> 1] ?? 0;
}

/** One connection's. */
export class Wakefulness {
  readonly #choice: PollingChoice;
  #until = 0;
  #isAwake = false;
  /** When the last reply went; undefined once the client has spoken again. */
  #repliedAt: number | undefined;

  constructor(choice: PollingChoice) {
    this.#choice = choice;
  }

  /** A reply has gone: the client is likely to speak again soon. */
  replied(): void {
    this.#repliedAt = performance.now();
    this.#until = this.#choice.polls ? this.#repliedAt + AWAKE_MS : 0;
    if (this.#isAwake || !this.#choice.polls) return;
    this.#isAwake = true;
    this.#poll();
  }

  /** The client has spoken. */
  heard(): void {
    if (this.#repliedAt === undefined) return;
    this.#choice.learn(performance.now() - this.#repliedAt);
    this.#repliedAt = undefined;
  }

  #poll(): void {
    setImmediate(() => {
      if (performance.now() < this.#until) this.#poll();
      else this.#isAwake = false;
    });
  }
}
