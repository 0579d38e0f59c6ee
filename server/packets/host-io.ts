/**
 * GDB manual, "Host I/O Packets": vFile, read-only, for the files that the target offers and no
 * others. gdb loads the kernel's symbols through it.
 *
 *     F result[,errno][;data]      numbers in hex, −1 for an error
 */
import { ERRNO, type Errno } from '../rsp/errno.ts';
import type { FieldReader } from '../rsp/field-reader.ts';
import { fittingLength } from '../rsp/packet-writer.ts';
import { reply, type Reply } from '../rsp/reply.ts';
import type { Target, TargetFile } from '../target/target.ts';
import { definePacket, type PacketChapter } from './definition.ts';
import { PACKET_SIZE, type PacketContext } from './packet-context.ts';

const MAX_OPEN_FILES = 64;
/** The access mode in `open`'s flags (GDB manual, "Open Flags"); 0 is O_RDONLY. */
const O_ACCMODE = 3;
/** Room for `F`, the length in hex and `;`. */
const PREAD_HEADER = 16;
/** A regular file that everybody may read (GDB manual, "mode_t Values"). */
const MODE_REGULAR_READABLE = 0o100_444;

function result(value: number): Reply {
  return reply.text(`F${value.toString(16)}`);
}

function failure(errno: Errno): Reply {
  return reply.text(`F-1,${errno.toString(16)}`);
}

/** GDB manual, "struct stat": 64 bytes, most significant byte first. */
function statBytes(file: TargetFile): Uint8Array {
  const view = new DataView(new ArrayBuffer(64));
  view.setUint32(8, MODE_REGULAR_READABLE);
  view.setUint32(12, 1); // st_nlink
  view.setBigUint64(28, BigInt(file.sizeBytes));
  view.setBigUint64(36, 4096n); // st_blksize
  view.setBigUint64(44, BigInt(Math.ceil(file.sizeBytes / 512)));
  for (const timeOffset of [52, 56, 60]) view.setUint32(timeOffset, file.modifiedAt);
  return new Uint8Array(view.buffer);
}

function readDescriptor(fields: FieldReader): number {
  return fields.length(0x7fff_ffff);
}

async function open(context: PacketContext, path: string, flags: number): Promise<Reply> {
  const { files } = context.holdings;
  if ((flags & O_ACCMODE) !== 0) return failure(ERRNO.EACCES);
  if (files.size >= MAX_OPEN_FILES) return failure(ERRNO.EMFILE);
  const file = await context.target.files?.open(path, context.selection.process);
  if (file === undefined) return failure(ERRNO.ENOENT);
  let descriptor = 3;
  while (files.has(descriptor)) descriptor++;
  files.set(descriptor, file);
  return result(descriptor);
}

function linkReply(link: string): Reply {
  const bytes = Buffer.from(link, 'utf8');
  return reply.binary(bytes, `F${bytes.length.toString(16)};`);
}

const isOffered = (target: Target) => target.files !== undefined;

export const hostIo: PacketChapter = {
  title: 'Host I/O',
  packets: [
    definePacket({
      name: 'vFile:setfs',
      syntax: 'vFile:setfs:pid',
      purpose: "whose files: all processes see the server's one set",
      isOffered,
      handle(fields) {
        fields.expect(':');
        fields.length(0x7fff_ffff);
        fields.end();
        return result(0);
      },
    }),
    definePacket({
      name: 'vFile:open',
      syntax: 'vFile:open:filename,flags,mode',
      purpose: 'open one of the offered files for reading',
      isOffered,
      handle(fields, context) {
        fields.expect(':');
        const path = fields.hexText();
        fields.expect(',');
        const flags = fields.length(0xffff_ffff);
        fields.expect(',');
        fields.length(0xffff_ffff);
        fields.end();
        return open(context, path, flags);
      },
    }),
    definePacket({
      name: 'vFile:pread',
      syntax: 'vFile:pread:fd,count,offset',
      purpose: 'read from an open file',
      isOffered,
      async handle(fields, context) {
        fields.expect(':');
        const file = context.holdings.files.get(readDescriptor(fields));
        fields.expect(',');
        const count = fields.length();
        fields.expect(',');
        const offset = fields.length();
        fields.end();
        if (file === undefined) return failure(ERRNO.EBADF);
        const bytes = await file.read(offset, Math.min(count, PACKET_SIZE - PREAD_HEADER));
        const data = bytes.subarray(0, fittingLength(bytes, PACKET_SIZE - PREAD_HEADER));
        return reply.binary(data, `F${data.length.toString(16)};`);
      },
    }),
    definePacket({
      name: 'vFile:fstat',
      syntax: 'vFile:fstat:fd',
      purpose: 'size and time of an open file',
      isOffered,
      handle(fields, context) {
        fields.expect(':');
        const file = context.holdings.files.get(readDescriptor(fields));
        fields.end();
        if (file === undefined) return failure(ERRNO.EBADF);
        return reply.binary(statBytes(file), 'F40;');
      },
    }),
    definePacket({
      name: 'vFile:close',
      syntax: 'vFile:close:fd',
      purpose: 'close a file',
      isOffered,
      handle(fields, context) {
        fields.expect(':');
        const descriptor = readDescriptor(fields);
        fields.end();
        return context.holdings.files.delete(descriptor) ? result(0) : failure(ERRNO.EBADF);
      },
    }),
    definePacket({
      name: 'vFile:readlink',
      syntax: 'vFile:readlink:filename',
      purpose: 'where a link of the guest leads (/proc/PID/exe)',
      isOffered,
      async handle(fields, context) {
        fields.expect(':');
        const path = fields.hexText();
        fields.end();
        const { files } = context.target;
        const link = await files?.readLink?.(path);
        if (link !== undefined) return linkReply(link);
        const file = await files?.open(path, context.selection.process);
        return failure(file === undefined ? ERRNO.ENOENT : ERRNO.EINVAL);
      },
    }),
  ],
};
