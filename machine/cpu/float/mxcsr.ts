/**
 * MXCSR: how SSE rounds, what it does with denormals, which exceptions it records and which it
 * raises (Intel SDM 1 §10.2.3).
 *
 *     15   14–13  12 11 10  9  8  7   6    5  4  3  2  1  0
 *     FTZ  RC     PM UM OM ZM DM IM   DAZ  PE UE OE ZE DE IE
 */

/** Exception flags, as MXCSR bits 0–5 and as the `flags` of a result. */
export const FLOAT_FLAG = {
  invalid: 1,
  denormal: 2,
  divideByZero: 4,
  overflow: 8,
  underflow: 16,
  precision: 32,
} as const;

/** Exceptions that are found before there is a result: they keep the others from happening. */
export const PRE_COMPUTATION_FLAGS =
  FLOAT_FLAG.invalid | FLOAT_FLAG.denormal | FLOAT_FLAG.divideByZero;

export const MXCSR_DAZ = 1 << 6;
export const MXCSR_FTZ = 1 << 15;
/** Its value after reset: everything masked, round to nearest. */
export const MXCSR_DEFAULT = 0x1f80;

export type RoundingMode = 'nearest' | 'down' | 'up' | 'truncate';

const ROUNDING_MODES = ['nearest', 'down', 'up', 'truncate'] as const;

/** The mode that RC, bits 13–14, stands for. */
export function roundingMode(mxcsr: number): RoundingMode {
  return ROUNDING_MODES[(mxcsr >> 13) & 3]!;
}

/** Flags, in their places 0–5, whose exceptions are not masked. */
export function unmaskedFlags(mxcsr: number): number {
  return ~(mxcsr >> 7) & 0x3f;
}

/** The same MXCSR with rounding towards zero, as CVTTSS2SI and its like want it. */
export function truncating(mxcsr: number): number {
  return mxcsr | 0x6000;
}
