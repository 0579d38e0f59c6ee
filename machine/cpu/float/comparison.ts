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
  type UnpackedFloat,
} from './format.ts';
import { FLOAT_FLAG } from './mxcsr.ts';

export type FloatRelation = 'less' | 'equal' | 'greater' | 'unordered';

export interface FloatComparison {
  readonly relation: FloatRelation;
  readonly flags: number;
}

/** How `left` stands to `right`; of NaNs only the signalling ones are invalid. */
export function compareFloat(
  left: bigint,
  right: bigint,
  format: FloatFormat,
  mxcsr: number,
): FloatComparison {
  const one = unpackFloat(left, format, mxcsr);
  const other = unpackFloat(right, format, mxcsr);
  if (isNan(one) || isNan(other)) {
    const isInvalid = [one.kind, other.kind].includes('signalling-nan');
    return { relation: 'unordered', flags: isInvalid ? FLOAT_FLAG.invalid : 0 };
  }
  return { relation: relate(one, other, format), flags: denormalFlag(one, other) };
}

/** The same, but every NaN is invalid: COMISS, the predicates "less" and "less or equal", MIN. */
export const compareSignalling: typeof compareFloat = (left, right, format, mxcsr) => {
  const comparison = compareFloat(left, right, format, mxcsr);
  if (comparison.relation !== 'unordered') return comparison;
  return { relation: 'unordered', flags: FLOAT_FLAG.invalid };
};

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
  compare: typeof compareFloat,
  ...relations: readonly FloatRelation[]
): BinaryFloatOperation {
  return (left, right, format, mxcsr) => {
    const { relation, flags } = compare(left, right, format, mxcsr);
    const mask = (format.signBit << 1n) - 1n;
    return { bits: relations.includes(relation) ? mask : 0n, flags };
  };
}

export const isEqualFloat = predicate(compareFloat, 'equal');
export const isLessFloat = predicate(compareSignalling, 'less');
export const isLessOrEqualFloat = predicate(compareSignalling, 'less', 'equal');
export const isUnorderedFloat = predicate(compareFloat, 'unordered');

/** `left` only where it stands to `right` as wanted, else `right` as it is. */
function extreme(wanted: FloatRelation): BinaryFloatOperation {
  return (left, right, format, mxcsr) => {
    const { relation, flags } = compareSignalling(left, right, format, mxcsr);
    const chosen = relation === wanted ? left : right;
    return { bits: unpackFloat(chosen, format, mxcsr).bits, flags };
  };
}

/** MIN: `left` only if it is less; `right` for two zeros, and as it stands if either is a NaN. */
export const minimumFloat = extreme('less');

/** MAX: `left` only if it is greater; otherwise as MIN. */
export const maximumFloat = extreme('greater');
