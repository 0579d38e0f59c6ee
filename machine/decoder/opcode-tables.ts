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

/** What an opcode's forms are told apart by; the rest does not count. */
export interface Selection {
  /** 3 if mandatory prefixes count, else 0; likewise 1 or 0 for REX.W and REX.B. */
  readonly prefixMask: 0 | 3;
  readonly rexWMask: 0 | 1;
  readonly rexBMask: 0 | 1;
  /** 16 if mod = 3 and reg of ModRM count, 128 if rm does too, 1 if nothing of it. */
  readonly selectors: 1 | 16 | 128;
}

export interface OpcodeEntry extends Selection {
  readonly hasModRm: boolean;
  /** Indexed by ((prefix × 2 + REX.W) × 2 + REX.B) × selectors + (mod = 3, reg, rm). */
  readonly forms: readonly (Form | undefined)[];
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

function selectorsOf(encodings: readonly ParsedEncoding[]): Selection['selectors'] {
  if (encodings.some(({ modrm }) => modrm.kind === 'fixed')) return 128;
  const isPlain = ({ modrm, mod }: ParsedEncoding): boolean =>
    modrm.kind !== 'digit' && (mod === 'any' || mod === 'ignored');
  return encodings.every(isPlain) ? 1 : 16;
}

function selectionOf(encodings: readonly ParsedEncoding[]): Selection {
  return {
    prefixMask: encodings.some(({ prefix }) => prefix !== undefined) ? 3 : 0,
    rexWMask: encodings.some(({ rexW }) => rexW !== undefined) ? 1 : 0,
    rexBMask: encodings.some(({ rexB }) => rexB !== undefined) ? 1 : 0,
    selectors: selectorsOf(encodings),
  };
}

const EIGHT: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7];

/** The ModRM part of the cells that a form has. */
function modrmCells({ modrm, mod }: ParsedEncoding, selectors: Selection['selectors']): number[] {
  if (selectors === 1) return [0];
  if (modrm.kind === 'fixed') return [modrm.byte - 0x80];
  const regs = modrm.kind === 'digit' ? [modrm.digit] : EIGHT;
  const isRegister = mod === 'register' ? [1] : mod === 'memory' ? [0] : [0, 1];
  const ofReg = (bits: number): number[] =>
    selectors === 128 ? EIGHT.map((rm) => bits * 8 + rm) : [bits];
  return isRegister.flatMap((mod3) => regs.flatMap((reg) => ofReg(mod3 * 8 + reg)));
}

/** All values of a mask's bits that a form fits: its own, or any. */
function valuesUnder(mask: number, own: number | undefined): number[] {
  if (own !== undefined) return [own];
  return Array.from({ length: mask + 1 }, (_, value) => value);
}

/** All cells of an opcode's table that a form fits. */
function cellsOf(parsed: ParsedEncoding, selection: Selection): number[] {
  const { prefixMask, rexWMask, rexBMask, selectors } = selection;
  const prefix = parsed.prefix === undefined ? undefined : PREFIX_INDEX[parsed.prefix];
  const modrms = modrmCells(parsed, selectors);
  return valuesUnder(prefixMask, prefix).flatMap((prefixValue) =>
    valuesUnder(rexWMask, parsed.rexW).flatMap((rexW) =>
      valuesUnder(rexBMask, parsed.rexB).flatMap((rexB) => {
        const first = ((prefixValue * 2 + rexW) * 2 + rexB) * selectors;
        return modrms.map((modrm) => first + modrm);
      }),
    ),
  );
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

function refuse(one: Form, other: Form): never {
  throw new Error(
    `'${one.parsed.text}' (${one.definition.mnemonic}) and '${other.parsed.text}' ` +
      `(${other.definition.mnemonic}) are the same code`,
  );
}

/** Fills the cells from the forms that state least to those that state most. */
function fillCells(forms: readonly Form[], selection: Selection): (Form | undefined)[] {
  const cells = new Array<Form | undefined>(16 * selection.selectors).fill(undefined);
  const ranked = forms
    .map((form) => ({ form, rank: specificity(form.parsed) }))
    .sort((left, right) => left.rank - right.rank);
  for (const { form, rank } of ranked) {
    for (const cell of cellsOf(form.parsed, selection)) {
      const before = cells[cell];
      if (before !== undefined && specificity(before.parsed) === rank) refuse(before, form);
      cells[cell] = form;
    }
  }
  return cells;
}

function entryOf(forms: readonly Form[]): OpcodeEntry | undefined {
  const first = forms[0];
  if (first === undefined) return undefined;
  const hasModRm = first.parsed.modrm.kind !== 'none';
  const odd = forms.find(({ parsed }) => (parsed.modrm.kind !== 'none') !== hasModRm);
  if (odd !== undefined) {
    throw new Error(`of '${first.parsed.text}' and '${odd.parsed.text}' only one has a ModRM byte`);
  }
  const selection = selectionOf(forms.map(({ parsed }) => parsed));
  return { hasModRm, ...selection, forms: fillCells(forms, selection) };
}

function opcodesOf(parsed: ParsedEncoding): number[] {
  const count = parsed.hasRegisterInOpcode ? 8 : 1;
  return Array.from({ length: count }, (_, index) => parsed.opcode + index);
}

/** Parses the encodings of all definitions. */
export function formsOf(definitions: readonly InstructionDefinition[]): Form[] {
  return definitions.flatMap((definition) =>
    definition.encodings.map((text, encoding) => {
      const parsed = parseEncoding(text);
      return { definition, encoding, parsed, operands: parsed.operands.map(compileOperand) };
    }),
  );
}

/** Makes the tables of one kind of mode; two encodings that mean the same code are an error. */
export function buildOpcodeTables(forms: readonly Form[], is64Bit: boolean): OpcodeTables {
  const absent = is64Bit ? 'not64' : 'only64';
  const collect = (): Form[][] => Array.from({ length: 256 }, () => []);
  const maps: Record<OpcodeMap, Form[][]> = {
    primary: collect(),
    '0F': collect(),
    '0F38': collect(),
    '0F3A': collect(),
  };
  for (const form of forms) {
    if (form.definition.modes === absent) continue;
    for (const opcode of opcodesOf(form.parsed)) maps[form.parsed.map][opcode]!.push(form);
  }
  return {
    primary: maps.primary.map(entryOf),
    '0F': maps['0F'].map(entryOf),
    '0F38': maps['0F38'].map(entryOf),
    '0F3A': maps['0F3A'].map(entryOf),
  };
}
