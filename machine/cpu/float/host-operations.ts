/**
 * The floating-point host operations (instructions/float-operations.ts has their arguments): lane
 * by lane through the exact arithmetic beside this file, then MXCSR and #XM for all lanes at once.
 */
import type { GuestFault } from '../../guest-fault.ts';
import {
  FLOAT_TYPES,
  type FloatConversion,
  type FloatOperation,
  type FloatOrdering,
  type FloatType,
  type TypedFloatOperation,
} from '../../instructions/float-operations.ts';
import type { CpuState } from '../../state/fields.ts';
import {
  addFloat,
  divideFloat,
  multiplyFloat,
  squareRootFloat,
  subtractFloat,
  type BinaryFloatOperation,
} from './arithmetic.ts';
import {
  compareFloat,
  compareSignalling,
  isEqualFloat,
  isLessFloat,
  isLessOrEqualFloat,
  isUnorderedFloat,
  maximumFloat,
  minimumFloat,
  type FloatRelation,
} from './comparison.ts';
import { convertFloat, floatFromInteger, integerFromFloat } from './conversion.ts';
import { recordFloatExceptions } from './exceptions.ts';
import { FLOAT32, FLOAT64, type FloatFormat, type FloatResult } from './format.ts';
import { truncating } from './mxcsr.ts';

/** Takes arguments from host0–host3 and leaves results in host0 and host1; or #XM. */
export type FloatHostOperation = (state: CpuState) => GuestFault | undefined;

/** What one lane becomes; `right` is 0n where there is one operand only. */
type LaneFunction = (left: bigint, right: bigint, mxcsr: number) => FloatResult;

/** `count` lanes of `source` bits that become lanes of `target` bits. */
interface Lanes {
  readonly count: number;
  readonly source: number;
  readonly target: number;
}

const ARITHMETIC: Record<TypedFloatOperation, BinaryFloatOperation> = {
  add: addFloat,
  sub: subtractFloat,
  mul: multiplyFloat,
  div: divideFloat,
  sqrt: (value, _right, format, mxcsr) => squareRootFloat(value, format, mxcsr),
  min: minimumFloat,
  max: maximumFloat,
  cmpeq: isEqualFloat,
  cmplt: isLessFloat,
  cmple: isLessOrEqualFloat,
  cmpunord: isUnorderedFloat,
};

const FORMAT: Record<FloatType, FloatFormat> = {
  ps: FLOAT32,
  pd: FLOAT64,
  ss: FLOAT32,
  sd: FLOAT64,
};

/** Cuts `bits` into `count` lanes of `width`, the lowest first. */
function lanesOf(bits: bigint, count: number, width: number): bigint[] {
  return Array.from({ length: count }, (_, lane) =>
    BigInt.asUintN(width, bits >> BigInt(lane * width)),
  );
}

/** Every lane by itself; lanes that no result fills are zero. */
function elementwise(lane: LaneFunction, lanes: Lanes): FloatHostOperation {
  return (state) => {
    const isPacked = lanes.count > 1;
    const right = isPacked ? state.host2 | (state.host3 << 64n) : state.host1;
    const left = isPacked ? state.host0 | (state.host1 << 64n) : state.host0;
    const others = lanesOf(right, lanes.count, lanes.source);
    const results = lanesOf(left, lanes.count, lanes.source).map((value, index) =>
      lane(value, others[index]!, state.mxcsr),
    );
    const flags = results.reduce((all, result) => all | result.flags, 0);
    const failure = recordFloatExceptions(state, flags);
    if (failure !== undefined) return failure;
    const bits = results.reduceRight(
      (high, result) => (high << BigInt(lanes.target)) | result.bits,
      0n,
    );
    state.host0 = BigInt.asUintN(64, bits);
    state.host1 = bits >> 64n;
    return undefined;
  };
}

function typedOperation(operation: TypedFloatOperation, type: FloatType): FloatHostOperation {
  const format = FORMAT[type];
  const count = type === 'ss' || type === 'sd' ? 1 : 128 / format.width;
  return elementwise((left, right, mxcsr) => ARITHMETIC[operation](left, right, format, mxcsr), {
    count,
    source: format.width,
    target: format.width,
  });
}

const TYPED = Object.fromEntries(
  (Object.keys(ARITHMETIC) as TypedFloatOperation[]).flatMap((operation) =>
    FLOAT_TYPES.map((type) => [`${operation}${type}`, typedOperation(operation, type)]),
  ),
) as Record<`${TypedFloatOperation}${FloatType}`, FloatHostOperation>;

/** Between the formats. */
function widening(count: number): FloatHostOperation {
  return elementwise((value, _right, mxcsr) => convertFloat(value, FLOAT32, FLOAT64, mxcsr), {
    count,
    source: 32,
    target: 64,
  });
}

function narrowing(count: number): FloatHostOperation {
  return elementwise((value, _right, mxcsr) => convertFloat(value, FLOAT64, FLOAT32, mxcsr), {
    count,
    source: 64,
    target: 32,
  });
}

const asItStands = (mxcsr: number): number => mxcsr;

/** Packed numbers of `format` to 32-bit integers. */
function toIntegers(format: FloatFormat, control = asItStands): FloatHostOperation {
  return elementwise(
    (value, _right, mxcsr) => integerFromFloat(value, format, 32, control(mxcsr)),
    { count: 128 / format.width, source: format.width, target: 32 },
  );
}

/** One number of `format` to an integer of the width in the second argument. */
function toInteger(format: FloatFormat, control = asItStands): FloatHostOperation {
  return elementwise(
    (value, width, mxcsr) =>
      integerFromFloat(value, format, width === 32n ? 32 : 64, control(mxcsr)),
    { count: 1, source: format.width, target: 64 },
  );
}

/** Integers of `source` bits, sign-extended, to numbers of `format`. */
function fromIntegers(format: FloatFormat, source: 32 | 64, count: number): FloatHostOperation {
  return elementwise(
    (value, _right, mxcsr) => floatFromInteger(BigInt.asIntN(source, value), format, mxcsr),
    { count, source, target: format.width },
  );
}

const CONVERSIONS: Record<FloatConversion, FloatHostOperation> = {
  cvtps2pd: widening(2),
  cvtpd2ps: narrowing(2),
  cvtss2sd: widening(1),
  cvtsd2ss: narrowing(1),
  cvtdq2ps: fromIntegers(FLOAT32, 32, 4),
  cvtps2dq: toIntegers(FLOAT32),
  cvttps2dq: toIntegers(FLOAT32, truncating),
  cvtpd2dq: toIntegers(FLOAT64),
  cvttpd2dq: toIntegers(FLOAT64, truncating),
  cvtsi2ss: fromIntegers(FLOAT32, 64, 1),
  cvtsi2sd: fromIntegers(FLOAT64, 64, 1),
  cvtss2si: toInteger(FLOAT32),
  cvttss2si: toInteger(FLOAT32, truncating),
  cvtsd2si: toInteger(FLOAT64),
  cvttsd2si: toInteger(FLOAT64, truncating),
};

/** ZF = bit 6, PF = bit 2, CF = bit 0 (Intel SDM 2A "COMISS"). */
const ORDERING_FLAGS: Record<FloatRelation, bigint> = {
  greater: 0n,
  less: 0x01n,
  equal: 0x40n,
  unordered: 0x45n,
};

function ordering(format: FloatFormat, compare: typeof compareFloat): FloatHostOperation {
  return (state) => {
    const { host0, host1, mxcsr } = state;
    const { relation, flags } = compare(host0, host1, format, mxcsr);
    const failure = recordFloatExceptions(state, flags);
    if (failure === undefined) state.host0 = ORDERING_FLAGS[relation];
    return failure;
  };
}

const ORDERINGS: Record<FloatOrdering, FloatHostOperation> = {
  comiss: ordering(FLOAT32, compareSignalling),
  comisd: ordering(FLOAT64, compareSignalling),
  ucomiss: ordering(FLOAT32, compareFloat),
  ucomisd: ordering(FLOAT64, compareFloat),
};

/** One function for each name of FLOAT_OPERATIONS. */
export const FLOAT_HOST_OPERATIONS: Readonly<Record<FloatOperation, FloatHostOperation>> = {
  ...TYPED,
  ...CONVERSIONS,
  ...ORDERINGS,
};
