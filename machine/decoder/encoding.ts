/**
 * The grammar of encoding strings: the opcode map's notation (Intel SDM 2D appendix A.2), with the
 * prefixes of SDM 2A §3.1.1.1.
 *
 *     encoding  = [prefix] [rex]… opcode [modrm] [attribute]… [operand {"," operand}]
 *     prefix    = "NP"                     none of 66 F3 F2 may stand before it
 *               | "66" | "F3" | "F2"       is part of the opcode
 *     rex       = "W0" | "W1" | "B0"       REX.W and REX.B must have that value
 *     opcode    = [map] byte ["+r"]        +r: the low three bits are a register
 *     map       = "0F" | "0F 38" | "0F 3A"
 *     modrm     = "/r"                     a ModRM byte
 *               | "/0" … "/7"              its reg field extends the opcode
 *               | byte                     the whole byte does: C0–FF
 *     attribute = "d64"                    operands are 64 bits in 64-bit mode, 16 with 66H
 *               | "f64"                    operands are 64 bits in 64-bit mode, whatever stands before
 *               | "mod3"                   the register forms only, no matter which register
 *               | "anymod"                 the mod field is ignored and taken as 3 (MOV CR, MOV DR)
 *               | "after-pop"              rsp, as a base, already counts the popped operand (POP)
 *     operand   = letter size | fixed
 *
 * Letters: E register or memory, M memory, R register, all from r/m; G general register, S segment,
 * C control, D debug register from reg; Z general register from the opcode byte; I immediate,
 * J relative target, A far pointer, O memory by absolute offset; X DS:rSI, Y ES:rDI; V xmm register
 * from reg, W xmm register or memory, U xmm register, from r/m.
 *
 * Sizes: b 8, w 16, d 32, q 64, dq 128 bits; v the operand size; z the same, but 32 where that is 64;
 * y 64 with REX.W, else 32; n 64 in 64-bit mode, else 32; p a far pointer whose offset has the operand
 * size. Ibs and Izs are sign-extended to the operand size. M and O may stand without a size where the
 * instruction gives the address away only. Registers of V, W and U are always whole.
 *
 * Without a prefix an encoding takes 66H as the operand size and F2 and F3 as repetition or nothing.
 * Where several encodings fit, the one that states more wins.
 */
import { SEGMENT_REGISTERS } from '../instructions/operand.ts';

export type MandatoryPrefix = 'NP' | '66' | 'F3' | 'F2';
export type OpcodeMap = 'primary' | '0F' | '0F38' | '0F3A';

export type ModRmKind =
  | { readonly kind: 'none' }
  | { readonly kind: 'register' }
  | { readonly kind: 'digit'; readonly digit: number }
  | { readonly kind: 'fixed'; readonly byte: number };

const LETTERS = 'EMRGSCDZIJAOXYVWU';
export type OperandLetter =
  | 'E' | 'M' | 'R' | 'G' | 'S' | 'C' | 'D' | 'Z' | 'I' | 'J' | 'A' | 'O' | 'X' | 'Y' | 'V' | 'W' | 'U'; // prettier-ignore

const SIZES = ['', 'b', 'w', 'd', 'q', 'dq', 'v', 'z', 'y', 'n', 'p', 'bs', 'zs'] as const;
export type OperandSize = (typeof SIZES)[number];

/** `rAX` has the operand size, `eAX` at most 32 bits of it; `1` is the constant of D0 and D1. */
export const FIXED_OPERANDS = [
  'AL', 'CL', 'AX', 'DX', 'rAX', 'eAX', '1',
  ...SEGMENT_REGISTERS.map((name) => name.toUpperCase()),
] as const; // prettier-ignore

export type OperandToken =
  | { readonly kind: 'coded'; readonly letter: OperandLetter; readonly size: OperandSize }
  | { readonly kind: 'fixed'; readonly name: string };

export interface ParsedEncoding {
  readonly text: string;
  readonly prefix: MandatoryPrefix | undefined;
  readonly rexW: 0 | 1 | undefined;
  readonly rexB: 0 | undefined;
  readonly map: OpcodeMap;
  readonly opcode: number;
  /** The low three bits of `opcode` are 0 here and name a register in the code. */
  readonly hasRegisterInOpcode: boolean;
  readonly modrm: ModRmKind;
  /** Which mod fields it allows; `ignored` reads every one as 3. */
  readonly mod: 'any' | 'memory' | 'register' | 'ignored';
  /** What 64-bit mode makes of the operand size. */
  readonly operandSize64: 'ordinary' | 'd64' | 'f64';
  readonly isAfterPop: boolean;
  readonly operands: readonly OperandToken[];
}

const PREFIXES: readonly string[] = ['NP', '66', 'F3', 'F2'];
const ATTRIBUTES: readonly string[] = ['d64', 'f64', 'mod3', 'anymod', 'after-pop'];

/** The bytes that select an opcode map, in the order in which they stand in code. */
export const MAP_BYTES: Readonly<Record<OpcodeMap, readonly number[]>> = {
  primary: [],
  '0F': [0x0f],
  '0F38': [0x0f, 0x38],
  '0F3A': [0x0f, 0x3a],
};

/** Takes the words of an encoding one after another. */
class Words {
  private readonly words: string[];
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
    this.words = text.split(/\s+/);
  }

  takeIf(matches: (word: string) => boolean): string | undefined {
    const word = this.words[0];
    return word !== undefined && matches(word) ? this.words.shift() : undefined;
  }

  takeByte(): number | undefined {
    const word = this.takeIf((candidate) => /^[0-9A-F]{2}$/.test(candidate));
    return word === undefined ? undefined : Number.parseInt(word, 16);
  }

  takeWhile(matches: (word: string) => boolean): string[] {
    const taken = [];
    for (let word; (word = this.takeIf(matches)) !== undefined;) taken.push(word);
    return taken;
  }

  fail(reason: string): never {
    throw new Error(`encoding '${this.text}': ${reason}`);
  }

  end(): void {
    if (this.words.length > 0) this.fail(`'${this.words.join(' ')}' is not understood`);
  }
}

function takeMap(words: Words): OpcodeMap {
  if (words.takeIf((word) => word === '0F') === undefined) return 'primary';
  if (words.takeIf((word) => word === '38') !== undefined) return '0F38';
  return words.takeIf((word) => word === '3A') === undefined ? '0F' : '0F3A';
}

function takeOpcode(words: Words): { opcode: number; hasRegisterInOpcode: boolean } {
  const word = words.takeIf((candidate) => /^[0-9A-F]{2}(\+r)?$/.test(candidate));
  if (word === undefined) return words.fail('an opcode byte was expected');
  const opcode = Number.parseInt(word.slice(0, 2), 16);
  const hasRegisterInOpcode = word.endsWith('+r');
  if (hasRegisterInOpcode && (opcode & 7) !== 0) words.fail('+r needs an opcode divisible by 8');
  return { opcode, hasRegisterInOpcode };
}

function takeModRm(words: Words): ModRmKind {
  const byte = words.takeByte();
  if (byte !== undefined) {
    return byte >= 0xc0 ? { kind: 'fixed', byte } : words.fail('a fixed ModRM byte is C0–FF');
  }
  const slash = words.takeIf((word) => /^\/[r0-7]$/.test(word));
  if (slash === undefined) return { kind: 'none' };
  return slash === '/r' ? { kind: 'register' } : { kind: 'digit', digit: Number(slash[1]) };
}

function parseOperand(words: Words, text: string): OperandToken {
  if (FIXED_OPERANDS.includes(text)) return { kind: 'fixed', name: text };
  const letter = text[0] ?? '';
  const size = text.slice(1) as OperandSize;
  if (!LETTERS.includes(letter) || !SIZES.includes(size)) words.fail(`no operand '${text}'`);
  return { kind: 'coded', letter: letter as OperandLetter, size };
}

function modOf(
  modrm: ModRmKind,
  attributes: readonly string[],
  operands: readonly OperandToken[],
): ParsedEncoding['mod'] {
  const has = (letters: string): boolean =>
    operands.some((operand) => operand.kind === 'coded' && letters.includes(operand.letter));
  if (attributes.includes('anymod')) return 'ignored';
  if (modrm.kind === 'fixed' || attributes.includes('mod3') || has('RU')) return 'register';
  return has('M') ? 'memory' : 'any';
}

function checkModRm(words: Words, parsed: ParsedEncoding): void {
  const letters = parsed.operands.map((operand) =>
    operand.kind === 'coded' ? operand.letter : '',
  );
  const needs = letters.some((letter) => letter !== '' && 'EMRGSCDVWU'.includes(letter));
  if (needs && parsed.modrm.kind === 'none') words.fail('its operands need a ModRM byte');
  if (letters.includes('Z') !== parsed.hasRegisterInOpcode) words.fail('+r and Z belong together');
}

/** Reads one encoding string; an error of the grammar is ours and throws, naming the string. */
export function parseEncoding(text: string): ParsedEncoding {
  const words = new Words(text);
  const prefix = words.takeIf((word) => PREFIXES.includes(word)) as MandatoryPrefix | undefined;
  const rex = words.takeWhile((word) => ['W0', 'W1', 'B0'].includes(word));
  const map = takeMap(words);
  const { opcode, hasRegisterInOpcode } = takeOpcode(words);
  const modrm = takeModRm(words);
  const attributes = words.takeWhile((word) => ATTRIBUTES.includes(word));
  const list = words.takeIf(() => true)?.split(',') ?? [];
  words.end();
  const operands = list.map((operand) => parseOperand(words, operand));
  const parsed: ParsedEncoding = {
    text,
    prefix,
    rexW: rex.includes('W1') ? 1 : rex.includes('W0') ? 0 : undefined,
    rexB: rex.includes('B0') ? 0 : undefined,
    map,
    opcode,
    hasRegisterInOpcode,
    modrm,
    mod: modOf(modrm, attributes, operands),
    operandSize64: attributes.includes('d64')
      ? 'd64'
      : attributes.includes('f64')
        ? 'f64'
        : 'ordinary',
    isAfterPop: attributes.includes('after-pop'),
    operands,
  };
  checkModRm(words, parsed);
  return parsed;
}
