/**
 * Stop replies (GDB manual, "Stop Reply Packets"; lldb's additions from lldbgdbremote.md). Expedited
 * registers save gdb the `g` after each step; lldb's own fields are in lldb-stop.ts.
 */
import { textToHex } from '../rsp/hex.ts';
import { reply, type ImmediateReply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import { whenKnown, type Awaitable } from '../target/awaitable.ts';
import type { ProcessExit, RegisterValue, StopCause, TargetStop, TargetThread, ThreadNumber, ThreadWhereabouts } from '../target/target.ts'; // prettier-ignore
import { expedited, lldbReason, lldbStopFields, registerField, type Halt } from './lldb-stop.ts';
import type { NonStopEvent } from './non-stop.ts';
import type { PacketContext } from './packet-context.ts';

/**
 * The reply for the target's present stop. Selects the thread that it names. A target that answers at
 * once gets its stop told at once: every turn of the event loop costs a break-in a tenth of its time.
 */
export function stopReply(context: PacketContext, stop: TargetStop): Awaitable<ImmediateReply> {
  if (stop.kind === 'exited') {
    const process = context.client.multiprocess ? `;process:${stop.process.toString(16)}` : '';
    return reply.text(`W${byteText(stop.status)}${process}`);
  }
  if (stop.kind === 'process-exited') return exitReply(stop);
  if (stop.cause.kind === 'no-resumed' && context.client.noResumed) return reply.text('N');
  // In non-stop mode gdb goes on with the thread that it has selected.
  if (!context.nonStop.isOn) context.selection.selectStopped(stop.thread);
  return whenKnown(threadStopText(context, stop.thread, stop), reply.text);
}

/** gdb hears of the end of a process that it has resumed, with its number. */
function exitReply({ process, ending }: ProcessExit): ImmediateReply {
  const isSignal = 'signal' in ending;
  const value = isSignal ? ending.signal : ending.status;
  const letter = isSignal ? 'X' : 'W';
  return reply.text(`${letter}${byteText(value)};process:${process.toString(16)}`);
}

function byteText(value: number): string {
  return (value & 0xff).toString(16).padStart(2, '0');
}

/** What `?`, `vStopped` and a notification say in non-stop mode. */
export function eventReply(
  context: PacketContext,
  event: NonStopEvent | undefined,
): Awaitable<ImmediateReply> {
  if (event === undefined) return reply.ok;
  if (event.kind !== 'vanished') return stopReply(context, event);
  return reply.text(`w0;${formatThreadId(1, event.thread, context.client.multiprocess)}`);
}

/**
 * The text for one thread: the stop's cause if it is the thread that stopped, else a stop without
 * a reason, which is how lldb wants to hear of the others.
 */
export function threadStopText(
  context: PacketContext,
  number: ThreadNumber,
  stop: Halt,
): Awaitable<string> {
  const { client, target } = context;
  const place = client.isLldb ? undefined : target.whereabouts?.(number);
  if (place !== undefined) return textWithRegisters(context, { id: number, ...place }, stop, []);
  return whenKnown(target.threads(), (threads) => {
    const thread = threads.find(({ id }) => id === number) ?? placeholder(number);
    return whenKnown(clientFields(context, thread, threads, stop), (ofClient) => {
      return textWithRegisters(context, thread, stop, ofClient);
    });
  });
}

/** What a stop reply says of its thread itself. */
interface Stopped extends ThreadWhereabouts {
  readonly id: ThreadNumber;
}

function textWithRegisters(
  context: PacketContext,
  thread: Stopped,
  stop: Halt,
  ofClient: readonly string[],
): Awaitable<string> {
  return whenKnown(expedited(context, thread.id), (registers) => {
    return stopText(context.client, thread, stop, ofClient, registers);
  });
}

function stopText(
  client: PacketContext['client'],
  thread: Stopped,
  stop: Halt,
  ofClient: readonly string[],
  registers: readonly RegisterValue[],
): string {
  const isStopper = thread.id === stop.thread;
  const signal = client.isLldb ? lldbReason(stop).signal : stop.signal;
  let text = `T${(isStopper ? signal : 0).toString(16).padStart(2, '0')}`;
  if (isStopper) for (const field of causeFields(stop.cause, client)) text += `${field};`;
  text += `thread:${formatThreadId(thread.process, thread.id, client.multiprocess)};`;
  for (const field of ofClient) text += `${field};`;
  if (thread.core !== undefined) text += `core:${thread.core.toString(16)};`;
  for (const register of registers) text += `${registerField(register)};`;
  return text;
}

/** A thread that vanished between the stop and its report. */
function placeholder(id: ThreadNumber): TargetThread {
  return { id, process: 1, name: '', description: '', isOnCpu: false };
}

/** swbreak and hwbreak only if negotiated: gdb rejects the stop reply otherwise. */
function causeFields(cause: StopCause, client: PacketContext['client']): string[] {
  switch (cause.kind) {
    case 'breakpoint':
      if (cause.foreign !== undefined) return [];
      if (cause.isHardware) return client.hwbreak ? ['hwbreak:'] : [];
      return client.swbreak ? ['swbreak:'] : [];
    case 'watchpoint': {
      if (cause.foreign !== undefined) return [];
      const key = { write: 'watch', read: 'rwatch', access: 'awatch' }[cause.watch];
      return [`${key}:${cause.address.toString(16)}`];
    }
    case 'system-call':
      return [`syscall_${cause.phase}:${cause.number.toString(16)}`];
    case 'fork':
    case 'vfork': {
      const { process, thread } = cause.child;
      return [`${cause.kind}:${formatThreadId(process, thread, true)}`];
    }
    case 'vfork-done':
      return ['vforkdone:'];
    case 'history-begin':
      return ['replaylog:begin'];
    case 'exec':
      return [`exec:${textToHex(cause.path)}`];
    case 'step':
    case 'no-resumed':
    case 'interrupt':
    case 'reset':
    case 'exception':
      return [];
  }
}

function clientFields(
  context: PacketContext,
  thread: TargetThread,
  threads: readonly TargetThread[],
  stop: Halt,
): Awaitable<readonly string[]> {
  return context.client.isLldb ? lldbStopFields(context, thread, threads, stop) : [];
}
