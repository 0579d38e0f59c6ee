/**
 * Reads ELF32 and ELF64 files for x86 (System V ABI, chapters 4 and 5): header, program headers,
 * sections, notes. Every offset is checked against the file before it is used, in bigint, so that no
 * size in a hostile file makes us allocate or loop beyond the file's own length.
 */
import { hex, refuseImage } from './refuse-image.ts';

export const PT_LOAD = 1;
export const PT_NOTE = 4;
export const SHT_SYMTAB = 2;
export const SHT_STRTAB = 3;
export const SHT_NOTE = 7;
export const SHT_NOBITS = 8;

const ELFCLASS32 = 1;
const ELFCLASS64 = 2;
const ELFDATA2LSB = 1;
const ET_EXEC = 2;
const ET_DYN = 3;
const EM_386 = 3;
const EM_X86_64 = 62;
const IDENT_BYTES = 16;
/** Real kernels have one to three note areas of a few hundred bytes; hostile files have more. */
const NOTE_AREAS_SEARCHED = 64;
const NOTE_BYTES_SEARCHED = 0x1_0000;
/** Lengths of header, program header and section header by class. */
const SIZES = { 32: [52, 32, 40], 64: [64, 56, 64] } as const;

const TYPE_NAMES: { readonly [type: number]: string } = {
  0: 'an ELF file without a type',
  1: 'a relocatable object; link it first',
  4: 'a core dump',
};
const MACHINE_NAMES: { readonly [machine: number]: string } = {
  2: 'SPARC',
  8: 'MIPS',
  20: 'PowerPC',
  21: '64-bit PowerPC',
  22: 'S390',
  40: 'ARM',
  43: '64-bit SPARC',
  183: '64-bit ARM',
  243: 'RISC-V',
  258: 'LoongArch',
};

export interface ElfSegment {
  readonly type: number;
  readonly fileOffset: bigint;
  readonly virtualAddress: bigint;
  readonly physicalAddress: bigint;
  readonly fileBytes: bigint;
  readonly memoryBytes: bigint;
}

export interface ElfSection {
  readonly type: number;
  readonly address: bigint;
  readonly fileOffset: bigint;
  readonly lengthBytes: bigint;
}

export interface ElfImage {
  readonly class: 32 | 64;
  /** e_entry, unchecked: 0 when there is none. */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  /** Empty when the file has no section headers. */
  readonly sections: readonly ElfSection[];
  /** The section header table as it stands in the file; borrowed. */
  readonly sectionTable: Uint8Array;
  readonly sectionHeaderBytes: number;
  /** Index of the section that holds the section names. */
  readonly nameSection: number;
}

/** Fields of both classes, read at one place. */
interface Reader {
  readonly is64: boolean;
  half(offset: number): number;
  word(offset: number): number;
  /** An address-sized field: the offset that it has in ELF32, and in ELF64. */
  address(offset32: number, offset64: number): bigint;
}

export function isElf(image: Uint8Array): boolean {
  return startsWith(image, [0x7f, 0x45, 0x4c, 0x46]);
}

/** Reads headers and tables. Throws ImageError for a file that is truncated or not for x86. */
export function readElf(image: Uint8Array, imageName: string): ElfImage {
  checkIdentity(image, imageName);
  const elfClass = image[4] === ELFCLASS64 ? 64 : 32;
  const [headerBytes, segmentBytes, sectionBytes] = SIZES[elfClass];
  if (image.length < headerBytes) refuseImage(imageName, 'truncated inside the ELF header');
  const reader = readerAt(image, elfClass === 64);
  checkKind(reader, imageName, elfClass);
  const at = elfClass === 64 ? 0x36 : 0x2a; // e_phentsize and what follows it
  const segments = tableIn(image, imageName, 'program headers', {
    offset: reader.address(0x1c, 0x20),
    count: reader.half(at + 2),
    entryBytes: reader.half(at),
    expectedBytes: segmentBytes,
  });
  const sections = tableIn(image, imageName, 'section headers', {
    offset: reader.address(0x20, 0x28),
    count: reader.half(at + 6),
    entryBytes: reader.half(at + 4),
    expectedBytes: sectionBytes,
  });
  const elf: ElfImage = {
    class: elfClass,
    entry: reader.address(0x18, 0x18),
    segments: rows(segments, segmentBytes).map((row) => readSegment(row, elfClass === 64)),
    sections: rows(sections, sectionBytes).map((row) => readSection(row, elfClass === 64)),
    sectionTable: sections,
    sectionHeaderBytes: sectionBytes,
    nameSection: reader.half(at + 8),
  };
  checkContents(elf, image, imageName);
  return elf;
}

/** The bytes of a section; borrowed. `readElf` has checked that they are there. */
export function sectionContent(image: Uint8Array, section: ElfSection): Uint8Array {
  if (section.type === SHT_NOBITS) return new Uint8Array(0);
  const start = Number(section.fileOffset);
  return image.subarray(start, start + Number(section.lengthBytes));
}

/** The descriptor of the first note with this owner and type, in PT_NOTE or SHT_NOTE; borrowed. */
export function findNote(
  image: Uint8Array,
  elf: ElfImage,
  owner: string,
  type: number,
): Uint8Array | undefined {
  const areas = [
    ...elf.segments
      .filter((segment) => segment.type === PT_NOTE)
      .map(({ fileOffset, fileBytes }) => slice(image, fileOffset, fileBytes)),
    ...elf.sections
      .filter((section) => section.type === SHT_NOTE)
      .map((section) => sectionContent(image, section)),
  ];
  for (const area of areas.slice(0, NOTE_AREAS_SEARCHED)) {
    const descriptor = findNoteIn(area, owner, type);
    if (descriptor !== undefined) return descriptor;
  }
  return undefined;
}

function findNoteIn(whole: Uint8Array, owner: string, type: number): Uint8Array | undefined {
  const area = whole.subarray(0, NOTE_BYTES_SEARCHED);
  const view = viewOf(area);
  const aligned = (length: number): number => Math.ceil(length / 4) * 4;
  for (let offset = 0; offset + 12 <= area.length;) {
    const nameBytes = view.getUint32(offset, true);
    const descriptorBytes = view.getUint32(offset + 4, true);
    const nameAt = offset + 12;
    const descriptorAt = nameAt + aligned(nameBytes);
    if (descriptorAt + descriptorBytes > area.length) return undefined;
    const name = String.fromCharCode(...area.subarray(nameAt, nameAt + Math.min(nameBytes, 16)));
    if (name === `${owner}\0` && view.getUint32(offset + 8, true) === type) {
      return area.subarray(descriptorAt, descriptorAt + descriptorBytes);
    }
    offset = descriptorAt + aligned(descriptorBytes);
  }
  return undefined;
}

function checkIdentity(image: Uint8Array, imageName: string): void {
  if (image.length < IDENT_BYTES) refuseImage(imageName, 'truncated inside the ELF header');
  const elfClass = image[4];
  if (elfClass !== ELFCLASS32 && elfClass !== ELFCLASS64) {
    refuseImage(imageName, `ELF class ${elfClass ?? 0} is unknown; build it as ELF32 or ELF64`);
  }
  if (image[5] !== ELFDATA2LSB) {
    refuseImage(imageName, 'a big-endian ELF file; this machine is an x86-64 PC');
  }
}

function checkKind(reader: Reader, imageName: string, elfClass: 32 | 64): void {
  const type = reader.half(0x10);
  const machine = reader.half(0x12);
  if (machine !== (elfClass === 64 ? EM_X86_64 : EM_386)) {
    const name = MACHINE_NAMES[machine] ?? `machine ${machine}`;
    const wanted = elfClass === 64 ? 'x86-64' : 'i386';
    refuseImage(imageName, `an ELF${elfClass} file for ${name}; it must be for ${wanted}`);
  }
  if (type !== ET_EXEC && type !== ET_DYN) {
    refuseImage(imageName, `${TYPE_NAMES[type] ?? `ELF type ${type}`}; an executable is needed`);
  }
}

interface TablePlace {
  readonly offset: bigint;
  readonly count: number;
  readonly entryBytes: number;
  readonly expectedBytes: number;
}

function tableIn(
  image: Uint8Array,
  imageName: string,
  what: string,
  { offset, count, entryBytes, expectedBytes }: TablePlace,
): Uint8Array {
  if (count === 0) return new Uint8Array(0);
  if (entryBytes !== expectedBytes) {
    refuseImage(imageName, `its ${what} have ${entryBytes} bytes each; must be ${expectedBytes}`);
  }
  const end = offset + BigInt(count * entryBytes);
  if (end > BigInt(image.length)) {
    const have = `the file has ${image.length} bytes`;
    refuseImage(
      imageName,
      `truncated: ${what} end at byte ${end}, ${have}; build or copy it again`,
    );
  }
  return slice(image, offset, BigInt(count * entryBytes));
}

function checkContents(elf: ElfImage, image: Uint8Array, imageName: string): void {
  const check = (what: string, offset: bigint, lengthBytes: bigint): void => {
    const end = offset + lengthBytes;
    if (lengthBytes === 0n || end <= BigInt(image.length)) return;
    const have = `the file has ${image.length} bytes`;
    refuseImage(
      imageName,
      `truncated: ${what} ends at byte ${end}, ${have}; build or copy it again`,
    );
  };
  elf.segments.forEach((segment, index) => {
    check(`segment ${index}`, segment.fileOffset, segment.fileBytes);
    if (segment.type === PT_LOAD && segment.fileBytes > segment.memoryBytes) {
      const sizes = `${hex(segment.fileBytes)} bytes in the file, ${hex(segment.memoryBytes)} in memory`;
      refuseImage(imageName, `segment ${index} has ${sizes}; the linker script must be wrong`);
    }
  });
  elf.sections.forEach((section, index) => {
    if (section.type === SHT_NOBITS || index === 0) return;
    check(`section ${index}`, section.fileOffset, section.lengthBytes);
  });
}

function readSegment(row: Uint8Array, is64: boolean): ElfSegment {
  const reader = readerAt(row, is64);
  return {
    type: reader.word(0),
    fileOffset: reader.address(4, 8),
    virtualAddress: reader.address(8, 16),
    physicalAddress: reader.address(12, 24),
    fileBytes: reader.address(16, 32),
    memoryBytes: reader.address(20, 40),
  };
}

function readSection(row: Uint8Array, is64: boolean): ElfSection {
  const reader = readerAt(row, is64);
  return {
    type: reader.word(4),
    address: reader.address(12, 16),
    fileOffset: reader.address(16, 24),
    lengthBytes: reader.address(20, 32),
  };
}

function readerAt(bytes: Uint8Array, is64: boolean): Reader {
  const view = viewOf(bytes);
  return {
    is64,
    half: (offset) => view.getUint16(offset, true),
    word: (offset) => view.getUint32(offset, true),
    address: (offset32, offset64) =>
      is64 ? view.getBigUint64(offset64, true) : BigInt(view.getUint32(offset32, true)),
  };
}

function rows(table: Uint8Array, rowBytes: number): Uint8Array[] {
  return Array.from({ length: table.length / rowBytes }, (_, index) =>
    table.subarray(index * rowBytes, (index + 1) * rowBytes),
  );
}

function slice(image: Uint8Array, offset: bigint, lengthBytes: bigint): Uint8Array {
  return image.subarray(Number(offset), Number(offset + lengthBytes));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function startsWith(image: Uint8Array, signature: readonly number[]): boolean {
  return signature.every((byte, index) => image[index] === byte);
}
