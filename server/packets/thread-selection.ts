/**
 * The threads that `H` selects: one for registers and memory, one for `c` and `s` (GDB manual,
 * "Packets", `H`), and what ids mean in terms of the target's threads.
 */
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import type { ThreadId } from '../rsp/thread-id.ts';
import type {
  Awaitable,
  ProcessNumber,
  Target,
  TargetThread,
  ThreadNumber,
} from '../target/target.ts';

const ANY: ThreadId = { thread: 'any' };
/** Where the target has one process, this is its number. */
export const ONLY_PROCESS = 1;

export class ThreadSelection {
  /** For `c`, `s` and their kin. */
  continuing: ThreadId = ANY;
  private readonly target: Target;
  private general: ThreadNumber | undefined;
  private generalProcess: ProcessNumber = ONLY_PROCESS;
  /** What `any` means, where it is not the thread on the CPU. */
  private attached: ThreadNumber | undefined;

  constructor(target: Target) {
    this.target = target;
  }

  /** The thread of `g`, `m` and their kin: the selected one or else the CPU's. */
  thread(): Awaitable<ThreadNumber> {
    return this.general ?? this.target.currentThread();
  }

  /** The process of `Z` packets. */
  get process(): ProcessNumber {
    return this.generalProcess;
  }

  /** The process of a thread, where the target has more than one. */
  private processOf(thread: ThreadNumber): ProcessNumber {
    const { processes } = this.target;
    return processes?.isActive === true ? processes.of(thread) : ONLY_PROCESS;
  }

  /**
   * A stop reply makes its thread the selected one: gdb assumes that and sends no `Hg`
   * (remote.c, record_currthread).
   */
  selectStopped(thread: ThreadNumber): void {
    this.attached = undefined;
    this.general = thread;
    this.generalProcess = this.processOf(thread);
  }

  /** Behind vAttach gdb asks by `Hgp0.0` and `qC` which thread it has attached to. */
  selectAttached(thread: ThreadNumber): void {
    this.selectStopped(thread);
    this.attached = thread;
  }

  async select(id: ThreadId): Promise<void> {
    if (id.thread === 'any' && id.process === 'any') id = ANY;
    if (id.thread === 'any' && id.process === undefined) {
      this.general = this.attached;
      this.generalProcess = this.processOf(this.attached ?? (await this.target.currentThread()));
      return;
    }
    const thread = await this.one(id);
    this.attached = undefined;
    this.general = thread.id;
    this.generalProcess = thread.process;
  }

  /** A thread's number from `;thread:ID;`, lldb's suffix, or else the selected one. */
  async suffixOrSelected(fields: FieldReader): Promise<ThreadNumber> {
    if (!fields.accepts(';')) return this.thread();
    if (fields.isAtEnd) return this.thread();
    fields.expect('thread:');
    const id = fields.threadId();
    fields.accepts(';');
    return (await this.one(id)).id;
  }

  /** All threads that `id` names; ESRCH if there is none. */
  async matching(id: ThreadId): Promise<readonly TargetThread[]> {
    const matches = (await this.target.threads()).filter(
      (thread) =>
        (typeof id.process !== 'number' || thread.process === id.process) &&
        (typeof id.thread !== 'number' || thread.id === id.thread),
    );
    if (matches.length === 0) throw new RemoteError(ERRNO.ESRCH, 'no such thread');
    return matches;
  }

  /** The thread that `id` names; of several the one on the CPU, else the first. */
  async one(id: ThreadId): Promise<TargetThread> {
    const matches = await this.matching(id);
    return matches.find((thread) => thread.isOnCpu) ?? matches[0]!;
  }
}
