/**
 * All mappings of a set of page tables, for `info mem` and `info tlb`. Tables that point back at
 * themselves (recursive mappings) are no loop: the depth is fixed. Reserved bits are ignored, since
 * the tables of a half-booted kernel are worth seeing as they are. Tables that name each other over and
 * over describe 2^36 pages: the walk ends after a number of entries that no sound kernel has.
 */
import type { MappingWalkEnd, PageMapping } from '../machine-interface.ts';
import {
  ENTRY_HIGH_NO_EXECUTE,
  ENTRY_LARGE,
  ENTRY_PRESENT,
  ENTRY_USER,
  ENTRY_WRITABLE,
  PAGING_LEVELS,
  entryTarget,
  topTable,
  type PagingLevel,
} from './paging-format.ts';
import type { PagingRegisters } from './paging-registers.ts';
import type { PhysicalMemory } from './physical-memory.ts';

/** 1 GiB in pages of 4 KiB; kernels map more than that in larger ones. A walk of a second or so. */
const MOST_ENTRIES = 1 << 18;

interface Walk {
  readonly physical: PhysicalMemory;
  readonly hasLarge: boolean;
  /** Entries that may still be looked at. */
  entriesLeft: number;
}

/** What the entries above allow, and the linear address so far (not yet sign-extended). */
interface Path {
  readonly linear: bigint;
  readonly isWritable: boolean;
  readonly isUser: boolean;
  readonly isNoExecute: boolean;
}

/**
 * One PageMapping per leaf entry below the table at `cr3`, ascending; none while paging is off. Returns
 * whether these are all.
 */
export function* pageMappings(
  physical: PhysicalMemory,
  registers: PagingRegisters,
  cr3: number,
): Generator<PageMapping, MappingWalkEnd> {
  const mode = registers.mode;
  if (mode === 'off') return 'complete';
  const path = { linear: 0n, isWritable: true, isUser: true, isNoExecute: false };
  const hasLarge = mode !== '32-bit' || registers.hasLargePages;
  const walk = { physical, hasLarge, entriesLeft: MOST_ENTRIES };
  yield* tableMappings(walk, PAGING_LEVELS[mode], topTable(mode, cr3), path);
  return walk.entriesLeft < 0 ? 'cut' : 'complete';
}

function* tableMappings(
  walk: Walk,
  levels: readonly PagingLevel[],
  table: number,
  path: Path,
): Generator<PageMapping> {
  const { physical, hasLarge } = walk;
  const [level, ...below] = levels;
  if (level === undefined) return;
  const tableBytes = level.entryBytes << level.indexBits;
  if (!physical.isRam(table, tableBytes)) return;
  for (let index = 0; index < 1 << level.indexBits; index++) {
    if (walk.entriesLeft-- <= 0) return;
    const address = table + index * level.entryBytes;
    const low = physical.readWord(address);
    if ((low & ENTRY_PRESENT) === 0) continue;
    const high = level.entryBytes === 8 ? physical.readWord(address + 4) : 0;
    const inner = narrow(path, level, index, low, high);
    const isLarge = hasLarge && level.leafBytes > 0 && (low & ENTRY_LARGE) !== 0;
    if (level.isLast || isLarge) yield leaf(inner, level, low, high);
    else {
      const next = entryTarget(low, high, 0, level.entryBytes);
      yield* tableMappings(walk, below, next, inner);
    }
  }
}

function narrow(path: Path, level: PagingLevel, index: number, low: number, high: number): Path {
  const linear = path.linear | (BigInt(index) << BigInt(level.shift));
  if (!level.hasPermissions) return { ...path, linear };
  return {
    linear,
    isWritable: path.isWritable && (low & ENTRY_WRITABLE) !== 0,
    isUser: path.isUser && (low & ENTRY_USER) !== 0,
    isNoExecute: path.isNoExecute || (high & ENTRY_HIGH_NO_EXECUTE) !== 0,
  };
}

function leaf(path: Path, level: PagingLevel, low: number, high: number): PageMapping {
  return {
    ...path,
    linear: BigInt.asUintN(64, BigInt.asIntN(48, path.linear)),
    physical: BigInt(entryTarget(low, high, level.leafBytes, level.entryBytes)),
    lengthBytes: level.leafBytes,
    entry: (BigInt(high) << 32n) | BigInt(low),
  };
}
