/**
 * From an exact number to the nearest one that a format has, with overflow, underflow and precision
 * exceptions as SSE defines them (Intel SDM 1 §4.9.1.4–4.9.1.6): tininess is detected after
 * rounding, which is where x86 differs from some other architectures.
 */
import { signed, type FloatFormat, type FloatResult } from './format.ts';
import { FLOAT_FLAG, MXCSR_FTZ, roundingMode, unmaskedFlags, type RoundingMode } from './mxcsr.ts';

export interface RoundedInteger {
  readonly magnitude: bigint;
  readonly isInexact: boolean;
}

/** Number of bits without leading zeros; 0 for 0n. */
export function bitLength(value: bigint): number {
  if (value === 0n) return 0;
  const digits = value.toString(16);
  return digits.length * 4 - Math.clz32(parseInt(digits[0]!, 16)) + 28;
}

/** magnitude / 2^shift as an integer, rounded as the sign and the mode want; shift may be < 0. */
export function shiftRounded(
  magnitude: bigint,
  shift: number,
  isNegative: boolean,
  mode: RoundingMode,
): RoundedInteger {
  if (shift <= 0) return { magnitude: magnitude << BigInt(-shift), isInexact: false };
  const kept = magnitude >> BigInt(shift);
  const rest = magnitude - (kept << BigInt(shift));
  if (rest === 0n) return { magnitude: kept, isInexact: false };
  const isUp = roundsUp(mode, isNegative, { rest, half: 1n << BigInt(shift - 1), kept });
  return { magnitude: isUp ? kept + 1n : kept, isInexact: true };
}

function roundsUp(
  mode: RoundingMode,
  isNegative: boolean,
  parts: { readonly rest: bigint; readonly half: bigint; readonly kept: bigint },
): boolean {
  switch (mode) {
    case 'nearest':
      return parts.rest > parts.half || (parts.rest === parts.half && (parts.kept & 1n) === 1n);
    case 'down':
      return isNegative;
    case 'up':
      return !isNegative;
    case 'truncate':
      return false;
  }
}

/**
 * ± significand × 2^exponent, significand not 0n. A number that is exact only up to a remainder must
 * carry that remainder as a sticky lowest bit, two or more bits below the format's precision.
 */
export interface ExactNumber {
  readonly isNegative: boolean;
  readonly significand: bigint;
  readonly exponent: number;
}

/** The number of `format` that MXCSR's rounding mode chooses, and the exceptions of that. */
export function roundFloat(number: ExactNumber, format: FloatFormat, mxcsr: number): FloatResult {
  const { isNegative, significand, exponent } = number;
  const mode = roundingMode(mxcsr);
  const precision = format.fractionBits + 1;
  // Exponents of the lowest bit: of the smallest normal numbers, and of this one if it may be any.
  const lowestPossible = smallestExponent(format);
  const lowest = exponent + bitLength(significand) - precision;
  const free = shiftRounded(significand, lowest - exponent, isNegative, mode);
  if (lowest + bitLength(free.magnitude) - precision < lowestPossible) {
    if ((unmaskedFlags(mxcsr) & FLOAT_FLAG.underflow) !== 0) return unmaskedUnderflow(free);
    return tinyResult(number, format, mxcsr);
  }
  const unit = Math.max(lowest, lowestPossible);
  const rounded = shiftRounded(significand, unit - exponent, isNegative, mode);
  const biased = BigInt(unit - lowestPossible);
  // The leading bit of a normal number adds one to the exponent field, a carry two.
  const bits = (biased << BigInt(format.fractionBits)) + rounded.magnitude;
  if (bits >= format.infinity) return overflowResult(isNegative, rounded.isInexact, format, mxcsr);
  return {
    bits: signed(isNegative, bits, format),
    flags: rounded.isInexact ? FLOAT_FLAG.precision : 0,
  };
}

/** No result is written: only whether one of unlimited exponent would be inexact is to be seen. */
function unmaskedUnderflow(free: RoundedInteger): FloatResult {
  return { bits: 0n, flags: FLOAT_FLAG.underflow | (free.isInexact ? FLOAT_FLAG.precision : 0) };
}

/** Exponent of the lowest bit of denormals and of the smallest normal numbers. */
function smallestExponent(format: FloatFormat): number {
  return 1 - format.bias - format.fractionBits;
}

/** A result below the normal numbers, where underflow is masked. */
function tinyResult(number: ExactNumber, format: FloatFormat, mxcsr: number): FloatResult {
  const { isNegative, significand, exponent } = number;
  const flags = FLOAT_FLAG.underflow | FLOAT_FLAG.precision;
  if ((mxcsr & MXCSR_FTZ) !== 0) return { bits: signed(isNegative, 0n, format), flags };
  const rounded = shiftRounded(
    significand,
    smallestExponent(format) - exponent,
    isNegative,
    roundingMode(mxcsr),
  );
  const bits = signed(isNegative, rounded.magnitude, format);
  return { bits, flags: rounded.isInexact ? flags : 0 };
}

/** Infinity, or the largest number when the mode rounds away from that infinity. */
function overflowResult(
  isNegative: boolean,
  isInexact: boolean,
  format: FloatFormat,
  mxcsr: number,
): FloatResult {
  const mode = roundingMode(mxcsr);
  const isInfinite = mode === 'nearest' || mode === (isNegative ? 'down' : 'up');
  const isUnmasked = (unmaskedFlags(mxcsr) & FLOAT_FLAG.overflow) !== 0;
  const precision = isInexact || !isUnmasked ? FLOAT_FLAG.precision : 0;
  return {
    bits: signed(isNegative, isInfinite ? format.infinity : format.infinity - 1n, format),
    flags: FLOAT_FLAG.overflow | precision,
  };
}
