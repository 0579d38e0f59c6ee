/**
 * States that are kept of one run. From one to the next most pages are the same: those are kept once.
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { MachineState } from './machine-state.ts';
import type { PageRun } from './saved-pages.ts';

/** A state whose pages are each a run of its own. */
export interface CheckpointState extends MachineState {
  readonly pages: readonly PageRun[];
}

/** `state`, with the pages that are as in `previous` shared with it. */
export function checkpointState(state: MachineState, previous?: CheckpointState): CheckpointState {
  const known = new Map(previous?.pages.map((run) => [run.numbers[0]!, run]));
  const pages: PageRun[] = [];
  for (const { numbers, bytes } of state.pages) {
    numbers.forEach((number, index) => {
      const page = bytes.subarray(index * PAGE_SIZE, (index + 1) * PAGE_SIZE);
      const same = known.get(number);
      const isShared = same !== undefined && areEqual(same.bytes, page);
      pages.push(isShared ? same : { numbers: [number], bytes: page.slice() });
    });
  }
  return { ...state, pages };
}

/** What states take in the host's memory, about. */
export function bytesOf(states: readonly CheckpointState[]): number {
  const pages = new Set(states.flatMap((state) => state.pages));
  const serial = states.reduce((sum, state) => sum + state.serial.length, 0);
  return pages.size * PAGE_SIZE + serial;
}

function areEqual(one: Uint8Array, other: Uint8Array): boolean {
  const [a, b] = [one, other].map(words);
  return a!.every((word, index) => word === b![index]);
}

function words({ buffer, byteOffset, length }: Uint8Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length / 4);
}
