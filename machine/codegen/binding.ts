/**
 * What an engine decides about generated code: where operands come from and how an instruction
 * leaves. Everything else is the same in both engines and lies in emitter.ts.
 */
import type { FunctionBuilder, Local } from '../wasm/function-builder.ts';
import type { Operand } from '../instructions/operand.ts';
import type { EncodedNode, RegisterPlace } from './nodes.ts';

/** Function indexes of the imports that generated code calls. */
export interface RuntimeImports {
  /** (linear low, linear high, size and flags) → host offset or -1; memory/slow-path.ts. */
  readonly slowRead: number;
  readonly slowWrite: number;
  /** (operation number, record, budget) → 0, or 1 for a fault. */
  readonly host: number;
  /** (count, destination, source, width, budget) → elements done. */
  readonly moveRun: number;
  /** (count, destination, value, width, budget) → elements done. */
  readonly fillRun: number;
}

export type VectorWidth = 8 | 16 | 32 | 64 | 128;

export interface EngineBinding {
  readonly builder: FunctionBuilder;
  readonly imports: RuntimeImports;
  /** How many more instructions may retire, this one included. */
  readonly budget: Local;

  /** Pushes a general register, zero-extended from `width`. */
  readRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64): void;
  writeRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64, pushValue: () => void): void;
  /** Pushes an xmm register, or its low bits as an integer. */
  readVector(operand: Operand, width: VectorWidth): void;
  /** Less than 128 bits leave the rest of the register. */
  writeVector(operand: Operand, width: VectorWidth, pushValue: () => void): void;
  /** Pushes a field of the CPU state as a 64-bit integer. */
  readField(name: string): void;
  writeField(name: string, pushValue: () => void): void;
  /** Pushes the offset of the TLB tables in force. */
  pushTlbContext(): void;
  /** Pushes a number that the encoding fixes. */
  readEncoded(node: EncodedNode): void;
  /** Pushes what tells host operations which instruction calls. */
  pushInstruction(): void;

  /** The fault is in the state; the instruction has not happened. Ends this path. */
  leaveWithFault(): void;
  /** After the instruction: the state says where to go on. Ends this path. */
  leaveAfterTransfer(): void;
  /** On to the next instruction. Ends this path. */
  goOn(): void;
  /** The same instruction once more. Ends this path. */
  goAgain(): void;
  jump(pushTarget: () => void): void;
  branch(operand: Operand): void;
  /**
   * If present, the code has fast paths only. A TLB miss, an exception or a host operation ends the
   * path here with nothing of the instruction done, and somebody else executes it whole.
   */
  leaveUndone?(): void;
}
