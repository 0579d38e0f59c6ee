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

/** Below `cr3`, or the tables in force; `isAlike` compares the rights of two neighbours. */
export function mappedRegions(
  machine: Pick<MachineView, 'mappings'>,
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

/** Whether there are more mappings than were visited. */
export function forEachMapping(
  machine: Pick<MachineView, 'mappings'>,
  cr3: bigint | undefined,
  visit: (mapping: PageMapping) => void,
): boolean {
  const walk = machine.mappings(cr3)[Symbol.iterator]();
  let step = walk.next();
  for (; step.done !== true; step = walk.next()) visit(step.value);
  return step.value === 'cut';
}

/** What a viewer says last when the walk was cut. */
export const CUT_NOTE =
  'warning: the page tables describe more than a gigabyte of small pages; the rest is not shown';
