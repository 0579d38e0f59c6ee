import fc from 'fast-check';
import { expect, it } from 'vitest';
import { orderBlocks } from '../../../machine/block-engine/block-order.ts';
import { ControlTree, type Edge, type Level } from '../../../machine/block-engine/control-tree.ts';
import type { BasicBlock, Target } from '../../../machine/block-engine/basic-block.ts';

/** Blocks of nothing but their edges: `[next, taken]`; the breakpoint flag carries the old number. */
function blocksOf(edges: readonly (readonly (number | undefined)[])[]): BasicBlock[] {
  const target = (block: number | undefined): Target | undefined =>
    block === undefined ? undefined : { kind: 'block', block };
  return edges.map(([next, taken], index) => ({
    index,
    instructions: [],
    isEntry: false,
    isStop: false,
    next: target(next),
    taken: target(taken),
  }));
}

function edgesOf(blocks: readonly BasicBlock[]): Edge[] {
  return blocks.flatMap(({ index, next, taken }) =>
    [next, taken].flatMap((target) =>
      target?.kind === 'block' ? [{ from: index, to: target.block }] : [],
    ),
  );
}

function loopsOf(level: Level): [number, number][] {
  return level.items.flatMap((item): [number, number][] =>
    typeof item === 'number' ? [] : [[item.first, item.last], ...loopsOf(item)],
  );
}

it('keeps a loop of one block to itself though code behind it jumps back there', () => {
  // 0 → 1 or 4; 1 is a loop; then 2 or 5; 2 is a loop; then 3, back to 0; 4 jumps back to 2, or to 3.
  const blocks = blocksOf([[1, 4], [2, 1], [3, 2], [5, 0], [3, 2], []]); // prettier-ignore
  const ordered = orderBlocks(blocks);
  const loops = loopsOf(new ControlTree(ordered.length, edgesOf(ordered), [0]).root);
  expect(loops.map(([first, last]) => last - first).sort()).toEqual([0, 0, 4]);
});

const graphs = fc
  .integer({ min: 1, max: 12 })
  .chain((count) =>
    fc.array(
      fc.tuple(
        fc.option(fc.nat(count - 1), { nil: undefined }),
        fc.option(fc.nat(count - 1), { nil: undefined }),
      ),
      { minLength: count, maxLength: count },
    ),
  );

it('changes numbers only, and turns back only to the head of a loop that can be gone round', () => {
  fc.assert(
    fc.property(graphs, (graph) => {
      const ordered = orderBlocks(blocksOf(graph));
      const edges = edgesOf(ordered);
      expect(ordered.map(({ index }) => index)).toEqual(graph.map((_, index) => index));
      expect(degrees(edges, graph.length)).toEqual(degrees(edgesOf(blocksOf(graph)), graph.length));
      for (const { from, to } of edges) if (to <= from) expect(reaches(edges, to, from)).toBe(true);
    }),
    { numRuns: 500 },
  );
});

/** How many edges leave and reach each block, whatever its number. */
function degrees(edges: readonly Edge[], count: number): string[] {
  const texts = Array.from({ length: count }, (_, block) => {
    const leaving = edges.filter(({ from }) => from === block).length;
    const reaching = edges.filter(({ to }) => to === block).length;
    const own = edges.filter(({ from, to }) => from === block && to === block).length;
    return `${leaving} ${reaching} ${own}`;
  });
  return texts.sort();
}

function reaches(edges: readonly Edge[], from: number, to: number): boolean {
  const found = new Set([from]);
  for (const block of found) {
    for (const edge of edges) if (edge.from === block) found.add(edge.to);
  }
  return found.has(to);
}
