/**
 * The operands that a decoded instruction has (Intel SDM 2A chapter 2). Operands are what semantics
 * are specialised on: kind, width and, in the block engine, the numbers as well.
 *
 * Semantics may look at an operand's kind and width, at a memory operand's segment, and at the
 * numbers in system registers and far pointers: an engine's shapes keep those apart. Registers,
 * scales, displacements, immediates and targets are for the engine alone.
 */
export type IntegerWidth = 8 | 16 | 32 | 64;

export const SEGMENT_REGISTERS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;
export type SegmentRegister = (typeof SEGMENT_REGISTERS)[number];

export interface RegisterOperand {
  readonly kind: 'register';
  readonly width: IntegerWidth;
  /** 0–15: rax rcx rdx rbx rsp rbp rsi rdi r8–r15. */
  readonly register: number;
  /** True for AH CH DH BH: `register` is then 0–3, and bits 8–15 are meant. */
  readonly high: boolean;
}

export interface MemoryOperand {
  readonly kind: 'memory';
  readonly width: IntegerWidth | 128 | 4096;
  readonly base: number | undefined;
  readonly index: number | undefined;
  /** Left shift of the index: 0–3. */
  readonly scale: number;
  /** Sign-extended to 64 bits; for RIP-relative addressing already the whole offset. */
  readonly displacement: bigint;
  readonly segment: SegmentRegister;
  readonly addressWidth: 16 | 32 | 64;
}

export interface ImmediateOperand {
  readonly kind: 'immediate';
  readonly width: IntegerWidth;
  /** Zero-extended from `width`, after sign extension to it where the encoding says so. */
  readonly value: bigint;
}

/** The target of a near relative branch: an offset in CS, cut to the operand width. */
export interface RelativeOperand {
  readonly kind: 'relative';
  readonly width: 16 | 32 | 64;
  readonly target: bigint;
}

export interface SystemRegisterOperand {
  readonly kind: 'segment-register' | 'control-register' | 'debug-register';
  readonly width: 16 | 64 | 32;
  readonly register: number;
}

/** xmm0–xmm15. */
export interface VectorOperand {
  readonly kind: 'vector';
  readonly width: 128;
  readonly register: number;
}

/** A far pointer in the instruction: selector and offset. */
export interface FarOperand {
  readonly kind: 'far';
  readonly width: 16 | 32;
  readonly selector: number;
  readonly offset: bigint;
}

export type Operand =
  | RegisterOperand
  | MemoryOperand
  | ImmediateOperand
  | RelativeOperand
  | SystemRegisterOperand
  | VectorOperand
  | FarOperand;
