/**
 * Forks, vforks, execs and ends of the processes that the debugger has. The machine stops at the
 * kernel's places for them (awareness, `processEventPoints`); what happened there is told when the
 * debugger has resumed the process that it happened to:
 *
 *     fork, vfork   only in reply to a continue: gdb 13.1 hangs when a step over a breakpoint ends in a
 *                   fork. Seen while stepping, it waits for the next continue; in a process that was
 *                   not resumed, nobody follows the child, which then belongs to process 1
 *     vfork-done    only after its vfork was told
 *     exec          before the program's first instruction, or when the process is next resumed
 *     exit          at once in reply to any resume of the process, or when it is next resumed:
 *                   a `W` for a process that gdb did not resume ends its script
 *
 * Process 1 neither executes nor ends: its program is the kernel.
 */
import type { MachineView } from '../../../machine/index.ts';
import type { ProcessEvent, ProcessEventPoint } from '../../awareness/awareness.ts';
import type { GuestView } from '../../awareness/guest-view.ts';
import { runWalk } from '../../awareness/walk.ts';
import type { MachineBreakpoints } from '../machine-breakpoints.ts';
import { numberOfThread } from '../machine-threads.ts';
import type { ResumePlan } from '../resume-plan.ts';
import {
  BREAKPOINT_KIND,
  type Breakpoint,
  type ProcessExit,
  type ThreadNumber,
} from '../target.ts';
import { MACHINE_PROCESS, MOST_PID, type Inferiors } from './inferiors.ts';

/** What is to be told, and the thread to which it happened. */
export type ProcessStop = { readonly thread: ThreadNumber; readonly pid: number } & (
  | { readonly kind: 'fork' | 'vfork'; readonly childPid: number }
  | { readonly kind: 'vfork-done' }
  | { readonly kind: 'exec' }
  | { readonly kind: 'exit'; readonly ending: ProcessExit['ending'] }
);

export interface ProcessEventParts {
  readonly machine: MachineView;
  readonly guest: GuestView;
  readonly points: readonly ProcessEventPoint[];
  readonly breakpoints: MachineBreakpoints;
  readonly inferiors: Inferiors;
  /** A process becomes another program: gdb forgets its breakpoints and inserts them again. */
  readonly dropBreakpoints: (pid: number) => void;
}

const SIGKILL = 9;

export class ProcessEvents {
  readonly #parts: ProcessEventParts;
  #waiting: ProcessStop[] = [];
  /** Parents, by tid, whose vfork has been seen and is not done. */
  readonly #vforks = new Set<number>();
  /** Control comes to the place again with the same fork if an interrupt is delivered there. */
  #lastChild = 0;
  /** First instructions of programs that are about to be executed, by pid. */
  readonly #entries = new Map<number, bigint>();

  constructor(parts: ProcessEventParts) {
    this.#parts = parts;
  }

  begin(): void {
    this.end();
    for (const { address } of this.#parts.points) this.#watch(address, () => this.#isWatched());
  }

  end(): void {
    this.#parts.breakpoints.removeAllOf(this);
    this.#waiting = [];
    this.#vforks.clear();
    this.#entries.clear();
    this.#lastChild = 0;
  }

  /** Control is at an instruction that has not executed: takes in what happens there. */
  arrived(plan: ResumePlan): void {
    const { machine, guest, points } = this.#parts;
    const current = guest.currentThread();
    const rip = machine.readRegister('rip') ?? 0n;
    if (current === undefined) return;
    if (this.#entries.get(current.pid) === rip) this.#entered(current);
    for (const { address, event } of points) {
      if (address !== rip) continue;
      const walk = event((name) => machine.readRegister(name) ?? 0n);
      const happened = runWalk(walk, (request) =>
        machine.readLinear(request.address, request.lengthBytes, request.cr3),
      );
      if (happened !== undefined) this.#take(happened, current, plan);
    }
  }

  /** What is to be told in reply to this resume, which has it no longer; the oldest first. */
  takeDue(plan: ResumePlan): ProcessStop | undefined {
    this.#waiting = this.#waiting.filter((stop) => this.#isStillTrue(stop));
    const due = this.#waiting.find(
      ({ kind, thread }) => plan.isResumed(thread) && (plan.kind === 'continue' || kind === 'exit'),
    );
    this.#waiting = this.#waiting.filter((stop) => stop !== due);
    return due;
  }

  /** Every process is about to vanish with the power. */
  endAll(): void {
    const { inferiors } = this.#parts;
    for (const pid of inferiors.separate) this.#ended(pid, { signal: SIGKILL });
    this.#vforks.clear();
    this.#lastChild = 0;
  }

  #take(event: ProcessEvent, current: { tid: number; pid: number }, plan: ResumePlan): void {
    const { inferiors } = this.#parts;
    const thread = numberOfThread(current.tid);
    switch (event.kind) {
      case 'fork':
      case 'vfork':
        this.#forked(event, current, plan);
        return;
      case 'vfork-done':
        if (!this.#vforks.delete(current.tid)) return;
        this.#wait({ kind: 'vfork-done', thread, pid: current.pid });
        return;
      case 'exec':
        if (!inferiors.isSeparate(current.pid)) return;
        this.#execute(current.pid, event.entry);
        return;
      case 'exit':
        this.#ended(event.pid, endingOf(event.waitStatus));
    }
  }

  #forked(
    { kind, childPid }: Extract<ProcessEvent, { kind: 'fork' | 'vfork' }>,
    { tid, pid }: { readonly tid: number; readonly pid: number },
    plan: ResumePlan,
  ): void {
    const { inferiors } = this.#parts;
    const thread = numberOfThread(tid);
    const isFollowed = inferiors.processOf(pid) !== undefined && plan.isResumed(thread);
    const isKnown = childPid === this.#lastChild || this.#vforks.has(tid);
    if (!isFollowed || isKnown || childPid > MOST_PID) return;
    this.#lastChild = childPid;
    if (kind === 'vfork') this.#vforks.add(tid);
    this.#wait({ kind, thread, pid, childPid });
  }

  #execute(pid: number, entry: bigint): void {
    this.#parts.dropBreakpoints(pid);
    this.#entries.set(pid, entry);
    this.#watch(entry, () => this.#entries.get(this.#current()?.pid ?? 0) === entry);
  }

  #entered({ tid, pid }: { tid: number; pid: number }): void {
    this.#forgetEntry(pid);
    if (this.#parts.inferiors.isSeparate(pid)) {
      this.#wait({ kind: 'exec', thread: numberOfThread(tid), pid });
    }
  }

  #forgetEntry(pid: number): void {
    const entry = this.#entries.get(pid);
    this.#entries.delete(pid);
    if (entry === undefined || [...this.#entries.values()].includes(entry)) return;
    this.#parts.breakpoints.remove(this, breakpointAt(entry));
  }

  #ended(pid: number, ending: ProcessExit['ending']): void {
    const { inferiors } = this.#parts;
    const isKnown = this.#waiting.some((stop) => stop.kind === 'exit' && stop.pid === pid);
    if (!inferiors.isSeparate(pid) || isKnown) return;
    inferiors.keepEnded(pid);
    this.#forgetEntry(pid);
    this.#waiting = this.#waiting.filter((stop) => stop.pid !== pid);
    const thread = inferiors.threads().find((candidate) => candidate.pid === pid);
    if (thread === undefined) inferiors.remove(pid);
    else this.#wait({ kind: 'exit', thread: numberOfThread(thread.tid), pid, ending });
  }

  #wait(stop: ProcessStop): void {
    this.#waiting.push(stop);
  }

  #isStillTrue(stop: ProcessStop): boolean {
    const { inferiors, guest } = this.#parts;
    switch (stop.kind) {
      case 'exec':
      case 'exit':
        return inferiors.isSeparate(stop.pid);
      case 'vfork-done':
        return inferiors.processOf(stop.pid) !== undefined;
      case 'fork':
      case 'vfork': {
        const isChildThere = guest.threads().items.some(({ pid }) => pid === stop.childPid);
        return isChildThere && inferiors.processOf(stop.pid) !== undefined;
      }
    }
  }

  /** Inside a slice, so that what was read before is old. */
  #current(): { readonly tid: number; readonly pid: number } | undefined {
    this.#parts.guest.forget();
    return this.#parts.guest.currentThread();
  }

  /** An exit may be that of another process than the one on the CPU (kill). */
  #isWatched(): boolean {
    const { inferiors } = this.#parts;
    const pid = this.#current()?.pid;
    if (pid === undefined) return false;
    return inferiors.separate.length > 0 || inferiors.processOf(pid) !== undefined;
  }

  #watch(address: bigint, isMet: () => boolean): void {
    this.#parts.breakpoints.insertPredicate(this, breakpointAt(address), isMet);
  }
}

function breakpointAt(address: bigint): Breakpoint {
  return { kind: BREAKPOINT_KIND.software, address, lengthBytes: 1, process: MACHINE_PROCESS };
}

/** wait4's encoding. */
function endingOf(waitStatus: number): ProcessExit['ending'] {
  const signal = waitStatus & 0x7f;
  return signal === 0 ? { status: (waitStatus >> 8) & 0xff } : { signal };
}
