/**
 * Comparison, minimum and maximum (Intel SDM 2A "CMPPS", "COMISS", "MINPS", "MAXPS").
 */
import type { BinaryFloatOperation } from './arithmetic.ts';
import {
  denormalFlag,
  isNan,
  isZero,
  unpackFloat,
  type FloatFormat,
  type FloatResult,
  type UnpackedFloat,
} from './format.ts';
import { FLOAT_FLAG } from './mxcsr.ts';

export type FloatRelation = 'less' | 'equal' | 'greater' | 'unordered';

export interface FloatComparison {
  readonly relation: FloatRelation;
  readonly flags: number;
}

/**
 * How `left` stands to `right`. Signalling NaNs are invalid, quiet ones only if `isSignalling`, as
 * for COMISS and the predicates "less" and "less or equal".
 */
export function compareFloat(
  left: bigint,
  right: bigint,
  format: FloatFormat,
  mxcsr: number,
  isSignalling: boolean,
): FloatComparison {
  const one = unpackFloat(left, format, mxcsr);
  const other = unpackFloat(right, format, mxcsr);
  if (isNan(one) || isNan(other)) {
    const isInvalid = isSignalling || [one.kind, other.kind].includes('signalling-nan');
    return { relation: 'unordered', flags: isInvalid ? FLOAT_FLAG.invalid : 0 };
  }
  return { relation: relate(one, other, format), flags: denormalFlag(one, other) };
}

/** Numbers of one sign are ordered as their bits are; the two zeros are equal. */
function relate(left: UnpackedFloat, right: UnpackedFloat, format: FloatFormat): FloatRelation {
  const order = ordinal(left, format) - ordinal(right, format);
  if (order === 0n) return 'equal';
  return order < 0n ? 'less' : 'greater';
}

function ordinal(value: UnpackedFloat, format: FloatFormat): bigint {
  if (isZero(value)) return 0n;
  const magnitude = value.bits & (format.signBit - 1n);
  return value.isNegative ? -magnitude : magnitude;
}

/** A compare of CMPPS and its like: all ones where one of `relations` holds, else zero. */
function predicate(
  relations: readonly FloatRelation[],
  isSignalling: boolean,
): BinaryFloatOperation {
  return (left, right, format, mxcsr) => {
    const { relation, flags } = compareFloat(left, right, format, mxcsr, isSignalling);
    const mask = (format.signBit << 1n) - 1n;
    return { bits: relations.includes(relation) ? mask : 0n, flags };
  };
}

export const isEqualFloat = predicate(['equal'], false);
export const isLessFloat = predicate(['less'], true);
export const isLessOrEqualFloat = predicate(['less', 'equal'], true);
export const isUnorderedFloat = predicate(['unordered'], false);

/** MIN: `left` only if it is less; `right` for two zeros, and as it stands if either is a NaN. */
export const minimumFloat: BinaryFloatOperation = (left, right, format, mxcsr) =>
  extreme('less', left, right, format, mxcsr);

/** MAX: `left` only if it is greater; otherwise as MIN. */
export const maximumFloat: BinaryFloatOperation = (left, right, format, mxcsr) =>
  extreme('greater', left, right, format, mxcsr);

function extreme(
  wanted: FloatRelation,
  left: bigint,
  right: bigint,
  format: FloatFormat,
  mxcsr: number,
): FloatResult {
  const { relation, flags } = compareFloat(left, right, format, mxcsr, true);
  const chosen = relation === wanted ? left : right;
  return { bits: unpackFloat(chosen, format, mxcsr).bits, flags };
}
