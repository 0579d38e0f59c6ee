/**
 * Types of the values in a typed expression: integers as C has them, and pointers to them. A value is
 * always held in 64 bits, extended by its sign; arithmetic is in 64 bits and does not wrap earlier.
 */
export type ValueType = IntegerType | PointerType;

export interface IntegerType {
  readonly kind: 'integer';
  readonly bits: 8 | 16 | 32 | 64;
  /** A literal goes along with whatever it meets. */
  readonly sign: 'signed' | 'unsigned' | 'literal';
}

export interface PointerType {
  readonly kind: 'pointer';
  readonly to: ValueType;
}

function integer(bits: IntegerType['bits'], sign: IntegerType['sign']): IntegerType {
  return { kind: 'integer', bits, sign };
}

export const U64 = integer(64, 'unsigned');
export const I64 = integer(64, 'signed');
export const LITERAL = integer(64, 'literal');

/** The unsigned integer of so many bytes; undefined: there is none. */
export function unsignedOf(lengthBytes: number): IntegerType | undefined {
  const bits = ([8, 16, 32, 64] as const).find((width) => width === lengthBytes * 8);
  return bits === undefined ? undefined : integer(bits, 'unsigned');
}

/** Words that C's own types are made of; they come in any number. */
export const C_TYPE_WORDS: ReadonlySet<string> = new Set([
  'unsigned', 'signed', 'char', 'short', 'int', 'long',
]); // prettier-ignore

const NAMED: ReadonlyMap<string, IntegerType> = new Map(
  ([8, 16, 32, 64] as const).flatMap((bits) => [
    ...[`u${bits}`, `uint${bits}_t`].map((name) => [name, integer(bits, 'unsigned')] as const),
    ...[`i${bits}`, `s${bits}`, `int${bits}_t`].map((n) => [n, integer(bits, 'signed')] as const),
  ]),
);

const MORE_NAMES: ReadonlyMap<string, IntegerType> = new Map([
  ['bool', integer(8, 'unsigned')],
  ['size_t', U64],
  ['uintptr_t', U64],
  ['ssize_t', I64],
  ['intptr_t', I64],
]);

/** A type of one word, as C and kernels write it. */
export function namedType(name: string): IntegerType | undefined {
  return NAMED.get(name) ?? MORE_NAMES.get(name);
}

/** A type of C's words in C's order, for x86-64 (System V ABI AMD64, figure 3.1). */
export function typeOfWords(words: readonly string[]): IntegerType | undefined {
  const text = words.join(' ');
  const match = /^(?:(un)?signed ?)?(?:(char)|(?:(short)|(long)(?: long)?)(?: int)?|(int)|)$/.exec(
    text,
  );
  if (match === null || words.length === 0) return undefined;
  const sign = match[1] === undefined ? 'signed' : 'unsigned';
  const bits = match[2] !== undefined ? 8 : match[3] !== undefined ? 16 : match[4] !== undefined ? 64 : 32; // prettier-ignore
  return integer(bits, sign);
}

export function bytesOf(type: ValueType): 1 | 2 | 4 | 8 {
  return type.kind === 'pointer' ? 8 : ((type.bits / 8) as 1 | 2 | 4 | 8);
}

/** Sign of what two operands make together: a literal is what the other one is. */
export function commonSign(left: ValueType, right: ValueType): IntegerType['sign'] {
  const signs = [left, right].map((type) => (type.kind === 'pointer' ? 'unsigned' : type.sign));
  if (signs.includes('signed')) return 'signed';
  return signs.includes('unsigned') ? 'unsigned' : 'literal';
}
