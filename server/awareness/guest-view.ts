/**
 * The guest's kernel as it is now, read at once from our own machine. What was read is kept until
 * `forget` says that the machine has moved or was written to: a debugger asks many times per stop.
 */
import type { MachineView } from '../../machine/index.ts';
import type { GuestProcess, GuestThread, KernelAwareness, Listing } from './awareness.ts';
import { type Walk, runWalk } from './walk.ts';

const NOTHING = { items: [], complaints: [] };

export class GuestView {
  readonly machine: MachineView;
  readonly kernel: KernelAwareness | undefined;
  #threads: Listing<GuestThread> | undefined;
  #current: { readonly tid: number; readonly pid: number } | 'none' | undefined;

  constructor(machine: MachineView, kernel: KernelAwareness | undefined) {
    this.machine = machine;
    this.kernel = kernel;
  }

  forget(): void {
    this.#threads = undefined;
    this.#current = undefined;
  }

  /** The thread on the CPU; undefined when the kernel has none (yet) or cannot be believed. */
  currentThread(): { readonly tid: number; readonly pid: number } | undefined {
    this.#current ??= this.#read(this.kernel?.currentThread()) ?? 'none';
    return this.#current === 'none' ? undefined : this.#current;
  }

  threads(): Listing<GuestThread> {
    this.#threads ??= this.#read(this.kernel?.threads()) ?? NOTHING;
    return this.#threads;
  }

  processes(): Listing<GuestProcess> {
    return this.#read(this.kernel?.processes()) ?? NOTHING;
  }

  #read<Result>(walk: Walk<Result> | undefined): Result | undefined {
    if (walk === undefined) return undefined;
    return runWalk(walk, ({ address, lengthBytes, cr3 }) =>
      this.machine.readLinear(address, lengthBytes, cr3),
    );
  }
}
