/**
 * Exact addition, subtraction, multiplication, division and square root in MXCSR's rounding mode
 * (IEEE 754 §5.4.1; Intel SDM 1 §11.5.2 for SSE's exceptions and their priorities). Results are
 * first computed whole, as bigints, and then rounded once.
 */
import {
  denormalFlag,
  invalidResult,
  isZero,
  propagateNan,
  signed,
  unpackFloat,
  type FloatFormat,
  type FloatResult,
  type UnpackedFloat,
} from './format.ts';
import { FLOAT_FLAG, roundingMode } from './mxcsr.ts';
import { bitLength, roundFloat } from './rounding.ts';

/** An operation on two numbers of one format; `mxcsr` gives rounding, DAZ, FTZ and the masks. */
export type BinaryFloatOperation = (
  left: bigint,
  right: bigint,
  format: FloatFormat,
  mxcsr: number,
) => FloatResult;

export type UnaryFloatOperation = (
  value: bigint,
  format: FloatFormat,
  mxcsr: number,
) => FloatResult;

type FiniteOperation = (
  left: UnpackedFloat,
  right: UnpackedFloat,
  format: FloatFormat,
  mxcsr: number,
) => FloatResult;

/** What operations of two operands share: NaNs first, then the operation, then DE. */
function binary(operation: FiniteOperation): BinaryFloatOperation {
  return (leftBits, rightBits, format, mxcsr) => {
    const left = unpackFloat(leftBits, format, mxcsr);
    const right = unpackFloat(rightBits, format, mxcsr);
    const nan = propagateNan([left, right], format);
    if (nan !== undefined) return nan;
    const result = operation(left, right, format, mxcsr);
    const hidesDenormal = FLOAT_FLAG.invalid | FLOAT_FLAG.divideByZero;
    if ((result.flags & hidesDenormal) !== 0) return result;
    return { bits: result.bits, flags: result.flags | denormalFlag(left, right) };
  };
}

export const addFloat = binary(addUnpacked);

export const subtractFloat = binary((left, right, format, mxcsr) =>
  addUnpacked(left, negated(right, format), format, mxcsr),
);

function negated(value: UnpackedFloat, format: FloatFormat): UnpackedFloat {
  return { ...value, isNegative: !value.isNegative, bits: value.bits ^ format.signBit };
}

function addUnpacked(
  left: UnpackedFloat,
  right: UnpackedFloat,
  format: FloatFormat,
  mxcsr: number,
): FloatResult {
  if (left.kind === 'infinite' || right.kind === 'infinite') {
    const isUndefined = left.kind === right.kind && left.isNegative !== right.isNegative;
    if (isUndefined) return invalidResult(format);
    return { bits: left.kind === 'infinite' ? left.bits : right.bits, flags: 0 };
  }
  const exponent = Math.min(left.exponent, right.exponent);
  const sum = signedAt(left, exponent) + signedAt(right, exponent);
  if (sum === 0n) return { bits: signed(isZeroNegative(left, right, mxcsr), 0n, format), flags: 0 };
  const significand = sum < 0n ? -sum : sum;
  return roundFloat({ isNegative: sum < 0n, significand, exponent }, format, mxcsr);
}

/** The number as a multiple of 2^exponent. */
function signedAt(value: UnpackedFloat, exponent: number): bigint {
  const magnitude = value.significand << BigInt(value.exponent - exponent);
  return value.isNegative ? -magnitude : magnitude;
}

/** The sign of an exact zero sum (IEEE 754 §6.3). */
function isZeroNegative(left: UnpackedFloat, right: UnpackedFloat, mxcsr: number): boolean {
  if (left.isNegative === right.isNegative) return left.isNegative;
  return roundingMode(mxcsr) === 'down';
}

export const multiplyFloat = binary((left, right, format, mxcsr) => {
  const isNegative = left.isNegative !== right.isNegative;
  if (left.kind === 'infinite' || right.kind === 'infinite') {
    if (isZero(left) || isZero(right)) return invalidResult(format);
    return { bits: signed(isNegative, format.infinity, format), flags: 0 };
  }
  const product = left.significand * right.significand;
  if (product === 0n) return { bits: signed(isNegative, 0n, format), flags: 0 };
  const exponent = left.exponent + right.exponent;
  return roundFloat({ isNegative, significand: product, exponent }, format, mxcsr);
});

export const divideFloat = binary((left, right, format, mxcsr) => {
  const isNegative = left.isNegative !== right.isNegative;
  const isBothInfinite = left.kind === 'infinite' && right.kind === 'infinite';
  if (isBothInfinite || (isZero(left) && isZero(right))) return invalidResult(format);
  if (left.kind === 'infinite' || isZero(right)) {
    const flags = left.kind === 'infinite' ? 0 : FLOAT_FLAG.divideByZero;
    return { bits: signed(isNegative, format.infinity, format), flags };
  }
  if (right.kind === 'infinite' || isZero(left)) {
    return { bits: signed(isNegative, 0n, format), flags: 0 };
  }
  // The quotient gets at least three bits more than the precision; what remains is sticky.
  const wanted = format.fractionBits + 4;
  const extra = Math.max(0, wanted + bitLength(right.significand) - bitLength(left.significand));
  const dividend = left.significand << BigInt(extra);
  const quotient = dividend / right.significand;
  const sticky = quotient * right.significand === dividend ? 0n : 1n;
  const exponent = left.exponent - right.exponent - extra - 1;
  const significand = (quotient << 1n) | sticky;
  return roundFloat({ isNegative, significand, exponent }, format, mxcsr);
});

/** Square root; of a negative number other than −0 it is invalid. */
export function squareRootFloat(bits: bigint, format: FloatFormat, mxcsr: number): FloatResult {
  const value = unpackFloat(bits, format, mxcsr);
  const nan = propagateNan([value], format);
  if (nan !== undefined) return nan;
  if (isZero(value)) return { bits: value.bits, flags: 0 };
  if (value.isNegative) return invalidResult(format);
  if (value.kind === 'infinite') return { bits: value.bits, flags: 0 };
  // 2 × (precision + 2) bits or more, at an even exponent, have a root with two bits to spare.
  const wanted = 2 * (format.fractionBits + 3);
  let extra = Math.max(0, wanted - bitLength(value.significand));
  if (((value.exponent - extra) & 1) !== 0) extra++;
  const radicand = value.significand << BigInt(extra);
  const root = integerSquareRoot(radicand);
  const sticky = root * root === radicand ? 0n : 1n;
  const exponent = (value.exponent - extra) / 2 - 1;
  const significand = (root << 1n) | sticky;
  const rounded = roundFloat({ isNegative: false, significand, exponent }, format, mxcsr);
  return { bits: rounded.bits, flags: rounded.flags | denormalFlag(value) };
}

/** The largest integer whose square is not above `value`, by Newton's method from above. */
function integerSquareRoot(value: bigint): bigint {
  let root = 1n << BigInt((bitLength(value) + 1) >> 1);
  for (;;) {
    const next = (root + value / root) >> 1n;
    if (next >= root) return root;
    root = next;
  }
}
