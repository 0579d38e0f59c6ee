/**
 * What stands behind the mapped memory: RAM with something in it, RAM that is all zero, or no RAM at all,
 * as behind the end of a kernel's direct map. A core file is of the first; see `smapsText`.
 */
import type { MachineView, PageMapping, RamRun } from '../../machine/index.ts';
import { forEachMapping, type MappedRegion } from './mapped-regions.ts';

export interface BackedRegion extends MappedRegion {
  readonly backing: 'used' | 'zero' | 'no RAM';
}

export interface Span {
  readonly start: bigint;
  readonly end: bigint;
}

export type BackedMachine = Pick<MachineView, 'mappings' | 'readRegister' | 'ramBytes' | 'usedRam'>;

interface Stretch {
  readonly backing: BackedRegion['backing'];
  /** Physical, exclusive. */
  readonly end: number;
}

/** Zeros between what is used that are not worth a region of their own, nor an unreadable hole. */
const SMALL_BYTES = 0x10000n;
/** A hostile guest maps the same fragments over and over. */
const MOST_PIECES = 1 << 18;
const PAGE = 0x1000n;
/** An ELF file, such as a core, has at most 65,534 segments; gdb parses five lines for each. */
export const MOST_IN_CORE = 16_384;

/**
 * The mappings below `cr3`, or those in force, as regions of one backing and of equal rights by `isAlike`.
 * Of zeros only 64 KiB and more are told apart, less a page at either end, and none in `whole`: what lies
 * across the end of a used page, and what unwinders read behind a stack, can then be read in a core.
 */
export function backedRegions(
  machine: BackedMachine,
  isAlike: (left: PageMapping, right: PageMapping) => boolean,
  cr3: bigint | undefined,
  whole: readonly Span[],
): { readonly regions: readonly BackedRegion[]; readonly isCut: boolean } {
  const { ramBytes } = machine;
  const used = machine.usedRam();
  const regions = new Joined(isAlike);
  const pieces = new Joined(isAlike, (piece) => {
    for (const part of withoutSmallZeros(piece, whole)) regions.add(part);
  });
  // One more than is shown will do.
  const isEnough = (): boolean => pieces.count >= MOST_PIECES || regions.count > MOST_IN_CORE;
  const visit = (mapping: PageMapping): void => {
    const physical = Number(mapping.physical);
    const end = physical + mapping.lengthBytes;
    for (let at = physical; at < end && !isEnough();) {
      const stretch = stretchAt(used, ramBytes, at);
      const next = Math.min(stretch.end, end);
      const start = mapping.linear + BigInt(at - physical);
      const { backing } = stretch;
      pieces.add({ start, end: start + BigInt(next - at), first: mapping, backing });
      at = next;
    }
  };
  const isCut = forEachMapping(machine, cr3, visit, isEnough);
  pieces.finish();
  regions.finish();
  return { regions: regions.list, isCut };
}

/** Regions in ascending order; what continues the last one is added to it. */
class Joined {
  readonly list: BackedRegion[] = [];
  readonly #isAlike: (left: PageMapping, right: PageMapping) => boolean;
  readonly #onWhole: (region: BackedRegion) => void;
  #last: BackedRegion | undefined;
  /** Regions that have begun. */
  count = 0;

  /** `onWhole`: nothing can be added to it any more; absent: it joins the list. */
  constructor(
    isAlike: (left: PageMapping, right: PageMapping) => boolean,
    onWhole?: (region: BackedRegion) => void,
  ) {
    this.#isAlike = isAlike;
    this.#onWhole = onWhole ?? ((region) => void this.list.push(region));
  }

  add(region: BackedRegion): void {
    const last = this.#last;
    const continues =
      last?.end === region.start &&
      last.backing === region.backing &&
      this.#isAlike(last.first, region.first);
    if (continues) {
      last.end = region.end;
      return;
    }
    this.finish();
    this.#last = { ...region };
    this.count++;
  }

  /** The last one is whole. */
  finish(): void {
    if (this.#last !== undefined) this.#onWhole(this.#last);
    this.#last = undefined;
  }
}

/** What is at a physical address, and how far that goes. */
function stretchAt(used: readonly RamRun[], ramBytes: number, at: number): Stretch {
  if (at >= ramBytes) return { backing: 'no RAM', end: Infinity };
  const run = used[firstEndingBehind(used, at)];
  if (run === undefined) return { backing: 'zero', end: ramBytes };
  return run.start <= at ? { backing: 'used', end: run.end } : { backing: 'zero', end: run.start };
}

function firstEndingBehind(used: readonly RamRun[], at: number): number {
  let [low, high] = [0, used.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (used[middle]!.end > at) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Zeros of less than 64 KiB, and of others the ends and what lies in `whole`, count as used. */
function withoutSmallZeros(region: BackedRegion, whole: readonly Span[]): BackedRegion[] {
  if (region.backing !== 'zero') return [region];
  const { start, end, first } = region;
  if (end - start < SMALL_BYTES) return [{ ...region, backing: 'used' }];
  const parts: BackedRegion[] = [];
  let done = start;
  const upTo = (limit: bigint, backing: BackedRegion['backing']): void => {
    const to = limit < end ? limit : end;
    if (to > done) parts.push({ start: done, end: to, first, backing });
    if (to > done) done = to;
  };
  const ends = [
    { start, end: start + PAGE },
    { start: end - PAGE, end },
  ];
  for (const span of [...whole, ...ends].sort((left, right) =>
    left.start < right.start ? -1 : 1,
  )) {
    upTo(span.start & -PAGE, 'zero');
    if (span.end > done) upTo((span.end + PAGE - 1n) & -PAGE, 'used');
  }
  upTo(end, 'zero');
  return parts;
}
