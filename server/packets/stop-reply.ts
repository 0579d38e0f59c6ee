/**
 * Stop replies (GDB manual, "Stop Reply Packets"; lldb's additions from lldbgdbremote.md). Expedited
 * registers save gdb the `g` after each step; lldb also takes all threads and their pcs from here.
 */
import { bytesToHex, textToHex } from '../rsp/hex.ts';
import { reply, type ImmediateReply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import type { StopCause, TargetStop, TargetThread, ThreadNumber } from '../target/target.ts';
import type { PacketContext } from './packet-context.ts';

type Halt = Extract<TargetStop, { kind: 'stopped' }>;

/** The reply for the target's present stop. Selects the thread that it names. */
export async function stopReply(context: PacketContext, stop: TargetStop): Promise<ImmediateReply> {
  if (stop.kind === 'exited') {
    const status = (stop.status & 0xff).toString(16).padStart(2, '0');
    const process = context.client.multiprocess ? `;process:${stop.process.toString(16)}` : '';
    return reply.text(`W${status}${process}`);
  }
  context.selection.selectStopped(stop.thread);
  return reply.text(await threadStopText(context, stop.thread, stop));
}

/**
 * The text for one thread: the stop's cause if it is the thread that stopped, else a stop without
 * a reason, which is how lldb wants to hear of the others.
 */
export async function threadStopText(
  context: PacketContext,
  number: ThreadNumber,
  stop: Halt,
): Promise<string> {
  const { client, target } = context;
  const threads = await target.threads();
  const thread = threads.find(({ id }) => id === number) ?? placeholder(number);
  const isStopper = number === stop.thread;
  const fields = [
    ...(isStopper ? causeFields(stop.cause, context) : []),
    `thread:${formatThreadId(thread.process, thread.id, client.multiprocess)}`,
    ...(client.isLldb ? await lldbFields(context, thread, threads) : []),
    ...(thread.core === undefined ? [] : [`core:${thread.core.toString(16)}`]),
    ...(client.isLldb && isStopper ? lldbReason(stop) : []),
  ];
  for (const { number: register, bytes } of await target.registers.expedited(number)) {
    fields.push(`${register.toString(16).padStart(2, '0')}:${bytesToHex(bytes)}`);
  }
  const signal = isStopper ? stop.signal : 0;
  return `T${signal.toString(16).padStart(2, '0')}${fields.join(';')};`;
}

/** A thread that vanished between the stop and its report. */
function placeholder(id: ThreadNumber): TargetThread {
  return { id, process: 1, name: '', description: '', isOnCpu: false };
}

/** swbreak and hwbreak only if negotiated: gdb rejects the stop reply otherwise. */
function causeFields(cause: StopCause, { client }: PacketContext): string[] {
  switch (cause.kind) {
    case 'breakpoint':
      if (cause.isForeign === true) return [];
      if (cause.isHardware) return client.hwbreak ? ['hwbreak:'] : [];
      return client.swbreak ? ['swbreak:'] : [];
    case 'watchpoint': {
      const key = { write: 'watch', read: 'rwatch', access: 'awatch' }[cause.watch];
      return [`${key}:${cause.address.toString(16)}`];
    }
    case 'step':
    case 'interrupt':
    case 'reset':
    case 'exception':
      return [];
  }
}

async function lldbFields(
  context: PacketContext,
  thread: TargetThread,
  threads: readonly TargetThread[],
): Promise<string[]> {
  const fields = thread.name === '' ? [] : [`hexname:${textToHex(thread.name)}`];
  if (!context.client.threadsInStopReply) return fields;
  const { registers } = context.target;
  const counters: string[] = [];
  for (const { id } of threads) {
    const value = await registers.read(id, registers.programCounter);
    // Written as a number, most significant digit first, unlike the expedited registers.
    counters.push(value instanceof Uint8Array ? bytesToHex(Uint8Array.from(value).reverse()) : '0');
  }
  const ids = threads.map(({ id }) => id.toString(16));
  return [...fields, `threads:${ids.join(',')}`, `thread-pcs:${counters.join(',')}`];
}

/** lldb's word for a stop, with a text for its user where lldb would print a bare signal. */
export function lldbReason(stop: Halt): string[] {
  switch (stop.cause.kind) {
    case 'breakpoint':
      return ['reason:breakpoint'];
    case 'step':
      return ['reason:trace'];
    case 'exception':
      return ['reason:exception', `description:${textToHex(stop.cause.description)}`];
    // A watchpoint is told by its `watch:` key, an interrupt and a reset by their signal.
    case 'watchpoint':
    case 'interrupt':
    case 'reset':
      return [];
  }
}
