/**
 * What an instruction is: its encodings and its meaning, once. `index.ts` lists all definitions.
 */
import type { Operand } from './operand.ts';
import type { Flag, Operations } from './operations.ts';

export interface InstructionDefinition {
  /** As the SDM spells it, lower case: `add`, `jnz`. */
  readonly mnemonic: string;
  /**
   * One per form, in the opcode map's notation (Intel SDM 2 appendix A.2):
   * `[NP|66|F3|F2] [W0|W1] opcode bytes [/r|/0–/7] [d64|f64] [operands]`, e.g. `01 /r Ev,Gv`,
   * `83 /0 Ev,Ibs`, `66 0F 6F /r Vdq,Wdq`, `50+r d64 Zv`. decoder/encoding.ts has the grammar.
   */
  readonly encodings: readonly string[];
  readonly flags?: {
    readonly reads?: readonly Flag[];
    readonly writes?: readonly Flag[];
    /** Left undefined by the manual: tests mask them. */
    readonly undefined?: readonly Flag[];
  };
  /** LOCK may stand before it when its first operand is memory; else LOCK is #UD. */
  readonly lock?: true;
  /** The F2/F3 prefixes that mean repetition for it. */
  readonly repeat?: 'rep' | 'repe-repne';
  /** #GP(0) unless CPL is 0. */
  readonly privileged?: true;
  /** SSE state is needed: #UD or #NM by CR0 and CR4 (ExecutionMode.sse). */
  readonly sse?: true;
  /**
   * Semantics look at the immediate operand's `value` (shuffles, compare predicates): it is part of
   * the shape that an engine specialises on.
   */
  readonly constantImmediate?: true;
  /** Where it exists: #UD elsewhere. */
  readonly modes?: 'only64' | 'not64';
  semantics(operations: Operations, ...operands: Operand[]): void;
}

/** Gives a definition its type; the place to look for everything an instruction may state. */
export function defineInstruction(definition: InstructionDefinition): InstructionDefinition {
  return definition;
}
