/**
 * An ELF file as lldb can have it that must read it from memory: of such a file it reads the first 512
 * bytes and looks for all headers there, program headers, section headers and section names
 * (ObjectFileELF). So this is a file made anew that has room for six sections: code, other memory, the
 * symbols and what unwinds. There is no room for debug information.
 *
 *     0     ELF header
 *     64    section header 0, which nobody reads; in it the program header, by which lldb sees that
 *           the file is where its first segment says: nothing is to be moved
 *     128   section headers: code, all other memory, .symtab, .strtab, .debug_frame, names
 */
import { SECTION_TYPE, SEGMENT_TYPE, type ElfFile, type ElfSegment } from './elf-file.ts';

/** Bytes at a linear address. */
export interface MemoryPiece {
  readonly address: bigint;
  readonly bytes: Uint8Array;
}

const HEADER_BYTES = 512;
const ENTRY_BYTES = 64;
const SYMBOL_BYTES = 24;
const TYPE = { progBits: 1, symbolTable: 2, stringTable: 3 } as const;
const FLAG = { write: 1, alloc: 2, execute: 4 } as const;
const MOST_CODE_SECTIONS = 1;
/** Tells lldb how to unwind; it goes by the name. */
const FRAMES = '.debug_frame';

interface Section {
  readonly type: number;
  readonly flags: number;
  readonly address: bigint;
  readonly sizeBytes: bigint;
  readonly link?: number;
  /** Where its name is among the names. */
  readonly name?: number;
}

/**
 * Pieces of memory that make up the file: the headers at its first segment's address, where the guest
 * has them not, and the symbols at `tables`. Undefined: no file of 64 bits with symbols.
 */
export function memoryElf(elf: ElfFile, tables: bigint): readonly MemoryPiece[] | undefined {
  const segments = elf.segments.filter(({ type, memoryBytes }) => {
    return type === SEGMENT_TYPE.load && memoryBytes > 0n;
  });
  const symbols = elf.sections.find(({ type }) => type === SECTION_TYPE.symbolTable);
  const strings = symbols && elf.sections[symbols.link];
  const [first] = segments;
  if (!elf.is64Bit || first === undefined || symbols === undefined || strings === undefined) {
    return undefined;
  }
  const memory = memorySections(segments);
  const frames = elf.sections.find(({ name }) => name === FRAMES);
  const contents: readonly Omit<Table, 'address'>[] = [
    {
      type: TYPE.symbolTable,
      link: memory.length + 2,
      bytes: placedSymbols(symbols.content, memory),
    },
    { type: TYPE.stringTable, bytes: strings.content },
    ...(frames === undefined ? [] : [{ type: TYPE.progBits, name: 1, bytes: frames.content }]),
  ];
  const placed = onePlaceAfterTheOther(contents, tables);
  const sections = [...memory, ...placed.map(sectionOf)];
  return [{ address: first.address, bytes: headers(elf, first, sections) }, ...placed];
}

interface Table extends MemoryPiece, Pick<Section, 'type' | 'link' | 'name'> {}

function onePlaceAfterTheOther(tables: readonly Omit<Table, 'address'>[], start: bigint): Table[] {
  let next = start;
  return tables.map((table) => {
    const address = next;
    next += BigInt(table.bytes.length);
    return { ...table, address };
  });
}

/** In memory like all the others, or lldb would look for it in a file. */
function sectionOf({ bytes, ...table }: Table): Section {
  return { ...table, flags: FLAG.alloc, sizeBytes: BigInt(bytes.length) };
}

/** The largest of code, and what spans all others. */
function memorySections(segments: readonly ElfSegment[]): Section[] {
  const code = segments
    .filter(({ isExecutable }) => isExecutable)
    .toSorted((one, other) => Number(other.memoryBytes - one.memoryBytes))
    .slice(0, MOST_CODE_SECTIONS);
  const others = segments.filter(({ isExecutable }) => !isExecutable);
  const sections = code.map(({ address, memoryBytes }) => ({
    type: TYPE.progBits,
    flags: FLAG.alloc | FLAG.execute,
    address,
    sizeBytes: memoryBytes,
  }));
  if (others.length === 0) return sections;
  const start = others.map(({ address }) => address).reduce((a, b) => (a < b ? a : b));
  const end = others.map((one) => one.address + one.memoryBytes).reduce((a, b) => (a > b ? a : b));
  const flags = FLAG.alloc | FLAG.write;
  return [...sections, { type: TYPE.progBits, flags, address: start, sizeBytes: end - start }];
}

/** Symbols name their section by its number; those of no section here count for undefined. */
function placedSymbols(content: Uint8Array, sections: readonly Section[]): Uint8Array {
  // Not slice(): of a Node Buffer it would be a view of the image itself.
  const whole = content.length - (content.length % SYMBOL_BYTES);
  const bytes = Uint8Array.from(content.subarray(0, whole));
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < bytes.length; at += SYMBOL_BYTES) {
    const value = view.getBigUint64(at + 8, true);
    const index = sections.findIndex(
      ({ address, sizeBytes }) => address <= value && value < address + sizeBytes,
    );
    const isDefined = view.getUint16(at + 6, true) !== 0;
    view.setUint16(at + 6, isDefined ? index + 1 : 0, true);
  }
  return bytes;
}

function headers(elf: ElfFile, first: ElfSegment, sections: readonly Section[]): Uint8Array {
  const bytes = new Uint8Array(HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const names = sections.length + 1;
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, elf.entry, true);
  view.setBigUint64(32, BigInt(ENTRY_BYTES), true);
  view.setBigUint64(40, BigInt(ENTRY_BYTES), true);
  for (const [index, value] of [64, 56, 1, ENTRY_BYTES, names + 1, names].entries()) {
    view.setUint16(52 + 2 * index, value, true);
  }
  view.setUint32(64, SEGMENT_TYPE.load, true);
  view.setUint32(68, 5, true); // readable, executable
  view.setBigUint64(80, first.address, true);
  view.setBigUint64(88, first.address, true);
  view.setBigUint64(96, first.memoryBytes, true);
  view.setBigUint64(104, first.memoryBytes, true);
  sections.forEach((section, index) => writeSection(view, index + 1, section));
  // The names are in that section's own header, where nobody needs what should be there.
  const text = Buffer.from(`\0${FRAMES}\0`);
  const sizeBytes = BigInt(text.length);
  writeSection(view, names, { type: TYPE.stringTable, flags: 0, address: 0n, sizeBytes });
  const namesAt = ENTRY_BYTES * (names + 1) + 44;
  view.setBigUint64(namesAt - 20, BigInt(namesAt), true);
  bytes.set(text, namesAt);
  return bytes;
}

function writeSection(view: DataView, index: number, section: Section): void {
  const at = ENTRY_BYTES * (index + 1);
  view.setUint32(at, section.name ?? 0, true);
  view.setUint32(at + 4, section.type, true);
  view.setBigUint64(at + 8, BigInt(section.flags), true);
  view.setBigUint64(at + 16, section.address, true);
  view.setBigUint64(at + 32, section.sizeBytes, true);
  view.setUint32(at + 40, section.link ?? 0, true);
  view.setBigUint64(at + 48, 1n, true);
  if (section.type === TYPE.symbolTable) view.setBigUint64(at + 56, BigInt(SYMBOL_BYTES), true);
}
