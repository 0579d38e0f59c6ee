/**
 * Where control goes after an instruction, found by recording its semantics: once for each definition
 * and what else its statements depend on.
 */
import type { Statement } from '../codegen/nodes.ts';
import { recordInBlock } from '../codegen/recorder.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { InstructionDefinition } from '../instructions/definition.ts';

export type Flow =
  /** On to the next instruction. */
  | 'next'
  /** To its relative operand, always (JMP, CALL) or perhaps. */
  | 'jump'
  | 'branch'
  /** To a computed target. */
  | 'indirect'
  /** It is rare or bulky and left to the step engine. */
  | 'left';

const NOTHING_KNOWN = { nodes: new Map(), comparison: undefined } as const;

export class ControlFlow {
  private readonly flows = new Map<InstructionDefinition, Map<string, Flow>>();

  of(instruction: DecodedInstruction): Flow {
    let flows = this.flows.get(instruction.definition);
    if (flows === undefined) {
      flows = new Map();
      this.flows.set(instruction.definition, flows);
    }
    const key = variantOf(instruction);
    const known = flows.get(key);
    if (known !== undefined) return known;
    const { statements } = recordInBlock(instruction, { flags: NOTHING_KNOWN });
    const flow = flowOf(statements);
    flows.set(key, flow);
    return flow;
  }
}

function variantOf({ encoding, repeat, mode, operands }: DecodedInstruction): string {
  const kinds = operands.map(({ kind }) => kind).join();
  return `${encoding} ${repeat} ${mode.codeWidth} ${mode.cpl} ${mode.sse} ${mode.x87} ${kinds}`;
}

function flowOf(statements: readonly Statement[]): Flow {
  if (isLeft(statements)) return 'left';
  const last = statements.at(-1);
  if (last?.kind === 'jump') return 'indirect';
  if (last?.kind === 'branch') return last.condition === undefined ? 'jump' : 'branch';
  return 'next';
}

/** Always, or after a change of state, something that regions have no code for. */
function isLeft(statements: readonly Statement[]): boolean {
  return statements.some(
    (statement) =>
      statement.kind === 'host' || statement.kind === 'raise' || hasRepetition(statement),
  );
}

function hasRepetition(statement: Statement): boolean {
  if (statement.kind === 'again' || statement.kind === 'string-run') return true;
  if (statement.kind === 'host') return statement.isTransfer;
  if (statement.kind !== 'when') return false;
  return [...statement.then, ...statement.otherwise].some(hasRepetition);
}
