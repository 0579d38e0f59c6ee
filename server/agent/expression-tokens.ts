/**
 * The words of an expression that a user typed (`break-if`): numbers, names and C's operators. Nothing
 * here knows what they mean.
 */
import { AgentError } from './agent-error.ts';

export type Token = (
  | { readonly kind: 'number'; readonly value: bigint }
  /** A register, a symbol or a type. */
  | { readonly kind: 'name' }
  | { readonly kind: 'operator' }
  | { readonly kind: 'end' }
) & {
  readonly text: string;
  /** Characters before it. */
  readonly at: number;
};

/** More than anybody types, and far below what would take long to read. */
const LONGEST_TEXT = 1000;
const LARGEST_NUMBER = (1n << 64n) - 1n;
/** Of what is quoted in a message. */
const LONGEST_QUOTE = 24;

const SPACE = /[ \t]+/y;
const NUMBER = /(0x[0-9a-f]+|0b[01]+|\d+)(?:u?l{0,2}|l{1,2}u)(?![\w.])/iy;
const CHARACTER = /'([\x20-\x26\x28-\x5b\x5d-\x7e])'/y;
/** Compilers put dots into the names of symbols, and registers may begin with $. */
const NAME = /\$?[A-Za-z_][\w.$@]*/y;
const OPERATOR = /&&|\|\||==|!=|<=|>=|<<|>>|[-+*/%&|^~!<>()[\]]/y;

/** What was typed, for a message: printable and short. */
export function quoted(text: string): string {
  const printable = text.replace(/[^\x20-\x7e]/g, '?');
  return printable.length <= LONGEST_QUOTE
    ? `"${printable}"`
    : `"${printable.slice(0, LONGEST_QUOTE)}…"`;
}

/** A mistake in the text, with its place; columns count from 1. */
export function mistake(message: string, { at }: { readonly at: number }): AgentError {
  return new AgentError(`${message} (column ${at + 1})`);
}

/** The last token is `end`. Throws `AgentError`. */
export function tokensOf(text: string): readonly Token[] {
  if (text.length > LONGEST_TEXT) {
    throw new AgentError(`an expression has at most ${LONGEST_TEXT} characters`);
  }
  const tokens: Token[] = [];
  let at = matchAt(SPACE, text, 0)?.[0].length ?? 0;
  while (at < text.length) {
    const token = tokenAt(text, at);
    tokens.push(token);
    at += token.text.length;
    at += matchAt(SPACE, text, at)?.[0].length ?? 0;
  }
  return [...tokens, { kind: 'end', text: '', at }];
}

function tokenAt(text: string, at: number): Token {
  const number = matchAt(NUMBER, text, at);
  if (number !== null)
    return { kind: 'number', value: valueOf(number[1]!, at), text: number[0], at };
  const character = matchAt(CHARACTER, text, at);
  if (character !== null) {
    const value = BigInt(character[1]!.charCodeAt(0));
    return { kind: 'number', value, text: character[0], at };
  }
  const name = matchAt(NAME, text, at);
  if (name !== null) return { kind: 'name', text: name[0], at };
  const operator = matchAt(OPERATOR, text, at);
  if (operator !== null) return { kind: 'operator', text: operator[0], at };
  throw unknown(text, at);
}

function valueOf(digits: string, at: number): bigint {
  if (/^0\d/.test(digits)) {
    throw mistake(`${quoted(digits)} is octal in C: write it in decimal or with 0x`, { at });
  }
  if (digits.length > 70) throw mistake('a number has at most 64 bits', { at });
  const value = BigInt(digits.toLowerCase());
  if (value > LARGEST_NUMBER) throw mistake('a number has at most 64 bits', { at });
  return value;
}

function unknown(text: string, at: number): AgentError {
  if (text[at] === '=') return mistake('"=" sets nothing here: write "==" to compare', { at });
  const word = /^[\w.]+|^./su.exec(text.slice(at))?.[0] ?? '';
  return mistake(`${quoted(word)} is not understood`, { at });
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}
