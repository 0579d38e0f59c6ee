/**
 * From bytes to a decoded instruction (Intel SDM 2A chapter 2). Leaves out VEX, EVEX and XOP, which
 * the CPU does not offer: in 64-bit mode their bytes are undefined, elsewhere they are LES, LDS, BOUND.
 */
import type { InstructionDefinition } from '../instructions/definition.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import { INSTRUCTIONS } from '../instructions/index.ts';
import type { Operand } from '../instructions/operand.ts';
import { VECTOR } from '../guest-fault.ts';
import type { Address } from './addressing.ts';
import { readAddress } from './addressing.ts';
import { CodeReader } from './code-reader.ts';
import type { Decoded, DecodedInstruction } from './decoded-instruction.ts';
import type { OpcodeMap, ParsedEncoding } from './encoding.ts';
import type { Form, OpcodeEntry, OpcodeTables } from './opcode-tables.ts';
import { buildOpcodeTables, formsOf, PREFIX_INDEX } from './opcode-tables.ts';
import type { PartialInstruction } from './operand-decoder.ts';
import type { Prefixes } from './prefixes.ts';
import { readPrefixes } from './prefixes.ts';

/**
 * Decodes the instruction that begins at `bytes[0]`; 15 bytes are always enough.
 * @param address its offset in CS, for relative operands.
 */
export type Decode = (bytes: Uint8Array, address: bigint, mode: ExecutionMode) => Decoded;

type WideWidth = 16 | 32 | 64;

function readMap(reader: CodeReader, first: number): { map: OpcodeMap; opcode: number } {
  if (first !== 0x0f) return { map: 'primary', opcode: first };
  const second = reader.byte();
  if (second === 0x38) return { map: '0F38', opcode: reader.byte() };
  if (second === 0x3a) return { map: '0F3A', opcode: reader.byte() };
  return { map: '0F', opcode: second };
}

function prefixIndex(prefixes: Prefixes): number {
  if (prefixes.repeat !== 0) return prefixes.repeat === 0xf3 ? PREFIX_INDEX.F3 : PREFIX_INDEX.F2;
  return prefixes.operandSize ? PREFIX_INDEX['66'] : PREFIX_INDEX.NP;
}

function selectForm(entry: OpcodeEntry, prefixes: Prefixes, modrm: number): Form | undefined {
  const prefix = prefixIndex(prefixes) & entry.prefixMask;
  const rexW = (prefixes.rex >> 3) & entry.rexWMask;
  const rexB = prefixes.rex & entry.rexBMask;
  const cell = (prefix * 2 + rexW) * 2 + rexB;
  if (entry.selectors === 1) return entry.forms[cell];
  const bits = (modrm >= 0xc0 ? 64 : 0) | (modrm & 0x3f);
  return entry.forms[cell * entry.selectors + (entry.selectors === 16 ? bits >> 3 : bits)];
}

/** The operand size in force (SDM 1 table 3-4; for d64 and f64, SDM 2D table A-1). */
function operandWidthOf(
  mode: ExecutionMode,
  prefixes: Prefixes,
  parsed: ParsedEncoding,
): WideWidth {
  const hasPrefix = prefixes.operandSize && parsed.prefix !== '66';
  if (mode.codeWidth !== 64) return hasPrefix === (mode.codeWidth === 32) ? 16 : 32;
  if ((prefixes.rex & 8) !== 0 || parsed.operandSize64 === 'f64') return 64;
  if (hasPrefix) return 16;
  return parsed.operandSize64 === 'd64' ? 64 : 32;
}

function addressWidthOf(mode: ExecutionMode, prefixes: Prefixes): WideWidth {
  if (!prefixes.addressSize) return mode.codeWidth;
  return mode.codeWidth === 32 ? 16 : 32;
}

function repeatOf(form: Form, prefixes: Prefixes): DecodedInstruction['repeat'] {
  const { repeat } = form.definition;
  if (repeat === undefined || prefixes.repeat === 0) return 'none';
  return prefixes.repeat === 0xf2 && repeat === 'repe-repne' ? 'repne' : 'repe';
}

/** Decodes all operands; those that take bytes come first, since rip-relative ones need the end. */
function decodeOperands(form: Form, instruction: PartialInstruction): Operand[] | undefined {
  const operands: Operand[] = new Array<Operand>(form.operands.length);
  for (const inline of [true, false]) {
    for (let index = 0; index < form.operands.length; index++) {
      const decoder = form.operands[index]!;
      if (decoder.isInline !== inline) continue;
      const operand = decoder.decode(instruction);
      if (operand === undefined) return undefined;
      operands[index] = operand;
    }
  }
  return operands;
}

/** LOCK is for read-modify-write of memory only (SDM 2A, LOCK). */
function isLockAllowed(definition: InstructionDefinition, operands: readonly Operand[]): boolean {
  return definition.lock === true && operands[0]?.kind === 'memory';
}

/** One decoding: what has been read, and what the result needs. */
class Decoding {
  private readonly reader: CodeReader;
  private readonly address: bigint;
  private readonly mode: ExecutionMode;

  constructor(bytes: Uint8Array, address: bigint, mode: ExecutionMode) {
    this.reader = new CodeReader(bytes);
    this.address = address;
    this.mode = mode;
  }

  run(tables: OpcodeTables): Decoded {
    const { prefixes, opcode: first } = readPrefixes(this.reader, this.mode);
    const { map, opcode } = readMap(this.reader, first);
    const entry = tables[map][opcode];
    if (entry === undefined) return this.undefined();
    const modrm = entry.hasModRm ? this.reader.byte() : 0;
    const form = selectForm(entry, prefixes, modrm);
    if (form === undefined) return this.undefined();
    const instruction = this.partial(form, prefixes, opcode, modrm);
    const operands = decodeOperands(form, instruction);
    if (operands === undefined || this.reader.isTooLong || this.reader.isTruncated) {
      return this.undefined();
    }
    if (prefixes.lock && !isLockAllowed(form.definition, operands)) return this.undefined();
    return this.decoded(form, prefixes, instruction, operands);
  }

  /** Also the answer when bytes are missing or too many: then nothing else is known. */
  private undefined(): Decoded {
    const lengthBytes = this.reader.position;
    if (this.reader.isTruncated) return { kind: 'truncated' };
    if (this.reader.isTooLong) return { kind: 'undefined', vector: VECTOR.GP, lengthBytes: 15 };
    return { kind: 'undefined', vector: VECTOR.UD, lengthBytes };
  }

  private partial(
    form: Form,
    prefixes: Prefixes,
    opcode: number,
    modrm: number,
  ): PartialInstruction {
    const { parsed } = form;
    const is64Bit = this.mode.codeWidth === 64;
    const operandWidth = operandWidthOf(this.mode, prefixes, parsed);
    const addressWidth = addressWidthOf(this.mode, prefixes);
    const isMemory = parsed.modrm.kind !== 'none' && parsed.mod !== 'ignored' && modrm < 0xc0;
    const context = { addressWidth, is64Bit, rex: prefixes.rex };
    const address: Address | undefined = isMemory
      ? readAddress(this.reader, modrm, context)
      : undefined;
    return {
      reader: this.reader,
      start: this.address,
      is64Bit,
      rex: prefixes.rex,
      opcode,
      modrm,
      operandWidth,
      addressWidth,
      segment: prefixes.segment,
      address,
      stackPointerBias: parsed.isAfterPop ? operandWidth / 8 : 0,
    };
  }

  private decoded(
    form: Form,
    prefixes: Prefixes,
    { operandWidth, addressWidth, segment }: PartialInstruction,
    operands: readonly Operand[],
  ): DecodedInstruction {
    return {
      kind: 'instruction',
      definition: form.definition,
      encoding: form.encoding,
      operands,
      address: this.address,
      lengthBytes: this.reader.position,
      mode: this.mode,
      operandWidth,
      addressWidth,
      repeat: repeatOf(form, prefixes),
      segment,
      isLocked: prefixes.lock,
    };
  }
}

/** Makes a decoder for a list of definitions; throws when two of them mean the same code. */
export function createDecoder(definitions: readonly InstructionDefinition[]): Decode {
  const forms = formsOf(definitions);
  const tables64 = buildOpcodeTables(forms, true);
  const tables32 = buildOpcodeTables(forms, false);
  return (bytes, address, mode) =>
    new Decoding(bytes, address, mode).run(mode.codeWidth === 64 ? tables64 : tables32);
}

/** The decoder of all instructions that the machine has. */
export const decode: Decode = createDecoder(INSTRUCTIONS);
