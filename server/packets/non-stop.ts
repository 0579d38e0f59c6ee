/**
 * Non-stop mode (GDB manual, "Remote Non-Stop" and "Notification Packets"): a resume is answered at once,
 * stops are told by notifications, `%Stop:…`, and packets are answered while the target runs.
 *
 *     %Stop:T05thread:p1.2;…   →  the first of a series; gdb takes it when it likes
 *     vStopped                 ←
 *     T00thread:p1.1;…         →  the next one; OK when there is none
 *
 * gdb believes in threads that stop one by one, and a machine has one CPU. So a stop halts the machine and
 * is told for one thread; the others run, as gdb sees it, until it asks for them (`vCont;t`). The machine
 * goes on when gdb has resumed all threads that it was told of: then what it shows of a stopped thread
 * holds. Only a step is made at once, because gdb steps over a breakpoint with all other threads stopped;
 * no stop is then told for one of those.
 *
 * So it is with processes as inferiors: a process that was stopped in the kernel cannot be held there
 * while others go on, or what it has locked would stay so. A vfork is told as a fork: gdb 13 would stop
 * all threads of the parent's process until it is done, and ends with an internal error (remote.c:6558)
 * when it then finds a new thread, as the child is that it has let go.
 */
import type {
  ProcessNumber,
  Target,
  TargetStop,
  ThreadNumber,
  ThreadResume,
} from '../target/target.ts';
import { ONLY_PROCESS } from './thread-selection.ts';

/** A thread that gdb wanted to stop and that is no more. */
interface Vanished {
  readonly kind: 'vanished';
  readonly thread: ThreadNumber;
}
/** By gdb's numbers. */
const SIGINT = 2;
/** Stops that wait to be told; more than a guest of ours has threads. */
const MOST_EVENTS = 4096;

export type NonStopEvent = TargetStop | Vanished;

export class NonStop {
  readonly #target: Target;
  readonly #announce: () => void;
  #isOn = false;
  /** Threads that the client knows as stopped, each with its process. */
  readonly #held = new Map<ThreadNumber, ProcessNumber>();
  /** A process has ended that may have been the last one held: the machine waits to be let go. */
  #hasLost = false;
  /** The first has been told and not been acknowledged; the others wait. */
  #events: NonStopEvent[] = [];
  /** What is being stepped, until the next stop. */
  #step: ThreadResume | undefined;
  #halting: (() => void) | undefined;

  /** `announce`: the first of a series of stops is there, to be told by a notification. */
  constructor(target: Target, announce: () => void) {
    this.#target = target;
    this.#announce = announce;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** The stop that is to be told now. */
  get event(): NonStopEvent | undefined {
    return this.#events[0];
  }

  /** On or off, with nothing told so far. Without it the client takes the target for halted. */
  turn(isOn: boolean): void {
    const wasOn = this.#isOn;
    this.#isOn = isOn;
    this.#reset();
    if (wasOn && !isOn) this.#target.interrupt();
  }

  /** The client has gone; the target goes on as it does. */
  forget(): void {
    this.#isOn = false;
    this.#reset();
  }

  /**
   * `?`: begins a series with the threads that are stopped. At attach that is one thread: gdb 13 ends
   * with an internal error (remote.c:8351) when there are more.
   */
  begin(): NonStopEvent | undefined {
    const state = this.#target.state();
    this.#events = [];
    if (state.kind === 'running') return undefined;
    const { stop } = state;
    if (stop.kind !== 'stopped') return (this.#events[0] = stop);
    if (this.#held.size === 0) this.#hold(stop.thread);
    for (const thread of this.#held.keys()) {
      this.#events.push(thread === stop.thread ? stop : askedFor(thread));
    }
    return this.event;
  }

  /** `vStopped`: the event has been taken. The next one, if there is one. */
  acknowledge(): NonStopEvent | undefined {
    this.#events.shift();
    if (this.#events.length === 0 && this.#hasLost) this.#goOn();
    return this.event;
  }

  /** The client lets a process go. */
  letGo(process: ProcessNumber): void {
    if (!this.#isOn || !this.#lose(process)) return;
    if (this.#events.length === 0) this.#goOn();
  }

  /** The target has halted by itself, or at somebody's wish. */
  async halted(stop: TargetStop): Promise<void> {
    this.#step = undefined;
    if (this.#halting !== undefined && stop.kind === 'stopped' && stop.cause.kind === 'interrupt') {
      this.#halting();
      return;
    }
    this.#halting?.();
    if (stop.kind === 'exited') return this.#ended(stop);
    if (stop.kind === 'process-exited') {
      this.#lose(stop.process);
      this.#hasLost = true;
      this.#tell(stop);
      return;
    }
    const thread = await this.#resumedThread(stop.thread);
    this.#hold(thread);
    const { cause } = stop;
    const isFork = cause.kind === 'fork' || cause.kind === 'vfork';
    // gdb holds the child, too, until it lets it go or on.
    if (isFork) this.#held.set(cause.child.thread, cause.child.process);
    this.#tell({ ...stop, thread, cause: isFork ? { ...cause, kind: 'fork' } : cause });
  }

  /** What `vCont` asks for, while halted or running. */
  async resume(threads: readonly ThreadResume[]): Promise<void> {
    const isRunning = this.#target.state().kind === 'running';
    const underWay = this.#step;
    if (isRunning && !(await this.#halt())) return;
    for (const resumed of threads) this.#release(resumed);
    const living = await this.#living();
    // After a power cycle gdb will not resume threads of the boot before.
    for (const thread of this.#held.keys()) if (!living.has(thread)) this.#held.delete(thread);
    const asked = threads.find(({ action }) => action.kind !== 'continue');
    const step = asked ?? (isOneOf(living, underWay?.threads) ? underWay : undefined);
    if (step === undefined && this.#held.size > 0) return;
    this.#run(step);
  }

  /** `vCont;t`: halts the machine and tells a stop, without a signal, for each of the threads. */
  async stop(threads: readonly ThreadNumber[]): Promise<void> {
    if (this.#target.state().kind === 'running') await this.#halt();
    const living = await this.#living();
    for (const thread of threads) {
      if (this.#held.has(thread)) continue;
      if (living.has(thread)) this.#hold(thread);
      this.#tell(living.has(thread) ? askedFor(thread) : { kind: 'vanished', thread });
    }
  }

  /** A break-in: one of the threads that the client takes for running stops, also if none of them does run. */
  async interrupt(): Promise<void> {
    if (this.#target.state().kind === 'running') {
      this.#target.interrupt();
      return;
    }
    const waiting = (await this.#target.threads()).filter(({ id }) => !this.#held.has(id));
    const thread = (waiting.find(({ isOnCpu }) => isOnCpu) ?? waiting[0])?.id;
    if (thread === undefined) return;
    this.#hold(thread);
    this.#tell({ ...askedFor(thread), signal: SIGINT });
  }

  /** The guest has ended: gdb must hear of the end of every process that it has. */
  async #ended(stop: Extract<TargetStop, { kind: 'exited' }>): Promise<void> {
    this.#held.clear();
    this.#tell(stop);
    const processes = new Set((await this.#target.threads()).map(({ process }) => process));
    processes.delete(stop.process);
    for (const process of processes) this.#tell({ ...stop, process });
  }

  #hold(thread: ThreadNumber): void {
    const { processes } = this.#target;
    this.#held.set(thread, processes?.isActive === true ? processes.of(thread) : ONLY_PROCESS);
  }

  #release({ threads, process }: Pick<ThreadResume, 'threads' | 'process'>): void {
    for (const [thread, its] of this.#held) {
      const isMeant = threads === 'all' ? (process ?? its) === its : threads === thread;
      if (isMeant) this.#held.delete(thread);
    }
  }

  /** The client has a process no longer. True: it was held. */
  #lose(process: ProcessNumber): boolean {
    const before = this.#held.size;
    this.#release({ threads: 'all', process });
    return this.#held.size < before;
  }

  /** Nothing that the client holds is left: what it takes for running is to run. */
  #goOn(): void {
    this.#hasLost = false;
    const state = this.#target.state();
    if (this.#held.size === 0 && state.kind === 'halted' && state.hasEnded !== true) this.#run();
  }

  #run(step?: ThreadResume): void {
    this.#step = step;
    this.#hasLost = false;
    const except = [...this.#held.keys()];
    const others = { threads: 'all', except, action: { kind: 'continue' } } as const;
    this.#target.resume(step === undefined ? [others] : [step, others]);
  }

  /** Without telling; false: it stopped for a reason of its own meanwhile, which is told. */
  #halt(): Promise<boolean> {
    return new Promise((resolve) => {
      const remove = this.#target.onStop((stop) => {
        remove();
        resolve(stop.kind === 'stopped' && stop.cause.kind === 'interrupt');
      });
      this.#halting = () => (this.#halting = undefined);
      this.#target.interrupt();
    });
  }

  async #living(): Promise<ReadonlySet<ThreadNumber>> {
    return new Set((await this.#target.threads()).map(({ id }) => id));
  }

  /** A crash may come in a thread that the client holds for stopped. */
  async #resumedThread(thread: ThreadNumber): Promise<ThreadNumber> {
    if (!this.#held.has(thread)) return thread;
    const threads = await this.#target.threads();
    return threads.find(({ id }) => !this.#held.has(id))?.id ?? thread;
  }

  #reset(): void {
    this.#held.clear();
    this.#hasLost = false;
    this.#events = [];
    this.#step = undefined;
  }

  #tell(event: NonStopEvent): void {
    // A client that does not ask for its stops has no use for all of them.
    if (this.#events.length >= MOST_EVENTS) this.#events.splice(1, 1);
    if (this.#events.push(event) === 1) this.#announce();
  }
}

function isOneOf(
  living: ReadonlySet<ThreadNumber>,
  thread: ThreadResume['threads'] | undefined,
): boolean {
  return thread === 'all' || (thread !== undefined && living.has(thread));
}

function askedFor(thread: ThreadNumber): Extract<TargetStop, { kind: 'stopped' }> {
  return { kind: 'stopped', thread, signal: 0, cause: { kind: 'interrupt' } };
}
