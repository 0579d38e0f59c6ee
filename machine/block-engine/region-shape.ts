/**
 * A region before it is emitted: the semantics of its blocks, their nesting, which flags are live at
 * the beginning of each, and how many instructions the longest way without turning round a loop has.
 */
import { FLAG_FIELDS, type FlagField } from '../codegen/state-recorder.ts';
import { recordBlock, type BlockSemantics } from './block-semantics.ts';
import { ControlTree, type Edge } from './control-tree.ts';
import type { BasicBlock, RegionPlan, Target } from './region-plan.ts';

export interface RegionShape {
  readonly blocks: readonly BlockSemantics[];
  readonly tree: ControlTree;
  readonly liveFlags: readonly ReadonlySet<FlagField>[];
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
    liveFlags: liveFlags(blocks),
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

/** Live: somebody reads the flag, or may see it when control leaves, before it is set again. */
function liveFlags(blocks: readonly BlockSemantics[]): ReadonlySet<FlagField>[] {
  const live = blocks.map(({ readsFlags }) => new Set(readsFlags));
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (let index = blocks.length - 1; index >= 0; index--) {
      for (const field of liveAtEnd(blocks[index]!, live)) {
        if (blocks[index]!.setsFlags.has(field) || live[index]!.has(field)) continue;
        live[index]!.add(field);
        isSettled = false;
      }
    }
  }
  return live;
}

function liveAtEnd(
  { block }: BlockSemantics,
  live: readonly ReadonlySet<FlagField>[],
): Iterable<FlagField> {
  const targets = [block.taken, block.next].filter((target) => target !== undefined);
  // A turn of a loop may leave for want of budget.
  const mayLeave =
    targets.length === 0 ||
    targets.some((target) => target.kind === 'outside' || target.block <= block.index);
  if (mayLeave) return FLAG_FIELDS;
  return new Set(targets.filter(isInside).flatMap((target) => [...live[target.block]!]));
}
