/**
 * How long an idle guest must sleep so that its time goes no faster than the wall clock. Busy guests
 * are not held back; they may have run ahead of the clock or fallen behind, so sleeping makes up for
 * small differences and forgets large ones (a guest that was busy for seconds must not then sleep
 * or race for seconds).
 */
const FORGIVEN_MS = 50;
const TICKS_PER_MS = 1e6;

export class WallClockPacing {
  readonly #now: () => number;
  #wallMs = 0;
  #ticks = 0n;

  /** `now`: milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** The guest's time and the clock's are equal now. */
  start(ticks: bigint): void {
    this.#wallMs = this.#now();
    this.#ticks = ticks;
  }

  /** Milliseconds until the clock has come to `ticks` + `idleTicks`; 0 or less: it is there. */
  untilDue(ticks: bigint, idleTicks: bigint): number {
    return this.#aheadMs(ticks) + Number(idleTicks) / TICKS_PER_MS;
  }

  /** How many ticks of idleness the clock has already covered. */
  elapsedTicks(ticks: bigint): bigint {
    const behindMs = -this.#aheadMs(ticks);
    return behindMs <= 0 ? 0n : BigInt(Math.floor(behindMs * TICKS_PER_MS));
  }

  /** By how much virtual time is before the clock; an idle guest asks this before it sleeps. */
  #aheadMs(ticks: bigint): number {
    return Number(ticks - this.#ticks) / TICKS_PER_MS - (this.#now() - this.#wallMs);
  }

  /** Call when the guest becomes idle: differences beyond what is made up for are forgotten. */
  settle(ticks: bigint): void {
    if (Math.abs(this.#aheadMs(ticks)) > FORGIVEN_MS) this.start(ticks);
  }
}
