/**
 * The kernel itself, placed: which bytes of the file go where in RAM, and where it is entered. An
 * image must lie in RAM, outside the PC's video and BIOS area, and not over itself. RAM is zero at
 * power-on, so what a segment has beyond its file bytes needs no write.
 */
import type { ElfImage } from './elf.ts';
import { PT_LOAD } from './elf.ts';
import { hex, refuseImage } from './refuse-image.ts';

const MIB = 0x10_0000;
/** Video memory and BIOS: 0xa0000–0xfffff is no RAM on a PC. */
const HOLE_START = 0xa_0000;
const HOLE_END = MIB;

export interface ImagePart {
  readonly address: number;
  /** Borrowed from the image. */
  readonly bytes: Uint8Array;
  /** At least the length of `bytes`; the rest is zero. */
  readonly memoryBytes: number;
}

export interface LoadedImage {
  /** In ascending order, not empty, not overlapping. */
  readonly parts: readonly ImagePart[];
  /** Physical address of the first instruction. */
  readonly entry: number;
}

export interface ImagePlace {
  readonly image: Uint8Array;
  readonly imageName: string;
  readonly memoryBytes: number;
}

/**
 * Places an ELF image by p_paddr. `entry` is a physical address that overrides e_entry. Otherwise
 * e_entry is where the segment that holds it virtually puts it, as GRUB does it: kernels linked in
 * the higher half often keep a virtual entry.
 */
export function loadElfImage(place: ImagePlace, elf: ElfImage, entry?: number): LoadedImage {
  const segments = elf.segments.filter(
    ({ type, memoryBytes }) => type === PT_LOAD && memoryBytes > 0n,
  );
  if (segments.length === 0) {
    refuseImage(
      place.imageName,
      'an ELF file without a loadable segment; link it as an executable',
    );
  }
  const parts = segments.map((segment) => {
    const { physicalAddress, memoryBytes, fileOffset, fileBytes } = segment;
    checkInRam(place, physicalAddress, memoryBytes);
    const start = Number(fileOffset);
    const bytes = place.image.subarray(start, start + Number(fileBytes));
    return { address: Number(physicalAddress), bytes, memoryBytes: Number(memoryBytes) };
  });
  const image = { parts: sortParts(place, parts), entry: entry ?? physicalEntry(place, elf) };
  checkEntry(place, image);
  return image;
}

/** Places `bytes` at one address, with zeros up to `memoryBytes`: address fields and tags. */
export function loadFlatImage(place: ImagePlace, part: ImagePart, entry: number): LoadedImage {
  checkInRam(place, BigInt(part.address), BigInt(part.memoryBytes));
  const image = { parts: [part], entry };
  checkEntry(place, image);
  return image;
}

/** The first address above the image. */
export function imageEnd(image: LoadedImage): number {
  return image.parts.reduce((end, part) => Math.max(end, part.address + part.memoryBytes), 0);
}

function physicalEntry({ imageName }: ImagePlace, elf: ElfImage): number {
  const { entry } = elf;
  if (entry === 0n) {
    refuseImage(imageName, 'no entry point; give the linker script an ENTRY(symbol)');
  }
  const holder = elf.segments.find(
    ({ type, virtualAddress, memoryBytes }) =>
      type === PT_LOAD && entry >= virtualAddress && entry - virtualAddress < memoryBytes,
  );
  const physical =
    holder === undefined ? entry : entry - holder.virtualAddress + holder.physicalAddress;
  return Number(physical);
}

function checkEntry({ imageName }: ImagePlace, { parts, entry }: LoadedImage): void {
  const isInside = parts.some(
    ({ address, memoryBytes }) => entry >= address && entry < address + memoryBytes,
  );
  if (!isInside) {
    refuseImage(imageName, `entry point ${hex(entry)} lies outside the image; check ENTRY(symbol)`);
  }
}

function checkInRam(place: ImagePlace, address: bigint, memoryBytes: bigint): void {
  const end = address + memoryBytes;
  const range = `${hex(address)}–${hex(end - 1n)}`;
  if (end > BigInt(place.memoryBytes)) {
    const needed = (end + BigInt(MIB) - 1n) / BigInt(MIB);
    const advice =
      needed <= 2048n
        ? `start with --memory ${needed}M or more`
        : 'link it at a physical address below 2 GiB (p_paddr, AT() in the linker script)';
    const have = `RAM ends at ${hex(place.memoryBytes)}`;
    refuseImage(place.imageName, `a segment wants physical memory ${range}, ${have}; ${advice}`);
  }
  if (address < BigInt(HOLE_END) && end > BigInt(HOLE_START)) {
    const area = 'the PC video and BIOS area 0xa0000–0xfffff';
    refuseImage(place.imageName, `a segment at ${range} reaches into ${area}; link it at 1 MiB`);
  }
}

function sortParts({ imageName }: ImagePlace, parts: readonly ImagePart[]): ImagePart[] {
  const sorted = parts.toSorted((left, right) => left.address - right.address);
  sorted.forEach((part, index) => {
    const next = sorted[index + 1];
    if (next === undefined || part.address + part.memoryBytes <= next.address) return;
    const both = `${hex(part.address)} and ${hex(next.address)}`;
    refuseImage(imageName, `the segments at ${both} overlap in memory; check AT() and LMAs`);
  });
  return sorted;
}
