/**
 * lldb's additions (lldb/docs/resources/lldbgdbremote.md). With these its `gdb-remote` needs 19 packets
 * to attach, 22 when it was given no file, 31 when its host has none, and at a stop none or one instead of
 * two to four per thread.
 */
import { ERRNO } from '../rsp/errno.ts';
import { textToHex } from '../rsp/hex.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import type { TargetIdentity, TargetThread } from '../target/target.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import { threadInfo, type Halt } from './lldb-stop.ts';
import type { PacketContext } from './packet-context.ts';
import { threadStopText } from './stop-reply.ts';

/** lldb divides its work by this; the machine has no limit of its own. */
const WATCHPOINTS_OFFERED = 32;
/** Saved register sets a client may hold; lldb holds one per expression. */
const MAX_SAVED_REGISTERS = 64;

/** `key:value;` for each pair. */
function pairs(fields: Readonly<Record<string, string | number>>): Reply {
  const text = Object.entries(fields).map(([key, value]) => `${key}:${value};`);
  return reply.text(text.join(''));
}

/** A negotiation packet: it takes no fields, changes one thing and is answered OK. */
function switchOn(name: string, purpose: string, change: (context: PacketContext) => void) {
  return definePacket({
    name,
    syntax: name,
    purpose,
    handle(fields, context) {
      fields.end();
      context.client.isLldb = true;
      change(context);
      return reply.ok;
    },
  });
}

function processInfo(identity: TargetIdentity, thread: TargetThread): Reply {
  return pairs({
    pid: thread.process.toString(16),
    'parent-pid': '0',
    triple: textToHex(identity.triple),
    // `linux` would make lldb look for an auxiliary vector and shared libraries.
    ostype: 'unknown',
    vendor: 'unknown',
    endian: 'little',
    ptrsize: identity.pointerBytes,
  });
}

function haltOf(context: PacketContext): Halt | undefined {
  const state = context.target.state();
  return state.kind === 'halted' && state.stop.kind === 'stopped' ? state.stop : undefined;
}

export const lldb: PacketChapter = {
  title: "lldb's additions",
  packets: [
    switchOn('QThreadSuffixSupported', 'register packets may name their thread', () => undefined),
    switchOn(
      'QListThreadsInStopReply',
      'stop replies list all threads and their pcs',
      (context) => {
        context.client.threadsInStopReply = true;
      },
    ),
    switchOn('QEnableErrorStrings', 'errors carry text', (context) => {
      context.client.hexErrorStrings = true;
    }),
    definePacket({
      name: 'qSupportsDetachAndStayStopped',
      syntax: 'qSupportsDetachAndStayStopped:',
      purpose: "D1, lldb's process detach --keep-stopped true, is understood",
      handle(fields) {
        fields.expect(':');
        fields.end();
        return reply.ok;
      },
    }),
    definePacket({
      name: 'qGDBServerVersion',
      syntax: 'qGDBServerVersion',
      purpose: "this server's name and version",
      audience: 'anyone',
      handle(fields, context) {
        fields.end();
        return pairs(context.server);
      },
    }),
    definePacket({
      name: 'qHostInfo',
      syntax: 'qHostInfo',
      purpose: 'architecture and byte order',
      isOffered: (target) => target.identity !== undefined,
      handle(fields, context) {
        fields.end();
        const identity = context.target.identity!;
        return pairs({
          triple: textToHex(identity.triple),
          ptrsize: identity.pointerBytes,
          endian: 'little',
          watchpoint_exceptions_received: 'after',
          hostname: textToHex(identity.hostName),
        });
      },
    }),
    definePacket({
      name: 'qProcessInfo',
      syntax: 'qProcessInfo',
      purpose: 'the process of the selected thread',
      isOffered: (target) => target.identity !== undefined,
      async handle(fields, context) {
        fields.end();
        const thread = await context.selection.one({ thread: await context.selection.thread() });
        return processInfo(context.target.identity!, thread);
      },
    }),
    definePacket({
      name: 'qShlibInfoAddr',
      syntax: 'qShlibInfoAddr',
      purpose: 'where lldb is to look for a Darwin kernel: at one place instead of five',
      isOffered: (target) => target.hostImage !== undefined,
      handle(fields, context) {
        fields.end();
        // With a file lldb looks for no kernel: then that file is to stay what it knows of the kernel.
        context.client.kernelFile = 'sought';
        return reply.text(context.target.hostImage!.address.toString(16));
      },
    }),
    definePacket({
      name: 'qMemoryRegionInfo',
      syntax: 'qMemoryRegionInfo:addr',
      purpose: 'the mapping around an address and its permissions',
      isOffered: (target) => target.memoryRegion !== undefined,
      async handle(fields, context) {
        fields.expect(':');
        const address = fields.hex();
        fields.end();
        const thread = await context.selection.thread();
        const region = await context.target.memoryRegion!(thread, address);
        const { permissions: allowed, name } = region;
        return pairs({
          start: region.start.toString(16),
          size: region.lengthBytes.toString(16),
          ...(allowed && {
            permissions: `${allowed.read ? 'r' : ''}${allowed.write ? 'w' : ''}${allowed.execute ? 'x' : ''}`,
          }),
          ...(name !== undefined && { name: textToHex(name) }),
        });
      },
    }),
    definePacket({
      name: 'qWatchpointSupportInfo',
      syntax: 'qWatchpointSupportInfo:',
      purpose: 'how many watchpoints there can be',
      isOffered: (target) => target.breakpoints.kinds.some((kind) => kind >= 2),
      handle: () => pairs({ num: WATCHPOINTS_OFFERED }),
    }),
    definePacket({
      name: 'jThreadsInfo',
      syntax: 'jThreadsInfo',
      purpose: 'all threads with reason and registers in one round trip',
      async handle(fields, context) {
        fields.end();
        const stop = haltOf(context);
        const all = await context.target.threads();
        const infos = await Promise.all(all.map((thread) => threadInfo(context, thread, stop)));
        return reply.binary(Buffer.from(JSON.stringify(infos), 'utf8'));
      },
    }),
    definePacket({
      name: 'qThreadStopInfo',
      syntax: 'qThreadStopInfo TID',
      purpose: "one thread's stop reply",
      hasGluedArgument: true,
      async handle(fields, context) {
        const id = fields.threadId();
        fields.end();
        const thread = await context.selection.one(id);
        const stop = haltOf(context);
        if (stop === undefined) return reply.error(ERRNO.EBUSY, 'the target is not halted');
        return reply.text(await threadStopText(context, thread.id, stop));
      },
    }),
    definePacket({
      name: 'QSaveRegisterState',
      syntax: 'QSaveRegisterState[;thread:TID;]',
      purpose: 'keep the registers while an expression is evaluated',
      async handle(fields, context) {
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const { savedRegisters } = context.holdings;
        if (savedRegisters.size >= MAX_SAVED_REGISTERS) {
          return reply.error(ERRNO.EMFILE, 'too many saved register sets');
        }
        let number = 1;
        while (savedRegisters.has(number)) number++;
        savedRegisters.set(number, (await context.target.registers.readAll(thread)).bytes);
        return reply.text(String(number));
      },
    }),
    definePacket({
      name: 'QRestoreRegisterState',
      syntax: 'QRestoreRegisterState:id[;thread:TID;]',
      purpose: 'put kept registers back',
      async handle(fields, context) {
        fields.expect(':');
        // A decimal number, as QSaveRegisterState gave it.
        const number = Number(fields.textUntil(';'));
        const thread = await context.selection.suffixOrSelected(fields);
        fields.end();
        const bytes = context.holdings.savedRegisters.get(number);
        if (bytes === undefined) return reply.error(ERRNO.EINVAL, 'no such saved registers');
        context.holdings.savedRegisters.delete(number);
        await context.target.registers.writeAll(thread, bytes);
        return reply.ok;
      },
    }),
  ],
};
