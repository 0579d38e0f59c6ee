/**
 * Conversions between integers, singles and doubles (Intel SDM 1 §11.4.1.6; SDM 2 CVT…). As for
 * arithmetic, WebAssembly's result is taken where it is provably the CPU's (sse-lanes.ts), else the
 * host's. The forms with MMX registers are left out.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import type { FloatConversion } from './float-operations.ts';
import type { Condition, Operations, Value, Vector } from './operations.ts';
import {
  everyLane,
  FLOAT_LANES,
  fromHalves,
  hostResult,
  inAllLanes,
  isComparable,
  isGreaterLane,
  isPrecisionSettled,
  isRoundingSettled,
  isZeroLane,
  magnitude,
  readSource,
  takeOrAsk,
  type FloatLanes,
  type Proof,
} from './sse-lanes.ts';

const { ps: PS, pd: PD, ss: SS, sd: SD } = FLOAT_LANES;

/** Two singles in the low half of a vector. */
const PAIR: FloatLanes = { ...PS, laneMask: 3 };

/** 2^31 and 2^63 as bits of a single and a double. */
const INTEGER_LIMIT = {
  32: { 32: 0x4f00_0000n, 64: 0x41e0_0000_0000_0000n },
  64: { 32: 0x5f00_0000n, 64: 0x43e0_0000_0000_0000n },
} as const;

/** CVTSI2SS, CVTSI2SD: only precision can be lost, and a doubleword always fits a double. */
function fromGeneral(mnemonic: 'cvtsi2ss' | 'cvtsi2sd', lanes: FloatLanes): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${lanes.prefix} 0F 2A /r Vdq,Ey`],
    sse: true,
    semantics(o, destination, source) {
      const value = o.read(source);
      const result = o.bitsFromFloat(o.floatFromSigned(value, lanes.width));
      const isExact = lanes.width === 64 && value.width === 32;
      if (isExact) {
        o.writeVectorLow(destination, result);
        return;
      }
      takeOrAsk(
        o,
        {
          isPlain: o.always(true),
          isSettled: isRoundingSettled(o),
          isExact: () => isShort(o, value, lanes.width),
        },
        () => o.writeVectorLow(destination, result),
        () => {
          const [exact] = o.host(mnemonic, o.signExtend(value, 64));
          o.writeVectorLow(destination, o.truncate(exact, lanes.width));
        },
      );
    },
  });
}

/** An integer between −2^24 and 2^24, or ±2^53: every one of them is a number of the format. */
function isShort(o: Operations, value: Value, floatWidth: 32 | 64): Condition {
  const limit = floatWidth === 32 ? 1n << 24n : 1n << 53n;
  const raised = o.add(o.signExtend(value, 64), o.constant(limit, 64));
  return o.lessUnsigned(raised, o.constant(2n * limit, 64));
}

/** CVTSS2SI, CVTTSD2SI …: in range after rounding; anything else is the integer indefinite. */
function toGeneral(
  mnemonic: 'cvtss2si' | 'cvttss2si' | 'cvtsd2si' | 'cvttsd2si',
  lanes: FloatLanes,
): InstructionDefinition {
  const isTruncation = mnemonic.startsWith('cvtt');
  return defineInstruction({
    mnemonic,
    encodings: [`${lanes.prefix} 0F ${isTruncation ? '2C' : '2D'} /r Gy,${lanes.source}`],
    sse: true,
    semantics(o, destination, source) {
      const width = destination.width === 64 ? 64 : 32;
      const bits = o.readVectorLow(source, lanes.width);
      const value = o.floatFromBits(bits);
      const integral = isTruncation ? value : o.roundFloat(value);
      const settled = isTruncation ? isPrecisionSettled(o) : isRoundingSettled(o);
      const limit = INTEGER_LIMIT[width][lanes.width];
      const integer = o.truncateFloatSaturating(integral, width);
      takeOrAsk(
        o,
        {
          isPlain: isBelow(o, o.bitsFromFloat(integral), limit),
          isSettled: settled,
          isExact: () => o.equal(o.bitsFromFloat(o.floatFromSigned(integer, lanes.width)), bits),
        },
        () => o.write(destination, integer),
        () => {
          const [exact] = o.host(mnemonic, bits, o.constant(width, 64));
          o.write(destination, o.truncate(exact, width));
        },
      );
    },
  });
}

/** The magnitude of a number, given as bits, is below the positive one `limit`. */
function isBelow(o: Operations, bits: Value, limit: bigint): Condition {
  const one = o.constant(1, bits.width);
  return o.lessUnsigned(o.shiftLeft(bits, one), o.constant(limit << 1n, bits.width));
}

/** CVTSS2SD, CVTPS2PD are exact unless there is a NaN or a denormal. */
const CVTSS2SD = defineInstruction({
  mnemonic: 'cvtss2sd',
  encodings: ['F3 0F 5A /r Vdq,Wd'],
  sse: true,
  semantics(o, destination, source) {
    const value = readSource(o, SS, source);
    const result = o.vector('f64x2.promote_low_f32x4', value);
    o.when(
      inAllLanes(o, SS, isComparable(o, SS, value)),
      () => o.writeVectorLow(destination, o.extractLane(result, 0, 64)),
      () => {
        const [exact] = o.host('cvtss2sd', o.extractLane(value, 0, 32));
        o.writeVectorLow(destination, exact);
      },
    );
  },
});

const CVTPS2PD = defineInstruction({
  mnemonic: 'cvtps2pd',
  encodings: ['NP 0F 5A /r Vdq,Wq'],
  sse: true,
  semantics(o, destination, source) {
    const pair = o.readVectorLow(source, 64);
    const value = o.splat(pair);
    const result = o.vector('f64x2.promote_low_f32x4', value);
    o.when(
      inAllLanes(o, PAIR, isComparable(o, PAIR, value)),
      () => o.writeVector(destination, result),
      () => o.writeVector(destination, fromHalves(o, ...o.host('cvtps2pd', pair))),
    );
  },
});

/** The smallest normal single, and what rounds to no finite single, as doubles. */
const SMALLEST_NORMAL_SINGLE = 0x3810_0000_0000_0000n;
const SINGLE_OVERFLOW = 0x47ef_ffff_f000_0000n;

/** Doubles that become singles without underflow, overflow or NaN: zeros and the middle range. */
function isNarrowable(o: Operations, lanes: FloatLanes, value: Vector): Vector {
  const magnitudes = magnitude(o, lanes, value);
  const above = everyLane(o, SMALLEST_NORMAL_SINGLE - 1n, 64);
  const below = everyLane(o, SINGLE_OVERFLOW, 64);
  const isMiddle = o.vector(
    'v128.and',
    isGreaterLane(o, lanes, magnitudes, above),
    isGreaterLane(o, lanes, below, magnitudes),
  );
  return o.vector('v128.or', isMiddle, isZeroLane(o, lanes, magnitudes));
}

/** Doubles that are still the same when their singles are widened. */
function isUnchanged(o: Operations, value: Vector, singles: Vector): Vector {
  return o.vector('f64x2.eq', value, o.vector('f64x2.promote_low_f32x4', singles));
}

const CVTSD2SS = defineInstruction({
  mnemonic: 'cvtsd2ss',
  encodings: ['F2 0F 5A /r Vdq,Wq'],
  sse: true,
  semantics(o, destination, source) {
    const value = readSource(o, SD, source);
    const result = o.vector('f32x4.demote_f64x2_zero', value);
    takeOrAsk(
      o,
      {
        isPlain: inAllLanes(o, SD, isNarrowable(o, SD, value)),
        isSettled: isRoundingSettled(o),
        isExact: () => inAllLanes(o, SD, isUnchanged(o, value, result)),
      },
      () => o.writeVectorLow(destination, o.extractLane(result, 0, 32)),
      () => {
        const [exact] = o.host('cvtsd2ss', o.extractLane(value, 0, 64));
        o.writeVectorLow(destination, o.truncate(exact, 32));
      },
    );
  },
});

/** A conversion of 128 bits: WebAssembly's result, if the proof holds, else the host's. */
interface PackedConversion {
  readonly mnemonic: FloatConversion;
  readonly opcode: string;
  readonly convert: (o: Operations, value: Vector) => Vector;
  readonly prove: (o: Operations, value: Vector, result: Vector) => Proof;
}

function packed({ mnemonic, opcode, convert, prove }: PackedConversion): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${opcode} /r Vdq,Wdq`],
    sse: true,
    semantics(o, destination, source) {
      const value = o.readVector(source, 'aligned');
      const result = convert(o, value);
      takeOrAsk(
        o,
        prove(o, value, result),
        () => o.writeVector(destination, result),
        () => o.writeVector(destination, hostResult(o, PS, mnemonic, value)),
      );
    },
  });
}

/** CVTPS2DQ, CVTTPD2DQ …: 32-bit integers that fit after rounding. */
function toIntegers(
  mnemonic: 'cvtps2dq' | 'cvttps2dq' | 'cvtpd2dq' | 'cvttpd2dq',
  opcode: string,
  lanes: FloatLanes,
): InstructionDefinition {
  const isTruncation = mnemonic.startsWith('cvtt');
  const isSingle = lanes.width === 32;
  const truncate = isSingle ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero';
  const widen = isSingle ? 'f32x4.convert_i32x4_s' : 'f64x2.convert_low_i32x4_s';
  const integral = (o: Operations, value: Vector): Vector =>
    isTruncation ? value : o.vector(`${lanes.float}.nearest`, value);
  const limit = INTEGER_LIMIT[32][lanes.width];
  return packed({
    mnemonic,
    opcode,
    convert: (o, value) => o.vector(truncate, integral(o, value)),
    prove: (o, value, result) => {
      const magnitudes = magnitude(o, lanes, integral(o, value));
      const fits = isGreaterLane(o, lanes, everyLane(o, limit, lanes.width), magnitudes);
      return {
        isPlain: inAllLanes(o, lanes, fits),
        isSettled: isTruncation ? isPrecisionSettled(o) : isRoundingSettled(o),
        isExact: () =>
          inAllLanes(o, lanes, o.vector(`${lanes.float}.eq`, value, o.vector(widen, result))),
      };
    },
  });
}

const CVTPD2PS = packed({
  mnemonic: 'cvtpd2ps',
  opcode: '66 0F 5A',
  convert: (o, value) => o.vector('f32x4.demote_f64x2_zero', value),
  prove: (o, value, result) => ({
    isPlain: inAllLanes(o, PD, isNarrowable(o, PD, value)),
    isSettled: isRoundingSettled(o),
    isExact: () => inAllLanes(o, PD, isUnchanged(o, value, result)),
  }),
});

/** Integers that are still the same after the way back; 2^31 − 1 would seem so, and is left out. */
const CVTDQ2PS = packed({
  mnemonic: 'cvtdq2ps',
  opcode: 'NP 0F 5B',
  convert: (o, value) => o.vector('f32x4.convert_i32x4_s', value),
  prove: (o, value, result) => ({
    isPlain: o.always(true),
    isSettled: isRoundingSettled(o),
    isExact: () => {
      const isSame = o.vector('i32x4.eq', value, o.vector('i32x4.trunc_sat_f32x4_s', result));
      const isBelow = o.vector('i32x4.gt_s', everyLane(o, 1n << 30n, 32), value);
      return inAllLanes(o, PS, o.vector('v128.and', isSame, isBelow));
    },
  }),
});

/** CVTDQ2PD is exact. */
const CVTDQ2PD = defineInstruction({
  mnemonic: 'cvtdq2pd',
  encodings: ['F3 0F E6 /r Vdq,Wq'],
  sse: true,
  semantics(o, destination, source) {
    const pair = o.splat(o.readVectorLow(source, 64));
    o.writeVector(destination, o.vector('f64x2.convert_low_i32x4_s', pair));
  },
});

export const SSE_CONVERSIONS: readonly InstructionDefinition[] = [
  fromGeneral('cvtsi2ss', SS),
  fromGeneral('cvtsi2sd', SD),
  toGeneral('cvtss2si', SS),
  toGeneral('cvttss2si', SS),
  toGeneral('cvtsd2si', SD),
  toGeneral('cvttsd2si', SD),
  CVTSS2SD,
  CVTSD2SS,
  CVTPS2PD,
  CVTDQ2PD,
  CVTPD2PS,
  CVTDQ2PS,
  toIntegers('cvtps2dq', '66 0F 5B', PS),
  toIntegers('cvttps2dq', 'F3 0F 5B', PS),
  toIntegers('cvtpd2dq', 'F2 0F E6', PD),
  toIntegers('cvttpd2dq', '66 0F E6', PD),
];
