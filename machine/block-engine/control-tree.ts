/**
 * Puts the blocks of a control-flow graph, in the order of block-order.ts, into WebAssembly's nesting. Edges
 * downwards become branches to the end of a `block`; edges upwards make `loop`s: intervals of blocks,
 * widened until they nest. Control that comes from outside to the middle of a loop enters at its head
 * with a number that the head dispatches on (a loop without such edges dispatches nothing).
 */

export interface Edge {
  readonly from: number;
  readonly to: number;
}

/** The whole region, or a loop in it. */
export interface Level {
  /** First and last block. The first block of a loop is its head. */
  readonly first: number;
  readonly last: number;
  readonly isLoop: boolean;
  /** Blocks and inner loops, in order. */
  readonly items: readonly (number | Level)[];
  readonly parent: Level | undefined;
  /** Blocks that are reached through the dispatch at this level's beginning. */
  readonly dispatched: Set<number>;
}

/** How to go from one place to another. */
export type Route =
  /** Up to the head of a loop that both are in. */
  | { readonly kind: 'again'; readonly loop: Level }
  /** Down to an item of a level that both are in; `isDispatched` if more is to be told there. */
  | {
      readonly kind: 'down';
      readonly level: Level;
      readonly item: number;
      readonly isDispatched: boolean;
    };

export class ControlTree {
  readonly root: Level;
  /** The innermost level of each block. */
  private readonly levels: Level[] = [];

  constructor(blockCount: number, edges: readonly Edge[], entries: readonly number[]) {
    const loops = nestedLoops(blockCount, edges);
    this.root = this.build({ first: 0, last: blockCount - 1 }, false, loops, undefined);
    for (const entry of entries) this.markDispatch(this.root, entry);
    for (const { from, to } of edges) {
      const level = this.meeting(from, to);
      const inner = itemLevel(level, to);
      if (!isHeadOf(level, to) || to > from) if (inner !== undefined) this.markDispatch(inner, to);
    }
  }

  levelOf(block: number): Level {
    return this.levels[block]!;
  }

  route(from: number, to: number): Route {
    const level = this.meeting(from, to);
    if (to <= from && isHeadOf(level, to)) return { kind: 'again', loop: level };
    const item = itemIndex(level, to);
    const inner = itemLevel(level, to);
    return { kind: 'down', level, item, isDispatched: (inner?.dispatched.size ?? 0) > 0 };
  }

  /** The innermost level that has both blocks. */
  private meeting(from: number, to: number): Level {
    let level = this.levels[from]!;
    while (to < level.first || to > level.last) level = level.parent!;
    return level;
  }

  /** Notes that a block is told of at the beginning of `level` and of loops between. */
  private markDispatch(level: Level, block: number): void {
    for (let at: Level | undefined = level; at !== undefined; at = itemLevel(at, block)) {
      if (!isHeadOf(at, block)) at.dispatched.add(block);
    }
  }

  private build(
    range: { readonly first: number; readonly last: number },
    isLoop: boolean,
    loops: ReadonlyMap<number, number>,
    parent: Level | undefined,
  ): Level {
    const items: (number | Level)[] = [];
    const level: Level = { ...range, isLoop, items, parent, dispatched: new Set() };
    for (let block = range.first; block <= range.last; block++) {
      const last = loops.get(block);
      const isOwnHead = isLoop && block === range.first;
      if (last === undefined || isOwnHead) {
        items.push(block);
        this.levels[block] = level;
      } else {
        items.push(this.build({ first: block, last }, true, loops, level));
        block = last;
      }
    }
    return level;
  }
}

/** The item of a level that is or holds a block. */
export function itemIndex(level: Level, block: number): number {
  return level.items.findIndex((item) =>
    typeof item === 'number' ? item === block : block >= item.first && block <= item.last,
  );
}

function itemLevel(level: Level, block: number): Level | undefined {
  const item = level.items[itemIndex(level, block)];
  return typeof item === 'number' ? undefined : item;
}

function isHeadOf(level: Level, block: number): boolean {
  return level.isLoop && level.first === block;
}

/** Head → last block of each loop, such that any two loops nest or are apart. */
function nestedLoops(blockCount: number, edges: readonly Edge[]): Map<number, number> {
  const ends = new Map<number, number>();
  for (const { from, to } of edges) {
    if (to <= from) ends.set(to, Math.max(from, ends.get(to) ?? 0));
  }
  const heads = [...ends.keys()].sort((left, right) => left - right);
  for (let isSettled = false; !isSettled;) {
    isSettled = true;
    for (const outer of heads) {
      for (const inner of heads) {
        const [end, innerEnd] = [ends.get(outer)!, ends.get(inner)!];
        if (inner <= outer || inner > end || innerEnd <= end) continue;
        ends.set(outer, innerEnd);
        isSettled = false;
      }
    }
  }
  if (heads.some((head) => ends.get(head)! >= blockCount)) throw new Error('a loop has no end');
  return ends;
}
