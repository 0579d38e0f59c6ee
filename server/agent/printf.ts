/**
 * The format strings of agent-printf (GDB manual, "Bytecode Descriptions", `printf`): as C source
 * spells them, escapes included. Conversions of `dprintf`: d i u o x X c s p, with flags, width,
 * precision and l, ll, h, hh, z, j, t; no floating point.
 */
import { AgentError } from './agent-error.ts';
import type { AgentEnvironment } from './environment.ts';

const LONGEST_STRING = 1024;
/** A width beyond this is a mistake, or meant to exhaust us. */
const WIDEST = 1024;
const CONVERSION = /%([-+ #0]*)(\d*)(?:\.(\d*))?(hh|h|ll|l|z|j|t)?(.)/gs;
const ESCAPES: Readonly<Record<string, string>> = {
  n: '\n', t: '\t', r: '\r', a: '\x07', b: '\b', f: '\f', v: '\v', e: '\x1b',
}; // prettier-ignore

interface Conversion {
  readonly flags: string;
  readonly width: number;
  readonly precision: number | undefined;
  readonly bits: number;
  readonly letter: string;
}

type Piece = string | Conversion;

/** A format, ready to print its arguments. */
export type Printer = (values: readonly bigint[], environment: AgentEnvironment) => string;

/** Throws `AgentError` for a conversion that is not known or arguments that do not suffice. */
export function compileFormat(format: string, argumentCount: number): Printer {
  const pieces = parse(format);
  const needed = pieces.filter((piece) => typeof piece !== 'string').length;
  if (needed > argumentCount) {
    throw new AgentError(`the format needs ${needed} arguments and there are ${argumentCount}`);
  }
  return (values, environment) => {
    let next = 0;
    const texts = pieces.map((piece) =>
      typeof piece === 'string' ? piece : convert(piece, values[next++]!, environment),
    );
    return texts.join('');
  };
}

function parse(format: string): Piece[] {
  const pieces: Piece[] = [];
  let from = 0;
  for (const match of format.matchAll(CONVERSION)) {
    if (match.index > from) pieces.push(unescape(format.slice(from, match.index)));
    from = match.index + match[0].length;
    const [, flags = '', width = '', precision, size, letter = ''] = match;
    if (letter === '%') pieces.push('%');
    else pieces.push(conversion(flags, width, precision, size, letter));
  }
  if (from < format.length) pieces.push(unescape(format.slice(from)));
  return pieces;
}

function conversion(
  flags: string,
  width: string,
  precision: string | undefined,
  size: string | undefined,
  letter: string,
): Conversion {
  if (!'diuoxXcsp'.includes(letter)) throw new AgentError(`%${letter} is not supported`);
  const number = Number(width);
  const digits = precision === undefined ? undefined : Number(precision);
  if (number > WIDEST || (digits ?? 0) > WIDEST) throw new AgentError('a width beyond 1024');
  return { flags, width: number, precision: digits, bits: bitsOf(size, letter), letter };
}

function bitsOf(size: string | undefined, letter: string): number {
  if (letter === 'p' || letter === 's') return 64;
  switch (size) {
    case undefined:
      return 32;
    case 'hh':
      return 8;
    case 'h':
      return 16;
    default:
      return 64;
  }
}

function unescape(text: string): string {
  return text.replace(/\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)/gs, (_, code: string) => {
    if (/^x./.test(code)) return String.fromCharCode(Number.parseInt(code.slice(1), 16));
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8) & 0xff);
    return ESCAPES[code] ?? code;
  });
}

function convert(piece: Conversion, value: bigint, environment: AgentEnvironment): string {
  switch (piece.letter) {
    case 'c':
      return pad(String.fromCharCode(Number(value & 0xffn)), piece);
    case 's':
      return pad(stringAt(value, environment).slice(0, piece.precision), piece);
    case 'd':
    case 'i':
      return signedNumber(BigInt.asIntN(piece.bits, value), piece);
    default:
      return unsignedNumber(BigInt.asUintN(piece.bits, value), piece);
  }
}

function signedNumber(value: bigint, piece: Conversion): string {
  const digits = (value < 0n ? -value : value).toString().padStart(piece.precision ?? 0, '0');
  const plus = piece.flags.includes('+') ? '+' : piece.flags.includes(' ') ? ' ' : '';
  return padNumber(value < 0n ? '-' : plus, digits, piece);
}

function unsignedNumber(value: bigint, piece: Conversion): string {
  const { letter, flags, precision } = piece;
  const radix = letter === 'o' ? 8 : letter === 'u' ? 10 : 16;
  const digits = value.toString(radix).padStart(precision ?? 0, '0');
  const isPrefixed = letter === 'p' || (flags.includes('#') && value !== 0n);
  const prefix = isPrefixed && radix === 16 ? '0x' : isPrefixed && radix === 8 ? '0' : '';
  const text = padNumber(prefix, digits, piece);
  return letter === 'X' ? text.toUpperCase() : text;
}

function padNumber(sign: string, digits: string, piece: Conversion): string {
  const isZeroed = /^[^-]*0/.test(piece.flags) && !piece.flags.includes('-');
  if (!isZeroed || piece.precision !== undefined) return pad(sign + digits, piece);
  return sign + digits.padStart(piece.width - sign.length, '0');
}

function pad(text: string, { flags, width }: Conversion): string {
  return flags.includes('-') ? text.padEnd(width) : text.padStart(width);
}

/** Up to the NUL, or to where memory ends. */
function stringAt(address: bigint, environment: AgentEnvironment): string {
  const bytes = environment.bytes(address, LONGEST_STRING);
  const end = bytes.indexOf(0);
  return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
}
