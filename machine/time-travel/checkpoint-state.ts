/**
 * States that are kept of one run. From one to the next most pages are the same: those are kept once.
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { MachineState } from './machine-state.ts';
import type { PageRun } from './saved-pages.ts';

/** A state whose pages are each a run of its own, shared with other states of the run. */
export interface CheckpointState extends MachineState {
  readonly pages: readonly PageRun[];
}

/** What states, in the order of the run, take in the host's memory, about. */
export function bytesOf(states: readonly CheckpointState[]): number {
  let bytes = 0;
  let before: readonly PageRun[] = [];
  for (const { pages, serial } of states) {
    bytes += ownPages(pages, before) * PAGE_SIZE + serial.length;
    before = pages;
  }
  return bytes;
}

/** How many are not shared with the state before. */
function ownPages(pages: readonly PageRun[], before: readonly PageRun[]): number {
  let count = 0;
  let next = 0;
  for (const page of pages) {
    const [number] = page.numbers;
    while (next < before.length && before[next]!.numbers[0]! < number!) next++;
    if (before[next] !== page) count++;
  }
  return count;
}
