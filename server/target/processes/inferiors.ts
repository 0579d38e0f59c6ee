/**
 * Which of the guest's processes the debugger has, and under which number it sees each.
 *
 *     process 1      the kernel: idle, init, and every process that is no inferior of its own
 *     process PID    a guest process that was there at attach, or whose fork was told
 *
 * What the debugger lets go (gdb does so with a child by default) falls back to process 1, if it still
 * has that: nothing of the machine vanishes because gdb does not follow it. A process that ended
 * while it was not resumed stays, with the threads it had, until its end can be told.
 */
import type { GuestThread } from '../../awareness/awareness.ts';
import type { GuestView } from '../../awareness/guest-view.ts';
import type { ProcessNumber } from '../target.ts';

export const MACHINE_PROCESS: ProcessNumber = 1;
/** Debuggers number processes in 31 bits; a guest that says more stays in process 1. */
export const MOST_PID = 0x7fff_ffff;

export class Inferiors {
  readonly #guest: GuestView;
  /** By pid; the threads of those that have ended. */
  readonly #separate = new Map<number, readonly GuestThread[]>();
  #isActive = false;
  #hasMachine = false;

  constructor(guest: GuestView) {
    this.#guest = guest;
  }

  get isActive(): boolean {
    return this.#isActive;
  }

  /** How many processes the debugger has. */
  get count(): number {
    return this.#separate.size + (this.#hasMachine ? 1 : 0);
  }

  /** Those of their own, by pid. */
  get separate(): readonly number[] {
    return [...this.#separate.keys()];
  }

  begin(): void {
    this.end();
    this.#isActive = true;
    this.#hasMachine = true;
    for (const { pid, ending } of this.#guest.processes().items) {
      const isAlive = ending === undefined && this.#threadsOf(pid).length > 0;
      if (isAlive && pid <= MOST_PID) this.add(pid);
    }
  }

  end(): void {
    this.#isActive = false;
    this.#hasMachine = false;
    this.#separate.clear();
  }

  /** The process under which a guest process is seen; undefined: the debugger does not have it. */
  processOf(pid: number): ProcessNumber | undefined {
    if (!this.#isActive || this.#separate.has(pid)) return this.#isActive ? pid : MACHINE_PROCESS;
    return this.#hasMachine ? MACHINE_PROCESS : undefined;
  }

  isSeparate(pid: number): boolean {
    return this.#separate.has(pid);
  }

  /** Pids 0 and 1 are the kernel's. */
  add(pid: number): void {
    if (pid > MACHINE_PROCESS) this.#separate.set(pid, []);
    else this.#hasMachine = true;
  }

  remove(process: ProcessNumber): void {
    if (process === MACHINE_PROCESS) this.#hasMachine = false;
    else this.#separate.delete(process);
  }

  /** The process ends: its threads are kept as they are now. */
  keepEnded(pid: number): void {
    this.#separate.set(pid, this.#threadsOf(pid));
  }

  /** The guest's threads, and those of ended processes that the guest has no longer. */
  threads(): readonly GuestThread[] {
    const present = this.#guest.threads().items;
    const kept = [...this.#separate.values()].flat();
    const gone = kept.filter(({ tid }) => !present.some((thread) => thread.tid === tid));
    return gone.length === 0 ? present : [...present, ...gone];
  }

  #threadsOf(pid: number): readonly GuestThread[] {
    return this.#guest.threads().items.filter((thread) => thread.pid === pid);
  }
}
