/** Small kernel images, put together by hand: headers, segments, sections, notes. */
export interface SegmentOptions {
  readonly type?: number;
  readonly content?: Uint8Array;
  readonly virtualAddress?: bigint;
  readonly physicalAddress?: bigint;
  readonly fileOffset?: bigint;
  readonly fileBytes?: bigint;
  readonly memoryBytes?: bigint;
}

export interface SectionOptions {
  readonly type: number;
  readonly content?: Uint8Array;
  readonly address?: bigint;
  readonly fileOffset?: bigint;
  readonly lengthBytes?: bigint;
}

export interface ElfOptions {
  readonly class?: 32 | 64;
  readonly elfClass?: number;
  readonly endianness?: number;
  readonly type?: number;
  readonly machine?: number;
  readonly entry?: bigint;
  readonly segments?: readonly SegmentOptions[];
  readonly sections?: readonly SectionOptions[];
}

export const KERNEL_ADDRESS = 0x10_0000n;
export const NOP_PAGE = new Uint8Array(64).fill(0x90);

/** An ELF file; contents follow the header in order, the tables stand at the end. */
export function buildElf(options: ElfOptions = {}): Uint8Array {
  const is64 = (options.class ?? 64) === 64;
  const segments = options.segments ?? [{ content: NOP_PAGE }];
  const sections = options.sections ?? [];
  const parts: Uint8Array[] = [];
  let offset = is64 ? 64 : 52;
  const place = (content: Uint8Array): bigint => {
    const at = BigInt(offset);
    const padded = new Uint8Array(Math.ceil(content.length / 8) * 8);
    padded.set(content);
    parts.push(padded);
    offset += padded.length;
    return at;
  };
  const segmentRows = segments.map((segment) => {
    const content = segment.content ?? new Uint8Array(0);
    const at = segment.fileOffset ?? place(content);
    return segmentRow(is64, segment, at, segment.fileBytes ?? BigInt(content.length));
  });
  const sectionRows = sections.map((section) => {
    const content = section.content ?? new Uint8Array(0);
    const at = section.fileOffset ?? place(content);
    const lengthBytes = section.lengthBytes ?? BigInt(content.length);
    return is64
      ? concat(u32(0, section.type), u64(0n, section.address ?? 0n, at, lengthBytes, 0n, 1n, 0n))
      : u32(0, section.type, 0, section.address ?? 0n, at, lengthBytes, 0, 0, 1, 0);
  });
  const segmentTable = place(concat(...segmentRows));
  const sectionTable = sections.length === 0 ? 0n : place(concat(...sectionRows));
  const header = elfHeader(options, is64, segmentTable, sectionTable);
  return concat(header, ...parts);
}

function elfHeader(
  options: ElfOptions,
  is64: boolean,
  segmentTable: bigint,
  sectionTable: bigint,
): Uint8Array {
  const segments = options.segments?.length ?? 1;
  const sections = options.sections?.length ?? 0;
  const entry = options.entry ?? KERNEL_ADDRESS;
  const ident = Uint8Array.of(
    ...[0x7f, 0x45, 0x4c, 0x46, options.elfClass ?? (is64 ? 2 : 1), options.endianness ?? 1, 1],
    ...new Array<number>(9).fill(0),
  );
  const kind = concat(u16(options.type ?? 2, options.machine ?? (is64 ? 62 : 3)), u32(1));
  const places = is64
    ? u64(entry, segmentTable, sectionTable)
    : u32(entry, segmentTable, sectionTable);
  const counts = is64
    ? u16(64, 56, segments, 64, sections, Math.max(sections - 1, 0))
    : u16(52, 32, segments, 40, sections, Math.max(sections - 1, 0));
  return concat(ident, kind, places, u32(0), counts);
}

function segmentRow(
  is64: boolean,
  segment: SegmentOptions,
  fileOffset: bigint,
  fileBytes: bigint,
): Uint8Array {
  const type = segment.type ?? 1;
  const physical = segment.physicalAddress ?? KERNEL_ADDRESS;
  const virtual = segment.virtualAddress ?? physical;
  const memoryBytes = segment.memoryBytes ?? fileBytes;
  return is64
    ? concat(u32(type, 7), u64(fileOffset, virtual, physical, fileBytes, memoryBytes, 8n))
    : u32(type, fileOffset, virtual, physical, fileBytes, memoryBytes, 7, 8);
}

/** Magic, flags, checksum and, if given, the address fields. */
export function multiboot1Header(flags: number, ...addresses: readonly number[]): Uint8Array {
  return u32(0x1bad_b002, flags, -(0x1bad_b002 + flags) >>> 0, ...addresses);
}

/** Tags are given whole; the end tag is added. */
export function multiboot2Header(...tags: readonly Uint8Array[]): Uint8Array {
  const body = concat(...tags.map((tag) => pad(tag, 8)), u32(0, 8));
  const length = 16 + body.length;
  return concat(u32(0xe852_50d6, 0, length, -(0xe852_50d6 + length) >>> 0), body);
}

export function multiboot2Tag(type: number, isOptional: boolean, ...words: readonly number[]) {
  return concat(u16(type, isOptional ? 1 : 0), u32(8 + 4 * words.length, ...words));
}

/** An ELF note as the assembler lays it out. */
export function note(owner: string, type: number, descriptor: Uint8Array): Uint8Array {
  const name = new TextEncoder().encode(`${owner}\0`);
  const head = u32(name.length, descriptor.length, type);
  return concat(head, pad(name, 4), pad(descriptor, 4));
}

export function u16(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

export function u32(...values: readonly (number | bigint)[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values, (value) => Number(value)).buffer);
}

export function u64(...values: readonly bigint[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values).buffer);
}

export function pad(bytes: Uint8Array, alignment: number): Uint8Array {
  const padded = new Uint8Array(Math.ceil(bytes.length / alignment) * alignment);
  padded.set(bytes);
  return padded;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
