/**
 * Moments of the machine that its user keeps and goes back to (`monitor snapshot`): the whole machine to
 * the bit, and with it what the server has learned of the run up to there, so that the log of forks and
 * the frames of its own trace are those of the run that goes on, not of the one that is given up.
 *
 * In memory only, and bounded: each has a copy of all pages that are not zero.
 */
import type { MachineControl, MachineState, MachineView } from '../../machine/index.ts';

const MOST_STATES = 16;
const MEBIBYTE = 2 ** 20;
/** CPU, devices and TLB, about. */
const CORE_BYTES = 64 * 1024;

export interface KeptState {
  readonly name: string;
  readonly icount: bigint;
  readonly rip: bigint;
  readonly bytes: number;
}

/** What cannot be kept or found: one line for the user. */
export class KeptStateError extends Error {
  override readonly name = 'KeptStateError';
}

/** What the server knows of a run and the machine does not hold. */
export interface Recollection {
  readonly bytes: number;
  /** The machine is back: makes the server know what it knew then. */
  readonly recall: () => void;
}

export interface KeptStatesParts {
  readonly machine: Pick<MachineView, 'icount' | 'readRegister'> &
    Required<Pick<MachineControl, 'save' | 'savedBytes' | 'restore'>>;
  /** Of all that are kept together. */
  readonly mostBytes: number;
  readonly recollect: () => Recollection;
  /** The machine is about to go back. Throws `KeptStateError` where it must not now. */
  readonly leave: () => void;
}

/** A machine of somebody else's may have none of it. */
export function canBeKept<Machine extends Pick<MachineControl, 'save' | 'savedBytes' | 'restore'>>(
  machine: Machine,
): machine is Machine & Required<Pick<MachineControl, 'save' | 'savedBytes' | 'restore'>> {
  const { save, savedBytes, restore } = machine;
  return save !== undefined && savedBytes !== undefined && restore !== undefined;
}

interface Kept extends KeptState {
  readonly state: MachineState;
  readonly recollection: Recollection;
}

export class KeptStates {
  readonly #parts: KeptStatesParts;
  readonly #kept = new Map<string, Kept>();

  constructor(parts: KeptStatesParts) {
    this.#parts = parts;
  }

  /** The oldest first. */
  get list(): readonly KeptState[] {
    return [...this.#kept.values()];
  }

  /** In place of one that has the name. Not from within a run. Throws `KeptStateError`. */
  save(name: string): KeptState {
    const { machine, recollect, mostBytes } = this.#parts;
    const isNew = !this.#kept.has(name);
    if (isNew && this.#kept.size >= MOST_STATES) {
      throw new KeptStateError(`there are ${MOST_STATES} already: drop one`);
    }
    const recollection = recollect();
    const bytes = CORE_BYTES + machine.savedBytes() + recollection.bytes;
    const others = this.list.filter((kept) => kept.name !== name);
    const used = others.reduce((sum, kept) => sum + kept.bytes, 0);
    if (used + bytes > mostBytes) {
      throw new KeptStateError(
        `it takes ${mebibytes(bytes)}, and of ${mebibytes(mostBytes)} for all ${mebibytes(used)} are used: drop one`,
      );
    }
    const rip = machine.readRegister('rip') ?? 0n;
    const kept = { name, icount: machine.icount, rip, bytes, state: machine.save(), recollection };
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    return kept;
  }

  /** Goes back to one, which stays. Not from within a run. Throws `KeptStateError`. */
  load(name: string): KeptState {
    const kept = this.#find(name);
    this.#parts.leave();
    this.#parts.machine.restore(kept.state);
    kept.recollection.recall();
    return kept;
  }

  /** Throws `KeptStateError`. */
  drop(name: string): void {
    this.#find(name);
    this.#kept.delete(name);
  }

  #find(name: string): Kept {
    const kept = this.#kept.get(name);
    if (kept !== undefined) return kept;
    const names = this.list.map((known) => known.name).join(', ');
    throw new KeptStateError(
      `there is no snapshot "${name}"; ${names === '' ? 'none is kept' : `kept: ${names}`}`,
    );
  }
}

/** e.g. `1.4 MiB`. */
export function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(1)} MiB`;
}
