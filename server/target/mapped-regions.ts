/**
 * The mappings of page tables merged into regions: neighbours that a viewer does not tell apart are one.
 * The walk through tables that describe too much is cut, and says so.
 */
import type { MachineView, PageMapping } from '../../machine/index.ts';

export interface MappedRegion {
  readonly start: bigint;
  /** Exclusive; 2^64 at the end of memory. */
  end: bigint;
  /** The first of its pages. */
  readonly first: PageMapping;
}

export interface MappedRegions {
  readonly regions: readonly MappedRegion[];
  /** There is more than was looked at. */
  readonly isCut: boolean;
}

export type MappedMachine = Pick<MachineView, 'mappings' | 'readRegister' | 'ramBytes'>;

const CR0_PG = 1n << 31n;

/** Below `cr3`, or the tables in force; `isAlike` compares the rights of two neighbours. */
export function mappedRegions(
  machine: MappedMachine,
  isAlike: (left: PageMapping, right: PageMapping) => boolean,
  cr3?: bigint,
): MappedRegions {
  const regions: MappedRegion[] = [];
  const isCut = forEachMapping(machine, cr3, (mapping) => {
    const last = regions.at(-1);
    const end = mapping.linear + BigInt(mapping.lengthBytes);
    if (last?.end === mapping.linear && isAlike(last.first, mapping)) last.end = end;
    else regions.push({ start: mapping.linear, end, first: mapping });
  });
  return { regions, isCut };
}

/**
 * Whether there are more mappings than were visited, which are no more once `isEnough`. While paging is
 * off, RAM is what it is.
 */
export function forEachMapping(
  machine: MappedMachine,
  cr3: bigint | undefined,
  visit: (mapping: PageMapping) => void,
  isEnough: () => boolean = () => false,
): boolean {
  if (cr3 === undefined && ((machine.readRegister('cr0') ?? 0n) & CR0_PG) === 0n) {
    visit(unpaged(machine.ramBytes));
    return isEnough();
  }
  const walk = machine.mappings(cr3)[Symbol.iterator]();
  let step = walk.next();
  for (; step.done !== true; step = walk.next()) {
    visit(step.value);
    if (isEnough()) return true;
  }
  return step.value === 'cut';
}

function unpaged(ramBytes: number): PageMapping {
  const place = { linear: 0n, physical: 0n, lengthBytes: ramBytes, entry: 0n };
  return { ...place, isWritable: true, isUser: false, isNoExecute: false };
}

/** What a viewer says last when the walk was cut. */
export const CUT_NOTE =
  'warning: the page tables describe more than a gigabyte of small pages; the rest is not shown';
