/** What the decoder hands to the engines: one instruction with everything specialised. */
import type { InstructionDefinition } from '../instructions/definition.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import type { Operand, SegmentRegister } from '../instructions/operand.ts';

export interface DecodedInstruction {
  readonly kind: 'instruction';
  readonly definition: InstructionDefinition;
  /** Which of `definition.encodings` it is. */
  readonly encoding: number;
  readonly operands: readonly Operand[];
  /** Offset in CS where it begins, and 1–15 bytes. */
  readonly address: bigint;
  readonly lengthBytes: number;
  readonly mode: ExecutionMode;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly repeat: 'none' | 'repe' | 'repne';
  readonly segment: SegmentRegister | undefined;
  readonly isLocked: boolean;
}

/** Bytes that are no instruction: #UD, or #GP(0) when longer than 15 bytes. */
export interface UndefinedInstruction {
  readonly kind: 'undefined';
  readonly vector: 6 | 13;
  readonly lengthBytes: number;
}

/** More bytes are needed than were given: the next page must be fetched. */
export interface TruncatedInstruction {
  readonly kind: 'truncated';
}

export type Decoded = DecodedInstruction | UndefinedInstruction | TruncatedInstruction;
