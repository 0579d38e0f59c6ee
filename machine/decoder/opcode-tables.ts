/**
 * Maps from opcode bytes to definitions, made from the encodings once. A table cell stands for
 * everything that may select an instruction: mandatory prefix, REX.W, REX.B, opcode, ModRM.
 */
import type { InstructionDefinition } from '../instructions/definition.ts';
import { parseEncoding } from './encoding.ts';
import type { MandatoryPrefix, OpcodeMap, ParsedEncoding } from './encoding.ts';
import { compileOperand } from './operand-decoder.ts';
import type { OperandDecoder } from './operand-decoder.ts';

/** One encoding of one definition, ready for the decoder. */
export interface Form {
  readonly definition: InstructionDefinition;
  /** Index in `definition.encodings`. */
  readonly encoding: number;
  readonly parsed: ParsedEncoding;
  readonly operands: readonly OperandDecoder[];
}

export interface OpcodeEntry {
  readonly hasModRm: boolean;
  /**
   * Indexed by ((prefix × 2 + REX.W) × 2 + REX.B) × 128 + mod = 3 × 64 + reg × 8 + rm if the whole
   * ModRM byte counts; the last term is mod = 3 × 8 + reg, × 16, if not; absent without ModRM.
   */
  readonly forms: readonly (Form | undefined)[];
  readonly selectors: 1 | 16 | 128;
}

export type OpcodeTable = readonly (OpcodeEntry | undefined)[];
export type OpcodeTables = Readonly<Record<OpcodeMap, OpcodeTable>>;

/** Index of a mandatory prefix in a table cell; F2 and F3 go before 66 (SDM 2A §2.1.1). */
export const PREFIX_INDEX: Readonly<Record<MandatoryPrefix, number>> = {
  NP: 0,
  '66': 1,
  F3: 2,
  F2: 3,
};

function selectorsOf(forms: readonly Form[]): OpcodeEntry['selectors'] {
  if (forms.every(({ parsed }) => parsed.modrm.kind === 'none')) return 1;
  return forms.some(({ parsed }) => parsed.modrm.kind === 'fixed') ? 128 : 16;
}

/** Whether a form is meant by the cell's (mod = 3, reg, rm). */
function fitsModRm(parsed: ParsedEncoding, isRegister: boolean, reg: number, rm: number): boolean {
  const { modrm, mod } = parsed;
  if (mod === 'register' && !isRegister) return false;
  if (mod === 'memory' && isRegister) return false;
  if (modrm.kind === 'digit') return modrm.digit === reg;
  return modrm.kind !== 'fixed' || modrm.byte === 0xc0 + reg * 8 + rm;
}

function fits(parsed: ParsedEncoding, cell: number, selectors: OpcodeEntry['selectors']): boolean {
  const selector = cell % selectors;
  const prefixes = Math.floor(cell / selectors);
  if (parsed.rexB !== undefined && parsed.rexB !== (prefixes & 1)) return false;
  if (parsed.rexW !== undefined && parsed.rexW !== ((prefixes >> 1) & 1)) return false;
  if (parsed.prefix !== undefined && PREFIX_INDEX[parsed.prefix] !== prefixes >> 2) return false;
  if (selectors === 1) return true;
  const bits = selectors === 16 ? selector << 3 : selector;
  return fitsModRm(parsed, bits >= 64, (bits >> 3) & 7, bits & 7);
}

/** How much an encoding states; of two that fit, the one that states more is meant. */
function specificity(parsed: ParsedEncoding): number {
  const modrm = { none: 0, register: 0, digit: 1, fixed: 2 }[parsed.modrm.kind];
  return (
    (parsed.prefix === undefined ? 0 : 16) +
    (parsed.rexW === undefined ? 0 : 8) +
    (parsed.rexB === undefined ? 0 : 4) +
    modrm * 2 +
    (parsed.mod === 'any' ? 0 : 1)
  );
}

function mostSpecific(forms: readonly Form[]): Form | undefined {
  let best: Form | undefined;
  for (const form of forms) {
    if (best === undefined || specificity(form.parsed) > specificity(best.parsed)) best = form;
  }
  const rival = forms.find(
    (form) => form !== best && specificity(form.parsed) === specificity(best!.parsed),
  );
  if (best !== undefined && rival !== undefined) {
    throw new Error(
      `'${best.parsed.text}' (${best.definition.mnemonic}) and '${rival.parsed.text}' ` +
        `(${rival.definition.mnemonic}) are the same code`,
    );
  }
  return best;
}

function entryOf(forms: readonly Form[]): OpcodeEntry | undefined {
  const first = forms[0];
  if (first === undefined) return undefined;
  const hasModRm = first.parsed.modrm.kind !== 'none';
  const odd = forms.find(({ parsed }) => (parsed.modrm.kind !== 'none') !== hasModRm);
  if (odd !== undefined) {
    throw new Error(`of '${first.parsed.text}' and '${odd.parsed.text}' only one has a ModRM byte`);
  }
  const selectors = selectorsOf(forms);
  const cells = Array.from({ length: 16 * selectors }, (_, cell) =>
    mostSpecific(forms.filter(({ parsed }) => fits(parsed, cell, selectors))),
  );
  return { hasModRm, selectors, forms: cells };
}

function opcodesOf(parsed: ParsedEncoding): number[] {
  const count = parsed.hasRegisterInOpcode ? 8 : 1;
  return Array.from({ length: count }, (_, index) => parsed.opcode + index);
}

function formsOf(definition: InstructionDefinition): Form[] {
  return definition.encodings.map((text, encoding) => {
    const parsed = parseEncoding(text);
    return { definition, encoding, parsed, operands: parsed.operands.map(compileOperand) };
  });
}

/** Makes the tables of one kind of mode; two encodings that mean the same code are an error. */
export function buildOpcodeTables(
  definitions: readonly InstructionDefinition[],
  is64Bit: boolean,
): OpcodeTables {
  const absent = is64Bit ? 'not64' : 'only64';
  const collect = (): Form[][] => Array.from({ length: 256 }, () => []);
  const maps: Record<OpcodeMap, Form[][]> = {
    primary: collect(),
    '0F': collect(),
    '0F38': collect(),
    '0F3A': collect(),
  };
  for (const definition of definitions) {
    if (definition.modes === absent) continue;
    for (const form of formsOf(definition)) {
      for (const opcode of opcodesOf(form.parsed)) maps[form.parsed.map][opcode]!.push(form);
    }
  }
  return {
    primary: maps.primary.map(entryOf),
    '0F': maps['0F'].map(entryOf),
    '0F38': maps['0F38'].map(entryOf),
    '0F3A': maps['0F3A'].map(entryOf),
  };
}
