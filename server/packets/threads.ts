/**
 * GDB manual: H and T from "Packets"; qC, qfThreadInfo, qsThreadInfo, qThreadExtraInfo from "General
 * Query Packets". gdb prefers `qXfer:threads:read` (qxfer.ts), which needs one round trip.
 */
import { textToHex } from '../rsp/hex.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import { formatThreadId } from '../rsp/thread-id.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import { PACKET_SIZE, type PacketContext } from './packet-context.ts';

/** `p7fffffff.7fffffff,` is the longest entry of a thread list. */
const LONGEST_ID = 19;
const IDS_IN_A_PACKET = Math.floor((PACKET_SIZE - 1) / LONGEST_ID);

function nextThreadIds(context: PacketContext): Reply {
  const ids = context.holdings.remainingThreads;
  if (ids.length === 0) return reply.text('l');
  context.holdings.remainingThreads = ids.slice(IDS_IN_A_PACKET);
  return reply.text(`m${ids.slice(0, IDS_IN_A_PACKET).join(',')}`);
}

export const threads: PacketChapter = {
  title: 'Threads',
  packets: [
    definePacket({
      name: 'H',
      syntax: 'H op thread-id',
      purpose: 'select the thread of later packets (g) or of resuming (c)',
      async handle(fields, context) {
        const isForResuming = fields.accepts('c');
        if (!isForResuming) fields.expect('g');
        const id = fields.threadId();
        fields.end();
        if (isForResuming) {
          if (typeof id.thread === 'number') await context.selection.one(id);
          context.selection.continuing = id;
        } else {
          await context.selection.select(id);
        }
        return reply.ok;
      },
    }),
    definePacket({
      name: 'T',
      syntax: 'T thread-id',
      purpose: 'is the thread alive?',
      async handle(fields, context) {
        const id = fields.threadId();
        fields.end();
        await context.selection.one(id);
        return reply.ok;
      },
    }),
    definePacket({
      name: 'qC',
      syntax: 'qC',
      purpose: 'the current thread',
      async handle(fields, context) {
        fields.end();
        const thread = await context.selection.one({ thread: await context.selection.thread() });
        const id = formatThreadId(thread.process, thread.id, context.client.multiprocess);
        return reply.text(`QC${id}`);
      },
    }),
    definePacket({
      name: 'qfThreadInfo',
      syntax: 'qfThreadInfo',
      purpose: 'the list of threads, first part',
      async handle(fields, context) {
        fields.end();
        const all = await context.target.threads();
        context.holdings.remainingThreads = all.map((thread) =>
          formatThreadId(thread.process, thread.id, context.client.multiprocess),
        );
        return nextThreadIds(context);
      },
    }),
    definePacket({
      name: 'qsThreadInfo',
      syntax: 'qsThreadInfo',
      purpose: 'the list of threads, next part',
      handle(fields, context) {
        fields.end();
        return nextThreadIds(context);
      },
    }),
    definePacket({
      name: 'qThreadExtraInfo',
      syntax: 'qThreadExtraInfo,thread-id',
      purpose: "a thread's name and state",
      async handle(fields, context) {
        fields.expect(',');
        const id = fields.threadId();
        fields.end();
        const { name, description } = await context.selection.one(id);
        const text = [name, description].filter((part) => part !== '').join(': ');
        // An empty reply would mean that the packet is not supported.
        return reply.text(textToHex(text === '' ? '-' : text));
      },
    }),
  ],
};
