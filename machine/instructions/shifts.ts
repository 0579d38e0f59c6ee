/**
 * Shifts and rotations: SHL SHR SAR ROL ROR RCL RCR SHLD SHRD (Intel SDM 2B "SAL/SAR/SHL/SHR",
 * "RCL/RCR/ROL/ROR"). Counts are taken modulo 32, or 64 for 64-bit operands; a count of 0 leaves the
 * flags. OF, defined for a count of 1 only, follows the same rule for all counts.
 */
import type { InstructionDefinition } from './definition.ts';
import type { Operand } from './operand.ts';
import type { Condition, Flag, Operations, Value } from './operations.ts';

const SHIFT_FLAGS = {
  writes: ['CF', 'PF', 'ZF', 'SF', 'OF'],
  undefined: ['AF', 'OF'],
} as const satisfies Record<string, readonly Flag[]>;

function maskedCount(o: Operations, count: Value, width: number): Value {
  return o.and(count, o.constant(width === 64 ? 63 : 31, count.width));
}

const minusOne = (o: Operations, count: Value): Value =>
  o.subtract(count, o.constant(1, count.width));
const isNot0 = (o: Operations, count: Value): Condition =>
  o.notEqual(count, o.constant(0, count.width));

/** `width` − count + `more`; with a count that is too large, a number that shifts everything out. */
function complement(o: Operations, count: Value, width: number): Value {
  return o.subtract(o.constant(width, count.width), count);
}

interface Shifted {
  readonly result: Value;
  readonly carry: Condition;
  readonly overflow: Condition;
}

type ShiftRule = (o: Operations, value: Value, count: Value) => Shifted;

/** The last bit out is at the end of the value that has been shifted once less. */
const shiftLeft: ShiftRule = (o, value, count) => {
  const result = o.shiftLeft(value, count);
  const carry = o.isNegative(o.shiftLeft(value, minusOne(o, count)));
  return { result, carry, overflow: o.differs(o.isNegative(result), carry) };
};

const shiftRight: ShiftRule = (o, value, count) => {
  const result = o.shiftRight(value, count);
  const before = o.shiftRight(value, minusOne(o, count));
  return { result, carry: o.bit(before, 0), overflow: o.isNegative(before) };
};

const shiftRightSigned: ShiftRule = (o, value, count) => {
  const result = o.shiftRightSigned(value, count);
  const before = o.shiftRightSigned(value, minusOne(o, count));
  return { result, carry: o.bit(before, 0), overflow: o.always(false) };
};

const rotateLeft: ShiftRule = (o, value, count) => {
  const result = o.rotateLeft(value, count);
  const carry = o.bit(result, 0);
  return { result, carry, overflow: o.differs(o.isNegative(result), carry) };
};

const topTwoDiffer = (o: Operations, value: Value): Condition =>
  o.differs(o.isNegative(value), o.bit(value, value.width - 2));

const rotateRight: ShiftRule = (o, value, count) => {
  const result = o.rotateRight(value, count);
  return { result, carry: o.isNegative(result), overflow: topTwoDiffer(o, result) };
};

/** Rotation through CF turns width + 1 bits: for 8 and 16 bits the count can exceed that. */
function countThroughCarry(o: Operations, count: Value, width: number): Value {
  return width > 16 ? count : o.remainderUnsigned(count, o.constant(width + 1, count.width));
}

const rotateLeftThroughCarry: ShiftRule = (o, value, count) => {
  const { width } = value;
  const carryIn = o.fromCondition(o.flag('CF'), width);
  const back = complement(o, count, width);
  const wrapped = o.shiftRight(value, o.add(back, o.constant(1, count.width)));
  const shiftedCarry = o.shiftLeft(carryIn, minusOne(o, count));
  const result = o.or(o.or(o.shiftLeft(value, count), shiftedCarry), wrapped);
  const carry = o.bit(o.shiftRight(value, back), 0);
  return { result, carry, overflow: o.differs(o.isNegative(result), carry) };
};

const rotateRightThroughCarry: ShiftRule = (o, value, count) => {
  const { width } = value;
  const carryIn = o.fromCondition(o.flag('CF'), width);
  const back = complement(o, count, width);
  const wrapped = o.shiftLeft(value, o.add(back, o.constant(1, count.width)));
  const shiftedCarry = o.shiftLeft(carryIn, back);
  const result = o.or(o.or(o.shiftRight(value, count), shiftedCarry), wrapped);
  const carry = o.bit(o.shiftRight(value, minusOne(o, count)), 0);
  return { result, carry, overflow: topTwoDiffer(o, result) };
};

interface ShiftOperation {
  readonly mnemonic: string;
  readonly digits: readonly number[];
  readonly rule: ShiftRule;
  readonly kind: 'shift' | 'rotation' | 'rotation through carry';
}

const SHIFTS: readonly ShiftOperation[] = [
  { mnemonic: 'rol', digits: [0], rule: rotateLeft, kind: 'rotation' },
  { mnemonic: 'ror', digits: [1], rule: rotateRight, kind: 'rotation' },
  { mnemonic: 'rcl', digits: [2], rule: rotateLeftThroughCarry, kind: 'rotation through carry' },
  { mnemonic: 'rcr', digits: [3], rule: rotateRightThroughCarry, kind: 'rotation through carry' },
  // /6 is not in the manual; the CPU takes it for SHL.
  { mnemonic: 'shl', digits: [4, 6], rule: shiftLeft, kind: 'shift' },
  { mnemonic: 'shr', digits: [5], rule: shiftRight, kind: 'shift' },
  { mnemonic: 'sar', digits: [7], rule: shiftRightSigned, kind: 'shift' },
];

function shiftEncodings(digit: number): string[] {
  return [
    `C0 /${digit} Eb,Ib`,
    `C1 /${digit} Ev,Ib`,
    `D0 /${digit} Eb,1`,
    `D1 /${digit} Ev,1`,
    `D2 /${digit} Eb,CL`,
    `D3 /${digit} Ev,CL`,
  ];
}

function flagsOf(kind: ShiftOperation['kind']): NonNullable<InstructionDefinition['flags']> {
  if (kind === 'shift') return SHIFT_FLAGS;
  const reads: readonly Flag[] = kind === 'rotation' ? [] : ['CF'];
  return { reads, writes: ['CF', 'OF'], undefined: ['OF'] };
}

function shiftDefinition({ mnemonic, digits, rule, kind }: ShiftOperation): InstructionDefinition {
  return {
    mnemonic,
    encodings: digits.flatMap(shiftEncodings),
    flags: flagsOf(kind),
    semantics(o: Operations, destination: Operand, countOperand: Operand) {
      const value = o.read(destination);
      const masked = maskedCount(o, o.read(countOperand), value.width);
      const count =
        kind === 'rotation through carry' ? countThroughCarry(o, masked, value.width) : masked;
      const { result, carry, overflow } = rule(o, value, count);
      o.when(isNot0(o, count), () => {
        if (kind === 'shift') o.setFlagsOfLogic(result);
        o.setFlag('CF', carry);
        o.setFlag('OF', overflow);
      });
      o.write(destination, result);
    },
  };
}

/** SHLD and SHRD: bits of the second operand follow those of the first. */
function doubleShift(mnemonic: 'shld' | 'shrd', opcode: 'A4' | 'AC'): InstructionDefinition {
  const isLeft = mnemonic === 'shld';
  const byRegister = isLeft ? 'A5' : 'AD';
  return {
    mnemonic,
    encodings: [`0F ${opcode} /r Ev,Gv,Ib`, `0F ${byRegister} /r Ev,Gv,CL`],
    flags: SHIFT_FLAGS,
    semantics(o: Operations, destination: Operand, source: Operand, countOperand: Operand) {
      const value = o.read(destination);
      const filler = o.read(source);
      const count = maskedCount(o, o.read(countOperand), value.width);
      const back = complement(o, count, value.width);
      const rule = isLeft ? shiftLeft : shiftRight;
      const { result: kept, carry } = rule(o, value, count);
      const filled = isLeft ? o.shiftRight(filler, back) : o.shiftLeft(filler, back);
      const result = o.or(kept, filled);
      const overflow = o.differs(o.isNegative(result), o.isNegative(value));
      o.when(isNot0(o, count), () => {
        o.setFlagsOfLogic(result);
        o.setFlag('CF', carry);
        o.setFlag('OF', overflow);
      });
      o.write(destination, result);
    },
  };
}

export const SHIFTS_AND_ROTATIONS: readonly InstructionDefinition[] = [
  ...SHIFTS.map(shiftDefinition),
  doubleShift('shld', 'A4'),
  doubleShift('shrd', 'AC'),
];
