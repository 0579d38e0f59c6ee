/**
 * The log of forks of our own machine: each is seen by a hook at the kernel's fork functions, without a
 * stop, and so all of them are, from where the machine begins: forks before a snapshot nobody watched.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { ForkEntryPoint, KernelAwareness } from './awareness.ts';
import { ForkJournal, SIGHTED_REGISTERS, type ForkEntry, type Forks } from './fork-journal.ts';
import { type MemoryReader, type Walk, runWalk } from './walk.ts';

type LoggedMachine = MachineView & Pick<MachineControl, 'addExecutionHook'>;

export class ForkLog implements Forks {
  readonly #machine: LoggedMachine;
  readonly #journal: ForkJournal;
  readonly #removers: readonly (() => void)[];

  /** Starts to log: hooks the kernel's fork functions. `dispose` ends it. */
  constructor(machine: LoggedMachine, kernel: KernelAwareness) {
    this.#machine = machine;
    const isFromPowerOn = machine.icount === 0n;
    this.#journal = new ForkJournal(kernel, isFromPowerOn);
    if (!isFromPowerOn) this.#walk(this.#journal.watch(true));
    this.#removers = kernel.forkEntryPoints.map((point) =>
      machine.addExecutionHook(point.address, (view) => this.#onFork(view, point)),
    );
  }

  entries(): readonly ForkEntry[] {
    this.#walk(this.#journal.readRecords());
    return this.#journal.entries();
  }

  get complaints(): readonly string[] {
    return this.#journal.complaints;
  }

  get total(): number {
    return this.#journal.total;
  }

  /** The machine was power-cycled: the next boot's forks count from 1. */
  clear(): void {
    this.#journal.clear();
  }

  /** See `ForkJournal.remember`. */
  remember(): () => void {
    return this.#journal.remember();
  }

  /** The machine has been taken back to where it stands: what came later comes again. */
  goBack(): void {
    this.#walk(this.#journal.goBack(this.#machine.icount));
  }

  dispose(): void {
    for (const remove of this.#removers) remove();
  }

  #onFork(view: MachineView, { kind }: ForkEntryPoint): void {
    const registers = new Map(
      SIGHTED_REGISTERS.map((name) => [name, view.readRegister(name) ?? 0n] as const),
    );
    this.#walk(this.#journal.sight({ kind, icount: view.icount, registers }));
  }

  #walk<Result>(walk: Walk<Result>): Result {
    const read: MemoryReader = ({ address, lengthBytes, cr3 }) =>
      this.#machine.readLinear(address, lengthBytes, cr3);
    return runWalk(walk, read);
  }
}
