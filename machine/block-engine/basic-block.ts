/** The instructions of a region, and its blocks: runs of them that are entered at the beginning only. */
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { Flow } from './control-flow.ts';

export interface RegionInstruction {
  readonly record: number;
  /** Offset in the page. */
  readonly offset: number;
  readonly decoded: DecodedInstruction;
  readonly flow: Flow;
}

/** Where an edge leads: a block of the region, or a place outside. */
export type Target =
  | { readonly kind: 'block'; readonly block: number }
  | { readonly kind: 'outside'; readonly rip: bigint; readonly record: number | undefined };

export interface BasicBlock {
  readonly index: number;
  readonly instructions: readonly RegionInstruction[];
  /** Control may come here from outside the region: the record leads here. */
  readonly isEntry: boolean;
  /** A breakpoint stands here or has stood: look before going in. */
  readonly isStop: boolean;
  /** Where the relative operand of the last instruction leads. */
  readonly taken: Target | undefined;
  /** Where control goes when the last instruction does not transfer it. */
  readonly next: Target | undefined;
}
