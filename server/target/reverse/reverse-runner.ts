/**
 * Carries out `bs` and `bc`, a slice at a time: searches, and when it has found takes the machine there.
 * Given up before, it leaves the machine where it was.
 */
import {
  HistoryError,
  type Landing,
  type Machine,
  type RecordedMachine,
  type Retrospect,
  type Search,
} from '../../../machine/index.ts';
import type { RunEnd, SliceResult } from '../plan-runner.ts';
import type { ReverseAction, ThreadNumber } from '../target.ts';

export interface ReverseParts {
  readonly machine: RecordedMachine;
  readonly replica: Machine;
  readonly retrospect: Retrospect;
  readonly action: ReverseAction;
  /** Not so with processes as inferiors. */
  readonly isPossible: boolean;
  /** The machine is somewhere else now. */
  readonly onTravel: () => void;
  readonly currentThread: () => ThreadNumber;
}

export class ReverseRunner {
  readonly #parts: ReverseParts;
  readonly #search: Search | undefined;

  constructor(parts: ReverseParts) {
    this.#parts = parts;
    const { machine, retrospect, action } = parts;
    const { present } = machine;
    const search = action === 'step' ? 'stepBefore' : 'lastStop';
    this.#search = present && retrospect[search](present);
  }

  get reportedThread(): ThreadNumber {
    return this.#parts.currentThread();
  }

  runSlice(): SliceResult {
    const end = this.#go();
    if (end === undefined) return { kind: 'more' };
    return { kind: 'ended', end, thread: this.#parts.currentThread() };
  }

  /** There is nothing to take back. */
  dispose(): void {}

  #go(): RunEnd | undefined {
    if (!this.#parts.isPossible) {
      const message = 'the machine goes back as a whole: not with processes as inferiors\n';
      return { kind: 'history-begin', message };
    }
    try {
      const result = this.#search?.next();
      if (result !== undefined && result.done !== true) return undefined;
      const found = result?.value;
      if (found === undefined) return this.#toTheBegin();
      this.#travel(found.landing);
      return found.hit ?? { kind: 'step' };
    } catch (error) {
      if (!(error instanceof HistoryError)) throw error;
      return { kind: 'history-begin', message: `${error.message}\n` };
    }
  }

  /** Who goes back without a stop comes to where the past begins. */
  #toTheBegin(): RunEnd {
    const landing = this.#parts.action === 'continue' ? this.#parts.retrospect.begin() : undefined;
    if (landing !== undefined) this.#travel(landing);
    return { kind: 'history-begin' };
  }

  #travel(landing: Landing): void {
    this.#parts.machine.travel(landing, this.#parts.replica.save());
    this.#parts.onTravel();
  }
}
