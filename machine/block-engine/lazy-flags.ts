/**
 * Flags that nobody reads before the next instruction sets them, but that are seen when control
 * leaves the region between: at a load in a loop, say. From block to block go only the values that
 * they are computed from and the number of a form, which says how; the one way out of the region
 * computes them. Form 0: they are in their variables.
 */
import type { Node } from '../codegen/nodes.ts';
import { FLAG_FIELDS, type FlagField } from '../codegen/state-recorder.ts';
import type { FunctionBuilder, Local } from '../wasm/function-builder.ts';

const MOST_LEAVES = 3;
/** A region with more forms computes the others at once: each costs code at the way out. */
const MOST_FORMS = 12;

/** A flag's value over the leaves of its form. */
type Tree =
  | { readonly kind: 'leaf'; readonly index: number }
  | { readonly kind: 'constant'; readonly node: Extract<Node, { kind: 'constant' }> }
  | {
      readonly kind: 'pure';
      readonly node: Extract<Node, { kind: 'pure' }>;
      readonly operands: readonly Tree[];
    };

interface Form {
  readonly number: number;
  readonly trees: ReadonlyMap<FlagField, Tree>;
}

export class LazyFlags {
  private readonly builder: FunctionBuilder;
  private readonly form: Local;
  private readonly leaves: readonly Local[];
  private readonly forms = new Map<string, Form>();

  constructor(builder: FunctionBuilder) {
    this.builder = builder;
    this.form = builder.local('i32');
    this.leaves = Array.from({ length: MOST_LEAVES }, () => builder.local('i64'));
  }

  /** Keeps what all three flags are computed from. False, and nothing emitted, if it cannot be kept. */
  keep(pending: ReadonlyMap<FlagField, Node>): boolean {
    const values: Local[] = [];
    const trees = new Map<FlagField, Tree>();
    for (const field of FLAG_FIELDS) {
      const node = pending.get(field);
      const tree = node && treeOf(node, values);
      if (tree === undefined || values.length > MOST_LEAVES) return false;
      trees.set(field, tree);
    }
    const form = this.formOf(trees);
    if (form === undefined) return false;
    for (const [index, value] of values.entries()) {
      this.builder.get(value);
      this.builder.set(this.leaves[index]!);
    }
    this.builder.i32(form.number);
    this.builder.set(this.form);
    return true;
  }

  /** The flags are in their variables now. */
  settle(): void {
    this.builder.i32(0);
    this.builder.set(this.form);
  }

  /** At the way out: computes what was kept; `flags` are the variables. */
  resolve(flags: ReadonlyMap<FlagField, Local>): void {
    for (const { number, trees } of this.forms.values()) {
      this.builder.get(this.form);
      this.builder.i32(number);
      this.builder.emit('i32.eq');
      this.builder.when(() => {
        for (const [field, tree] of trees) {
          this.push(tree);
          this.builder.set(flags.get(field)!);
        }
      });
    }
  }

  private formOf(trees: ReadonlyMap<FlagField, Tree>): Form | undefined {
    const key = [...trees.values()].map(textOf).join();
    let form = this.forms.get(key);
    if (form === undefined && this.forms.size < MOST_FORMS) {
      form = { number: this.forms.size + 1, trees };
      this.forms.set(key, form);
    }
    return form;
  }

  private push(tree: Tree): void {
    const { builder } = this;
    if (tree.kind === 'leaf') builder.get(this.leaves[tree.index]!);
    else if (tree.kind === 'constant') {
      if (tree.node.valueType === 'i32') builder.i32(Number(tree.node.value));
      else builder.i64(tree.node.value);
    } else {
      for (const operand of tree.operands) this.push(operand);
      if (tree.node.name === 'select') builder.select(tree.node.valueType);
      else builder.emit(tree.node.name);
    }
  }
}

/** The tree down to what is in variables, which `values` collects; undefined: not of 64-bit integers. */
function treeOf(node: Node, values: Local[]): Tree | undefined {
  if (node.local !== undefined) {
    if (node.local.type !== 'i64') return undefined;
    const known = values.findIndex(({ index }) => index === node.local!.index);
    return { kind: 'leaf', index: known < 0 ? values.push(node.local) - 1 : known };
  }
  if (node.kind === 'constant') return { kind: 'constant', node };
  if (node.kind !== 'pure' || node.lane !== undefined || node.indexes !== undefined) return undefined; // prettier-ignore
  const operands: Tree[] = [];
  for (const operand of node.operands) {
    const tree = treeOf(operand, values);
    if (tree === undefined) return undefined;
    operands.push(tree);
  }
  return { kind: 'pure', node, operands };
}

function textOf(tree: Tree): string {
  if (tree.kind === 'leaf') return `$${tree.index}`;
  if (tree.kind === 'constant') return `${tree.node.valueType} ${tree.node.value}`;
  return `(${tree.node.name} ${tree.operands.map(textOf).join(' ')})`;
}
