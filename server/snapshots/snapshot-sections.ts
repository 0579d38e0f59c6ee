/**
 * The frame of a snapshot file: a header and named sections, all numbers little-endian.
 *
 *     0   8   "EXOSNAP\n"
 *     8   4   version of the format, 1
 *     12  4   how many sections follow
 *     16  8   RAM of the machine, in bytes
 *     24  8   length of the file
 *     32  32  SHA-256 of the bytes before this and of all after it
 *     64      sections, one after the other: name (16 bytes, ASCII, filled up with 0), bytes in the file
 *             (8), bytes of content (8), then the content, compressed with zlib unless both are equal
 *
 * The digest is against damage. A file with a right one may still be hostile: no content is taken for
 * longer than its name allows, and none is unpacked beyond what it is said to be.
 */
import { createHash } from 'node:crypto';
import { deflateSync, inflateSync } from 'node:zlib';
import { ImageError } from '../../machine/index.ts';

const MAGIC = Buffer.from('EXOSNAP\n', 'latin1');
export const FORMAT_VERSION = 1;
const HEADER_BYTES = 64;
const DIGEST_AT = 32;
const NAME_BYTES = 16;
const SECTION_HEADER_BYTES = NAME_BYTES + 16;
const MOST_SECTIONS = 16;
const MIB = 2 ** 20;

/** How long the contents may be. What is longer than 16 MiB must not pack better than real ELF files. */
const MOST_CONTENT = 1024 * MIB;
const FREE_CONTENT = 16 * MIB;
const BEST_RATIO = 64;

export interface SnapshotFrame {
  readonly memoryBytes: number;
  readonly sections: ReadonlyMap<string, Uint8Array>;
}

/** One line about a snapshot file that cannot be used. */
export class SnapshotError extends ImageError {}

export function isSnapshot(bytes: Uint8Array): boolean {
  return MAGIC.equals(bytes.subarray(0, MAGIC.length));
}

/** The same bytes for the same frame. `packed`: sections that are compressed already. */
export function writeFrame(
  { memoryBytes, sections }: SnapshotFrame,
  packed: ReadonlySet<string>,
): Uint8Array {
  const parts = [...sections].flatMap(([name, content]) => {
    const stored = packed.has(name) ? content : pack(content);
    const header = Buffer.alloc(SECTION_HEADER_BYTES);
    header.write(name, 'latin1');
    header.writeBigUInt64LE(BigInt(stored.length), NAME_BYTES);
    header.writeBigUInt64LE(BigInt(content.length), NAME_BYTES + 8);
    return [header, stored];
  });
  const header = Buffer.alloc(HEADER_BYTES);
  const lengthBytes = parts.reduce((sum, { length }) => sum + length, HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 8);
  header.writeUInt32LE(sections.size, 12);
  header.writeBigUInt64LE(BigInt(memoryBytes), 16);
  header.writeBigUInt64LE(BigInt(lengthBytes), 24);
  const file = Buffer.concat([header, ...parts]);
  digestOf(file).copy(file, DIGEST_AT);
  return file;
}

/** Throws `SnapshotError`, one line without the file's name. */
export function readFrame(bytes: Uint8Array): SnapshotFrame {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!isSnapshot(file)) throw new SnapshotError('it is no snapshot');
  const version = file.length < HEADER_BYTES ? FORMAT_VERSION : file.readUInt32LE(8);
  if (version !== FORMAT_VERSION) {
    throw new SnapshotError(
      `its format is version ${version}, this program reads version ${FORMAT_VERSION}`,
    );
  }
  if (file.length < HEADER_BYTES) throw new SnapshotError('it is cut off');
  const lengthBytes = file.readBigUInt64LE(24);
  if (BigInt(file.length) !== lengthBytes) {
    throw new SnapshotError(`it has ${file.length} bytes and should have ${lengthBytes}`);
  }
  if (!digestOf(file).equals(file.subarray(DIGEST_AT, HEADER_BYTES))) {
    throw new SnapshotError('it is damaged: its digest is wrong');
  }
  const memoryBytes = file.readBigUInt64LE(16);
  return { memoryBytes: Number(memoryBytes), sections: readSections(file) };
}

function readSections(file: Buffer): Map<string, Uint8Array> {
  const sections = new Map<string, Uint8Array>();
  const count = file.readUInt32LE(12);
  if (count > MOST_SECTIONS) throw new SnapshotError(`${count} sections are too many`);
  let at = HEADER_BYTES;
  for (let index = 0; index < count; index++) {
    if (at + SECTION_HEADER_BYTES > file.length) throw new SnapshotError('a section is cut off');
    const name = file.toString('latin1', at, at + NAME_BYTES).replace(/\0+$/, '');
    const stored = Number(file.readBigUInt64LE(at + NAME_BYTES));
    const content = Number(file.readBigUInt64LE(at + NAME_BYTES + 8));
    at += SECTION_HEADER_BYTES;
    if (stored > file.length - at) throw new SnapshotError('a section is cut off');
    sections.set(name, unpack(file.subarray(at, at + stored), content));
    at += stored;
  }
  if (at !== file.length) throw new SnapshotError('there is something behind its last section');
  return sections;
}

/** Compressed, unless it would be refused when it is read. */
function pack(content: Uint8Array): Uint8Array {
  const packed = deflateSync(content);
  const isSmaller = packed.length < content.length;
  return isSmaller && content.length <= mostContent(packed.length) ? packed : content;
}

function unpack(stored: Buffer, lengthBytes: number): Uint8Array {
  if (lengthBytes === stored.length) return stored;
  if (lengthBytes > mostContent(stored.length)) throw new SnapshotError('a section is too long');
  return inflateExactly(stored, lengthBytes);
}

function mostContent(storedBytes: number): number {
  return Math.min(MOST_CONTENT, FREE_CONTENT + BEST_RATIO * storedBytes);
}

/** Throws `SnapshotError` unless just so many bytes come out. */
export function inflateExactly(packed: Uint8Array, lengthBytes: number): Uint8Array {
  let content: Uint8Array;
  try {
    content = inflateSync(packed, { maxOutputLength: Math.max(1, lengthBytes) });
  } catch {
    throw new SnapshotError('what is compressed cannot be unpacked');
  }
  if (content.length === lengthBytes) return content;
  throw new SnapshotError(`${content.length} bytes are where ${lengthBytes} should be`);
}

function digestOf(file: Buffer): Buffer {
  const hash = createHash('sha256').update(file.subarray(0, DIGEST_AT));
  return hash.update(file.subarray(HEADER_BYTES)).digest();
}
