/**
 * What the floating-point instructions share: the four types (packed and scalar, single and double),
 * and the proof that WebAssembly's result is the CPU's.
 *
 * WebAssembly rounds to nearest even, records no exceptions and leaves the payload of a NaN open.
 * Its result is taken only where the CPU would do nothing else: MXCSR rounds to nearest, #P is masked
 * and already recorded (it is after the first inexact operation of nearly every program), no operand
 * is denormal, and the result is a normal number or an exact zero, which excludes NaNs, infinities
 * and underflow. Before the first inexact operation the result is taken where it is cheap to prove
 * that nothing was rounded: a program that computes with whole numbers never records #P. Everything
 * else goes to the exact host operations (float-operations.ts), which take microseconds.
 *
 * Scalars are computed as the lowest lane of vectors, so that one text serves all four types.
 */
import type { FloatOperation, FloatType } from './float-operations.ts';
import type { Operand } from './operand.ts';
import type { Condition, Operations, Value, Vector } from './operations.ts';

export interface FloatLanes {
  readonly type: FloatType;
  /** The prefix that chooses this type in the opcode map. */
  readonly prefix: 'NP' | '66' | 'F3' | 'F2';
  readonly width: 32 | 64;
  readonly isScalar: boolean;
  /** The source operand in an encoding. */
  readonly source: 'Wdq' | 'Wd' | 'Wq';
  /** The lanes that count, a bit each as `signMask` gives them. */
  readonly laneMask: number;
  readonly float: 'f32x4' | 'f64x2';
  readonly integer: 'i32x4' | 'i64x2';
}

const SINGLE = { width: 32, float: 'f32x4', integer: 'i32x4' } as const;
const DOUBLE = { width: 64, float: 'f64x2', integer: 'i64x2' } as const;

export const FLOAT_LANES: Readonly<Record<FloatType, FloatLanes>> = {
  ps: { ...SINGLE, type: 'ps', prefix: 'NP', isScalar: false, source: 'Wdq', laneMask: 15 },
  pd: { ...DOUBLE, type: 'pd', prefix: '66', isScalar: false, source: 'Wdq', laneMask: 3 },
  ss: { ...SINGLE, type: 'ss', prefix: 'F3', isScalar: true, source: 'Wd', laneMask: 1 },
  sd: { ...DOUBLE, type: 'sd', prefix: 'F2', isScalar: true, source: 'Wq', laneMask: 1 },
};

/** Bit patterns of positive numbers, and masks, by lane width. */
const PATTERNS = {
  32: {
    magnitude: 0x7fff_ffffn,
    largestDenormal: 0x007f_ffffn,
    smallestNormal: 0x0080_0000n,
    infinity: 0x7f80_0000n,
    quietBit: 0x0040_0000n,
  },
  64: {
    magnitude: 0x7fff_ffff_ffff_ffffn,
    largestDenormal: 0x000f_ffff_ffff_ffffn,
    smallestNormal: 0x0010_0000_0000_0000n,
    infinity: 0x7ff0_0000_0000_0000n,
    quietBit: 0x0008_0000_0000_0000n,
  },
} as const;

/** `bits` in every lane of `width` bits. */
export function everyLane(o: Operations, bits: bigint, width: 32 | 64): Vector {
  const half = width === 32 ? bits | (bits << 32n) : bits;
  return o.vectorConstant(half, half);
}

/** A pattern of PATTERNS in every lane. */
export function pattern(
  o: Operations,
  lanes: FloatLanes,
  name: keyof (typeof PATTERNS)[32],
): Vector {
  return everyLane(o, PATTERNS[lanes.width][name], lanes.width);
}

/** The source operand; a scalar in memory fills all lanes, so that none of them is odd. */
export function readSource(o: Operations, lanes: FloatLanes, source: Operand): Vector {
  if (!lanes.isScalar || source.kind !== 'memory') return o.readVector(source, 'aligned');
  return o.splat(o.readVectorLow(source, lanes.width));
}

/** Packed results replace the destination, scalar ones its lowest lane. */
export function writeLanes(
  o: Operations,
  lanes: FloatLanes,
  destination: Operand,
  result: Vector,
): void {
  if (lanes.isScalar) o.writeVectorLow(destination, o.extractLane(result, 0, lanes.width));
  else o.writeVector(destination, result);
}

/** A vector of two quadwords. */
export function fromHalves(o: Operations, low: Value, high: Value): Vector {
  return o.replaceLane(o.splat(low), 1, high);
}

/** The exact result of an operation whose operands and result have the same lanes. */
export function hostResult(
  o: Operations,
  lanes: FloatLanes,
  operation: FloatOperation,
  ...operands: readonly Vector[]
): Vector {
  const halves = lanes.isScalar ? [0] : [0, 1];
  const width = lanes.isScalar ? lanes.width : 64;
  const values = operands.flatMap((operand) =>
    halves.map((half) => o.extractLane(operand, half, width)),
  );
  const [low, high] = o.host(operation, ...values);
  if (!lanes.isScalar) return fromHalves(o, low, high);
  return o.splat(o.truncate(low, lanes.width));
}

/** Lanes without their signs: as integers they are ordered as the numbers are. */
export function magnitude(o: Operations, lanes: FloatLanes, value: Vector): Vector {
  return o.vector('v128.and', value, pattern(o, lanes, 'magnitude'));
}

export function isZeroLane(o: Operations, lanes: FloatLanes, magnitudes: Vector): Vector {
  return o.vector(`${lanes.integer}.eq`, magnitudes, o.vectorConstant(0n, 0n));
}

/** Lanes (magnitudes, like below) that are greater, as signed integers. */
export function isGreaterLane(
  o: Operations,
  lanes: FloatLanes,
  left: Vector,
  right: Vector,
): Vector {
  return o.vector(`${lanes.integer}.gt_s`, left, right);
}

/** Lanes that are no denormals; NaNs and infinities are not excluded. */
export function isNoDenormal(o: Operations, lanes: FloatLanes, magnitudes: Vector): Vector {
  const isAbove = isGreaterLane(o, lanes, magnitudes, pattern(o, lanes, 'largestDenormal'));
  return o.vector('v128.or', isAbove, isZeroLane(o, lanes, magnitudes));
}

/** Lanes that are neither denormals nor NaNs: comparing them has no exceptions. */
export function isComparable(o: Operations, lanes: FloatLanes, value: Vector): Vector {
  const magnitudes = magnitude(o, lanes, value);
  const isNan = isGreaterLane(o, lanes, magnitudes, pattern(o, lanes, 'infinity'));
  return o.vector('v128.andnot', isNoDenormal(o, lanes, magnitudes), isNan);
}

/**
 * Lanes that are finite and above the smallest normal number. That one itself is left out: it may
 * have been rounded up from a tiny number, which is an underflow.
 */
export function isSafeResult(o: Operations, lanes: FloatLanes, magnitudes: Vector): Vector {
  return o.vector(
    'v128.and',
    isGreaterLane(o, lanes, magnitudes, pattern(o, lanes, 'smallestNormal')),
    isGreaterLane(o, lanes, pattern(o, lanes, 'infinity'), magnitudes),
  );
}

/** All lanes that count are all ones. */
export function inAllLanes(o: Operations, lanes: FloatLanes, truths: Vector): Condition {
  const mask = o.constant(lanes.laneMask, 32);
  return o.equal(o.and(o.signMask(truths, lanes.width), mask), mask);
}

/** Lane by lane `then` where `truths` is all ones, else `otherwise`. */
export function blend(o: Operations, truths: Vector, then: Vector, otherwise: Vector): Vector {
  return o.vector('v128.bitselect', then, otherwise, truths);
}

/** MXCSR bits: PE, PM and the rounding control. */
const PRECISION_RECORDED = 0x0020;
const PRECISION_MASKED = 0x1000;
const ROUNDING_CONTROL = 0x6000;

/** An inexact result changes nothing: #P is masked and recorded. */
export function isPrecisionSettled(o: Operations): Condition {
  return hasMxcsr(o, PRECISION_RECORDED | PRECISION_MASKED, PRECISION_RECORDED | PRECISION_MASKED);
}

/** The same, and MXCSR rounds as WebAssembly does. */
export function isRoundingSettled(o: Operations): Condition {
  const settled = PRECISION_RECORDED | PRECISION_MASKED;
  return hasMxcsr(o, settled | ROUNDING_CONTROL, settled);
}

/** MXCSR rounds to nearest: the other modes give an exact difference of zero another sign. */
export function isToNearest(o: Operations): Condition {
  return hasMxcsr(o, ROUNDING_CONTROL, 0);
}

function hasMxcsr(o: Operations, mask: number, wanted: number): Condition {
  const bits = o.and(o.readField('mxcsr'), o.constant(mask, 32));
  return o.equal(bits, o.constant(wanted, 32));
}

/** How it is decided whether WebAssembly's result stands. */
export interface Proof {
  /** Neither operands nor result cause an exception other than #P. */
  readonly isPlain: Condition;
  /** MXCSR lets an inexact result pass. */
  readonly isSettled: Condition;
  /** Nothing was rounded; only computed when MXCSR does not. */
  readonly isExact?: () => Condition;
}

/** Does `take` where the proof holds, else `ask`. */
export function takeOrAsk(o: Operations, proof: Proof, take: () => void, ask: () => void): void {
  const { isPlain, isSettled, isExact } = proof;
  const askUnlessExact = (): void => {
    if (isExact === undefined) ask();
    else o.when(o.both(isPlain, isExact()), take, ask);
  };
  o.when(o.both(isSettled, isPlain), take, askUnlessExact);
}
