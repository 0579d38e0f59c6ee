/**
 * A reader of ELF files for the debugger: sections, segments and notes (System V ABI, chapters 4
 * and 5). It never throws: a hostile or truncated file has fewer sections, segments or notes than
 * it claims. Both classes, little endian only. Relocations and dynamic linking are left out.
 */
export interface ElfSection {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly link: number;
  readonly entrySize: number;
  readonly content: Uint8Array;
}

export interface ElfSegment {
  readonly type: number;
  readonly isWritable: boolean;
  readonly isExecutable: boolean;
  /** p_vaddr. */
  readonly address: bigint;
  /** p_offset. */
  readonly fileOffset: bigint;
  /** The bytes in the file; the rest up to `memoryBytes` is zero. */
  readonly content: Uint8Array;
  readonly memoryBytes: bigint;
}

export interface ElfNote {
  readonly owner: string;
  readonly type: number;
  readonly description: Uint8Array;
}

export interface ElfFile {
  readonly is64Bit: boolean;
  /** e_machine: 3 is i386, 62 x86-64. */
  readonly machine: number;
  readonly entry: bigint;
  readonly sections: readonly ElfSection[];
  readonly segments: readonly ElfSegment[];
}

export const SECTION_TYPE = { symbolTable: 2, note: 7, noBits: 8 } as const;
const PF_W = 2;
const PF_X = 1;
export const SEGMENT_TYPE = { load: 1, dynamic: 2, note: 4 } as const;

/** Sections and segments beyond this are not looked at; real kernels have under 100. */
const MAXIMUM_HEADERS = 4096;
/** Areas of notes may overlap, and each may hold millions of empty ones. */
const MAXIMUM_NOTES = 4096;
/** Names are cut here: a string table without NULs is one name as long as the file. */
const MAXIMUM_STRING_BYTES = 4096;

/** Where a class of ELF keeps its fields; `word` is the width of an address. */
interface Layout {
  readonly word: 4 | 8;
  readonly header: { entry: number; phoff: number; shoff: number; counts: number; bytes: number };
  readonly section: { address: number; offset: number; size: number; link: number; entry: number };
  readonly segment: {
    flags: number;
    offset: number;
    address: number;
    fileSize: number;
    memorySize: number;
  };
  readonly sectionBytes: number;
  readonly segmentBytes: number;
}

const LAYOUT_64: Layout = {
  word: 8,
  header: { entry: 24, phoff: 32, shoff: 40, counts: 54, bytes: 64 },
  section: { address: 16, offset: 24, size: 32, link: 40, entry: 56 },
  segment: { flags: 4, offset: 8, address: 16, fileSize: 32, memorySize: 40 },
  sectionBytes: 64,
  segmentBytes: 56,
};

const LAYOUT_32: Layout = {
  word: 4,
  header: { entry: 24, phoff: 28, shoff: 32, counts: 42, bytes: 52 },
  section: { address: 12, offset: 16, size: 20, link: 24, entry: 36 },
  segment: { flags: 24, offset: 4, address: 8, fileSize: 16, memorySize: 20 },
  sectionBytes: 40,
  segmentBytes: 32,
};

/** A DataView that answers 0 for what lies outside, and knows the file's word size. */
class Fields {
  readonly #view: DataView;
  readonly #word: 4 | 8;

  constructor(bytes: Uint8Array, word: 4 | 8) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#word = word;
  }

  u16(offset: number): number {
    return this.#has(offset, 2) ? this.#view.getUint16(offset, true) : 0;
  }

  u32(offset: number): number {
    return this.#has(offset, 4) ? this.#view.getUint32(offset, true) : 0;
  }

  word(offset: number): bigint {
    if (!this.#has(offset, this.#word)) return 0n;
    return this.#word === 8
      ? this.#view.getBigUint64(offset, true)
      : BigInt(this.#view.getUint32(offset, true));
  }

  #has(offset: number, bytes: number): boolean {
    return offset >= 0 && offset + bytes <= this.#view.byteLength;
  }
}

/** Reads an ELF file; `undefined` when it is none (or is big endian). Borrows `bytes`. */
export function readElf(bytes: Uint8Array): ElfFile | undefined {
  const isElf = bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
  if (!isElf || bytes[5] !== 1) return undefined;
  const layout = bytes[4] === 2 ? LAYOUT_64 : bytes[4] === 1 ? LAYOUT_32 : undefined;
  if (layout === undefined || bytes.length < layout.header.bytes) return undefined;
  const fields = new Fields(bytes, layout.word);
  return {
    is64Bit: layout.word === 8,
    machine: fields.u16(18),
    entry: fields.word(layout.header.entry),
    sections: readSections(bytes, fields, layout),
    segments: readSegments(bytes, fields, layout),
  };
}

function readSections(bytes: Uint8Array, fields: Fields, layout: Layout): ElfSection[] {
  const { header, section } = layout;
  const table = fields.word(header.shoff);
  const entryBytes = fields.u16(header.counts + 4);
  const count = Math.min(fields.u16(header.counts + 6), MAXIMUM_HEADERS);
  if (entryBytes < layout.sectionBytes) return [];
  const starts = headerOffsets(bytes, table, count, entryBytes);
  const contentOf = (start: number | undefined): Uint8Array =>
    start === undefined || fields.u32(start + 4) === SECTION_TYPE.noBits
      ? new Uint8Array()
      : slice(bytes, fields.word(start + section.offset), fields.word(start + section.size));
  const names = contentOf(starts[fields.u16(header.counts + 8)]);
  return starts.map((start) => ({
    name: stringAt(names, fields.u32(start)),
    type: fields.u32(start + 4),
    address: fields.word(start + section.address),
    link: fields.u32(start + section.link),
    entrySize: Number(fields.word(start + section.entry)),
    content: contentOf(start),
  }));
}

function readSegments(bytes: Uint8Array, fields: Fields, layout: Layout): ElfSegment[] {
  const { header, segment } = layout;
  const entryBytes = fields.u16(header.counts);
  const count = Math.min(fields.u16(header.counts + 2), MAXIMUM_HEADERS);
  if (entryBytes < layout.segmentBytes) return [];
  return headerOffsets(bytes, fields.word(header.phoff), count, entryBytes).map((start) => ({
    type: fields.u32(start),
    isWritable: (fields.u32(start + segment.flags) & PF_W) !== 0,
    isExecutable: (fields.u32(start + segment.flags) & PF_X) !== 0,
    address: fields.word(start + segment.address),
    fileOffset: fields.word(start + segment.offset),
    content: slice(
      bytes,
      fields.word(start + segment.offset),
      fields.word(start + segment.fileSize),
    ),
    memoryBytes: fields.word(start + segment.memorySize),
  }));
}

/** The headers of a table that lie wholly in the file. */
function headerOffsets(bytes: Uint8Array, table: bigint, count: number, size: number): number[] {
  if (table === 0n || table >= BigInt(bytes.length)) return [];
  const first = Number(table);
  return Array.from({ length: count }, (_, index) => first + index * size).filter(
    (start) => start + size <= bytes.length,
  );
}

function slice(bytes: Uint8Array, offset: bigint, length: bigint): Uint8Array {
  if (offset >= BigInt(bytes.length)) return new Uint8Array();
  const end = offset + length;
  const last = end > BigInt(bytes.length) ? bytes.length : Number(end);
  return bytes.subarray(Number(offset), last);
}

/** The NUL-terminated string at an offset, 4096 bytes at most; empty when the offset lies outside. */
export function stringAt(bytes: Uint8Array, offset: number): string {
  const most = bytes.subarray(offset, offset + MAXIMUM_STRING_BYTES);
  const end = most.indexOf(0);
  const { buffer, byteOffset } = most;
  return Buffer.from(buffer, byteOffset, end < 0 ? most.length : end).toString('latin1');
}

/** The notes of a file, from its PT_NOTE segments and from its note sections: the first 4096. */
export function readNotes(file: ElfFile): ElfNote[] {
  const segments = file.segments.filter((segment) => segment.type === SEGMENT_TYPE.note);
  const sections = file.sections.filter((section) => section.type === SECTION_TYPE.note);
  const notes: ElfNote[] = [];
  for (const { content } of [...segments, ...sections]) addNotes(content, notes);
  return notes;
}

function addNotes(bytes: Uint8Array, notes: ElfNote[]): void {
  const fields = new Fields(bytes, 4);
  for (let start = 0; start + 12 <= bytes.length && notes.length < MAXIMUM_NOTES;) {
    const ownerBytes = fields.u32(start);
    const descriptionBytes = fields.u32(start + 4);
    const descriptionStart = start + 12 + align4(ownerBytes);
    const end = descriptionStart + descriptionBytes;
    if (end > bytes.length) break;
    notes.push({
      owner: stringAt(bytes.subarray(start + 12, start + 12 + ownerBytes), 0),
      type: fields.u32(start + 8),
      description: bytes.subarray(descriptionStart, end),
    });
    start = align4(end);
  }
}

function align4(value: number): number {
  return Math.ceil(value / 4) * 4;
}

/**
 * What the image puts at a linear address before the first instruction runs: the guest cannot
 * change this. Shorter than asked, down to empty, where the image has nothing.
 */
export function readLoaded(file: ElfFile, linear: bigint, lengthBytes: number): Uint8Array {
  for (const segment of file.segments) {
    const offset = linear - segment.address;
    const isInside = segment.type === SEGMENT_TYPE.load && offset >= 0n;
    if (!isInside || offset >= BigInt(segment.content.length)) continue;
    return segment.content.subarray(Number(offset), Number(offset) + lengthBytes);
  }
  return new Uint8Array();
}
