/**
 * The guest's threads under the numbers that debuggers use.
 *
 * The number of a thread is its guest tid + 1 (RSP has no thread 0, and tid 0 is the idle thread),
 * all in process 1 unless the debugger has processes (`processes/`). While the kernel has no threads, or its memory cannot be believed, whatever the
 * CPU runs is thread 1. The boot context ends by becoming the idle loop or by never running again,
 * so thread 1 is there from the first `?` to the end, and no number changes its meaning when the
 * kernel begins to schedule: gdb then sees a stop in a thread that it did not know, which it takes
 * for a new one, and not a known one that has vanished ("thread 0 at attach, thread 1 later" is
 * what breaks sessions elsewhere: riscv-openocd issue 716). A kernel that never reuses a tid gives
 * numbers that are never reused.
 */
import type { GuestThread } from '../awareness/awareness.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import { type Inferiors, MACHINE_PROCESS } from './processes/inferiors.ts';
import type { ProcessNumber, TargetThread, ThreadNumber } from './target.ts';

export { MACHINE_PROCESS };
const CPU_THREAD: ThreadNumber = 1;

/** Where a thread's registers are. */
export type ThreadPlace =
  | { readonly kind: 'on cpu'; readonly guestPid: number }
  | { readonly kind: 'saved'; readonly thread: GuestThread };

export class MachineThreads {
  readonly #guest: GuestView;
  readonly #inferiors: Inferiors;

  constructor(guest: GuestView, inferiors: Inferiors) {
    this.#guest = guest;
    this.#inferiors = inferiors;
  }

  /** The thread that the CPU executes. */
  current(): ThreadNumber {
    const current = this.#guest.currentThread();
    return current === undefined ? CPU_THREAD : numberOfThread(current.tid);
  }

  /**
   * In the guest's order, but by process: gdb numbers its inferiors as they come. The thread on the CPU
   * is among them unless the debugger has let its process go.
   */
  list(): readonly TargetThread[] {
    const current = this.current();
    const threads = this.#inferiors.threads().flatMap((thread) => {
      const process = this.#inferiors.processOf(thread.pid);
      return process === undefined ? [] : [describeThread(thread, current, process)];
    });
    threads.sort((left, right) => left.process - right.process);
    const isCpuShown = threads.some((thread) => thread.isOnCpu);
    const isCpuTheirs = this.processOf(current) !== undefined || threads.length === 0;
    return isCpuShown || !isCpuTheirs ? threads : [this.#cpuThread(), ...threads];
  }

  /** The thread on the CPU, if the debugger has its process; else its first. */
  shown(): ThreadNumber {
    const current = this.current();
    return this.processOf(current) === undefined ? this.list()[0]!.id : current;
  }

  /** The process in which a thread is shown; undefined: the debugger does not have that process. */
  processOf(number: ThreadNumber): ProcessNumber | undefined {
    if (!this.#inferiors.isActive) return MACHINE_PROCESS;
    const current = this.#guest.currentThread();
    const isCurrent = current !== undefined && numberOfThread(current.tid) === number;
    const pid = isCurrent ? current.pid : this.#threadOf(number)?.pid;
    return this.#inferiors.processOf(pid ?? 0);
  }

  has(number: ThreadNumber): boolean {
    return this.#find(number) !== undefined;
  }

  /** Throws `RemoteError` ESRCH when there is no such thread. */
  place(number: ThreadNumber): ThreadPlace {
    const place = this.#find(number);
    if (place === undefined) throw new RemoteError(ERRNO.ESRCH, `no thread ${number}`);
    return place;
  }

  #find(number: ThreadNumber): ThreadPlace | undefined {
    if (number === this.current()) {
      return { kind: 'on cpu', guestPid: this.#guest.currentThread()?.pid ?? 0 };
    }
    const thread = this.#threadOf(number);
    return thread === undefined ? undefined : { kind: 'saved', thread };
  }

  #threadOf(number: ThreadNumber): GuestThread | undefined {
    return this.#inferiors.threads().find(({ tid }) => numberOfThread(tid) === number);
  }

  #cpuThread(): TargetThread {
    const isAware = this.#guest.kernel !== undefined;
    return {
      id: this.current(),
      process: this.processOf(this.current()) ?? MACHINE_PROCESS,
      name: 'CPU',
      description: isAware ? 'running, not in the list of threads' : 'running',
      isOnCpu: true,
      core: 0,
    };
  }
}

export function numberOfThread(tid: number): ThreadNumber {
  return tid + 1;
}

export function tidOfNumber(number: ThreadNumber): number {
  return number - 1;
}

/** A guest thread as debuggers see it; `current` is the one on the CPU. */
export function describeThread(
  thread: GuestThread,
  current: ThreadNumber,
  process: ProcessNumber = MACHINE_PROCESS,
): TargetThread {
  const id = numberOfThread(thread.tid);
  const isOnCpu = id === current;
  const state = isOnCpu ? 'running' : thread.state;
  const waits = isOnCpu || thread.waitsFor === undefined ? '' : `: ${thread.waitsFor}`;
  return {
    id,
    process,
    name: thread.name,
    description: `pid ${thread.pid}, ${state}${waits}`,
    isOnCpu,
    core: 0,
  };
}
