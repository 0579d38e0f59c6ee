/**
 * RAM in a snapshot: the pages that are not all zero, in runs of at most 1 MiB, so that nobody who
 * compresses or reads them needs more memory than that.
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { PhysicalMemory } from '../memory/physical-memory.ts';
import { StateError } from './state-error.ts';

export const MOST_PAGES_IN_RUN = 256;

/** Some pages by number (physical address / 4096), ascending, and their bytes one after the other. */
export interface PageRun {
  readonly numbers: readonly number[];
  readonly bytes: Uint8Array;
}

/** Copies of all pages that are not zero, ascending. */
export function savePages({ ram, usedFrames }: PhysicalMemory): readonly PageRun[] {
  const numbers = usedFrames.list();
  const runs: PageRun[] = [];
  for (let first = 0; first < numbers.length; first += MOST_PAGES_IN_RUN) {
    const some = numbers.slice(first, first + MOST_PAGES_IN_RUN);
    const bytes = new Uint8Array(some.length * PAGE_SIZE);
    some.forEach((page, index) => bytes.set(pageAt(ram, page), index * PAGE_SIZE));
    runs.push({ numbers: some, bytes });
  }
  return runs;
}

/** Puts pages into RAM that is all zero. Throws `StateError` for pages that are not there. */
export function loadPages(ram: Uint8Array, runs: Iterable<PageRun>): void {
  let next = 0;
  for (const { numbers, bytes } of runs) {
    if (bytes.length !== numbers.length * PAGE_SIZE) throw new StateError('a page is incomplete');
    numbers.forEach((page, index) => {
      if (page < next || (page + 1) * PAGE_SIZE > ram.length) {
        throw new StateError(`page ${page} is out of order or beyond the end of RAM`);
      }
      next = page + 1;
      ram.set(bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE), page * PAGE_SIZE);
    });
  }
}

function pageAt(ram: Uint8Array, page: number): Uint8Array {
  return ram.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
}
