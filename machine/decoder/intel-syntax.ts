/**
 * The text of a decoded instruction in Intel syntax, as GNU tools spell it. Differences by intent:
 * rip-relative operands show the address itself, `[0xffffffff80102000]`, and so do absolute ones; a
 * displacement of 0 is never shown.
 */
import { assertNever } from '../assert-never.ts';
import { SEGMENT_REGISTERS } from '../instructions/operand.ts';
import type { IntegerWidth, MemoryOperand, Operand } from '../instructions/operand.ts';
import { GENERAL_REGISTER_NAMES } from '../state/fields.ts';
import type { DecodedInstruction } from './decoded-instruction.ts';
import { parseEncoding } from './encoding.ts';
import type { OperandToken, ParsedEncoding } from './encoding.ts';

const LOW_BYTES = ['al', 'cl', 'dl', 'bl', 'spl', 'bpl', 'sil', 'dil'] as const;
const HIGH_BYTES = ['ah', 'ch', 'dh', 'bh'] as const;

/** The name of general register 0–15 in a width: rax eax ax al ah, r8 r8d r8w r8b. */
function registerName(register: number, width: IntegerWidth, high = false): string {
  const name = GENERAL_REGISTER_NAMES[register]!;
  if (width === 64) return name;
  if (register >= 8) return name + { 32: 'd', 16: 'w', 8: 'b' }[width];
  if (width === 8) return high ? HIGH_BYTES[register]! : LOW_BYTES[register]!;
  return width === 32 ? `e${name.slice(1)}` : name.slice(1);
}

const hexadecimal = (value: bigint | number): string => `0x${value.toString(16)}`;

const SIZE_NAMES: Readonly<Record<MemoryOperand['width'], string>> = {
  8: 'BYTE PTR ',
  16: 'WORD PTR ',
  32: 'DWORD PTR ',
  64: 'QWORD PTR ',
  128: 'XMMWORD PTR ',
  4096: '',
};

/** A far pointer has the selector's 16 bits besides the offset. */
const FAR_SIZE_NAMES = { 16: 'DWORD PTR ', 32: 'FWORD PTR ', 64: 'TBYTE PTR ' } as const;

function sizeName(memory: MemoryOperand, token: OperandToken, isVector: boolean): string {
  if (token.kind !== 'coded') return '';
  if (memory.width === 128 && !isVector) return 'OWORD PTR ';
  if (token.size === 'p') return FAR_SIZE_NAMES[memory.width as 16 | 32 | 64];
  return token.size === '' || token.letter === 'O' ? '' : SIZE_NAMES[memory.width];
}

function displacementText(displacement: bigint): string {
  if (displacement === 0n) return '';
  return displacement < 0n ? `-${hexadecimal(-displacement)}` : `+${hexadecimal(displacement)}`;
}

function addressText(memory: MemoryOperand, displacement: bigint): string {
  const { base, index, scale, addressWidth } = memory;
  const scaled =
    index === undefined
      ? ''
      : registerName(index, addressWidth) + (addressWidth === 16 ? '' : `*${1 << scale}`);
  const names = [base === undefined ? '' : registerName(base, addressWidth), scaled];
  const registers = names.filter((name) => name !== '').join('+');
  if (registers !== '') return `[${registers}${displacementText(displacement)}]`;
  return hexadecimal(BigInt.asUintN(addressWidth, displacement));
}

/** Segments are shown where they are not the default, and for string operands. */
function segmentText(
  instruction: DecodedInstruction,
  memory: MemoryOperand,
  isString: boolean,
): string {
  return isString || instruction.segment !== undefined ? `${memory.segment}:` : '';
}

function memoryText(
  instruction: DecodedInstruction,
  memory: MemoryOperand,
  parsed: ParsedEncoding,
  token: OperandToken,
): string {
  const isString = token.kind === 'coded' && (token.letter === 'X' || token.letter === 'Y');
  const segment = segmentText(instruction, memory, isString);
  const isBiased = parsed.isAfterPop && memory.base === 4;
  const bias = isBiased ? BigInt(instruction.operandWidth / 8) : 0n;
  const address = addressText(memory, memory.displacement - bias);
  const isBare = !address.startsWith('[') && segment === '';
  const size = sizeName(memory, token, instruction.definition.sse === true);
  return size + segment + (isBare ? `[${address}]` : address);
}

function operandText(
  instruction: DecodedInstruction,
  operand: Operand,
  parsed: ParsedEncoding,
  token: OperandToken,
): string {
  switch (operand.kind) {
    case 'register':
      return registerName(operand.register, operand.width, operand.high);
    case 'memory':
      return memoryText(instruction, operand, parsed, token);
    case 'immediate':
      return token.kind === 'fixed' ? operand.value.toString() : hexadecimal(operand.value);
    case 'relative':
      return hexadecimal(operand.target);
    case 'far':
      return `${hexadecimal(operand.selector)}:${hexadecimal(operand.offset)}`;
    case 'segment-register':
      return SEGMENT_REGISTERS[operand.register]!;
    case 'control-register':
      return `cr${operand.register}`;
    case 'debug-register':
      return `dr${operand.register}`;
    case 'vector':
      return `xmm${operand.register}`;
    default:
      return assertNever(operand);
  }
}

/** Mnemonics that depend on the operand size. */
const BY_OPERAND_WIDTH: Readonly<Record<string, Readonly<Record<16 | 32 | 64, string>>>> = {
  cbw: { 16: 'cbw', 32: 'cwde', 64: 'cdqe' },
  cwd: { 16: 'cwd', 32: 'cdq', 64: 'cqo' },
  iret: { 16: 'iretw', 32: 'iret', 64: 'iretq' },
  retf: { 16: 'retfw', 32: 'retf', 64: 'retfq' },
  fxsave: { 16: 'fxsave', 32: 'fxsave', 64: 'fxsave64' },
  fxrstor: { 16: 'fxrstor', 32: 'fxrstor', 64: 'fxrstor64' },
};

/** Those whose operands do not always show that they have 16 bits. */
const WITH_WORD_SUFFIX: ReadonlySet<string> = new Set([
  'push', 'pop', 'pushf', 'popf', 'pusha', 'popa', 'enter', 'leave', 'call', 'jmp', 'ret',
]); // prettier-ignore

/** JrCXZ goes by the address size. */
const COUNTER_JUMPS = { 16: 'jcxz', 32: 'jecxz', 64: 'jrcxz' } as const;

function isMovabs(parsed: ParsedEncoding, { operandWidth, mode }: DecodedInstruction): boolean {
  const isOffset = parsed.operands.some((token) => token.kind === 'coded' && token.letter === 'O');
  if (isOffset) return mode.codeWidth === 64;
  return operandWidth === 64 && parsed.opcode === 0xb8 && parsed.map === 'primary';
}

function wordSuffix(instruction: DecodedInstruction, parsed: ParsedEncoding): string {
  const { definition, operandWidth, operands } = instruction;
  if (operandWidth !== 16 || !WITH_WORD_SUFFIX.has(definition.mnemonic)) return '';
  const [token] = parsed.operands;
  const isShort = token?.kind === 'coded' && token.letter === 'J' && token.size === 'b';
  const kind = operands[0]?.kind;
  return isShort || kind === 'register' || kind === 'memory' || kind === 'far' ? '' : 'w';
}

function mnemonicText(instruction: DecodedInstruction, parsed: ParsedEncoding): string {
  const { definition, operandWidth, addressWidth, mode } = instruction;
  const { mnemonic } = definition;
  if (mnemonic === 'jrcxz') return COUNTER_JUMPS[addressWidth];
  if (mnemonic === 'mov' && isMovabs(parsed, instruction)) return 'movabs';
  if ((mnemonic === 'sysret' || mnemonic === 'sysexit') && mode.codeWidth === 64) {
    return mnemonic + (operandWidth === 64 ? 'q' : 'd');
  }
  return (BY_OPERAND_WIDTH[mnemonic]?.[operandWidth] ?? mnemonic) + wordSuffix(instruction, parsed);
}

function repeatText({ definition, repeat }: DecodedInstruction): string {
  if (repeat === 'none') return '';
  if (definition.repeat === 'rep') return 'rep ';
  return repeat === 'repe' ? 'repz ' : 'repnz ';
}

/** One line without address: `lock cmpxchg QWORD PTR [rdi],rsi`. */
export function intelSyntax(instruction: DecodedInstruction): string {
  const parsed = parseEncoding(instruction.definition.encodings[instruction.encoding]!);
  const prefix = (instruction.isLocked ? 'lock ' : '') + repeatText(instruction);
  const operands = instruction.operands.map((operand, index) =>
    operandText(instruction, operand, parsed, parsed.operands[index]!),
  );
  return `${prefix}${mnemonicText(instruction, parsed)} ${operands.join(',')}`.trimEnd();
}
