/**
 * The base of the recorder: makes nodes, wraps them as the opaque values of Operations, keeps the
 * list of statements and the rule that what can fault comes before what changes state.
 */
import type { IntegerWidth } from '../instructions/operand.ts';
import type { Condition, Float, Value, Vector } from '../instructions/operations.ts';
import { opcodeOf, type ValueType } from '../wasm/opcodes.ts';
import { fold } from './fold.ts';
import { isPlaced, type Node, type Statement } from './nodes.ts';

/** What Operations hands out: the public face of a node. */
interface Wrapped {
  readonly node: Node;
}

export abstract class NodeRecorder {
  protected statements: Statement[] = [];
  /** Set by the first state change; nothing that can fault may follow. */
  protected hasChangedState = false;

  protected value(node: Node, width: IntegerWidth): Value {
    const wrapped: Value & Wrapped = { type: 'integer', width, node };
    return wrapped;
  }

  protected condition(node: Node): Condition {
    const wrapped: Condition & Wrapped = { type: 'condition', node };
    return wrapped;
  }

  protected vectorValue(node: Node): Vector {
    const wrapped: Vector & Wrapped = { type: 'vector', node };
    return wrapped;
  }

  protected floatValue(node: Node, width: 32 | 64): Float {
    const wrapped: Float & Wrapped = { type: 'float', width, node };
    return wrapped;
  }

  /** The node behind a value; values come from this recorder only. */
  protected node(value: Value | Condition | Vector | Float): Node {
    return (value as unknown as Wrapped).node;
  }

  protected constantNode(value: bigint, valueType: 'i32' | 'i64' = 'i64'): Node {
    return { kind: 'constant', value, valueType, uses: 0 };
  }

  protected pure(name: string, ...operands: Node[]): Node {
    const folded = fold(name, operands);
    if (folded !== undefined) return folded;
    return this.define({
      kind: 'pure',
      name,
      operands,
      valueType: resultOf(name, operands),
      uses: 0,
    });
  }

  protected pureLane(name: string, lane: number, ...operands: Node[]): Node {
    const valueType = resultOf(name, operands);
    return this.define({ kind: 'pure', name, operands, lane, valueType, uses: 0 });
  }

  /** Puts the node into the order of things; pure ones are emitted where they are used. */
  protected define<Kind extends Node>(node: Kind): Kind {
    this.statements.push({ kind: 'define', node });
    return node;
  }

  /** Records an effect that cannot fault. */
  protected change(statement: Statement): void {
    this.hasChangedState = true;
    this.statements.push(statement);
  }

  /** To be called before recording what can fault. */
  protected mayFault(what: string): void {
    if (this.hasChangedState) {
      throw new Error(`${what} after a change of state: a fault would not be restartable`);
    }
  }

  /** Records into a list of its own. */
  protected nested(record: () => void): { statements: Statement[]; hasChangedState: boolean } {
    const outer = { statements: this.statements, hasChangedState: this.hasChangedState };
    this.statements = [];
    record();
    const inner = { statements: this.statements, hasChangedState: this.hasChangedState };
    this.statements = outer.statements;
    this.hasChangedState = outer.hasChangedState;
    return inner;
  }
}

function resultOf(name: string, operands: readonly Node[]): ValueType {
  if (name === 'select') return operands[0]!.valueType;
  if (name === 'i8x16.shuffle') return 'v128';
  const { result } = opcodeOf(name);
  if (result === undefined) throw new Error(`${name} has no result`);
  return result;
}

/**
 * Counts how often each node is used, from the effects backwards, so that unused values cost
 * nothing and values used once need no local variable.
 */
export function countUses(statements: readonly Statement[]): void {
  const visit = (node: Node): void => {
    node.uses += 1;
    if (node.uses > 1) return;
    if (node.kind === 'pure') node.operands.forEach(visit);
  };
  for (const statement of statements) {
    switch (statement.kind) {
      case 'define':
        inputsOf(statement.node).forEach(visit);
        break;
      case 'write-register':
      case 'write-vector-register':
      case 'write-field':
        visit(statement.value);
        break;
      case 'store':
        visit(statement.value);
        if (statement.after === undefined) visit(statement.linear);
        break;
      case 'located-store':
        visit(statement.place);
        visit(statement.value);
        break;
      case 'when':
        visit(statement.condition);
        countUses(statement.then);
        countUses(statement.otherwise);
        break;
      case 'jump':
        visit(statement.target);
        break;
      case 'branch':
        if (statement.condition !== undefined) visit(statement.condition);
        break;
      case 'again':
        visit(statement.condition);
        break;
      case 'host':
        statement.operands.forEach(visit);
        break;
      case 'string-run':
        [statement.count, statement.destination, statement.source, statement.fill].forEach(
          (node) => {
            if (node !== undefined) visit(node);
          },
        );
        break;
      case 'raise':
        break;
    }
  }
}

/** What a node that is computed in any case takes. */
function inputsOf(node: Node): readonly Node[] {
  if (node.kind === 'load') return [node.linear];
  if (node.kind === 'located-load') return [node.place];
  if (node.kind !== 'location') return [];
  return node.context === undefined ? [node.linear] : [node.linear, node.context];
}

/** True for a node that its `define` statement must compute into a local variable. */
export function needsLocal(node: Node): boolean {
  if (node.kind === 'constant' || node.kind === 'vector-constant') return false;
  if (node.kind === 'load' || node.kind === 'location' || node.kind === 'located-load') return true;
  if (isPlaced(node)) return node.uses > 0;
  return node.uses > 1;
}
