/**
 * From operand tokens to operands: each token of an encoding is compiled once to a function over
 * what has been decoded so far.
 */
import { SEGMENT_REGISTERS } from '../instructions/operand.ts';
import type {
  IntegerWidth,
  MemoryOperand,
  Operand,
  RegisterOperand,
  SegmentRegister,
  VectorOperand,
} from '../instructions/operand.ts';
import type { Address } from './addressing.ts';
import { memoryOperand } from './addressing.ts';
import type { CodeReader } from './code-reader.ts';
import type { OperandLetter, OperandSize, OperandToken } from './encoding.ts';

/** An instruction on its way through the decoder: prefixes, opcode and ModRM are known. */
export interface PartialInstruction {
  readonly reader: CodeReader;
  /** Offset in CS where the instruction begins. */
  readonly start: bigint;
  readonly is64Bit: boolean;
  readonly rex: number;
  readonly opcode: number;
  readonly modrm: number;
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly segment: SegmentRegister | undefined;
  /** Of an r/m operand in memory; absent where r/m is a register. */
  readonly address: Address | undefined;
  /** Bytes that POP adds to an address based on rsp. */
  readonly stackPointerBias: number;
}

export interface OperandDecoder {
  /** Takes bytes after ModRM and displacement; such operands are decoded first. */
  readonly isInline: boolean;
  /** `undefined` when no such operand exists: #UD. */
  decode(instruction: PartialInstruction): Operand | undefined;
}

const WIDTHS: readonly IntegerWidth[] = [8, 16, 32, 64];

/** Index: log2(width) − 3, then register number. Immutable, so every instruction shares them. */
const REGISTERS: readonly (readonly RegisterOperand[])[] = WIDTHS.map((width) =>
  Array.from({ length: 16 }, (_, register) => ({
    kind: 'register' as const,
    width,
    register,
    high: false,
  })),
);
const HIGH_BYTES: readonly RegisterOperand[] = [0, 1, 2, 3].map((register) => ({
  kind: 'register',
  width: 8,
  register,
  high: true,
}));
const VECTORS: readonly VectorOperand[] = Array.from({ length: 16 }, (_, register) => ({
  kind: 'vector',
  width: 128,
  register,
}));

/** A general register by number; 4–7 of 8 bits are AH CH DH BH where there is no REX. */
function generalRegister(width: IntegerWidth, register: number, rex: number): RegisterOperand {
  if (width === 8) {
    const isHigh = rex === 0 && register >= 4;
    return isHigh ? HIGH_BYTES[register - 4]! : REGISTERS[0]![register]!;
  }
  return REGISTERS[width === 16 ? 1 : width === 32 ? 2 : 3]![register]!;
}

type WidthOf = (instruction: PartialInstruction) => IntegerWidth;

const WIDTH_OF: Readonly<Record<OperandSize, WidthOf>> = {
  '': () => 8,
  b: () => 8,
  w: () => 16,
  d: () => 32,
  q: () => 64,
  dq: () => 64,
  v: ({ operandWidth }) => operandWidth,
  p: ({ operandWidth }) => operandWidth,
  bs: ({ operandWidth }) => operandWidth,
  zs: ({ operandWidth }) => operandWidth,
  z: ({ operandWidth }) => (operandWidth === 64 ? 32 : operandWidth),
  y: ({ rex }) => ((rex & 8) === 0 ? 32 : 64),
  n: ({ is64Bit }) => (is64Bit ? 64 : 32),
};

const regField = ({ modrm, rex }: PartialInstruction): number =>
  ((modrm >> 3) & 7) | ((rex & 4) << 1);
const rmField = ({ modrm, rex }: PartialInstruction): number => (modrm & 7) | ((rex & 1) << 3);

function memory(
  instruction: PartialInstruction,
  address: Address,
  width: MemoryOperand['width'],
): MemoryOperand {
  const { addressWidth, segment, reader, start, stackPointerBias } = instruction;
  const nextRip = start + BigInt(reader.position);
  const place = { addressWidth, segment, nextRip };
  if (stackPointerBias === 0 || address.base !== 4) return memoryOperand(address, width, place);
  const displacement = address.displacement + stackPointerBias;
  return memoryOperand({ ...address, displacement }, width, place);
}

function registerOrMemory(size: OperandSize): OperandDecoder['decode'] {
  const widthOf = WIDTH_OF[size];
  return (instruction) => {
    const { address, rex } = instruction;
    if (address === undefined) {
      return generalRegister(widthOf(instruction), rmField(instruction), rex);
    }
    return memory(instruction, address, size === 'dq' ? 128 : widthOf(instruction));
  };
}

function vectorOrMemory(size: OperandSize): OperandDecoder['decode'] {
  const inMemory = registerOrMemory(size);
  return (instruction) =>
    instruction.address === undefined ? VECTORS[rmField(instruction)] : inMemory(instruction);
}

/** MOV CR and MOV DR: only CR0, 2, 3, 4, 8 and DR0–7 exist (SDM 2B, MOV). */
function systemRegister(kind: 'control-register' | 'debug-register'): OperandDecoder['decode'] {
  return (instruction) => {
    const register = regField(instruction);
    const exists = kind === 'debug-register' ? register < 8 : [0, 2, 3, 4, 8].includes(register);
    return exists ? { kind, width: instruction.is64Bit ? 64 : 32, register } : undefined;
  };
}

function segmentRegister(instruction: PartialInstruction): Operand | undefined {
  const register = (instruction.modrm >> 3) & 7;
  return register < 6 ? { kind: 'segment-register', width: 16, register } : undefined;
}

/** A string operand: rSI in the segment in force, or rDI in ES, which nothing overrides. */
function stringOperand(size: OperandSize, base: 6 | 7): OperandDecoder['decode'] {
  const widthOf = WIDTH_OF[size];
  return (instruction) => ({
    kind: 'memory',
    width: widthOf(instruction),
    base,
    index: undefined,
    scale: 0,
    displacement: 0n,
    segment: base === 7 ? 'es' : (instruction.segment ?? 'ds'),
    addressWidth: instruction.addressWidth,
  });
}

/** Bits in the code of an immediate: Iz and Izs have at most 32, Ibs 8. */
function immediate(size: OperandSize): OperandDecoder['decode'] {
  const widthOf = WIDTH_OF[size];
  return (instruction) => {
    const width = widthOf(instruction);
    const coded = size === 'bs' ? 8 : size === 'zs' && width === 64 ? 32 : width;
    const value = BigInt.asUintN(width, instruction.reader.signed(coded));
    return { kind: 'immediate', width, value };
  };
}

function relative(size: OperandSize): OperandDecoder['decode'] {
  return ({ reader, start, operandWidth }) => {
    const displacement = reader.signed(size === 'b' ? 8 : operandWidth === 16 ? 16 : 32);
    const target = start + BigInt(reader.position) + displacement;
    return { kind: 'relative', width: operandWidth, target: BigInt.asUintN(operandWidth, target) };
  };
}

function farPointer({ reader, operandWidth }: PartialInstruction): Operand {
  const width = operandWidth === 16 ? 16 : 32;
  const offset = BigInt.asUintN(width, reader.signed(width));
  return { kind: 'far', width, selector: reader.word(), offset };
}

function absoluteMemory(size: OperandSize): OperandDecoder['decode'] {
  const widthOf = WIDTH_OF[size];
  return (instruction) => {
    const { reader, addressWidth, segment } = instruction;
    const displacement = reader.signed(addressWidth);
    const isSigned = addressWidth === 64;
    return {
      kind: 'memory',
      width: widthOf(instruction),
      base: undefined,
      index: undefined,
      scale: 0,
      displacement: isSigned ? displacement : BigInt.asUintN(addressWidth, displacement),
      segment: segment ?? 'ds',
      addressWidth,
    };
  };
}

/** What each letter decodes to. */
const LETTERS: Readonly<Record<OperandLetter, (size: OperandSize) => OperandDecoder['decode']>> = {
  E: registerOrMemory,
  M: registerOrMemory,
  R: registerOrMemory,
  G: (size) => (instruction) =>
    generalRegister(WIDTH_OF[size](instruction), regField(instruction), instruction.rex),
  Z: (size) => (instruction) =>
    generalRegister(
      WIDTH_OF[size](instruction),
      (instruction.opcode & 7) | ((instruction.rex & 1) << 3),
      instruction.rex,
    ),
  S: () => segmentRegister,
  C: () => systemRegister('control-register'),
  D: () => systemRegister('debug-register'),
  X: (size) => stringOperand(size, 6),
  Y: (size) => stringOperand(size, 7),
  I: immediate,
  J: relative,
  A: () => farPointer,
  O: absoluteMemory,
  V: () => (instruction) => VECTORS[regField(instruction)],
  W: vectorOrMemory,
  U: vectorOrMemory,
};

/** The fixed registers: width, or how it follows from the operand size, and number. */
const FIXED_REGISTERS: Readonly<Record<string, readonly [OperandSize, number]>> = {
  AL: ['b', 0],
  CL: ['b', 1],
  AX: ['w', 0],
  DX: ['w', 2],
  rAX: ['v', 0],
  eAX: ['z', 0],
};

function fixedOperand(name: string): OperandDecoder['decode'] {
  if (name === '1') return () => ({ kind: 'immediate', width: 8, value: 1n });
  const segment = SEGMENT_REGISTERS.findIndex((register) => register === name.toLowerCase());
  if (segment >= 0) return () => ({ kind: 'segment-register', width: 16, register: segment });
  const [size, register] = FIXED_REGISTERS[name]!;
  const widthOf = WIDTH_OF[size];
  return (instruction) => generalRegister(widthOf(instruction), register, instruction.rex);
}

export function compileOperand(token: OperandToken): OperandDecoder {
  if (token.kind === 'fixed') return { isInline: false, decode: fixedOperand(token.name) };
  const isInline = 'IJAO'.includes(token.letter);
  return { isInline, decode: LETTERS[token.letter](token.size) };
}
