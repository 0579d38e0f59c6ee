/**
 * Stop replies (GDB manual, "Stop Reply Packets"; lldb's additions from lldbgdbremote.md). Expedited
 * registers save gdb the `g` after each step; lldb also takes all threads and their pcs from here.
 */
import { bytesToHex, textToHex } from '../rsp/hex.ts';
import { reply, type ImmediateReply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import { whenKnown, type Awaitable } from '../target/awaitable.ts';
import type { ForeignStop, RegisterValue, StopCause, TargetStop, TargetThread, ThreadNumber } from '../target/target.ts'; // prettier-ignore
import type { PacketContext } from './packet-context.ts';

type Halt = Extract<TargetStop, { kind: 'stopped' }>;

/**
 * The reply for the target's present stop. Selects the thread that it names. A target that answers at
 * once gets its stop told at once: every turn of the event loop costs a break-in a tenth of its time.
 */
export function stopReply(context: PacketContext, stop: TargetStop): Awaitable<ImmediateReply> {
  if (stop.kind === 'exited') {
    const status = (stop.status & 0xff).toString(16).padStart(2, '0');
    const process = context.client.multiprocess ? `;process:${stop.process.toString(16)}` : '';
    return reply.text(`W${status}${process}`);
  }
  context.selection.selectStopped(stop.thread);
  return whenKnown(threadStopText(context, stop.thread, stop), reply.text);
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
  const { target } = context;
  return whenKnown(target.threads(), (threads) => {
    const thread = threads.find(({ id }) => id === number) ?? placeholder(number);
    return whenKnown(clientFields(context, thread, threads), (ofClient) => {
      return whenKnown(target.registers.expedited(number), (registers) => {
        return stopText(context, thread, stop, ofClient, registers);
      });
    });
  });
}

function stopText(
  { client }: PacketContext,
  thread: TargetThread,
  stop: Halt,
  ofClient: readonly string[],
  registers: readonly RegisterValue[],
): string {
  const isStopper = thread.id === stop.thread;
  let text = `T${(isStopper ? stop.signal : 0).toString(16).padStart(2, '0')}`;
  if (isStopper) for (const field of causeFields(stop.cause, client)) text += `${field};`;
  text += `thread:${formatThreadId(thread.process, thread.id, client.multiprocess)};`;
  for (const field of ofClient) text += `${field};`;
  if (thread.core !== undefined) text += `core:${thread.core.toString(16)};`;
  if (client.isLldb && isStopper) for (const field of lldbReason(stop)) text += `${field};`;
  for (const { number, bytes } of registers) {
    text += `${number.toString(16).padStart(2, '0')}:${bytesToHex(bytes)};`;
  }
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
    case 'step':
    case 'interrupt':
    case 'reset':
    case 'exception':
      return [];
  }
}

/** What only lldb wants to know of the thread. */
function clientFields(
  context: PacketContext,
  thread: TargetThread,
  threads: readonly TargetThread[],
): Awaitable<readonly string[]> {
  return context.client.isLldb ? lldbFields(context, thread, threads) : [];
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
      return foreignReason(stop.cause.foreign) ?? ['reason:breakpoint'];
    case 'step':
      return ['reason:trace'];
    case 'exception':
      return ['reason:exception', `description:${textToHex(stop.cause.description)}`];
    case 'system-call':
      return ['reason:exception', `description:${textToHex(systemCallText(stop.cause))}`];
    // A watchpoint is told by its `watch:` key, an interrupt and a reset by their signal.
    case 'watchpoint':
      return foreignReason(stop.cause.foreign) ?? [];
    case 'interrupt':
    case 'reset':
      return [];
  }
}

function foreignReason(foreign: ForeignStop | undefined): string[] | undefined {
  if (foreign === undefined) return undefined;
  return ['reason:exception', `description:${textToHex(foreign.description)}`];
}

/** For clients without a word of their own for it. */
export function systemCallText({
  phase,
  number,
  name,
}: Extract<StopCause, { kind: 'system-call' }>): string {
  const call = name === undefined ? `system call ${number}` : `system call ${name} (${number})`;
  return phase === 'entry' ? `call to ${call}` : `returned from ${call}`;
}
