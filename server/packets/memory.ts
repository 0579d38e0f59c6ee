/**
 * GDB manual, "Packets": m M X x, and from "General Query Packets": qSearch:memory, qCRC. Reads may be
 * partial: what can be read is sent, and only a first byte that cannot is an error.
 */
import { setImmediate } from 'node:timers/promises';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { fittingLength } from '../rsp/packet-writer.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import type { Awaitable, Target, ThreadNumber } from '../target/target.ts';
import { crc32 } from './crc32.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import { PACKET_SIZE, type PacketContext } from './packet-context.ts';
import { refuseInFrame } from './tracepoints-frames.ts';

/** What `qSearch` and `qCRC` read at a time, so that other connections are served in between. */
const PIECE_BYTES = 0x10000;
const ADDRESS_MASK = (1n << 64n) - 1n;

async function readSome(
  context: PacketContext,
  address: bigint,
  lengthBytes: number,
): Promise<Uint8Array> {
  const room = context.replyRoom.take(lengthBytes);
  const bytes = await readMemory(context, address, lengthBytes, room);
  if (bytes.length === 0 && lengthBytes > 0) throw unreadable(address);
  return bytes;
}

/**
 * What a selected trace frame has; else as the selected thread sees it, or by physical addresses if the
 * client has asked for that.
 */
async function readMemory(
  context: PacketContext,
  address: bigint,
  lengthBytes: number,
  into?: Uint8Array,
): Promise<Uint8Array> {
  const { client, holdings, target } = context;
  if (holdings.traceFrame !== undefined) return holdings.traceFrame.memory(address, lengthBytes);
  const { physical } = target.memory;
  if (client.physicalMemory && physical !== undefined) return physical.read(address, lengthBytes);
  const { kernelFile } = client;
  const sought = kernelFile === 'sought' ? imageInMemory(target, address, lengthBytes) : undefined;
  if (sought !== undefined) return sought;
  const bytes = await target.memory.read(await viewer(context), address, lengthBytes, into);
  if (bytes.length > 0 || kernelFile !== 'in memory') return bytes;
  return imageInMemory(target, address, lengthBytes) ?? bytes;
}

/**
 * For compare-sections: gdb asks at the addresses where a file was loaded (remote.c, s->lma), which are
 * physical. Where nothing is mapped, as at those of a kernel in the upper half, it is RAM that answers.
 */
async function readLoaded(
  context: PacketContext,
  address: bigint,
  lengthBytes: number,
): Promise<Uint8Array> {
  const bytes = await readMemory(context, address, lengthBytes);
  const { physical } = context.target.memory;
  if (bytes.length > 0 || context.holdings.traceFrame !== undefined) return bytes;
  return (await physical?.read(address, lengthBytes)) ?? bytes;
}

/** What `HostImage.memory` has there. */
function imageInMemory(
  { hostImage }: Target,
  address: bigint,
  lengthBytes: number,
): Uint8Array | undefined {
  const found = hostImage?.memory().find((piece) => {
    return piece.address <= address && address < piece.address + BigInt(piece.bytes.length);
  });
  if (found === undefined) return undefined;
  const offset = Number(address - found.address);
  return found.bytes.subarray(offset, offset + lengthBytes);
}

/** The thread as which memory is seen. */
function viewer(context: PacketContext): Awaitable<ThreadNumber> {
  return context.nonStop.isOn ? livingThread(context) : context.selection.thread();
}

/**
 * In non-stop mode the selected thread may have ended while gdb did not look: then it is the one on the
 * CPU, so that the kernel can still be read.
 */
async function livingThread({ selection, target }: PacketContext): Promise<ThreadNumber> {
  const thread = await selection.thread();
  if ((await target.threads()).some(({ id }) => id === thread)) return thread;
  return target.currentThread();
}

function unreadable(address: bigint): RemoteError {
  return new RemoteError(ERRNO.EFAULT, `no memory at 0x${address.toString(16)}`);
}

async function writeBytes(
  context: PacketContext,
  address: bigint,
  bytes: Uint8Array,
): Promise<Reply> {
  refuseInFrame(context);
  const { client, target } = context;
  const { physical } = target.memory;
  const written =
    client.physicalMemory && physical !== undefined
      ? await physical.write(address, bytes)
      : await target.memory.write(await viewer(context), address, bytes);
  if (written < bytes.length) throw unreadable(address + BigInt(written));
  return reply.ok;
}

/** `addr,length` */
function addressAndLength(fields: FieldReader): { address: bigint; length: number } {
  const address = fields.hex();
  fields.expect(',');
  return { address, length: fields.length() };
}

/** Memory from `address` on, in pieces; throws where it cannot be read. */
async function* pieces(
  context: PacketContext,
  address: bigint,
  lengthBytes: number,
  read: typeof readMemory = readMemory,
): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < lengthBytes;) {
    const at = (address + BigInt(done)) & ADDRESS_MASK;
    const wanted = Math.min(PIECE_BYTES, lengthBytes - done);
    const bytes = await read(context, at, wanted);
    if (bytes.length === 0) throw unreadable(at);
    yield bytes;
    done += bytes.length;
    await setImmediate();
    if (context.isCancelled) throw new RemoteError(ERRNO.EINTR, 'the client has broken in');
  }
}

/** Offset of `pattern` from `address`, or undefined. */
async function search(
  context: PacketContext,
  address: bigint,
  lengthBytes: number,
  pattern: Uint8Array,
): Promise<number | undefined> {
  // The end of each piece stays in front of the next one: a match may lie across the seam.
  let window = Buffer.alloc(0);
  let windowStart = 0;
  for await (const piece of pieces(context, address, lengthBytes)) {
    window = Buffer.concat([window, piece]);
    const found = window.indexOf(pattern);
    if (found >= 0) return windowStart + found;
    const kept = Math.min(window.length, pattern.length - 1);
    windowStart += window.length - kept;
    window = window.subarray(window.length - kept);
  }
  return undefined;
}

export const memory: PacketChapter = {
  title: 'Memory',
  packets: [
    definePacket({
      name: 'm',
      syntax: 'm addr,length',
      purpose: 'read memory, in hex',
      async handle(fields, context) {
        const { address, length } = addressAndLength(fields);
        fields.end();
        return reply.hex(await readSome(context, address, Math.min(length, PACKET_SIZE / 2)));
      },
    }),
    definePacket({
      name: 'x',
      syntax: 'x addr,length',
      purpose: 'read memory, in binary',
      announcement: 'binary-upload+',
      async handle(fields, context) {
        const { address, length } = addressAndLength(fields);
        fields.end();
        // lldb probes with a length of 0 and then wants bare data; gdb 16 wants a `b` in front.
        if (length === 0) return context.client.isLldb ? reply.ok : reply.text('b');
        const bytes = await readSome(context, address, Math.min(length, PACKET_SIZE));
        const fitting = bytes.subarray(0, fittingLength(bytes, PACKET_SIZE - 1));
        return context.client.isLldb ? reply.binary(fitting) : reply.binary(fitting, 'b');
      },
    }),
    definePacket({
      name: 'M',
      syntax: 'M addr,length:XX…',
      purpose: 'write memory, in hex',
      handle(fields, context) {
        const { address, length } = addressAndLength(fields);
        fields.expect(':');
        const bytes = fields.hexBytes();
        fields.end();
        if (bytes.length !== length) fields.fail(`${length} bytes expected`);
        return writeBytes(context, address, bytes);
      },
    }),
    definePacket({
      name: 'X',
      syntax: 'X addr,length:XX…',
      purpose: 'write memory, in binary',
      handle(fields, context) {
        const { address, length } = addressAndLength(fields);
        fields.expect(':');
        const bytes = fields.rest();
        if (bytes.length !== length) fields.fail(`${length} bytes expected`);
        return writeBytes(context, address, bytes);
      },
    }),
    definePacket({
      name: 'qSearch:memory',
      syntax: 'qSearch:memory:address;length;search-pattern',
      purpose: "find bytes in memory (gdb's find)",
      async handle(fields, context) {
        fields.expect(':');
        const address = fields.hex();
        fields.expect(';');
        const length = fields.length();
        fields.expect(';');
        const pattern = fields.rest();
        if (pattern.length === 0) fields.fail('search pattern expected');
        const offset = await search(context, address, length, pattern);
        if (offset === undefined) return reply.text('0');
        return reply.text(`1,${((address + BigInt(offset)) & ADDRESS_MASK).toString(16)}`);
      },
    }),
    definePacket({
      name: 'qCRC',
      syntax: 'qCRC:addr,length',
      purpose: "checksum of memory (gdb's compare-sections), physical where nothing is mapped",
      async handle(fields, context) {
        fields.expect(':');
        const { address, length } = addressAndLength(fields);
        fields.end();
        let crc = 0xffff_ffff;
        for await (const piece of pieces(context, address, length, readLoaded)) {
          crc = crc32(crc, piece);
        }
        return reply.text(`C${crc.toString(16)}`);
      },
    }),
    definePacket({
      name: 'Qqemu.PhyMemMode',
      syntax: 'Qqemu.PhyMemMode:0|1',
      purpose: "QEMU's packet: 1 makes this connection's memory packets physical, 0 linear again",
      isOffered: (target) => target.memory.physical !== undefined,
      handle(fields, context) {
        fields.expect(':');
        const mode = fields.length(1);
        fields.end();
        context.client.physicalMemory = mode === 1;
        return reply.ok;
      },
    }),
    definePacket({
      name: 'qqemu.PhyMemMode',
      syntax: 'qqemu.PhyMemMode',
      purpose: '1 while memory packets carry physical addresses, else 0',
      isOffered: (target) => target.memory.physical !== undefined,
      handle(fields, context) {
        fields.end();
        return reply.text(context.client.physicalMemory ? '1' : '0');
      },
    }),
  ],
};
