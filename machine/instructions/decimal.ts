/** Decimal adjustment and BOUND, which 64-bit mode does not have (Intel SDM 2A, by name). */
import { VECTOR } from '../guest-fault.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { addressPlus, linearAddressOf } from './operand-address.ts';
import type { Condition, Flag, Operations, Value } from './operations.ts';

const byte = (o: Operations, value: number): Value => o.constant(value, 8);
const exceeds = (o: Operations, value: Value, limit: number): Condition =>
  o.lessUnsigned(o.constant(limit, value.width), value);

type Combine = 'add' | 'subtract';

/** DAA and DAS: 6 to the low digit, 60h to both, as AF, CF and the digits ask. */
function adjustPacked(o: Operations, combine: Combine): void {
  const old = o.readRegister('rax', 8);
  const oldCarry = o.flag('CF');
  const low = o.either(exceeds(o, o.and(old, byte(o, 15)), 9), o.flag('AF'));
  const high = o.either(exceeds(o, old, 0x99), oldCarry);
  const first = o.select(low, o[combine](old, byte(o, 6)), old);
  const result = o.select(high, o[combine](first, byte(o, 0x60)), first);
  // DAS keeps the borrow of its first step; DAA's carry out of it implies the second.
  const borrow = o.both(low, o.lessUnsigned(old, byte(o, 6)));
  o.setFlagsOfLogic(result);
  o.setFlag('AF', low);
  o.setFlag('CF', combine === 'add' ? high : o.either(high, borrow));
  o.writeRegister('rax', result);
}

/** AAA and AAS: the low digit of AL, with a carry to or from AH. */
function adjustUnpacked(o: Operations, combine: Combine): void {
  const accumulator = o.readRegister('rax', 16);
  const digit = o.and(o.truncate(accumulator, 8), byte(o, 15));
  const isOver = o.either(exceeds(o, digit, 9), o.flag('AF'));
  const adjusted = o.select(isOver, o[combine](accumulator, o.constant(0x106, 16)), accumulator);
  o.setFlag('AF', isOver);
  o.setFlag('CF', isOver);
  o.writeRegister('rax', o.and(adjusted, o.constant(0xff0f, 16)));
}

function adjustment(
  mnemonic: string,
  opcode: string,
  adjust: (o: Operations, combine: Combine) => void,
  flags: { readonly writes: readonly Flag[]; readonly undefined: readonly Flag[] },
): InstructionDefinition {
  const combine = mnemonic.endsWith('a') ? 'add' : 'subtract';
  return {
    mnemonic,
    encodings: [opcode],
    flags: { reads: ['AF', 'CF'], ...flags },
    modes: 'not64',
    semantics: (o: Operations) => adjust(o, combine),
  };
}

const PACKED = { writes: ['SF', 'ZF', 'AF', 'PF', 'CF'], undefined: ['OF'] } as const;
const UNPACKED = { writes: ['AF', 'CF'], undefined: ['OF', 'SF', 'ZF', 'PF'] } as const;

export const DECIMAL: readonly InstructionDefinition[] = [
  adjustment('daa', '27', adjustPacked, PACKED),
  adjustment('das', '2F', adjustPacked, PACKED),
  adjustment('aaa', '37', adjustUnpacked, UNPACKED),
  adjustment('aas', '3F', adjustUnpacked, UNPACKED),
  defineInstruction({
    mnemonic: 'aam',
    encodings: ['D4 Ib'],
    flags: { writes: ['SF', 'ZF', 'PF'], undefined: ['OF', 'AF', 'CF'] },
    modes: 'not64',
    semantics(o, base) {
      const divisor = o.read(base);
      o.raiseIf(o.isZero(divisor), VECTOR.DE);
      const value = o.readRegister('rax', 8);
      const low = o.remainderUnsigned(value, divisor);
      const high = o.divideUnsigned(value, divisor);
      o.setFlagsOfLogic(low);
      o.writeRegister('rax', o.concatenate(high, low));
    },
  }),
  defineInstruction({
    mnemonic: 'aad',
    encodings: ['D5 Ib'],
    flags: { writes: ['SF', 'ZF', 'PF'], undefined: ['OF', 'AF', 'CF'] },
    modes: 'not64',
    semantics(o, base) {
      const accumulator = o.readRegister('rax', 16);
      const high = o.truncate(o.shiftRight(accumulator, byte(o, 8)), 8);
      const low = o.add(o.truncate(accumulator, 8), o.multiply(high, o.read(base)));
      o.setFlagsOfLogic(low);
      o.writeRegister('rax', o.zeroExtend(low, 16));
    },
  }),
  defineInstruction({
    mnemonic: 'bound',
    encodings: ['62 /r Gv,Mv'],
    modes: 'not64',
    semantics(o, index, bounds) {
      const value = o.read(index);
      const linear = linearAddressOf(o, bounds);
      const lower = o.load(linear, o.operandWidth);
      const upper = o.load(addressPlus(o, linear, o.operandWidth / 8), o.operandWidth);
      const isOutside = o.either(o.lessSigned(value, lower), o.lessSigned(upper, value));
      o.raiseIf(isOutside, VECTOR.BR);
    },
  }),
];
