/**
 * A region before it is emitted: the semantics of its blocks, their nesting, which flags are live at
 * the beginning of each, and how many instructions the longest way without turning round a loop has.
 */
import { FLAG_FIELDS, type FlagField } from '../codegen/state-recorder.ts';
import { recordBlock, type BlockSemantics } from './block-semantics.ts';
import { ControlTree, type Edge } from './control-tree.ts';
import type { BasicBlock, Target } from './basic-block.ts';
import type { RegionPlan } from './region-plan.ts';

export interface RegionShape {
  readonly blocks: readonly BlockSemantics[];
  readonly tree: ControlTree;
  /** Flags that somebody reads or sees before they are set, from the beginning of each block on. */
  readonly liveFlags: readonly ReadonlySet<FlagField>[];
  /** Those of them that somebody computes with: the others are only seen when control leaves. */
  readonly usedFlags: readonly ReadonlySet<FlagField>[];
  readonly longestWay: number;
  readonly longestWayFrom: readonly number[];
  readonly entries: readonly number[];
}

export function shapeRegion(plan: RegionPlan): RegionShape {
  const blocks = plan.blocks.map(recordBlock);
  const edges = plan.blocks.flatMap((block) =>
    successors(block).map((to): Edge => ({ from: block.index, to })),
  );
  const entries = plan.blocks.filter(({ isEntry }) => isEntry).map(({ index }) => index);
  const longestWayFrom = longestWays(plan.blocks);
  return {
    blocks,
    tree: new ControlTree(blocks.length, edges, entries),
    liveFlags: settled(blocks, ({ readsFlags }) => readsFlags, seenAtEnd),
    usedFlags: settled(blocks, ({ usesFlags }) => usesFlags, () => false), // prettier-ignore
    longestWay: Math.max(...longestWayFrom),
    longestWayFrom,
    entries,
  };
}

function successors(block: BasicBlock): number[] {
  return [block.taken, block.next].filter(isInside).map(({ block: index }) => index);
}

function isInside(target: Target | undefined): target is Extract<Target, { kind: 'block' }> {
  return target?.kind === 'block';
}

function longestWays(blocks: readonly BasicBlock[]): number[] {
  const ways: number[] = [];
  for (const block of [...blocks].reverse()) {
    const below = successors(block).filter((to) => to > block.index);
    const rest = Math.max(0, ...below.map((to) => ways[to]!));
    ways[block.index] = block.instructions.length + rest;
  }
  return ways;
}

/**
 * Flags that are wanted at the beginning of each block: by the block, or by those behind it as far as it
 * does not set them; all of them where `wantsAllAtEnd`.
 */
function settled(
  blocks: readonly BlockSemantics[],
  wanted: (block: BlockSemantics) => ReadonlySet<FlagField>,
  wantsAllAtEnd: (block: BasicBlock) => boolean,
): ReadonlySet<FlagField>[] {
  const found = blocks.map((block) => new Set(wanted(block)));
  const atEnd = (block: BasicBlock): Iterable<FlagField> =>
    wantsAllAtEnd(block)
      ? FLAG_FIELDS
      : new Set(successors(block).flatMap((to) => [...found[to]!]));
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (let index = blocks.length - 1; index >= 0; index--) {
      for (const field of atEnd(blocks[index]!.block)) {
        if (blocks[index]!.setsFlags.has(field) || found[index]!.has(field)) continue;
        found[index]!.add(field);
        isSettled = false;
      }
    }
  }
  return found;
}

/** Control may leave at the block's end; a turn of a loop may leave for want of budget. */
function seenAtEnd(block: BasicBlock): boolean {
  const targets = [block.taken, block.next].filter((target) => target !== undefined);
  return (
    targets.length === 0 ||
    targets.some((target) => target.kind === 'outside' || target.block <= block.index)
  );
}
