/**
 * The semantics of a basic block: its instructions recorded one after the other, each knowing what
 * the flags are. A flag that an instruction sets is not computed there but kept as a node, until
 * something reads it or control leaves while it stands.
 */
import { countUses } from '../codegen/node-recorder.ts';
import { isPlaced, type Node, type RegisterPlace, type Statement } from '../codegen/nodes.ts';
import { recordInBlock } from '../codegen/recorder.ts';
import { FLAG_FIELDS, type FlagField, type FlagKnowledge } from '../codegen/state-recorder.ts';
import type { BasicBlock, RegionInstruction } from './basic-block.ts';

export type FlagNodes = ReadonlyMap<FlagField, Node>;

export interface RecordedInstruction {
  readonly instruction: RegionInstruction;
  readonly statements: readonly Statement[];
  /** What the flag fields become after it. */
  readonly flags: FlagNodes;
  /** It writes flags under a condition: they have to be in their variables before and after. */
  readonly settlesFlags: boolean;
  /** It may be left undone, with the flags as they are before it. */
  readonly mayLeave: boolean;
}

export interface BlockSemantics {
  readonly block: BasicBlock;
  readonly instructions: readonly RecordedInstruction[];
  /** Flags that are read, or seen by whoever control goes to, before the block sets them. */
  readonly readsFlags: ReadonlySet<FlagField>;
  /** Those of them that must be in their variables, because something computes with them. */
  readonly usesFlags: ReadonlySet<FlagField>;
  /** Flags that the block sets. */
  readonly setsFlags: ReadonlySet<FlagField>;
  /** What is pending at its end. */
  readonly pending: FlagNodes;
}

export interface RegisterUse {
  readonly general: Set<number>;
  readonly writtenGeneral: Set<number>;
  readonly vector: Set<number>;
  readonly writtenVector: Set<number>;
}

export function recordBlock(block: BasicBlock): BlockSemantics {
  const instructions: RecordedInstruction[] = [];
  let known: FlagKnowledge = { nodes: new Map(), comparison: undefined };
  for (const instruction of block.instructions) {
    if (instruction.flow === 'left') break;
    const { statements, flags } = recordInBlock(instruction.decoded, { flags: known });
    known = flags;
    instructions.push(separateFlags(instruction, statements));
  }
  for (const { statements } of instructions) countUses(statements);
  return { block, instructions, ...summarise(block, instructions) };
}

/** Takes the unconditional writes of flags out of the statements. */
function separateFlags(
  instruction: RegionInstruction,
  statements: readonly Statement[],
): RecordedInstruction {
  const settlesFlags = statements.some(
    (statement) => statement.kind === 'when' && anyStatement(armsOf(statement), isFlagWrite),
  );
  const mayLeave = anyStatement(statements, canLeave);
  if (settlesFlags) return { instruction, statements, flags: new Map(), settlesFlags, mayLeave };
  const flags = new Map<FlagField, Node>();
  const others = statements.filter((statement) => {
    if (!isFlagWrite(statement)) return true;
    flags.set(statement.name, statement.value);
    return false;
  });
  return { instruction, statements: others, flags, settlesFlags, mayLeave };
}

type FlagWrite = Extract<Statement, { kind: 'write-field' }> & { readonly name: FlagField };

function isFlagWrite(statement: Statement): statement is FlagWrite {
  return statement.kind === 'write-field' && isFlagField(statement.name);
}

export function isFlagField(name: string): name is FlagField {
  return (FLAG_FIELDS as readonly string[]).includes(name);
}

function canLeave(statement: Statement): boolean {
  if (statement.kind === 'define') return statement.node.kind === 'load';
  if (statement.kind === 'store') return statement.after === undefined;
  return statement.kind === 'raise' || statement.kind === 'host';
}

function armsOf(statement: Extract<Statement, { kind: 'when' }>): readonly Statement[] {
  return [...statement.then, ...statement.otherwise];
}

function anyStatement(
  statements: readonly Statement[],
  test: (statement: Statement) => boolean,
): boolean {
  return statements.some(
    (statement) =>
      test(statement) || (statement.kind === 'when' && anyStatement(armsOf(statement), test)),
  );
}

/** Which flags come in and which go out, and what is pending after the last instruction. */
function summarise(
  block: BasicBlock,
  instructions: readonly RecordedInstruction[],
): Pick<BlockSemantics, 'readsFlags' | 'usesFlags' | 'setsFlags' | 'pending'> {
  const readsFlags = new Set<FlagField>();
  const usesFlags = new Set<FlagField>();
  const setsFlags = new Set<FlagField>();
  const pending = new Map<FlagField, Node>();
  const neededAnew = new Set<Node>();
  const need = (field: FlagField): void => {
    const node = pending.get(field);
    if (node === undefined) {
      if (!setsFlags.has(field)) readsFlags.add(field);
    } else if (!neededAnew.has(node)) {
      neededAnew.add(node);
      needAnew(node);
    }
  };
  const use = (field: FlagField): void => {
    need(field);
    if (!setsFlags.has(field)) usesFlags.add(field);
  };
  if (block.isStop || block.instructions[0]?.flow === 'left') FLAG_FIELDS.forEach(need);
  for (const { statements, flags, settlesFlags, mayLeave } of instructions) {
    if (mayLeave) FLAG_FIELDS.forEach(need);
    (settlesFlags ? FLAG_FIELDS : flagsRead(statements)).forEach(use);
    if (settlesFlags) {
      pending.clear();
      for (const field of FLAG_FIELDS) setsFlags.add(field);
    }
    for (const [field, node] of flags) {
      pending.set(field, node);
      setsFlags.add(field);
    }
    // The other flags are then in their variables, if not set before.
    if (flags.size > 0) FLAG_FIELDS.forEach((field) => setsFlags.has(field) || use(field));
  }
  // Control may go on in the region where nothing is known of the flags.
  if (block.instructions.at(-1)?.flow === 'indirect') FLAG_FIELDS.forEach(use);
  // At the end somebody may want them: the leaves cost nothing where nobody does.
  FLAG_FIELDS.forEach((field) => {
    if (pending.has(field)) need(field);
  });
  return { readsFlags, usesFlags, setsFlags, pending };
}

function flagsRead(statements: readonly Statement[]): FlagField[] {
  const found: FlagField[] = [];
  for (const statement of statements) {
    if (statement.kind === 'when') found.push(...flagsRead(armsOf(statement)));
    if (statement.kind !== 'define' || statement.node.kind !== 'field') continue;
    const { name } = statement.node;
    if (isFlagField(name)) found.push(name);
  }
  return found;
}

/**
 * The node's value will be computed anew where it is wanted: what it is computed from must be in
 * variables. To be called when the uses have been counted.
 */
function needAnew(node: Node): void {
  if (node.uses > 1) return;
  if (isPlaced(node)) {
    if (node.uses === 0) countUse(node);
    return;
  }
  if (node.kind === 'pure') node.operands.forEach(needAnew);
}

function countUse(node: Node): void {
  node.uses += 1;
  if (node.uses === 1 && node.kind === 'pure') node.operands.forEach(countUse);
}

/** Notes the registers that statements read and write. */
export function noteRegisters(statements: readonly Statement[], use: RegisterUse): void {
  for (const statement of statements) {
    if (statement.kind === 'define') noteNode(statement.node, use);
    else if (statement.kind === 'write-register') {
      const register = registerOf(statement.place);
      use.general.add(register);
      use.writtenGeneral.add(register);
    } else if (statement.kind === 'write-vector-register') {
      const register = vectorOf(statement.operand);
      use.vector.add(register);
      use.writtenVector.add(register);
    } else if (statement.kind === 'when') noteRegisters(armsOf(statement), use);
  }
}

function noteNode(node: Node, use: RegisterUse): void {
  if (node.kind === 'register') use.general.add(registerOf(node.place));
  else if (node.kind === 'vector-register') use.vector.add(vectorOf(node.operand));
}

/** The number of a general register, 0–15. */
export function registerOf(place: RegisterPlace): number {
  if (place.kind === 'fixed') return place.register;
  const { operand } = place;
  if (place.kind === 'operand' && operand.kind === 'register') return operand.register;
  if (operand.kind === 'memory') {
    const register = place.kind === 'base' ? operand.base : operand.index;
    if (register !== undefined) return register;
  }
  throw new Error(`a ${operand.kind} operand is no general register`);
}

export function vectorOf(operand: { readonly kind: string }): number {
  if (operand.kind === 'vector' && 'register' in operand) return operand.register as number;
  throw new Error(`a ${operand.kind} operand is no xmm register`);
}
