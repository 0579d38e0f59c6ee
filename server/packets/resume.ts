/**
 * GDB manual, "Packets": ? c C s S vCont vCont? vCtrlC, and vStopped of "Notification Packets". In
 * all-stop mode the answer to a resume is the one stop reply, sent by the session when the target halts.
 */
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { addressBytes } from '../rsp/hex.ts';
import { reply, type ImmediateReply, type Reply } from '../rsp/reply.ts';
import type { ThreadId } from '../rsp/thread-id.ts';
import { whenKnown } from '../target/awaitable.ts';
import type { ResumeAction, ReverseAction, TargetStop, ThreadResume } from '../target/target.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import type { PacketContext } from './packet-context.ts';
import { eventReply, stopReply } from './stop-reply.ts';
import { ONLY_PROCESS } from './thread-selection.ts';

/** Present stop; a resume of a target that exited gets its exit again. */
function presentStop(context: PacketContext): TargetStop {
  const state = context.target.state();
  if (state.kind === 'running') throw new RemoteError(ERRNO.EBUSY, 'the target is running');
  return state.stop;
}

async function resume(context: PacketContext, threads: readonly ThreadResume[]): Promise<Reply> {
  if (context.nonStop.isOn) {
    context.holdings.traceFrame = undefined;
    await context.nonStop.resume(threads);
    return reply.ok;
  }
  const stop = presentStop(context);
  if (stop.kind === 'exited') return stopReply(context, stop);
  return context.resume(threads);
}

/** `c`, `s` and with a signal `C`, `S`: `[sig][;addr]`, on the thread that `Hc` selected. */
async function resumeSelected(
  fields: FieldReader,
  context: PacketContext,
  action: ResumeAction,
): Promise<Reply> {
  const { continuing } = context.selection;
  const isWhole = typeof continuing.thread !== 'number';
  const one = isWhole
    ? await context.target.currentThread()
    : (await context.selection.one(continuing)).id;
  if (!fields.isAtEnd) {
    const { registers, identity } = context.target;
    const address = fields.hex();
    fields.end();
    const bytes = addressBytes(address, identity?.pointerBytes ?? 8);
    await registers.write(one, registers.programCounter, bytes);
  }
  const isForAll = isWhole && action.kind === 'continue';
  return resume(context, [{ threads: isForAll ? 'all' : one, action }]);
}

/** In non-stop mode gdb waits for a stop, whatever is answered, and there is no way back with threads that run. */
async function goBack(
  fields: FieldReader,
  context: PacketContext,
  action: ReverseAction,
): Promise<Reply> {
  fields.end();
  const stop = presentStop(context);
  if (!context.nonStop.isOn) return context.reverse(action);
  const cause = { kind: 'history-begin' } as const;
  if (stop.kind === 'stopped') await context.nonStop.halted({ ...stop, cause });
  return reply.ok;
}

function readSignal(fields: FieldReader): number {
  return fields.length(0xff);
}

/** `sig[;addr]` of C and S. */
function signalThenAddress(fields: FieldReader): number {
  const signal = readSignal(fields);
  if (!fields.isAtEnd) fields.expect(';');
  return signal;
}

/** One action of vCont; undefined for `t`, which leaves its threads where they are. */
function readAction(fields: FieldReader): ResumeAction | undefined {
  if (fields.accepts('c')) return { kind: 'continue' };
  if (fields.accepts('s')) return { kind: 'step' };
  if (fields.accepts('C')) return { kind: 'continue', signal: readSignal(fields) };
  if (fields.accepts('S')) return { kind: 'step', signal: readSignal(fields) };
  if (fields.accepts('t')) return undefined;
  if (!fields.accepts('r')) fields.fail('one of c C s S t r expected');
  const start = fields.hex();
  fields.expect(',');
  return { kind: 'range-step', start, end: fields.hex() };
}

/** More than any client sends; each is matched against every thread. */
const MAX_ACTIONS = 1024;

interface Actions {
  readonly resumed: readonly ThreadResume[];
  /** Named by `t`. */
  readonly stopped: ReadonlySet<number>;
}

/** In non-stop mode a client may name threads that have ended while it did not look. */
async function namedThreads(context: PacketContext, id: ThreadId): Promise<readonly number[]> {
  try {
    return (await context.selection.matching(id)).map((thread) => thread.id);
  } catch (error) {
    const isGone = error instanceof RemoteError && error.errno === ERRNO.ESRCH;
    if (!context.nonStop.isOn || !isGone || typeof id.thread !== 'number') throw error;
    return [id.thread];
  }
}

const EVERY_THREAD: ThreadId = { thread: 'all' };

/** For a step gdb names its thread and then all: for these nobody need list the threads. */
function resumedWithoutList(
  { process, thread }: ThreadId,
  action: ResumeAction,
  { target }: PacketContext,
): ThreadResume | undefined {
  const hasOneProcess = target.processes?.isActive !== true;
  const isOnlyProcess = typeof process !== 'number' || (hasOneProcess && process === ONLY_PROCESS);
  if (thread === 'all') return isOnlyProcess ? { threads: 'all', action } : undefined;
  if (thread === 'any' || action.kind === 'continue') return undefined;
  const place = target.whereabouts?.(thread);
  if (place === undefined) return undefined;
  return typeof process !== 'number' || place.process === process
    ? { threads: thread, action }
    : undefined;
}

/** The first action that names a thread counts, so a `t` must hide the later ones. */
async function readActions(fields: FieldReader, context: PacketContext): Promise<Actions> {
  const resumed: ThreadResume[] = [];
  const stopped = new Set<number>();
  for (let count = 0; !fields.isAtEnd; count++) {
    if (count === MAX_ACTIONS) fields.fail(`more than ${MAX_ACTIONS} actions`);
    fields.expect(';');
    const action = readAction(fields);
    const id = fields.accepts(':') ? fields.threadId() : EVERY_THREAD;
    const isFirst = action !== undefined && stopped.size === 0;
    const known = isFirst ? resumedWithoutList(id, action, context) : undefined;
    if (known !== undefined) {
      resumed.push(known);
      continue;
    }
    const all = await context.target.threads();
    const named = await namedThreads(context, id);
    const whole = wholeOf(id, named.length === all.length, context);
    if (action === undefined) {
      for (const thread of named) stopped.add(thread);
    } else if (whole !== undefined && stopped.size === 0) {
      resumed.push({ ...whole, action });
    } else {
      const free = named.filter((thread) => !stopped.has(thread));
      resumed.push(...free.map((thread) => ({ threads: thread, action })));
    }
  }
  return { resumed, stopped };
}

/** The target or a process as a whole, with the threads that it makes while it runs. */
function wholeOf(
  { process, thread }: ThreadId,
  areAllNamed: boolean,
  { target }: PacketContext,
): Pick<ThreadResume, 'threads' | 'process'> | undefined {
  if (target.processes?.isActive !== true) return areAllNamed ? { threads: 'all' } : undefined;
  if (thread !== 'all') return undefined;
  return typeof process === 'number' ? { threads: 'all', process } : { threads: 'all' };
}

/** `library` has lldb read `qXfer:libraries`; once, when it attaches. */
function withLibraries(answer: ImmediateReply, { client }: PacketContext): ImmediateReply {
  const isTold = client.isLldb && client.lacksLibraries && answer.kind === 'text';
  return isTold && answer.text.startsWith('T') ? reply.text(`${answer.text}library:1;`) : answer;
}

export const resuming: PacketChapter = {
  title: 'Running and stopping',
  packets: [
    definePacket({
      name: '?',
      syntax: '?',
      purpose: 'why the target is halted',
      handle(fields, context) {
        fields.end();
        if (context.nonStop.isOn) return eventReply(context, context.nonStop.begin());
        return whenKnown(stopReply(context, presentStop(context)), (answer) =>
          withLibraries(answer, context),
        );
      },
    }),
    definePacket({
      name: 'c',
      syntax: 'c [addr]',
      purpose: 'continue',
      handle: (fields, context) => resumeSelected(fields, context, { kind: 'continue' }),
    }),
    definePacket({
      name: 's',
      syntax: 's [addr]',
      purpose: 'step one instruction',
      handle: (fields, context) => resumeSelected(fields, context, { kind: 'step' }),
    }),
    definePacket({
      name: 'C',
      syntax: 'C sig[;addr]',
      purpose: 'continue with a signal',
      handle(fields, context) {
        const signal = signalThenAddress(fields);
        return resumeSelected(fields, context, { kind: 'continue', signal });
      },
    }),
    definePacket({
      name: 'S',
      syntax: 'S sig[;addr]',
      purpose: 'step with a signal',
      handle(fields, context) {
        const signal = signalThenAddress(fields);
        return resumeSelected(fields, context, { kind: 'step', signal });
      },
    }),
    definePacket({
      name: 'vCont?',
      syntax: 'vCont?',
      purpose: 'which actions vCont knows',
      announcement: 'vContSupported+',
      handle(fields) {
        fields.end();
        return reply.text('vCont;c;C;s;S;t;r');
      },
    }),
    definePacket({
      name: 'vCont',
      syntax: 'vCont[;action[:thread-id]]…',
      purpose: 'continue, step or range-step, thread by thread',
      async handle(fields, context) {
        if (fields.isAtEnd) fields.fail('an action expected');
        const { resumed, stopped } = await readActions(fields, context);
        if (context.nonStop.isOn) await context.nonStop.stop([...stopped]);
        // Nothing but `t` on a halted target: it has happened already.
        return resumed.length === 0 ? reply.ok : resume(context, resumed);
      },
    }),
    definePacket({
      name: 'bs',
      syntax: 'bs',
      purpose: 'one step back in time',
      announcement: 'ReverseStep+',
      isOffered: (target) => target.reverse !== undefined,
      handle: (fields, context) => goBack(fields, context, 'step'),
    }),
    definePacket({
      name: 'bc',
      syntax: 'bc',
      purpose: 'back to the last breakpoint or watchpoint, or to where the past begins',
      announcement: 'ReverseContinue+',
      isOffered: (target) => target.reverse !== undefined,
      handle: (fields, context) => goBack(fields, context, 'continue'),
    }),
    definePacket({
      name: 'vStopped',
      syntax: 'vStopped',
      purpose: 'in non-stop mode: the stop has been taken, tell the next',
      isOffered: (target) => target.isNonStop === true,
      handle(fields, context) {
        fields.end();
        return eventReply(context, context.nonStop.acknowledge());
      },
    }),
    definePacket({
      name: 'vCtrlC',
      syntax: 'vCtrlC',
      purpose: 'break in, as the byte 0x03 does',
      isForRunningTarget: true,
      async handle(fields, context) {
        fields.end();
        if (context.nonStop.isOn) await context.nonStop.interrupt();
        else context.target.interrupt();
        return reply.ok;
      },
    }),
  ],
};
