/** Which exceptions stop the machine before they are delivered (`monitor catch`). */
import type { MachineControl } from '../../machine/index.ts';

export class ExceptionCatches {
  readonly #machine: Pick<MachineControl, 'catchExceptions'>;
  readonly #vectors = new Set<number>();

  constructor(machine: Pick<MachineControl, 'catchExceptions'>) {
    this.#machine = machine;
  }

  /** Ascending. */
  get vectors(): readonly number[] {
    return [...this.#vectors].sort((left, right) => left - right);
  }

  set(vector: number, isOn: boolean): void {
    if (isOn) this.#vectors.add(vector);
    else this.#vectors.delete(vector);
    this.#machine.catchExceptions(new Set(this.#vectors));
  }
}
