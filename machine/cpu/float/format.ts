/**
 * The two binary interchange formats that SSE computes in (IEEE 754 §3.4; Intel SDM 1 §4.2.2), and
 * their numbers taken apart.
 */
import { FLOAT_FLAG, MXCSR_DAZ } from './mxcsr.ts';

export interface FloatFormat {
  readonly width: 32 | 64;
  /** Stored bits of the significand: 23 or 52. */
  readonly fractionBits: number;
  readonly bias: number;
  readonly signBit: bigint;
  /** The bit that tells a quiet NaN from a signalling one. */
  readonly quietBit: bigint;
  readonly infinity: bigint;
  /** What an invalid operation gives, the "QNaN floating-point indefinite": it is negative. */
  readonly defaultNan: bigint;
}

function format(width: 32 | 64, fractionBits: number): FloatFormat {
  const signBit = 1n << BigInt(width - 1);
  const infinity = signBit - (1n << BigInt(fractionBits));
  const quietBit = 1n << BigInt(fractionBits - 1);
  return {
    width,
    fractionBits,
    bias: (1 << (width - fractionBits - 2)) - 1,
    signBit,
    quietBit,
    infinity,
    defaultNan: signBit | infinity | quietBit,
  };
}

export const FLOAT32 = format(32, 23);
export const FLOAT64 = format(64, 52);

/** A result in its format's bits, with the exceptions (FLOAT_FLAG) that arose. */
export interface FloatResult {
  readonly bits: bigint;
  readonly flags: number;
}

/** A number taken apart; a finite one is ± significand × 2^exponent, exactly. */
export interface UnpackedFloat {
  readonly kind: 'finite' | 'infinite' | 'quiet-nan' | 'signalling-nan';
  readonly isNegative: boolean;
  /** 0n for zero. */
  readonly significand: bigint;
  readonly exponent: number;
  readonly isDenormal: boolean;
  /** The bits that it came from; with DAZ a denormal's are those of the zero it counts as. */
  readonly bits: bigint;
}

/** Takes `bits` apart; a denormal becomes zero with its sign if MXCSR.DAZ says so. */
export function unpackFloat(bits: bigint, format: FloatFormat, mxcsr: number): UnpackedFloat {
  const isNegative = (bits & format.signBit) !== 0n;
  const magnitude = bits & (format.signBit - 1n);
  const fraction = magnitude & ((1n << BigInt(format.fractionBits)) - 1n);
  const biased = Number(magnitude >> BigInt(format.fractionBits));
  if (magnitude >= format.infinity) {
    const nan = (fraction & format.quietBit) !== 0n ? 'quiet-nan' : 'signalling-nan';
    const kind = fraction === 0n ? 'infinite' : nan;
    return { kind, isNegative, significand: 0n, exponent: 0, isDenormal: false, bits };
  }
  if (biased === 0 && fraction !== 0n && (mxcsr & MXCSR_DAZ) !== 0) {
    return unpackFloat(bits & format.signBit, format, 0);
  }
  return {
    kind: 'finite',
    isNegative,
    significand: biased === 0 ? fraction : fraction | (1n << BigInt(format.fractionBits)),
    exponent: Math.max(biased, 1) - format.bias - format.fractionBits,
    isDenormal: biased === 0 && fraction !== 0n,
    bits,
  };
}

export function isNan(value: UnpackedFloat): boolean {
  return value.kind === 'quiet-nan' || value.kind === 'signalling-nan';
}

export function isZero(value: UnpackedFloat): boolean {
  return value.kind === 'finite' && value.significand === 0n;
}

/** DE if one of the operands is denormal. */
export function denormalFlag(...operands: readonly UnpackedFloat[]): number {
  return operands.some((operand) => operand.isDenormal) ? FLOAT_FLAG.denormal : 0;
}

/**
 * The result when an operand is a NaN, else undefined: the first operand that is one, made quiet
 * (Intel SDM 1 table 4-7, the SSE rows). Only a signalling NaN is an invalid operation.
 */
export function propagateNan(
  operands: readonly UnpackedFloat[],
  format: FloatFormat,
): FloatResult | undefined {
  const nan = operands.find(isNan);
  if (nan === undefined) return undefined;
  const isInvalid = operands.some((operand) => operand.kind === 'signalling-nan');
  return { bits: nan.bits | format.quietBit, flags: isInvalid ? FLOAT_FLAG.invalid : 0 };
}

export function invalidResult(format: FloatFormat): FloatResult {
  return { bits: format.defaultNan, flags: FLOAT_FLAG.invalid };
}

/** `bits`, which have no sign yet, with a sign. */
export function signed(isNegative: boolean, bits: bigint, format: FloatFormat): bigint {
  return isNegative ? bits | format.signBit : bits;
}
