/**
 * Conversions between the two floating-point formats and to and from integers (Intel SDM 1
 * §11.4.1.6 and §4.8.4; SDM 2A "CVT…").
 */
import {
  denormalFlag,
  isZero,
  propagateNan,
  signed,
  unpackFloat,
  type FloatFormat,
  type FloatResult,
  type UnpackedFloat,
} from './format.ts';
import { FLOAT_FLAG, roundingMode } from './mxcsr.ts';
import { roundFloat, shiftRounded } from './rounding.ts';

/** From one format to the other; a NaN keeps the high bits of its payload and becomes quiet. */
export function convertFloat(
  bits: bigint,
  from: FloatFormat,
  to: FloatFormat,
  mxcsr: number,
): FloatResult {
  const value = unpackFloat(bits, from, mxcsr);
  const nan = propagateNan([value], from);
  if (nan !== undefined) return { bits: convertNan(nan.bits, from, to), flags: nan.flags };
  const special = value.kind === 'infinite' ? to.infinity : 0n;
  if (value.kind === 'infinite' || isZero(value)) {
    return { bits: signed(value.isNegative, special, to), flags: 0 };
  }
  const rounded = roundFloat(value, to, mxcsr);
  return { bits: rounded.bits, flags: rounded.flags | denormalFlag(value) };
}

function convertNan(bits: bigint, from: FloatFormat, to: FloatFormat): bigint {
  const fraction = bits & ((1n << BigInt(from.fractionBits)) - 1n);
  const shift = BigInt(Math.abs(to.fractionBits - from.fractionBits));
  const moved = to.fractionBits > from.fractionBits ? fraction << shift : fraction >> shift;
  return signed((bits & from.signBit) !== 0n, to.infinity | moved, to);
}

/** A signed integer as a number of `format`; only precision can be lost. */
export function floatFromInteger(value: bigint, format: FloatFormat, mxcsr: number): FloatResult {
  if (value === 0n) return { bits: 0n, flags: 0 };
  const significand = value < 0n ? -value : value;
  return roundFloat({ isNegative: value < 0n, significand, exponent: 0 }, format, mxcsr);
}

/**
 * A number as a signed integer of `width` bits, in its bits, rounded by MXCSR (truncating() makes
 * that towards zero). What does not fit is invalid and gives the "integer indefinite", the sign bit alone. A denormal is no
 * exception of its own here.
 */
export function integerFromFloat(
  bits: bigint,
  format: FloatFormat,
  width: 32 | 64,
  mxcsr: number,
): FloatResult {
  const value = unpackFloat(bits, format, mxcsr);
  const indefinite = 1n << BigInt(width - 1);
  if (value.kind === 'finite') {
    const { integer, isInexact } = toInteger(value, mxcsr);
    if (BigInt.asIntN(width, integer) === integer) {
      const flags = isInexact ? FLOAT_FLAG.precision : 0;
      return { bits: BigInt.asUintN(width, integer), flags };
    }
  }
  return { bits: indefinite, flags: FLOAT_FLAG.invalid };
}

function toInteger(
  value: UnpackedFloat,
  mxcsr: number,
): { readonly integer: bigint; readonly isInexact: boolean } {
  const { significand, exponent, isNegative } = value;
  const rounded = shiftRounded(significand, -exponent, isNegative, roundingMode(mxcsr));
  const integer = value.isNegative ? -rounded.magnitude : rounded.magnitude;
  return { integer, isInexact: rounded.isInexact };
}
