/** What a snapshot holds of the memory system beside RAM; machine-state.ts says why the TLB is in it. */
import type { WatchKind } from '../stop-reason.ts';

/** Slot, linear page (low and high half), and the RAM frame to which it goes. */
export type SavedTlbEntry = readonly [slot: number, low: number, high: number, frame: number];

/** The TLB by numbers of slots, 0 to 6143: table (context × 2 + write) × TLB_ENTRIES + entry. */
export interface SavedTlb {
  /** In the order of filling; with some that have been invalidated since, and some twice. */
  readonly filled: readonly number[];
  readonly entries: readonly SavedTlbEntry[];
  readonly large: readonly number[];
  readonly huge: readonly number[];
}

/** Of the page of each number the physical address of its frame; regions as in `SavedTlb`. */
export interface SavedFetchTlb {
  readonly supervisor: readonly (readonly [page: number, frame: number])[];
  readonly user: readonly (readonly [page: number, frame: number])[];
  readonly large: readonly number[];
  readonly huge: readonly number[];
}

/** The TLBs, which stores walk all the same, and the hits of DR0–DR3 not told to the guest yet. */
export interface SavedTranslations {
  readonly tlb: SavedTlb;
  readonly fetches: SavedFetchTlb;
  /** Pages of RAM from which instructions have been decoded: stores to them are not in the TLB. */
  readonly codePages: readonly number[];
  readonly watchHits: readonly {
    readonly address: bigint;
    readonly watch: WatchKind;
    readonly register: number;
  }[];
}
