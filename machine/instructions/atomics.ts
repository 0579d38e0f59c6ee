/** XADD, CMPXCHG, CMPXCHG8B, CMPXCHG16B (Intel SDM 2, by name). With one CPU, LOCK adds nothing. */
import { VECTOR } from '../guest-fault.ts';
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { addressPlus, linearAddressOf } from './operand-address.ts';
import type { Operations, Value } from './operations.ts';

/** Compares (high, low) with rDX:rAX; the result to store is rCX:rBX or what is there. */
function compareExchangePair(o: Operations, low: Value, high: Value): readonly [Value, Value] {
  const { width } = low;
  const isEqual = o.both(
    o.equal(low, o.readRegister('rax', width)),
    o.equal(high, o.readRegister('rdx', width)),
  );
  const newLow = o.select(isEqual, o.readRegister('rbx', width), low);
  const newHigh = o.select(isEqual, o.readRegister('rcx', width), high);
  o.setFlag('ZF', isEqual);
  o.when(o.negated(isEqual), () => {
    o.writeRegister('rax', low);
    o.writeRegister('rdx', high);
  });
  return [newLow, newHigh];
}

export const ATOMICS: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'xadd',
    encodings: ['0F C0 /r Eb,Gb', '0F C1 /r Ev,Gv'],
    flags: { writes: ARITHMETIC_FLAGS },
    lock: true,
    semantics(o, destination, source) {
      const left = o.read(destination);
      const right = o.read(source);
      const sum = o.add(left, right);
      o.setFlagsOfAdd(left, right, sum);
      // The same register twice ends up with the sum.
      o.write(source, left);
      o.write(destination, sum);
    },
  }),
  defineInstruction({
    mnemonic: 'cmpxchg',
    encodings: ['0F B0 /r Eb,Gb', '0F B1 /r Ev,Gv'],
    flags: { writes: ARITHMETIC_FLAGS },
    lock: true,
    semantics(o, destination, source) {
      const present = o.read(destination);
      const value = o.read(source);
      const expected = o.readRegister('rax', present.width);
      const isEqual = o.equal(expected, present);
      o.setFlagsOfSubtract(expected, present, o.subtract(expected, present));
      // Memory is written in any case, as the CPU does; a register only if they are equal, so that
      // the upper half of a 64-bit register outlives a 32-bit comparison that fails.
      if (destination.kind === 'memory') o.write(destination, o.select(isEqual, value, present));
      else o.when(isEqual, () => o.write(destination, value));
      o.when(o.negated(isEqual), () => o.writeRegister('rax', present));
    },
  }),
  defineInstruction({
    mnemonic: 'cmpxchg8b',
    encodings: ['W0 0F C7 /1 Mq'],
    flags: { writes: ['ZF'] },
    lock: true,
    semantics(o, destination) {
      const present = o.read(destination);
      const upper = o.shiftRight(present, o.constant(32, 8));
      const pair = compareExchangePair(o, o.truncate(present, 32), o.truncate(upper, 32));
      o.write(destination, o.concatenate(pair[1], pair[0]));
    },
  }),
  defineInstruction({
    mnemonic: 'cmpxchg16b',
    encodings: ['W1 0F C7 /1 Mdq'],
    flags: { writes: ['ZF'] },
    lock: true,
    modes: 'only64',
    semantics(o, destination) {
      const linear = linearAddressOf(o, destination);
      const misaligned = o.and(linear, o.constant(15, 64));
      o.raiseIf(o.negated(o.isZero(misaligned)), VECTOR.GP, 0);
      const above = addressPlus(o, linear, 8);
      const low = o.loadForStore(linear, 64);
      const high = o.loadForStore(above, 64);
      const pair = compareExchangePair(o, low, high);
      o.store(linear, pair[0]);
      o.store(above, pair[1]);
    },
  }),
];
