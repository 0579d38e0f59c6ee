/**
 * Typed expressions as trees, every node with its type, and the rules by which nodes are put together:
 * C's, but that arithmetic is in 64 bits and that a signed operand makes the whole signed.
 */
import type { AgentError } from './agent-error.ts';
import { mistake } from './expression-tokens.ts';
import {
  bytesOf,
  commonSign,
  I64,
  LITERAL,
  U64,
  type IntegerType,
  type PointerType,
  type ValueType,
} from './value-type.ts';

export type UnaryOperator = '-' | '~' | '!';
export type BinaryOperator =
  | '+' | '-' | '*' | '/' | '%' | '&' | '|' | '^' | '<<' | '>>'
  | '==' | '!=' | '<' | '<=' | '>' | '>='; // prettier-ignore

export type Expression = { readonly type: ValueType } & (
  | { readonly kind: 'constant'; readonly value: bigint }
  /** By gdb's number. */
  | { readonly kind: 'register'; readonly number: number }
  | { readonly kind: 'load'; readonly address: Expression }
  | { readonly kind: 'convert'; readonly value: Expression }
  | { readonly kind: 'unary'; readonly operator: UnaryOperator; readonly value: Expression }
  | {
      readonly kind: 'binary';
      readonly operator: BinaryOperator;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly kind: 'logical';
      readonly operator: '&&' | '||';
      readonly left: Expression;
      readonly right: Expression;
    }
);

type Place = { readonly at: number };

export function constant(value: bigint, type: ValueType): Expression {
  return { kind: 'constant', value: BigInt.asUintN(64, value), type };
}

/** What an address points to; an address without a type points to 8 bytes. */
export function dereference(address: Expression): Expression {
  const type = address.type.kind === 'pointer' ? address.type.to : U64;
  return { kind: 'load', address, type };
}

export function convert(value: Expression, type: ValueType): Expression {
  return { kind: 'convert', value, type };
}

export function unary(operator: UnaryOperator, value: Expression): Expression {
  if (operator === '!') return { kind: 'unary', operator, value, type: LITERAL };
  if (operator === '-' && value.kind === 'constant') return constant(-value.value, I64);
  const sign = operator === '-' ? 'signed' : commonSign(value.type, value.type);
  return { kind: 'unary', operator, value, type: { ...I64, sign } };
}

export function logical(operator: '&&' | '||', left: Expression, right: Expression): Expression {
  return { kind: 'logical', operator, left, right, type: LITERAL };
}

/** Throws `AgentError`, with the operator's place, for what would be a mistake. */
export function binary(
  operator: BinaryOperator,
  left: Expression,
  right: Expression,
  place: Place,
): Expression {
  switch (operator) {
    case '==':
    case '!=':
      return comparison(operator, fitted(left, right), fitted(right, left));
    case '<':
    case '>=':
      if (isNeverBelow(left, right)) throw neverBelow(place);
      return comparison(operator, left, right);
    case '>':
    case '<=':
      if (isNeverBelow(right, left)) throw neverBelow(place);
      return comparison(operator, left, right);
    case '+':
    case '-':
      return sum(operator, left, right, place);
    case '<<':
    case '>>':
      return { kind: 'binary', operator, left, right, type: wide(left.type, left.type) };
    default:
      return { kind: 'binary', operator, left, right, type: wide(left.type, right.type) };
  }
}

function comparison(operator: BinaryOperator, left: Expression, right: Expression): Expression {
  return { kind: 'binary', operator, left, right, type: LITERAL };
}

function wide(left: ValueType, right: ValueType): IntegerType {
  return { ...U64, sign: commonSign(left, right) };
}

/** `*(u32*)p == -1` means all ones in 32 bits, as in C. */
function fitted(side: Expression, other: Expression): Expression {
  const { type } = other;
  const isNegative = side.kind === 'constant' && side.type === I64;
  const isNarrow = type.kind === 'integer' && type.sign === 'unsigned' && type.bits < 64;
  return isNegative && isNarrow ? constant(BigInt.asUintN(type.bits, side.value), type) : side;
}

/** Registers and memory are unsigned: nothing is below 0 there, and nobody means to ask that. */
function isNeverBelow(value: Expression, bound: Expression): boolean {
  const isZero = bound.kind === 'constant' && bound.value === 0n;
  return isZero && commonSign(value.type, bound.type) === 'unsigned';
}

function neverBelow(place: Place): AgentError {
  return mistake('an unsigned value is never below 0: compare (i64)value, or (i32), …', place);
}

/** A pointer moves by what it points to. */
function sum(operator: '+' | '-', left: Expression, right: Expression, place: Place): Expression {
  const isLeft = left.type.kind === 'pointer';
  const isRight = right.type.kind === 'pointer';
  if (isRight && (isLeft || operator === '-')) {
    throw mistake('two pointers make no sum or difference: convert them by (u64)', place);
  }
  if (left.type.kind === 'pointer') {
    return { kind: 'binary', operator, left, right: scaled(right, left.type), type: left.type };
  }
  if (right.type.kind === 'pointer') {
    return { kind: 'binary', operator, left: scaled(left, right.type), right, type: right.type };
  }
  return { kind: 'binary', operator, left, right, type: wide(left.type, right.type) };
}

function scaled(count: Expression, { to }: PointerType): Expression {
  const size = constant(BigInt(bytesOf(to)), LITERAL);
  return {
    kind: 'binary',
    operator: '*',
    left: count,
    right: size,
    type: wide(count.type, size.type),
  };
}
