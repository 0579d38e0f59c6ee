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
 */
import type { Target, TargetStop, ThreadNumber, ThreadResume } from '../target/target.ts';

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

/** Not with processes as inferiors: the stops of one would have to be told for the others, too. */
export function offersNonStop({ isNonStop, processes }: Target): boolean {
  return isNonStop === true && processes?.isWanted !== true && processes?.isActive !== true;
}

export class NonStop {
  readonly #target: Target;
  readonly #announce: () => void;
  #isOn = false;
  /** Threads that the client knows as stopped. */
  readonly #held = new Set<ThreadNumber>();
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
    if (this.#held.size === 0) this.#held.add(stop.thread);
    for (const thread of this.#held) {
      this.#events.push(thread === stop.thread ? stop : askedFor(thread));
    }
    return this.event;
  }

  /** `vStopped`: the event has been taken. The next one, if there is one. */
  acknowledge(): NonStopEvent | undefined {
    this.#events.shift();
    return this.event;
  }

  /** The target has halted by itself, or at somebody's wish. */
  async halted(stop: TargetStop): Promise<void> {
    this.#step = undefined;
    if (this.#halting !== undefined && stop.kind === 'stopped' && stop.cause.kind === 'interrupt') {
      this.#halting();
      return;
    }
    this.#halting?.();
    if (stop.kind !== 'stopped') {
      this.#held.clear();
      this.#tell(stop);
      return;
    }
    const thread = await this.#resumedThread(stop.thread);
    this.#held.add(thread);
    this.#tell({ ...stop, thread });
  }

  /** What `vCont` asks for, while halted or running. */
  async resume(threads: readonly ThreadResume[]): Promise<void> {
    const isRunning = this.#target.state().kind === 'running';
    const underWay = this.#step;
    if (isRunning && !(await this.#halt())) return;
    for (const { threads: named } of threads) {
      if (named === 'all') this.#held.clear();
      else this.#held.delete(named);
    }
    const living = await this.#living();
    // After a power cycle gdb will not resume threads of the boot before.
    for (const thread of this.#held) if (!living.has(thread)) this.#held.delete(thread);
    const asked = threads.find(({ action }) => action.kind !== 'continue');
    const step = asked ?? (isOneOf(living, underWay?.threads) ? underWay : undefined);
    if (step === undefined && this.#held.size > 0) return;
    this.#step = step;
    const others = {
      threads: 'all',
      except: [...this.#held],
      action: { kind: 'continue' },
    } as const;
    this.#target.resume(step === undefined ? [others] : [step, others]);
  }

  /** `vCont;t`: halts the machine and tells a stop, without a signal, for each of the threads. */
  async stop(threads: readonly ThreadNumber[]): Promise<void> {
    if (this.#target.state().kind === 'running') await this.#halt();
    const living = await this.#living();
    for (const thread of threads) {
      if (this.#held.has(thread)) continue;
      if (living.has(thread)) this.#held.add(thread);
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
    this.#held.add(thread);
    this.#tell({ ...askedFor(thread), signal: SIGINT });
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
