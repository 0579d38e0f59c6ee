/**
 * There is one machine and at most one debugger: whoever holds the seat. Monitor clients look on
 * without it.
 */
export class DebuggerSeat {
  /** What whoever comes too late is told: one line. */
  readonly refusal: string;
  private holder: object | undefined;

  constructor(refusal = 'another debugger is attached to this machine: detach it first') {
    this.refusal = refusal;
  }

  /** False: somebody else is the debugger. Taking it twice is taking it once. */
  take(who: object): boolean {
    this.holder ??= who;
    return this.holder === who;
  }

  get isFree(): boolean {
    return this.holder === undefined;
  }

  release(who: object): void {
    if (this.holder === who) this.holder = undefined;
  }

  isHeldBy(who: object): boolean {
    return this.holder === who;
  }

  isFreeFor(who: object): boolean {
    return this.holder === undefined || this.holder === who;
  }
}
