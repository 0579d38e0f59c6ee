/**
 * SSE2 packed integers and the bitwise operations of all types (Intel SDM 1 §11.4.1.2, §11.4.2).
 * Memory operands are 128 bits and aligned.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import type { Operations, Value, Vector } from './operations.ts';
import type { VectorOperation } from './vector-operations.ts';

type Combine = (o: Operations, left: Vector, right: Vector) => Vector;

/** destination ← destination ∘ source. */
function binary(mnemonic: string, opcode: string, combine: Combine): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${opcode} /r Vdq,Wdq`],
    sse: true,
    semantics(o, destination, source) {
      const right = o.readVector(source, 'aligned');
      o.writeVector(destination, combine(o, o.readVector(destination), right));
    },
  });
}

/** Those that are one operation of WebAssembly, with the operands in the same order. */
const PLAIN: readonly [string, string, VectorOperation][] = [
  ['andps', 'NP 0F 54', 'v128.and'],
  ['andpd', '66 0F 54', 'v128.and'],
  ['orps', 'NP 0F 56', 'v128.or'],
  ['orpd', '66 0F 56', 'v128.or'],
  ['xorps', 'NP 0F 57', 'v128.xor'],
  ['xorpd', '66 0F 57', 'v128.xor'],
  ['pand', '66 0F DB', 'v128.and'],
  ['por', '66 0F EB', 'v128.or'],
  ['pxor', '66 0F EF', 'v128.xor'],
  ['paddb', '66 0F FC', 'i8x16.add'],
  ['paddw', '66 0F FD', 'i16x8.add'],
  ['paddd', '66 0F FE', 'i32x4.add'],
  ['paddq', '66 0F D4', 'i64x2.add'],
  ['psubb', '66 0F F8', 'i8x16.sub'],
  ['psubw', '66 0F F9', 'i16x8.sub'],
  ['psubd', '66 0F FA', 'i32x4.sub'],
  ['psubq', '66 0F FB', 'i64x2.sub'],
  ['paddsb', '66 0F EC', 'i8x16.add_sat_s'],
  ['paddsw', '66 0F ED', 'i16x8.add_sat_s'],
  ['paddusb', '66 0F DC', 'i8x16.add_sat_u'],
  ['paddusw', '66 0F DD', 'i16x8.add_sat_u'],
  ['psubsb', '66 0F E8', 'i8x16.sub_sat_s'],
  ['psubsw', '66 0F E9', 'i16x8.sub_sat_s'],
  ['psubusb', '66 0F D8', 'i8x16.sub_sat_u'],
  ['psubusw', '66 0F D9', 'i16x8.sub_sat_u'],
  ['pmullw', '66 0F D5', 'i16x8.mul'],
  ['pmaddwd', '66 0F F5', 'i32x4.dot_i16x8_s'],
  ['pavgb', '66 0F E0', 'i8x16.avgr_u'],
  ['pavgw', '66 0F E3', 'i16x8.avgr_u'],
  ['pminub', '66 0F DA', 'i8x16.min_u'],
  ['pmaxub', '66 0F DE', 'i8x16.max_u'],
  ['pminsw', '66 0F EA', 'i16x8.min_s'],
  ['pmaxsw', '66 0F EE', 'i16x8.max_s'],
  ['pcmpeqb', '66 0F 74', 'i8x16.eq'],
  ['pcmpeqw', '66 0F 75', 'i16x8.eq'],
  ['pcmpeqd', '66 0F 76', 'i32x4.eq'],
  ['pcmpgtb', '66 0F 64', 'i8x16.gt_s'],
  ['pcmpgtw', '66 0F 65', 'i16x8.gt_s'],
  ['pcmpgtd', '66 0F 66', 'i32x4.gt_s'],
  ['packsswb', '66 0F 63', 'i8x16.narrow_i16x8_s'],
  ['packuswb', '66 0F 67', 'i8x16.narrow_i16x8_u'],
  ['packssdw', '66 0F 6B', 'i16x8.narrow_i32x4_s'],
];

/** The destination is what is complemented; in WebAssembly it is the second operand. */
const ANDN: readonly [string, string][] = [
  ['andnps', 'NP 0F 55'],
  ['andnpd', '66 0F 55'],
  ['pandn', '66 0F DF'],
];

/** Bytes 2, 3, 6, 7, … of two vectors of products: the high half of each. */
const HIGH_WORDS = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
/** The even doublewords of one vector, side by side. */
const EVEN_DOUBLEWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];

function highProducts(sign: 's' | 'u'): Combine {
  return (o, left, right) => {
    const low = o.vector(`i32x4.extmul_low_i16x8_${sign}`, left, right);
    const high = o.vector(`i32x4.extmul_high_i16x8_${sign}`, left, right);
    return o.shuffleBytes(low, high, HIGH_WORDS);
  };
}

/** PMULUDQ: the even doublewords, unsigned, to quadwords. */
const evenProducts: Combine = (o, left, right) =>
  o.vector(
    'i64x2.extmul_low_i32x4_u',
    o.shuffleBytes(left, left, EVEN_DOUBLEWORDS),
    o.shuffleBytes(right, right, EVEN_DOUBLEWORDS),
  );

/** PSADBW: in each half the sum of eight absolute differences, as a quadword. */
const sumOfDifferences: Combine = (o, left, right) => {
  const most = o.vector('i8x16.max_u', left, right);
  const differences = o.vector('i8x16.sub', most, o.vector('i8x16.min_u', left, right));
  const pairs = o.vector('i16x8.extadd_pairwise_i8x16_u', differences);
  const fours = o.vector('i32x4.extadd_pairwise_i16x8_u', pairs);
  const upper = o.vectorShift('i64x2.shr_u', fours, o.constant(32, 64));
  const low = o.vectorConstant(0xffff_ffffn, 0xffff_ffffn);
  return o.vector('v128.and', o.vector('i64x2.add', fours, upper), low);
};

/** A shift: how it is spelled, its opcode by register, its opcode and digit by immediate. */
interface Shift {
  readonly mnemonic: string;
  readonly byRegister: string;
  readonly byImmediate: string;
  readonly width: 16 | 32 | 64;
  readonly operation: VectorOperation;
}

const SHIFTS: readonly Shift[] = [
  {
    mnemonic: 'psrlw',
    byRegister: 'D1',
    byImmediate: '71 /2',
    width: 16,
    operation: 'i16x8.shr_u',
  },
  {
    mnemonic: 'psrld',
    byRegister: 'D2',
    byImmediate: '72 /2',
    width: 32,
    operation: 'i32x4.shr_u',
  },
  {
    mnemonic: 'psrlq',
    byRegister: 'D3',
    byImmediate: '73 /2',
    width: 64,
    operation: 'i64x2.shr_u',
  },
  {
    mnemonic: 'psraw',
    byRegister: 'E1',
    byImmediate: '71 /4',
    width: 16,
    operation: 'i16x8.shr_s',
  },
  {
    mnemonic: 'psrad',
    byRegister: 'E2',
    byImmediate: '72 /4',
    width: 32,
    operation: 'i32x4.shr_s',
  },
  { mnemonic: 'psllw', byRegister: 'F1', byImmediate: '71 /6', width: 16, operation: 'i16x8.shl' },
  { mnemonic: 'pslld', byRegister: 'F2', byImmediate: '72 /6', width: 32, operation: 'i32x4.shl' },
  { mnemonic: 'psllq', byRegister: 'F3', byImmediate: '73 /6', width: 64, operation: 'i64x2.shl' },
];

/** Counts of the lane width and above leave nothing, or only signs. `count` has 64 bits. */
function shifted(o: Operations, shift: Shift, value: Vector, count: Value): Vector {
  const isWithin = o.lessUnsigned(count, o.constant(shift.width, 64));
  if (shift.operation.endsWith('shr_s')) {
    const most = o.constant(shift.width - 1, 64);
    return o.vectorShift(shift.operation, value, o.select(isWithin, count, most));
  }
  const result = o.vectorShift(shift.operation, value, count);
  return o.selectVector(isWithin, result, o.vectorConstant(0n, 0n));
}

function shiftByRegister(shift: Shift): InstructionDefinition {
  return binary(shift.mnemonic, `66 0F ${shift.byRegister}`, (o, left, right) =>
    shifted(o, shift, left, o.extractLane(right, 0, 64)),
  );
}

function shiftByImmediate(shift: Shift): InstructionDefinition {
  return defineInstruction({
    mnemonic: shift.mnemonic,
    encodings: [`66 0F ${shift.byImmediate} Udq,Ib`],
    sse: true,
    semantics(o, destination, immediate) {
      const count = o.zeroExtend(o.read(immediate), 64);
      o.writeVector(destination, shifted(o, shift, o.readVector(destination), count));
    },
  });
}

/** PSLLDQ, PSRLDQ: the whole register by bytes; 16 and more leave nothing. */
function byteShift(mnemonic: string, digit: string, direction: 1 | -1): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`66 0F 73 ${digit} Udq,Ib`],
    sse: true,
    constantImmediate: true,
    semantics(o, destination, immediate) {
      const count = immediate.kind === 'immediate' ? Number(immediate.value) : 0;
      const indexes = Array.from({ length: 16 }, (_, index) => {
        const from = index + direction * count;
        return from >= 0 && from < 16 ? from : 16;
      });
      const zero = o.vectorConstant(0n, 0n);
      o.writeVector(destination, o.shuffleBytes(o.readVector(destination), zero, indexes));
    },
  });
}

export const SSE_INTEGER: readonly InstructionDefinition[] = [
  ...PLAIN.map(([mnemonic, opcode, operation]) =>
    binary(mnemonic, opcode, (o, left, right) => o.vector(operation, left, right)),
  ),
  ...ANDN.map(([mnemonic, opcode]) =>
    binary(mnemonic, opcode, (o, left, right) => o.vector('v128.andnot', right, left)),
  ),
  binary('pmulhw', '66 0F E5', highProducts('s')),
  binary('pmulhuw', '66 0F E4', highProducts('u')),
  binary('pmuludq', '66 0F F4', evenProducts),
  binary('psadbw', '66 0F F6', sumOfDifferences),
  ...SHIFTS.flatMap((shift) => [shiftByRegister(shift), shiftByImmediate(shift)]),
  byteShift('pslldq', '/7', -1),
  byteShift('psrldq', '/3', 1),
];
