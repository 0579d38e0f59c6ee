/**
 * SSE and SSE2 floating-point arithmetic: ADD, SUB, MUL, DIV, SQRT, MIN, MAX in four types, and the
 * approximations RCP and RSQRT (Intel SDM 1 §10.4.1.2, §11.4.1.2; SDM 2). sse-lanes.ts says when
 * WebAssembly's arithmetic is used and when the host's.
 *
 * RCPPS and RSQRTPS differ from CPU to CPU; the manual allows a relative error of 1.5 · 2^-12. Here
 * they give the single nearest to the exact value (of RSQRT: within an ulp), so that programs which
 * refine the result lose nothing. Denormal operands count as zeros, denormal results become zeros.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import { FLOAT_TYPES } from './float-operations.ts';
import type { Operations, Vector } from './operations.ts';
import {
  blend,
  everyLane,
  FLOAT_LANES,
  hostResult,
  inAllLanes,
  isComparable,
  isGreaterLane,
  isNoDenormal,
  isRoundingSettled,
  isSafeResult,
  isToNearest,
  isZeroLane,
  magnitude,
  pattern,
  readSource,
  takeOrAsk,
  writeLanes,
  type FloatLanes,
} from './sse-lanes.ts';

const ALL_TYPES = FLOAT_TYPES.map((type) => FLOAT_LANES[type]);
const SINGLES = [FLOAT_LANES.ps, FLOAT_LANES.ss];

type ArithmeticOperation = 'add' | 'sub' | 'mul' | 'div';

/** Lanes, of operands without sign, in which a result of zero is exact. */
const EXACT_ZERO: Record<
  ArithmeticOperation,
  (o: Operations, lanes: FloatLanes, left: Vector, right: Vector) => Vector | undefined
> = {
  // A sum is never tiny and inexact.
  add: () => undefined,
  sub: () => undefined,
  mul: (o, lanes, left, right) =>
    o.vector('v128.or', isZeroLane(o, lanes, left), isZeroLane(o, lanes, right)),
  div: (o, lanes, left) => isZeroLane(o, lanes, left),
};

interface Computed {
  readonly left: Vector;
  readonly right: Vector;
  readonly result: Vector;
}

/** The lanes of `result` that need no exact arithmetic. */
function isPlain(
  o: Operations,
  lanes: FloatLanes,
  operation: ArithmeticOperation,
  values: Computed,
): Vector {
  const left = magnitude(o, lanes, values.left);
  const right = magnitude(o, lanes, values.right);
  const result = magnitude(o, lanes, values.result);
  const isExact = EXACT_ZERO[operation](o, lanes, left, right);
  const isZero = isZeroLane(o, lanes, result);
  const isExactZero = isExact === undefined ? isZero : o.vector('v128.and', isZero, isExact);
  const isResultPlain = o.vector('v128.or', isSafeResult(o, lanes, result), isExactZero);
  const isNormal = o.vector(
    'v128.and',
    isNoDenormal(o, lanes, left),
    isNoDenormal(o, lanes, right),
  );
  return o.vector('v128.and', isNormal, isResultPlain);
}

/** Bits that are zero in significands of at most half the precision, whose product is exact. */
const LOW_HALF = { 32: 0xfffn, 64: 0x7ff_ffffn } as const;
/** Bits that are zero in a power of two. */
const FRACTION = { 32: 0x7f_ffffn, 64: 0xf_ffff_ffff_ffffn } as const;

/** Lanes where nothing was rounded, given that the result is plain; it may miss some. */
const EXACT: Record<
  ArithmeticOperation,
  (o: Operations, lanes: FloatLanes, values: Computed) => Vector
> = {
  add: (o, lanes, values) => isSumExact(o, lanes, values, 'add'),
  sub: (o, lanes, values) => isSumExact(o, lanes, values, 'sub'),
  mul: (o, lanes, { left, right }) =>
    hasNoBits(o, lanes, o.vector('v128.or', left, right), LOW_HALF[lanes.width]),
  div: (o, lanes, { right }) => hasNoBits(o, lanes, right, FRACTION[lanes.width]),
};

function hasNoBits(o: Operations, lanes: FloatLanes, value: Vector, bits: bigint): Vector {
  return isZeroLane(o, lanes, o.vector('v128.and', value, everyLane(o, bits, lanes.width)));
}

/** The rounding error of a sum, by six operations of the same precision (Knuth, TAOCP 4.2.2 B). */
function isSumExact(
  o: Operations,
  lanes: FloatLanes,
  { left, right, result }: Computed,
  operation: 'add' | 'sub',
): Vector {
  const difference = (one: Vector, other: Vector): Vector =>
    o.vector(`${lanes.float}.sub`, one, other);
  // What of the result came from the right operand, and the errors of both parts.
  const part = difference(result, left);
  const leftError = difference(left, difference(result, part));
  const rightError = operation === 'add' ? difference(right, part) : sum(o, lanes, right, part);
  const error = o.vector(`${lanes.float}.${operation}`, leftError, rightError);
  return o.vector(`${lanes.float}.eq`, error, o.vectorConstant(0n, 0n));
}

function sum(o: Operations, lanes: FloatLanes, left: Vector, right: Vector): Vector {
  return o.vector(`${lanes.float}.add`, left, right);
}

function arithmetic(
  operation: ArithmeticOperation,
  opcode: string,
  lanes: FloatLanes,
): InstructionDefinition {
  return defineInstruction({
    mnemonic: `${operation}${lanes.type}`,
    encodings: [`${lanes.prefix} 0F ${opcode} /r Vdq,${lanes.source}`],
    sse: true,
    semantics(o, destination, source) {
      const right = readSource(o, lanes, source);
      const left = o.readVector(destination);
      const result = o.vector(`${lanes.float}.${operation}`, left, right);
      const values = { left, right, result };
      takeOrAsk(
        o,
        {
          isPlain: inAllLanes(o, lanes, isPlain(o, lanes, operation, values)),
          isSettled: isRoundingSettled(o),
          isExact: () =>
            o.both(isToNearest(o), inAllLanes(o, lanes, EXACT[operation](o, lanes, values))),
        },
        () => writeLanes(o, lanes, destination, result),
        () => {
          const exact = hostResult(o, lanes, `${operation}${lanes.type}`, left, right);
          writeLanes(o, lanes, destination, exact);
        },
      );
    },
  });
}

/** A root is never tiny, and zero only of zero. */
function squareRoot(lanes: FloatLanes): InstructionDefinition {
  return defineInstruction({
    mnemonic: `sqrt${lanes.type}`,
    encodings: [`${lanes.prefix} 0F 51 /r Vdq,${lanes.source}`],
    sse: true,
    semantics(o, destination, source) {
      const value = readSource(o, lanes, source);
      const result = o.vector(`${lanes.float}.sqrt`, value);
      const magnitudes = magnitude(o, lanes, result);
      const isResultPlain = o.vector(
        'v128.or',
        isSafeResult(o, lanes, magnitudes),
        isZeroLane(o, lanes, magnitudes),
      );
      const isNormal = isNoDenormal(o, lanes, magnitude(o, lanes, value));
      takeOrAsk(
        o,
        {
          isPlain: inAllLanes(o, lanes, o.vector('v128.and', isNormal, isResultPlain)),
          isSettled: isRoundingSettled(o),
        },
        () => writeLanes(o, lanes, destination, result),
        () => {
          const exact = hostResult(o, lanes, `sqrt${lanes.type}`, value);
          writeLanes(o, lanes, destination, exact);
        },
      );
    },
  });
}

/** MIN, MAX: the destination only if it is less (greater), else the source. Nothing is rounded. */
function extreme(operation: 'min' | 'max', lanes: FloatLanes): InstructionDefinition {
  return defineInstruction({
    mnemonic: `${operation}${lanes.type}`,
    encodings: [`${lanes.prefix} 0F ${operation === 'min' ? '5D' : '5F'} /r Vdq,${lanes.source}`],
    sse: true,
    semantics(o, destination, source) {
      const right = readSource(o, lanes, source);
      const left = o.readVector(destination);
      const [less, greater] = operation === 'min' ? [left, right] : [right, left];
      const isLeft = o.vector(`${lanes.float}.lt`, less, greater);
      const areComparable = o.vector(
        'v128.and',
        isComparable(o, lanes, left),
        isComparable(o, lanes, right),
      );
      o.when(
        inAllLanes(o, lanes, areComparable),
        () => writeLanes(o, lanes, destination, blend(o, isLeft, left, right)),
        () => {
          const exact = hostResult(o, lanes, `${operation}${lanes.type}`, left, right);
          writeLanes(o, lanes, destination, exact);
        },
      );
    },
  });
}

const DEFAULT_NAN = 0xffc0_0000n;
const ONE = 0x3f80_0000n;
const SIGN = 0x8000_0000n;

/** What RCP and RSQRT have in common: NaNs become quiet, small numbers give infinity. */
function approximation(
  mnemonic: string,
  opcode: string,
  lanes: FloatLanes,
  approximate: (o: Operations, value: Vector) => Vector,
): InstructionDefinition {
  return defineInstruction({
    mnemonic: `${mnemonic}${lanes.type}`,
    encodings: [`${lanes.prefix} 0F ${opcode} /r Vdq,${lanes.source}`],
    sse: true,
    semantics(o, destination, source) {
      const value = readSource(o, lanes, source);
      const magnitudes = magnitude(o, lanes, value);
      const isNan = isGreaterLane(o, lanes, magnitudes, pattern(o, lanes, 'infinity'));
      const isSmall = isGreaterLane(o, lanes, pattern(o, lanes, 'smallestNormal'), magnitudes);
      const sign = o.vector('v128.and', value, everyLane(o, SIGN, 32));
      const infinity = o.vector('v128.or', sign, pattern(o, lanes, 'infinity'));
      const quiet = o.vector('v128.or', value, pattern(o, lanes, 'quietBit'));
      const result = blend(o, isSmall, infinity, approximate(o, value));
      writeLanes(o, lanes, destination, blend(o, isNan, quiet, result));
    },
  });
}

/** 1 / value, or a zero of its sign where that is denormal. */
function reciprocal(o: Operations, value: Vector): Vector {
  const lanes = FLOAT_LANES.ps;
  const result = o.vector('f32x4.div', everyLane(o, ONE, 32), value);
  const isTiny = isGreaterLane(
    o,
    lanes,
    pattern(o, lanes, 'smallestNormal'),
    magnitude(o, lanes, result),
  );
  const sign = o.vector('v128.and', result, everyLane(o, SIGN, 32));
  return blend(o, isTiny, sign, result);
}

/** 1 / √value; below zero the default NaN. */
function reciprocalSquareRoot(o: Operations, value: Vector): Vector {
  const result = o.vector('f32x4.div', everyLane(o, ONE, 32), o.vector('f32x4.sqrt', value));
  const isNegative = isGreaterLane(o, FLOAT_LANES.ps, o.vectorConstant(0n, 0n), value);
  return blend(o, isNegative, everyLane(o, DEFAULT_NAN, 32), result);
}

export const SSE_FLOAT_ARITHMETIC: readonly InstructionDefinition[] = [
  ...ALL_TYPES.flatMap((lanes) => [
    arithmetic('add', '58', lanes),
    arithmetic('mul', '59', lanes),
    arithmetic('sub', '5C', lanes),
    arithmetic('div', '5E', lanes),
    squareRoot(lanes),
    extreme('min', lanes),
    extreme('max', lanes),
  ]),
  ...SINGLES.flatMap((lanes) => [
    approximation('rcp', '53', lanes, reciprocal),
    approximation('rsqrt', '52', lanes, reciprocalSquareRoot),
  ]),
];
