/**
 * The drawing of linear memory: what lies where in the one WebAssembly.Memory of a machine.
 *
 *     0x0000_0000  CPU state              fields.ts, 4 KiB
 *     0x0000_1000  scratch                256 bytes where an access that crosses a page or goes to
 *                                         a device is put together (memory/slow-path.ts)
 *     0x0001_0000  TLB                    TLB_CONTEXTS × (read, write) × TLB_ENTRIES × 16 bytes
 *     0x0002_8000  TLB bookkeeping        what is filled, whether anything is watched (memory/tlb.ts)
 *     0x0004_0000  code map               one bit a page of RAM (memory/code-pages.ts)
 *     0x0010_0000  jump cache             JUMP_CACHE_ENTRIES × 16 bytes (translation/)
 *     0x0020_0000  decoded records        RECORD_ARENA_BYTES (translation/)
 *     0x0200_0000  guest RAM              physical address 0 upwards
 */
import type { HostOffset } from '../addresses.ts';

export const SCRATCH_BASE = 0x1000 as HostOffset;
export const SCRATCH_BYTES = 256;

export const TLB_BASE = 0x1_0000 as HostOffset;
export const TLB_ENTRIES = 1024;
export const TLB_ENTRY_BYTES = 16;
/**
 * A TLB entry: the linear page address (8 bytes; TLB_EMPTY if invalid), then the 32-bit number
 * that, added to the low 32 bits of a linear address, gives the host offset. A probe keeps the page
 * and, where alignment is demanded, the low four bits of an address: TLB_EMPTY is neither, so that no
 * address finds an invalid entry.
 */
export const TLB_EMPTY = 0x800n;
/** user (CPL 3), supervisor with SMAP in force, supervisor that may touch user pages. */
export const TLB_CONTEXT = { user: 0, supervisor: 1, supervisorUserAccess: 2 } as const;
export const TLB_CONTEXTS = 3;
/** Bytes from a context's read table to its write table, and from one context to the next. */
export const TLB_WRITE_TABLE = TLB_ENTRIES * TLB_ENTRY_BYTES;
export const TLB_CONTEXT_BYTES = 2 * TLB_WRITE_TABLE;

/** How many words of the list below are in use; 1 while anything is watched. */
export const TLB_FILLED_COUNT = 0x2_8000 as HostOffset;
export const TLB_WATCHED = 0x2_8004 as HostOffset;
/** The list of slots (host offset / 4) that may be filled, so that a flush costs what was filled. */
export const TLB_FILLED_BASE = 0x2_8010 as HostOffset;
export const TLB_FILLED_LIMIT = TLB_CONTEXTS * 2 * TLB_ENTRIES;

/** Bit n of the map: RAM page n holds decoded code. Room for 4 GiB. */
export const CODE_MAP_BASE = 0x4_0000 as HostOffset;

export const JUMP_CACHE_BASE = 0x10_0000 as HostOffset;
export const JUMP_CACHE_ENTRIES = 16384;

export const RECORD_ARENA_BASE = 0x20_0000 as HostOffset;
export const RECORD_ARENA_BYTES = 0x1e0_0000;

export const RAM_BASE = 0x200_0000 as HostOffset;
