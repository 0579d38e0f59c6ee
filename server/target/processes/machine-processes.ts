/**
 * Guest processes as processes of the debugger (`serve --processes`, `monitor
 * processes-as-inferiors`): which it has, what happens to them, and which breakpoints are whose.
 *
 * The machine has one CPU and its scheduler decides who has it. A process that the debugger did not
 * resume is held all the same: nothing of its program is executed, in ring 3 or, where the kernel has
 * programs of its own, behind the return of their system calls. Inside the kernel it goes on, or what it
 * has locked would stay so. The debugger hears only of processes that it resumed: breakpoints of the
 * others are passed, their ends and execs wait.
 */
import type { CodeHold, MachineControl, MachineView } from '../../../machine/index.ts';
import type { ProcessEventPoint } from '../../awareness/awareness.ts';
import type { GuestView } from '../../awareness/guest-view.ts';
import type { MachineBreakpoints } from '../machine-breakpoints.ts';
import { type MachineThreads, numberOfThread } from '../machine-threads.ts';
import type { ResumePlan } from '../resume-plan.ts';
import type {
  BreakpointOwner,
  ProcessNumber,
  TargetLibrary,
  TargetProcesses,
  TargetStop,
  ThreadNumber,
} from '../target.ts';
import type { Inferiors } from './inferiors.ts';
import { MACHINE_PROCESS } from './inferiors.ts';
import { ProcessBreakpoints } from './process-breakpoints.ts';
import type { ProcessFiles } from './process-files.ts';
import { ProcessEvents, type ProcessStop } from './process-events.ts';

export interface MachineProcessesParts {
  readonly machine: MachineView & Pick<MachineControl, 'holdCode'>;
  readonly guest: GuestView;
  readonly points: readonly ProcessEventPoint[];
  readonly threads: MachineThreads;
  readonly inferiors: Inferiors;
  readonly breakpoints: MachineBreakpoints;
  readonly files: ProcessFiles;
}

const SIGTRAP = 5;

export class MachineProcesses implements TargetProcesses {
  isWanted = false;
  /** Breakpoints as the debugger inserts them: of one process each. */
  readonly breakpoints: ProcessBreakpoints;
  readonly #parts: MachineProcessesParts;
  readonly #inferiors: Inferiors;
  readonly #events: ProcessEvents;
  readonly #hold: CodeHold;
  #plan: ResumePlan = { kind: 'continue', isResumed: () => true, named: undefined };

  constructor(parts: MachineProcessesParts) {
    this.#parts = parts;
    this.#inferiors = parts.inferiors;
    this.#events = new ProcessEvents({
      ...parts,
      dropBreakpoints: (pid) => this.breakpoints.letGo(pid),
    });
    this.#hold = {
      places: new Set([parts.guest.kernel?.kernelModeGate?.exit ?? []].flat()),
      isHeld: () => {
        const current = this.#current();
        return current !== undefined && this.#isHeld(current);
      },
    };
    const isRunning = (process: ProcessNumber): boolean => this.#isRunning(process);
    this.breakpoints = new ProcessBreakpoints(parts.breakpoints, {
      get isActive() {
        return parts.inferiors.isActive;
      },
      isRunning,
    });
  }

  get isActive(): boolean {
    return this.#inferiors.isActive;
  }

  /** Under which the places of forks, execs and ends are watched. */
  get owner(): BreakpointOwner {
    return this.#events;
  }

  begin(): void {
    this.#parts.guest.forget();
    this.#inferiors.begin();
    this.#events.begin();
  }

  end(): void {
    this.#parts.machine.holdCode(undefined);
    this.#inferiors.end();
    this.#events.end();
  }

  librariesOf(process: ProcessNumber): readonly TargetLibrary[] {
    return this.#parts.files.librariesOf(process);
  }

  of(thread: ThreadNumber): ProcessNumber {
    return this.#parts.threads.processOf(thread) ?? MACHINE_PROCESS;
  }

  detach(process: ProcessNumber): boolean {
    this.breakpoints.letGo(process);
    this.#inferiors.remove(process);
    return this.#inferiors.count > 0;
  }

  attach(process: ProcessNumber): ThreadNumber | undefined {
    const { guest, threads } = this.#parts;
    const isThere = guest.processes().items.some(({ pid }) => pid === process);
    if (!isThere) return undefined;
    this.#inferiors.add(process);
    return threads.list().find((thread) => thread.process === process)?.id;
  }

  /** The debugger resumes; what is told at once because it has happened before. */
  resume(plan: ResumePlan): TargetStop | undefined {
    this.#plan = plan;
    this.#parts.machine.holdCode(this.#isAnyHeld() ? this.#hold : undefined);
    return this.isActive ? this.#take(plan) : undefined;
  }

  /** For the runner: see `ProcessEvents.arrived`. */
  arrived(): void {
    if (this.isActive) this.#events.arrived(this.#plan);
  }

  /** For the runner: a stop that ends the run now, if something has happened that may be told. */
  takeStop(): TargetStop | undefined {
    return this.isActive ? this.#take(this.#plan) : undefined;
  }

  /** A thread to tell of, for a stop that happened in this one: the debugger must have resumed it. */
  toldThread(thread: ThreadNumber): ThreadNumber {
    const { threads } = this.#parts;
    if (!this.isActive || this.#isResumed(thread)) return thread;
    const shown = threads.list();
    return (shown.find(({ id }) => this.#isResumed(id)) ?? shown[0])?.id ?? thread;
  }

  /** Must be called before the power goes. */
  powerCycles(): void {
    if (this.isActive) this.#events.endAll();
  }

  #isAnyHeld(): boolean {
    if (!this.isActive || this.#inferiors.separate.length === 0) return false;
    return this.#inferiors.threads().some((thread) => this.#isHeld(thread));
  }

  /** What is in process 1 always goes on: nothing would without the kernel. */
  #isHeld({ tid, pid }: { readonly tid: number; readonly pid: number }): boolean {
    return this.#inferiors.isSeparate(pid) && !this.#plan.isResumed(numberOfThread(tid));
  }

  #isResumed(thread: ThreadNumber): boolean {
    return this.#parts.threads.processOf(thread) !== undefined && this.#plan.isResumed(thread);
  }

  /** Inside a slice, so that what was read before is old. */
  #current(): { readonly tid: number; readonly pid: number } | undefined {
    this.#parts.guest.forget();
    return this.#parts.guest.currentThread();
  }

  #isRunning(process: ProcessNumber): boolean {
    const { guest, threads } = this.#parts;
    guest.forget();
    const thread = threads.current();
    return threads.processOf(thread) === process && this.#plan.isResumed(thread);
  }

  #take(plan: ResumePlan): TargetStop | undefined {
    const stop = this.#events.takeDue(plan);
    return stop && this.#describe(stop);
  }

  #describe(stop: ProcessStop): TargetStop {
    const { thread, pid } = stop;
    switch (stop.kind) {
      case 'fork':
      case 'vfork':
        return stopped(thread, { kind: stop.kind, child: this.#adopt(stop.childPid) });
      case 'vfork-done':
        return stopped(thread, { kind: 'vfork-done' });
      case 'exec': {
        const path = this.#parts.files.executableOf(pid) ?? `/${this.#nameOf(pid)}`;
        return stopped(thread, { kind: 'exec', path });
      }
      case 'exit':
        this.detach(pid);
        return { kind: 'process-exited', process: pid, ending: stop.ending };
    }
  }

  #adopt(pid: number): { process: ProcessNumber; thread: ThreadNumber } {
    this.#inferiors.add(pid);
    const thread = this.#parts.guest.threads().items.find((candidate) => candidate.pid === pid);
    return { process: pid, thread: numberOfThread(thread?.tid ?? pid) };
  }

  #nameOf(pid: number): string {
    const { guest } = this.#parts;
    return guest.processes().items.find((process) => process.pid === pid)?.name ?? '';
  }
}

function stopped(
  thread: ThreadNumber,
  cause: Extract<TargetStop, { kind: 'stopped' }>['cause'],
): TargetStop {
  return { kind: 'stopped', thread, signal: SIGTRAP, cause };
}
