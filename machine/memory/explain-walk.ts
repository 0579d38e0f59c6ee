/**
 * A page walk for people: every entry on the way with what it allows and which reserved bits it has
 * set, in all paging modes (Intel SDM 3A §4.3–4.5). It reads registers and RAM through the view, so
 * it works for any CR3, and changes nothing.
 */
import type { MachineView } from '../machine-interface.ts';
import {
  ENTRY_HIGH_NO_EXECUTE,
  ENTRY_LARGE,
  ENTRY_PRESENT,
  ENTRY_USER,
  ENTRY_WRITABLE,
  PAGING_LEVELS,
  entryTarget,
  tableIndex,
  topTable,
  type PagingLevel,
} from './paging-format.ts';
import type { PagingMode } from './paging-registers.ts';

/** One entry of the walk. */
export interface WalkStep {
  /** As the manual spells it. */
  readonly table: 'PML4E' | 'PDPTE' | 'PDE' | 'PTE';
  /** Place in its table, and the physical address of the entry. */
  readonly index: number;
  readonly entryAddress: bigint;
  /** Undefined: the table lies outside RAM. */
  readonly entry: bigint | undefined;
  readonly isPresent: boolean;
  readonly isLeaf: boolean;
  /** False for PAE's PDPTEs, which have no R/W, U/S and NX bits. */
  readonly hasPermissions: boolean;
  /** Bits that are set and must not be. */
  readonly reservedBits: bigint;
}

export interface WalkExplanation {
  readonly mode: PagingMode;
  readonly outcome: 'mapped' | 'not canonical' | 'absent' | 'reserved' | 'outside RAM';
  readonly steps: readonly WalkStep[];
  /** Of the byte itself; only when mapped. */
  readonly physical: bigint | undefined;
  /** Bytes that the leaf maps; 0 unless mapped. */
  readonly pageBytes: number;
  /** What all levels together allow. */
  readonly isWritable: boolean;
  readonly isUser: boolean;
  readonly isNoExecute: boolean;
}

type WalkView = Pick<MachineView, 'readRegister' | 'readPhysical'>;

const CR0_PG = 1n << 31n;
const CR4_PSE = 1n << 4n;
const CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

const TABLE_NAMES = {
  '4-level': ['PML4E', 'PDPTE', 'PDE', 'PTE'],
  pae: ['PDPTE', 'PDE', 'PTE'],
  '32-bit': ['PDE', 'PTE'],
} as const;

/** Which of the manual's paging modes the registers select. */
export function pagingMode(view: WalkView): PagingMode {
  if (!hasBit(view, 'cr0', CR0_PG)) return 'off';
  if (hasBit(view, 'efer', EFER_LMA)) return '4-level';
  return hasBit(view, 'cr4', CR4_PAE) ? 'pae' : '32-bit';
}

/** Walks from `cr3`, by default the present one, to a linear address. */
export function explainWalk(view: WalkView, linear: bigint, cr3?: bigint): WalkExplanation {
  const mode = pagingMode(view);
  if (!isPossible(linear, mode)) return ended(mode, 'not canonical', []);
  if (mode === 'off') {
    return { ...ended(mode, 'mapped', []), physical: linear, pageBytes: 4096 };
  }
  const base = cr3 ?? view.readRegister('cr3') ?? 0n;
  return walk(view, linear, mode, topTable(mode, Number(base & 0xf_ffff_ffff_ffffn)));
}

function walk(
  view: WalkView,
  linear: bigint,
  mode: Exclude<PagingMode, 'off'>,
  top: number,
): WalkExplanation {
  const steps: WalkStep[] = [];
  const [low, high] = halves(linear);
  let table = top;
  for (const [depth, level] of PAGING_LEVELS[mode].entries()) {
    const index = tableIndex(low, high, level);
    const name = TABLE_NAMES[mode][depth]!;
    const step = readStep(view, level, name, index, table + index * level.entryBytes);
    steps.push(step);
    if (step.entry === undefined) return ended(mode, 'outside RAM', steps);
    if (!step.isPresent) return ended(mode, 'absent', steps);
    if (step.reservedBits !== 0n) return ended(mode, 'reserved', steps);
    const [entryLow, entryHigh] = halves(step.entry);
    const pageBytes = step.isLeaf ? level.leafBytes : 0;
    table = entryTarget(entryLow, entryHigh, pageBytes, level.entryBytes);
    if (!step.isLeaf) continue;
    const physical = BigInt(table) + (linear & BigInt(pageBytes - 1));
    return { ...ended(mode, 'mapped', steps), physical, pageBytes };
  }
  throw new Error('the last paging level has only leaves');
}

function readStep(
  view: WalkView,
  level: PagingLevel,
  table: WalkStep['table'],
  index: number,
  address: number,
): WalkStep {
  const bytes = view.readPhysical(BigInt(address), level.entryBytes);
  const isReadable = bytes.length === level.entryBytes;
  const entry = isReadable ? littleEndian(bytes) : 0n;
  const [low] = halves(entry);
  const isLarge = level.leafBytes > 0 && (low & ENTRY_LARGE) !== 0 && hasLarge(view, level);
  const isLeaf = level.isLast || isLarge;
  return {
    table,
    index,
    entryAddress: BigInt(address),
    entry: isReadable ? entry : undefined,
    isPresent: (low & ENTRY_PRESENT) !== 0,
    isLeaf,
    hasPermissions: level.hasPermissions,
    reservedBits: reservedBits(view, level, entry, isLeaf && !level.isLast),
  };
}

function reservedBits(view: WalkView, level: PagingLevel, entry: bigint, isLarge: boolean): bigint {
  const [low, high] = halves(entry);
  const inLow = low & (isLarge ? level.reservedLarge : level.reservedLow);
  const noExecute = hasBit(view, 'efer', EFER_NXE) ? 0 : high & ENTRY_HIGH_NO_EXECUTE;
  const inHigh = (high & level.reservedHigh) | noExecute;
  return (BigInt(inHigh >>> 0) << 32n) | BigInt(inLow >>> 0);
}

/** What the steps together say; the rights are those of the entries that were present. */
function ended(
  mode: PagingMode,
  outcome: WalkExplanation['outcome'],
  steps: readonly WalkStep[],
): WalkExplanation {
  const entries = steps.filter((step) => step.isPresent && step.hasPermissions);
  const all = (bit: number): boolean =>
    entries.every(({ entry }) => ((entry ?? 0n) & BigInt(bit)) !== 0n);
  const isNoExecute = entries.some(({ entry }) => (entry ?? 0n) >> 63n === 1n);
  const rights = { isWritable: all(ENTRY_WRITABLE), isUser: all(ENTRY_USER), isNoExecute };
  return { mode, outcome, steps, physical: undefined, pageBytes: 0, ...rights };
}

/** In 4-level paging bits 63–47 are equal; otherwise linear addresses have 32 bits. */
function isPossible(linear: bigint, mode: PagingMode): boolean {
  if (mode !== '4-level') return linear >> 32n === 0n;
  return BigInt.asUintN(64, BigInt.asIntN(48, linear)) === linear;
}

function hasLarge(view: WalkView, level: PagingLevel): boolean {
  return level.entryBytes === 8 || hasBit(view, 'cr4', CR4_PSE);
}

function hasBit(view: WalkView, register: string, bit: bigint): boolean {
  return ((view.readRegister(register) ?? 0n) & bit) !== 0n;
}

function halves(value: bigint): [low: number, high: number] {
  return [Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn)];
}

function littleEndian(bytes: Uint8Array): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
