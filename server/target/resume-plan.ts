/**
 * What the debugger asked for when it set the target going, in the form that the runner needs.
 *
 * A machine has one CPU and the guest's scheduler decides who runs: "resume these threads" holds back
 * the programs of other processes (`processes/`), but not the kernel. What is always kept is the
 * promise towards the debugger: every stop names a thread that it resumed (gdb 13 dies of an internal
 * error otherwise, lldb 14 steps for ever). So breakpoints are passed over by threads that were not
 * resumed, and a step ends in its thread.
 */
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { ProcessNumber, ResumeAction, ThreadNumber, ThreadResume } from './target.ts';

export interface AddressRange {
  readonly start: bigint;
  /** Exclusive. */
  readonly end: bigint;
}

interface Resumed {
  readonly isResumed: (thread: ThreadNumber) => boolean;
  /** All that are resumed, where they were named one by one: there can be no new ones. */
  readonly named: readonly ThreadNumber[] | undefined;
}

export type ResumePlan =
  | ({ readonly kind: 'continue' } & Resumed)
  | ({
      readonly kind: 'step';
      readonly thread: ThreadNumber;
      /** Step on while rip is in it. */
      readonly range: AddressRange | undefined;
    } & Resumed);

/** Throws `RemoteError` when nothing is resumed. `current`: the thread on the CPU. */
export function planResume(
  threads: readonly ThreadResume[],
  current: ThreadNumber,
  processOf: (thread: ThreadNumber) => ProcessNumber | undefined = () => undefined,
): ResumePlan {
  if (threads.length === 0) throw new RemoteError(ERRNO.EINVAL, 'no thread to resume');
  const actionOf = (thread: ThreadNumber): ResumeAction | undefined =>
    threads.find((element) => names(element, thread, processOf))?.action;
  const resumed: Resumed = {
    isResumed: (thread) => actionOf(thread) !== undefined,
    named: allNamed(threads),
  };
  const stepped = threads.find(({ action }) => action.kind !== 'continue');
  if (stepped === undefined) return { kind: 'continue', ...resumed };
  const thread = stepped.threads === 'all' ? current : stepped.threads;
  const action = actionOf(thread);
  if (action === undefined || action.kind === 'continue') return { kind: 'continue', ...resumed };
  const range = action.kind === 'range-step' ? action : undefined;
  return { kind: 'step', thread, range, ...resumed };
}

function allNamed(elements: readonly ThreadResume[]): readonly ThreadNumber[] | undefined {
  const named = elements.flatMap(({ threads }) => (threads === 'all' ? [] : [threads]));
  return named.length === elements.length ? named : undefined;
}

/** The first element that names the thread counts. */
function names(
  { threads, process, except }: ThreadResume,
  thread: ThreadNumber,
  processOf: (thread: ThreadNumber) => ProcessNumber | undefined,
): boolean {
  if (threads !== 'all') return threads === thread;
  if (except?.includes(thread) === true) return false;
  return process === undefined || processOf(thread) === process;
}
