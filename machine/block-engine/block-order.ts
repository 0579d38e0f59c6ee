/**
 * Orders the blocks of a region so that loops are intervals that begin with their heads and as little as
 * possible lies in them: a weak topological order (Bourdoncle, "Efficient chaotic iteration strategies
 * with widenings", 1993, §3). In order of address, a compiler's jump back to code that two ways lead to
 * looks like a loop round everything between, and the loops in it are then entered in their middle.
 */
import type { BasicBlock, Target } from './basic-block.ts';

type Graph = ReadonlyMap<number, readonly number[]>;

/** The blocks, which are numbered in order of address, in the new order and with new numbers. */
export function orderBlocks(blocks: readonly BasicBlock[]): BasicBlock[] {
  const graph: Graph = new Map(
    blocks.map((block) => [
      block.index,
      [block.next, block.taken].flatMap((target) =>
        target?.kind === 'block' ? [target.block] : [],
      ),
    ]),
  );
  const order: number[] = [];
  place(blocks.map(({ index }) => index), graph, order); // prettier-ignore
  const numbers = new Map(order.map((old, index) => [old, index]));
  const renumber = (target: Target | undefined): Target | undefined =>
    target?.kind === 'block' ? { ...target, block: numbers.get(target.block)! } : target;
  return order.map((old, index) => {
    const block = blocks[old]!;
    return { ...block, index, taken: renumber(block.taken), next: renumber(block.next) };
  });
}

/** Appends `nodes` to `order`: components from the first on, each after its head. */
function place(nodes: readonly number[], graph: Graph, order: number[]): void {
  for (const component of components(nodes, graph)) {
    const isLoop = component.length > 1 || graph.get(component[0]!)!.includes(component[0]!);
    if (!isLoop) {
      order.push(component[0]!);
      continue;
    }
    const head = headOf(component, graph);
    order.push(head);
    place(component.filter((node) => node !== head), graph, order); // prettier-ignore
  }
}

/** Where control comes in: the block that an edge from elsewhere leads to, the first by address. */
function headOf(component: readonly number[], graph: Graph): number {
  const members = new Set(component);
  const entered = new Set<number>();
  for (const [from, targets] of graph) {
    if (!members.has(from)) for (const to of targets) if (members.has(to)) entered.add(to);
  }
  const candidates = entered.size > 0 ? entered : members;
  return Math.min(...candidates);
}

/** Strongly connected components of the part of the graph, none before one that leads to it (Tarjan). */
function components(nodes: readonly number[], graph: Graph): number[][] {
  const search = new ComponentSearch(nodes, graph);
  // From the last on: of parts that do not depend on each other, the one with the lower address comes first.
  for (const node of [...nodes].sort((left, right) => right - left)) search.visit(node);
  return search.found.reverse();
}

class ComponentSearch {
  readonly found: number[][] = [];
  private readonly graph: Graph;
  private readonly part: ReadonlySet<number>;
  private readonly numbers = new Map<number, number>();
  private readonly lowest = new Map<number, number>();
  private readonly stack: number[] = [];
  private readonly onStack = new Set<number>();

  constructor(nodes: readonly number[], graph: Graph) {
    this.graph = graph;
    this.part = new Set(nodes);
  }

  visit(node: number): void {
    if (this.numbers.has(node)) return;
    const number = this.numbers.size;
    this.numbers.set(node, number);
    this.lowest.set(node, number);
    this.stack.push(node);
    this.onStack.add(node);
    for (const to of this.graph.get(node)!) {
      if (!this.part.has(to)) continue;
      const isNew = !this.numbers.has(to);
      this.visit(to);
      if (isNew) this.lower(node, this.lowest.get(to)!);
      else if (this.onStack.has(to)) this.lower(node, this.numbers.get(to)!);
    }
    if (this.lowest.get(node) === number) this.take(node);
  }

  private lower(node: number, number: number): void {
    this.lowest.set(node, Math.min(this.lowest.get(node)!, number));
  }

  private take(root: number): void {
    const component = this.stack.splice(this.stack.indexOf(root));
    for (const node of component) this.onStack.delete(node);
    this.found.push(component);
  }
}
