/**
 * What the tables of each paging mode look like (Intel SDM 3A §4.3–4.5, figures 4-4, 4-7, 4-11), for
 * a physical address width of 40 bits. PAE's four PDPTEs are read from memory at each walk, not
 * loaded at MOV CR3 (§4.4.1): a kernel that changes them without reloading CR3 sees it at once.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../addresses.ts';
import type { PagingMode } from './paging-registers.ts';

export const PHYSICAL_ADDRESS_BITS = 40;

export const ENTRY_PRESENT = 1;
export const ENTRY_WRITABLE = 2;
export const ENTRY_USER = 4;
export const ENTRY_ACCESSED = 0x20;
export const ENTRY_DIRTY = 0x40;
export const ENTRY_LARGE = 0x80;
/** In the high half of an 8-byte entry. */
export const ENTRY_HIGH_NO_EXECUTE = 0x8000_0000;

export interface PagingLevel {
  /** Lowest bit of the linear address that indexes this table, and how many bits do. */
  readonly shift: number;
  readonly indexBits: number;
  readonly entryBytes: 4 | 8;
  /** Bytes that a leaf entry of this level maps; 0 if there are only pointers to tables. */
  readonly leafBytes: number;
  /** True for the lowest level: every entry is a leaf and bit 7 is PAT. */
  readonly isLast: boolean;
  /** False for PAE's PDPTEs: no R/W, U/S, A or NX. */
  readonly hasPermissions: boolean;
  /** Bits that must be 0 in the low half, in the low half of a large leaf, in the high half. */
  readonly reservedLow: number;
  readonly reservedLarge: number;
  readonly reservedHigh: number;
}

const KIB = 1024;
const MIB = 1024 * KIB;
/** Bits 51–40 of an entry. */
const ABOVE_PHYSICAL = 0x000f_ff00;
/** Bits 62–40: PAE paging has no ignored bits there. */
const ABOVE_PHYSICAL_PAE = 0x7fff_ff00;

function level(
  shift: number,
  leafBytes: number,
  differences: Partial<PagingLevel> = {},
): PagingLevel {
  return {
    shift,
    indexBits: 9,
    entryBytes: 8,
    leafBytes,
    isLast: shift === PAGE_SHIFT,
    hasPermissions: true,
    reservedLow: 0,
    reservedLarge: 0,
    reservedHigh: ABOVE_PHYSICAL,
    ...differences,
  };
}

const pae = { reservedHigh: ABOVE_PHYSICAL_PAE };
const legacy = { indexBits: 10, entryBytes: 4, reservedHigh: 0 } as const;

/** From the top table down. */
export const PAGING_LEVELS: Readonly<Record<Exclude<PagingMode, 'off'>, readonly PagingLevel[]>> = {
  '4-level': [
    level(39, 0, { reservedLow: ENTRY_LARGE }),
    level(30, 1024 * MIB, { reservedLarge: 0x3fff_e000 }),
    level(21, 2 * MIB, { reservedLarge: 0x001f_e000 }),
    level(12, 4 * KIB),
  ],
  pae: [
    level(30, 0, {
      indexBits: 2,
      hasPermissions: false,
      reservedLow: 0x1e6,
      reservedHigh: 0xffff_ff00,
    }),
    level(21, 2 * MIB, { ...pae, reservedLarge: 0x001f_e000 }),
    level(12, 4 * KIB, pae),
  ],
  '32-bit': [
    level(22, 4 * MIB, { ...legacy, reservedLarge: 0x0020_0000 }),
    level(12, 4 * KIB, legacy),
  ],
};

/** Index of a linear address, given in halves, into a table of this level. */
export function tableIndex(low: number, high: number, { shift, indexBits }: PagingLevel): number {
  const shifted = shift >= 32 ? high >>> (shift - 32) : (low >>> shift) | (high << (32 - shift));
  return shifted & ((1 << indexBits) - 1);
}

/** Offset in its frame of the entry for a linear address, in a table that begins at `offset`. */
export function entryOffset(low: number, high: number, level: PagingLevel, offset: number): number {
  return offset + tableIndex(low, high, level) * level.entryBytes;
}

/** Number of the frame that holds the table to which CR3 points; bits above 31 count in long mode only. */
export function topFrame(mode: Exclude<PagingMode, 'off'>, cr3: number): number {
  return mode === '4-level' ? Math.floor(cr3 / PAGE_SIZE) : cr3 >>> PAGE_SHIFT;
}

/** Offset of that table in its frame: PAE's, of 32 bytes, may be anywhere. */
export function topOffset(mode: Exclude<PagingMode, 'off'>, cr3: number): number {
  return mode === 'pae' ? cr3 & (PAGE_SIZE - 32) : 0;
}

/** Physical address of the table that CR3 points to. */
export function topTable(mode: Exclude<PagingMode, 'off'>, cr3: number): number {
  return topFrame(mode, cr3) * PAGE_SIZE + topOffset(mode, cr3);
}

/** Number of the frame to which an entry points: a table, a 4 KiB page, or the first of a large page. */
export function entryFrame(
  low: number,
  high: number,
  leafBytes: number,
  entryBytes: number,
): number {
  const base = (low & -Math.max(leafBytes, PAGE_SIZE)) >>> PAGE_SHIFT;
  // PSE-36: bits 20–13 of a 4 MiB entry are bits 39–32 of the address.
  const upper = entryBytes === 4 ? (leafBytes > PAGE_SIZE ? (low >>> 13) & 0xff : 0) : high & 0xff;
  return (upper << (32 - PAGE_SHIFT)) | base;
}

/** Physical address to which an entry points. */
export function entryTarget(
  low: number,
  high: number,
  leafBytes: number,
  entryBytes: number,
): number {
  return entryFrame(low, high, leafBytes, entryBytes) * PAGE_SIZE;
}
