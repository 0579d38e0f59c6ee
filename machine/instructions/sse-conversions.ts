/**
 * Conversions between integers, singles and doubles (Intel SDM 1 §11.4.1.6; SDM 2 CVT…). As for
 * arithmetic, WebAssembly's result is taken where it is provably the CPU's (sse-lanes.ts), else the
 * host's. The forms with MMX registers are left out.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import type { FloatConversion } from './float-operations.ts';
import type { Operand } from './operand.ts';
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
  type FloatLanes,
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
      o.when(
        isRoundingSettled(o),
        () => o.writeVectorLow(destination, result),
        () => {
          const [exact] = o.host(mnemonic, o.signExtend(value, 64));
          o.writeVectorLow(destination, o.truncate(exact, lanes.width));
        },
      );
    },
  });
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
      o.when(
        o.both(settled, isBelow(o, o.bitsFromFloat(integral), limit)),
        () => o.write(destination, o.truncateFloatSaturating(integral, width)),
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

const CVTSD2SS = defineInstruction({
  mnemonic: 'cvtsd2ss',
  encodings: ['F2 0F 5A /r Vdq,Wq'],
  sse: true,
  semantics(o, destination, source) {
    const value = readSource(o, SD, source);
    const result = o.vector('f32x4.demote_f64x2_zero', value);
    o.when(
      o.both(isRoundingSettled(o), inAllLanes(o, SD, isNarrowable(o, SD, value))),
      () => o.writeVectorLow(destination, o.extractLane(result, 0, 32)),
      () => {
        const [exact] = o.host('cvtsd2ss', o.extractLane(value, 0, 64));
        o.writeVectorLow(destination, o.truncate(exact, 32));
      },
    );
  },
});

/** A conversion of 128 bits: WebAssembly's result, if `isPlain`, else the host's. */
function packed(
  mnemonic: FloatConversion,
  opcode: string,
  isPlain: (o: Operations, value: Vector) => Condition,
  convert: (o: Operations, value: Vector) => Vector,
): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${opcode} /r Vdq,Wdq`],
    sse: true,
    semantics(o, destination: Operand, source: Operand) {
      const value = o.readVector(source, 'aligned');
      const result = convert(o, value);
      o.when(
        isPlain(o, value),
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
  const truncate = lanes.width === 32 ? 'i32x4.trunc_sat_f32x4_s' : 'i32x4.trunc_sat_f64x2_s_zero';
  const integral = (o: Operations, value: Vector): Vector =>
    isTruncation ? value : o.vector(`${lanes.float}.nearest`, value);
  const fits = (o: Operations, value: Vector): Condition => {
    const limit = everyLane(o, INTEGER_LIMIT[32][lanes.width], lanes.width);
    const magnitudes = magnitude(o, lanes, integral(o, value));
    return inAllLanes(o, lanes, isGreaterLane(o, lanes, limit, magnitudes));
  };
  return packed(
    mnemonic,
    opcode,
    (o, value) =>
      o.both(isTruncation ? isPrecisionSettled(o) : isRoundingSettled(o), fits(o, value)),
    (o, value) => o.vector(truncate, integral(o, value)),
  );
}

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
  packed(
    'cvtpd2ps',
    '66 0F 5A',
    (o, value) => o.both(isRoundingSettled(o), inAllLanes(o, PD, isNarrowable(o, PD, value))),
    (o, value) => o.vector('f32x4.demote_f64x2_zero', value),
  ),
  packed(
    'cvtdq2ps',
    'NP 0F 5B',
    (o) => isRoundingSettled(o),
    (o, value) => o.vector('f32x4.convert_i32x4_s', value),
  ),
  toIntegers('cvtps2dq', '66 0F 5B', PS),
  toIntegers('cvttps2dq', 'F3 0F 5B', PS),
  toIntegers('cvtpd2dq', 'F2 0F E6', PD),
  toIntegers('cvttpd2dq', '66 0F E6', PD),
];
