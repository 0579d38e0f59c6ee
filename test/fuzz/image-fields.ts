/**
 * Images that boot, one of each protocol and kind, and where in them lengths, offsets, counts and addresses
 * stand: what a linker that errs, or somebody who means harm, would change.
 */
import { KERNEL_IMAGE } from '../server/fake-exo.ts';
import {
  buildElf,
  concat,
  multiboot1Header,
  multiboot2Header,
  multiboot2Tag,
  NOP_PAGE,
  note,
  u32,
} from '../machine/boot/image-builder.ts';

export interface Field {
  readonly at: number;
  readonly bytes: 1 | 2 | 4 | 8;
}

export interface Example {
  readonly name: string;
  readonly image: Uint8Array;
  readonly fields: readonly Field[];
}

const KERNEL = 0x10_0000;
const MULTIBOOT_1 = 0x1bad_b002;
const MULTIBOOT_2 = 0xe852_50d6;
const SECTION = { symbols: 2, strings: 3, notes: 7 };
const SEGMENT_OF_NOTES = 4;
/** Symbols, notes and tags whose fields are changed; the others are like them. */
const MOST_OF_A_KIND = 6;

/** Fields one behind the other. */
function row(at: number, ...widths: readonly Field['bytes'][]): Field[] {
  let offset = at;
  return widths.map((bytes) => {
    const field = { at: offset, bytes };
    offset += bytes;
    return field;
  });
}

/** By class: of the header behind e_version, of a program header, a section header and a symbol. */
const LAYOUT = {
  32: {
    places: [4, 4, 4, 4, 2, 2, 2, 2, 2, 2],
    segment: [4, 4, 4, 4, 4, 4, 4, 4],
    section: [4, 4, 4, 4, 4, 4, 4, 4, 4, 4],
    symbol: [4, 4, 4, 1, 1, 2],
  },
  64: {
    places: [8, 8, 8, 4, 2, 2, 2, 2, 2, 2],
    segment: [4, 4, 8, 8, 8, 8, 8, 8],
    section: [4, 4, 8, 8, 8, 8, 4, 4, 8, 8],
    symbol: [4, 1, 1, 2, 8, 8],
  },
} as const;

function sizeOf(widths: readonly number[]): number {
  return widths.reduce((sum, width) => sum + width, 0);
}

/** Of a sound ELF file: its header, tables, and the first of its notes and symbols. */
function elfFields(image: Uint8Array): Field[] {
  const { places, segment, section, symbol } = LAYOUT[image[4] === 1 ? 32 : 64];
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const read = ({ at, bytes }: Field): number =>
    bytes === 8
      ? Number(view.getBigUint64(at, true))
      : bytes === 4
        ? view.getUint32(at, true)
        : view.getUint16(at, true);
  const header = row(24, ...places);
  const table = (start: number, count: number, widths: readonly Field['bytes'][]): Field[][] =>
    Array.from({ length: count }, (_, index) => row(start + index * sizeOf(widths), ...widths));
  const segments = table(read(header[1]!), read(header[6]!), segment);
  const sections = table(read(header[2]!), read(header[8]!), section);
  const isWide = image[4] === 2;
  const notes = segments
    .filter(([type]) => read(type!) === SEGMENT_OF_NOTES)
    .flatMap((fields) => row(read(fields[isWide ? 2 : 1]!), 4, 4, 4));
  const symbols = sections
    .filter(([, type]) => read(type!) === SECTION.symbols)
    .flatMap((fields) => table(read(fields[4]!), MOST_OF_A_KIND, symbol).flat());
  return [...header, ...segments.flat(), ...sections.flat(), ...notes, ...symbols];
}

/** Two functions and their names. */
function symbolSections(elfClass: 32 | 64) {
  const names = new TextEncoder().encode('\0start\0main\0');
  const symbols = new Uint8Array(MOST_OF_A_KIND * (elfClass === 64 ? 24 : 16));
  const view = new DataView(symbols.buffer);
  [1, 7].forEach((name, index) => {
    const at = (index + 1) * (elfClass === 64 ? 24 : 16);
    view.setUint32(at, name, true);
    view.setUint8(at + (elfClass === 64 ? 4 : 12), 0x12);
    view.setUint32(at + (elfClass === 64 ? 8 : 4), KERNEL + 32 * index, true);
    view.setUint32(at + (elfClass === 64 ? 16 : 8), 16, true);
  });
  return [
    { type: 0 },
    { type: SECTION.symbols, content: symbols, address: 0n },
    { type: SECTION.strings, content: names },
    { type: SECTION.notes, content: note('GNU', 3, u32(1, 2, 3, 4, 5)) },
  ];
}

function multiboot1Flat(): Example {
  const bytes = 32 + NOP_PAGE.length;
  const addresses = [KERNEL, KERNEL, KERNEL + bytes, KERNEL + 0x1000, KERNEL + 32];
  const image = concat(multiboot1Header(0x1_0003, ...addresses), NOP_PAGE);
  return { name: 'Multiboot 1, address fields', image, fields: row(4, 4, 4, 4, 4, 4, 4, 4) };
}

function multiboot1Elf(elfClass: 32 | 64): Example {
  const content = concat(multiboot1Header(3), NOP_PAGE);
  const segments = [{ content, memoryBytes: 0x2000n }];
  const image = buildElf({ class: elfClass, segments, sections: symbolSections(elfClass) });
  return { name: `Multiboot 1, ELF${elfClass}`, image, fields: elfFields(image) };
}

function multiboot2Elf(): Example {
  const header = multiboot2Header(
    multiboot2Tag(1, false, 3, 6, 9),
    multiboot2Tag(2, false, KERNEL, KERNEL, 0, KERNEL + 0x3000),
    multiboot2Tag(3, false, KERNEL + 0x80),
    multiboot2Tag(6, true),
  );
  const image = buildElf({ segments: [{ content: concat(header, NOP_PAGE) }] });
  const start = 64;
  const words = row(start + 4, ...new Array<4>(header.length / 4 - 1).fill(4));
  return {
    name: 'Multiboot 2 with tags',
    image,
    fields: [...words, ...words, ...elfFields(image)],
  };
}

function pvhElf(elfClass: 32 | 64): Example {
  const segments = [
    { content: NOP_PAGE, memoryBytes: 0x2000n },
    { type: SEGMENT_OF_NOTES, content: note('Xen', 18, u32(KERNEL)), physicalAddress: 0n },
  ];
  const image = buildElf({ class: elfClass, segments, sections: symbolSections(elfClass) });
  return { name: `PVH, ELF${elfClass}`, image, fields: elfFields(image) };
}

/** Linux's boot protocol 2.15: the fields of the setup header that a loader reads. */
function bzImage(): Example {
  const image = new Uint8Array(0x4000);
  const view = new DataView(image.buffer);
  image.fill(0x90, 0x800);
  image.set([3], 0x1f1);
  view.setUint32(0x1f4, 0x380, true);
  view.setUint16(0x1fe, 0xaa55, true);
  image.set([0x6a, 0x48, 0x64, 0x72, 0x53], 0x201);
  const words = [[0x214, KERNEL], [0x22c, 0x7fff_ffff], [0x238, 0x7ff], [0x258, 0x40_0000], [0x260, 0x20_0000]]; // prettier-ignore
  for (const [at, value] of words) view.setUint32(at!, value!, true);
  image.set([0x0f, 0x02], 0x206);
  image.set([1], 0x211);
  const fields = [
    ...row(0x1f1, 1, 2, 4, 2, 2, 2, 2),
    ...row(0x201, 1, 4, 2, 4, 2, 2, 1, 1, 2, 4, 4, 4, 4, 2, 1, 1, 4, 4, 4, 1, 1, 2, 4, 4, 8, 4, 4, 8, 8, 4, 4),
  ]; // prettier-ignore
  return { name: 'Linux, bzImage', image, fields };
}

export const EXAMPLES: readonly Example[] = [
  multiboot1Flat(),
  multiboot1Elf(32),
  multiboot1Elf(64),
  multiboot2Elf(),
  pvhElf(32),
  pvhElf(64),
  bzImage(),
  { name: 'the example kernel', image: KERNEL_IMAGE, fields: elfFields(KERNEL_IMAGE) },
];

/** Makes the checksums of a changed image right again, or nothing behind them would be read. */
export function seal(image: Uint8Array): void {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const end = Math.min(image.length - 16, 0x1100);
  for (let at = 0; at <= end; at += 4) {
    const magic = view.getUint32(at, true);
    if (magic !== MULTIBOOT_1 && magic !== MULTIBOOT_2) continue;
    const summed = magic === MULTIBOOT_1 ? [0, 4] : [0, 4, 8];
    const sum = summed.reduce((total, offset) => total + view.getUint32(at + offset, true), 0);
    view.setUint32(at + 4 * summed.length, -sum >>> 0, true);
  }
}

/** Writes a field, if it is still in the file. */
export function change(image: Uint8Array, { at, bytes }: Field, value: bigint): void {
  if (at + bytes > image.length) return;
  for (let index = 0; index < bytes; index++) {
    image[at + index] = Number((value >> BigInt(8 * index)) & 0xffn);
  }
}
