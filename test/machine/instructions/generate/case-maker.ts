/**
 * Makes cases of a form: reads its encoding, takes every choice that it leaves open by chance, and
 * lets special-cases.ts have its say before and after.
 */
import type { OperandToken } from '../../../../machine/decoder/encoding.ts';
import { MAP_BYTES } from '../../../../machine/decoder/encoding.ts';
import type { Form } from '../forms.ts';
import { Random } from '../random.ts';
import type { Setup } from '../vector-file.ts';
import { chooseAddress, encodeMemory } from './addressing.ts';
import { CaseBuilder } from './case-builder.ts';
import { SPECIAL_CASES } from './special-cases.ts';

const OPERAND_SIZE_PREFIX = 0x66;
const ADDRESS_SIZE_PREFIX = 0x67;
const LOCK_PREFIX = 0xf0;
/** What instructions without sized operands still take the operand size for. */
const SIZED_WITHOUT_OPERANDS = /^(push|pop|ret|iret|leave|enter|cbw|cwd|cdq|cqo|cwde|cdqe)/;

type CodedOperand = Extract<OperandToken, { kind: 'coded' }>;

function codedOperands(form: Form): CodedOperand[] {
  return form.encoding.operands.filter((operand) => operand.kind === 'coded');
}

function bytesOf(builder: CaseBuilder, operand: CodedOperand): number {
  const natural = builder.width / 8;
  const table: Record<CodedOperand['size'], number> = {
    '': 16, b: 1, bs: 1, w: 2, d: 4, q: 8, dq: 16,
    v: natural, z: Math.min(4, natural), zs: Math.min(4, natural),
    y: builder.parts.rex.w ? 8 : 4, n: builder.is64 ? 8 : 4, p: 2 + natural,
  }; // prettier-ignore
  return table[operand.size];
}

function chooseMode(builder: CaseBuilder): void {
  const { definition, encoding } = builder.form;
  const needs64 = definition.modes === 'only64' || encoding.rexW === 1;
  if (definition.modes === 'not64') builder.mode = 'u32';
  else builder.mode = !needs64 && builder.random.once(7) ? 'u32' : 'u64';
  builder.addressWidth = builder.is64 ? 64 : 32;
}

function usesOperandSize({ definition, encoding }: Form): boolean {
  if (SIZED_WITHOUT_OPERANDS.test(definition.mnemonic)) return true;
  return encoding.operands.some((operand) =>
    operand.kind === 'coded' ? /^(v|z|zs|y|p)$/.test(operand.size) : /^[re]AX$/.test(operand.name),
  );
}

/** The widths that prefixes can give the instruction in the mode. */
function possibleWidths(builder: CaseBuilder): readonly (16 | 32 | 64)[] {
  const { encoding } = builder.form;
  const usesSize = usesOperandSize(builder.form);
  const widths = new Set<16 | 32 | 64>([32]);
  if (usesSize && encoding.prefix !== 'NP' && encoding.prefix !== '66') widths.add(16);
  if (usesSize && builder.is64 && encoding.rexW !== 0) widths.add(64);
  if (encoding.rexW === 1) return [64];
  // Makers disagree on what 66H does to near branches (AMD APM 3, "Near branches").
  if (encoding.operandSize64 === 'f64') return [builder.is64 ? 64 : 32];
  if (builder.is64 && encoding.operandSize64 === 'd64') return usesSize ? [16, 64] : [64];
  return [...widths];
}

function chooseWidth(builder: CaseBuilder): void {
  const { encoding } = builder.form;
  builder.width = builder.random.pick(builder.wants.widths ?? possibleWidths(builder));
  const is64ByDefault = builder.is64 && encoding.operandSize64 !== 'ordinary';
  if (builder.width === 16) builder.parts.prefixes.push(OPERAND_SIZE_PREFIX);
  if (builder.width === 64 && (!is64ByDefault || encoding.rexW === 1)) builder.parts.rex.w = 1;
}

function choosePrefixes(builder: CaseBuilder): void {
  const { definition, encoding } = builder.form;
  const { parts, random } = builder;
  if (encoding.prefix !== undefined && encoding.prefix !== 'NP')
    parts.prefixes.push(Number.parseInt(encoding.prefix, 16));
  chooseWidth(builder);
  const usesAddress = codedOperands(builder.form).some(({ letter }) => 'EMWXYO'.includes(letter));
  if (usesAddress && random.once(8)) {
    builder.addressWidth = builder.is64 ? 32 : 16;
    if (definition.repeat && !builder.is64) builder.addressWidth = 32;
    else parts.prefixes.push(ADDRESS_SIZE_PREFIX);
  }
  if (definition.repeat && !random.once(3)) {
    parts.prefixes.push(definition.repeat === 'rep' ? 0xf3 : random.pick([0xf2, 0xf3]));
    const junk = builder.addressWidth === 32 && builder.is64 ? random.bits() << 32n : 0n;
    builder.set('rcx', BigInt(builder.wants.repetitions ?? random.below(7)) | junk);
  }
}

/** LOCK where it may stand at times, and where it may not rarely. */
function chooseLock(builder: CaseBuilder): void {
  // AMD's processors execute VERW with LOCK, against both manuals, and take LOCK MOV CR0 for CR8.
  const isControl = codedOperands(builder.form).some(({ letter }) => letter === 'C');
  if (builder.form.definition.mnemonic === 'verw' || isControl) return;
  const isAllowed = builder.form.definition.lock === true && builder.memory !== undefined;
  if (builder.random.once(isAllowed ? 3 : 24)) builder.parts.prefixes.push(LOCK_PREFIX);
}

function chooseRegister(builder: CaseBuilder, operand: CodedOperand): number {
  const { random } = builder;
  if (operand.letter === 'S') return random.below(6);
  if (operand.letter === 'C') return random.pick([0, 2, 3, 4]);
  const count = builder.is64 && operand.letter !== 'D' ? 16 : 8;
  const number =
    operand.letter === 'E' ? random.below(count) : (builder.wants.register ?? random.below(count));
  if (operand.size === 'b' && number >= 4 && number < 8 && builder.is64 && random.once(2))
    builder.parts.rex.isForced = true;
  return number;
}

/** What chooses the ModRM.reg field or the register in the opcode. */
function encodeRegister(builder: CaseBuilder): number {
  const { modrm } = builder.form.encoding;
  const inReg = codedOperands(builder.form).find(({ letter }) => 'GVSCDZ'.includes(letter));
  if (modrm.kind === 'digit') return modrm.digit;
  if (!inReg) return builder.random.below(8);
  const number = chooseRegister(builder, inReg);
  builder.register = number;
  if (inReg.letter === 'Z') builder.parts.rex.b = number >> 3;
  else builder.parts.rex.r = number >> 3;
  return number & 7;
}

function isRmMemory(builder: CaseBuilder): boolean {
  const { mod } = builder.form.encoding;
  if (mod !== 'any') return mod === 'memory';
  return builder.wants.memory !== undefined || !builder.random.once(2);
}

function chooseRmRegister(builder: CaseBuilder, operand: CodedOperand | undefined): number {
  if (!operand) return builder.random.below(8);
  const isVector = 'UW'.includes(operand.letter);
  const size = isVector ? 'dq' : operand.size;
  return chooseRegister(builder, { ...operand, letter: 'E', size });
}

function encodeRm(builder: CaseBuilder, reg: number): void {
  const operand = codedOperands(builder.form).find(({ letter }) => 'EMRWU'.includes(letter));
  if (!operand || !isRmMemory(builder)) {
    const number = chooseRmRegister(builder, operand);
    builder.rmRegister = number;
    builder.parts.rex.b = number >> 3;
    builder.parts.modrm = { mod: 3, reg, rm: number & 7 };
    return;
  }
  const bytes = builder.wants.memory?.bytes ?? bytesOf(builder, operand);
  const address = builder.wants.memory?.address ?? chooseAddress(builder, bytes);
  builder.memory = { address, bytes };
  encodeMemory(builder, reg, address);
}

function encodeImmediates(builder: CaseBuilder): void {
  const wanted = [...(builder.wants.immediates ?? [])];
  for (const operand of codedOperands(builder.form)) {
    const bytes = bytesOf(builder, operand);
    if (operand.letter === 'I')
      builder.parts.immediate.push({ value: wanted.shift() ?? builder.random.integer(), bytes });
    if (operand.letter === 'J')
      builder.parts.immediate.push({ value: relative(builder, bytes), bytes });
    if (operand.letter === 'A') {
      builder.parts.immediate.push({ value: wanted.shift() ?? 0n, bytes: bytes - 2 });
      builder.parts.immediate.push({ value: wanted.shift() ?? 0n, bytes: 2 });
    }
  }
}

/** A distance that stays in the code pages and does not lead into the instruction itself. */
function relative(builder: CaseBuilder, bytes: number): bigint {
  const reach = bytes === 1 ? 0x70 : 0x700;
  const distance = 1 + builder.random.below(reach);
  return BigInt(builder.random.once(2) ? distance : -distance - 15);
}

/** Operands that rsi, rdi or a bare offset name. */
function encodeImplicitMemory(builder: CaseBuilder): void {
  const junk = builder.addressWidth === 32 && builder.is64 ? builder.random.bits() << 32n : 0n;
  for (const operand of codedOperands(builder.form)) {
    const bytes = bytesOf(builder, operand);
    if (operand.letter === 'X') builder.set('rsi', chooseAddress(builder, bytes) | junk);
    if (operand.letter === 'Y') builder.set('rdi', chooseAddress(builder, bytes) | junk);
    if (operand.letter !== 'O') continue;
    const address = chooseAddress(builder, bytes);
    const width = builder.addressWidth === 16 ? 2 : builder.addressWidth === 32 ? 4 : 8;
    builder.memory = { address, bytes };
    builder.parts.displacement = { value: address, bytes: width };
  }
}

function hash(text: string): bigint {
  let value = 0xcbf2_9ce4_8422_2325n;
  for (const character of Buffer.from(text))
    value = BigInt.asUintN(64, (value ^ BigInt(character)) * 0x100_0000_01b3n);
  return value;
}

/** The case of a form with a number: always the same one, whatever other forms there are. */
export function makeCase(form: Form, number: number): Setup {
  return makeCaseBy(form, new Random(hash(form.name) + BigInt(number)));
}

export function makeCaseBy(form: Form, random: Random): Setup {
  const builder = new CaseBuilder(form, random);
  const special = SPECIAL_CASES[form.definition.mnemonic];
  const { encoding } = form;
  chooseMode(builder);
  if (form.definition.sse && random.once(3)) builder.set('mxcsr', random.pick(MXCSR_VALUES));
  if (random.once(8)) builder.set('rflags', builder.field('rflags') | 0x400n);
  special?.before?.(builder);
  choosePrefixes(builder);
  special?.sized?.(builder);
  const reg = encodeRegister(builder);
  if (encoding.modrm.kind === 'fixed') {
    const { byte } = encoding.modrm;
    builder.parts.modrm = { mod: byte >> 6, reg: (byte >> 3) & 7, rm: byte & 7 };
  } else if (encoding.modrm.kind !== 'none') encodeRm(builder, reg);
  const low = encoding.hasRegisterInOpcode ? reg : 0;
  builder.parts.opcode.push(...MAP_BYTES[encoding.map], encoding.opcode | low);
  encodeImplicitMemory(builder);
  encodeImmediates(builder);
  special?.after?.(builder);
  chooseLock(builder);
  return builder.setup();
}

/** Rounding modes, flush to zero, denormals are zeros, all and some exceptions unmasked. */
const MXCSR_VALUES = [
  0x3f80n, 0x5f80n, 0x7f80n, 0x9f80n, 0x1fc0n, 0xffc0n, 0x0000n, 0x1d80n, 0x0f80n, 0x1fa0n, 0x6f80n,
] as const; // prettier-ignore
