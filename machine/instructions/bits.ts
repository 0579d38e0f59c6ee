/** BT BTS BTR BTC BSF BSR POPCNT (Intel SDM 2A, by name). */
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import { opcodeText } from './encoding-text.ts';
import type { MemoryOperand, Operand } from './operand.ts';
import type { Flag, Operations, Value } from './operations.ts';

interface BitTest {
  readonly mnemonic: string;
  /** What becomes of the value under a mask of the bit; absent for BT. */
  readonly change?: (o: Operations, value: Value, mask: Value) => Value;
}

/** In opcode order: 0F A3 + 8 × number, 0F BA /4 + number. */
const BIT_TESTS: readonly BitTest[] = [
  { mnemonic: 'bt' },
  { mnemonic: 'bts', change: (o, value, mask) => o.or(value, mask) },
  { mnemonic: 'btr', change: (o, value, mask) => o.and(value, o.not(mask)) },
  { mnemonic: 'btc', change: (o, value, mask) => o.xor(value, mask) },
];

/** CF is the bit; the value changed, if it is. */
function testBit(o: Operations, test: BitTest, value: Value, index: Value): Value | undefined {
  const { width } = value;
  const position = o.and(index, o.constant(width - 1, index.width));
  o.setFlag('CF', o.bit(value, position));
  return test.change?.(o, value, o.shiftLeft(o.constant(1, width), position));
}

/** A register counts bits from the operand on, forwards and backwards, without bounds. */
function bitStringAddress(o: Operations, operand: MemoryOperand, index: Value): Value {
  const { width } = index;
  const shift = Math.log2(width);
  const element = o.shiftRightSigned(index, o.constant(shift, 8));
  const bytes = o.shiftLeft(element, o.constant(shift - 3, 8));
  const { addressWidth } = operand;
  const distance =
    width < addressWidth ? o.signExtend(bytes, addressWidth) : o.truncate(bytes, addressWidth);
  return o.linearAddress(operand.segment, o.add(o.effectiveAddress(operand), distance));
}

function testBitString(o: Operations, test: BitTest, operand: MemoryOperand, index: Value): void {
  const linear = bitStringAddress(o, operand, index);
  const value =
    test.change === undefined ? o.load(linear, index.width) : o.loadForStore(linear, index.width);
  const changed = testBit(o, test, value, index);
  if (changed !== undefined) o.store(linear, changed);
}

const BIT_FLAGS = {
  writes: ['CF'],
  undefined: ['PF', 'AF', 'SF', 'OF'],
} as const satisfies Record<string, readonly Flag[]>;

function bitTestDefinitions(test: BitTest, number: number): InstructionDefinition[] {
  const base = {
    mnemonic: test.mnemonic,
    flags: BIT_FLAGS,
    ...(test.change === undefined ? {} : { lock: true as const }),
  };
  const ofOperand = (o: Operations, operand: Operand, index: Operand): void => {
    const changed = testBit(o, test, o.read(operand), o.read(index));
    if (changed !== undefined) o.write(operand, changed);
  };
  return [
    { ...base, encodings: [`0F BA /${4 + number} Ev,Ib`], semantics: ofOperand },
    {
      ...base,
      encodings: [`0F ${opcodeText(0xa3 + 8 * number)} /r Ev,Gv`],
      semantics(o: Operations, operand: Operand, index: Operand) {
        if (operand.kind === 'memory') testBitString(o, test, operand, o.read(index));
        else ofOperand(o, operand, index);
      },
    },
  ];
}

/** Without a bit set ZF = 1 and the destination keeps its value, all 64 bits, as on CPUs of today. */
function scan(
  mnemonic: 'bsf' | 'bsr',
  opcode: string,
  position: (o: Operations, value: Value) => Value,
): InstructionDefinition {
  return {
    mnemonic,
    encodings: [`0F ${opcode} /r Gv,Ev`],
    flags: { writes: ['ZF'], undefined: ['CF', 'PF', 'AF', 'SF', 'OF'] },
    semantics(o: Operations, destination: Operand, source: Operand) {
      const value = o.read(source);
      const isZero = o.isZero(value);
      o.setFlagsOfResult(value);
      o.when(o.negated(isZero), () => o.write(destination, position(o, value)));
    },
  };
}

export const BITS: readonly InstructionDefinition[] = [
  ...BIT_TESTS.flatMap(bitTestDefinitions),
  // CPUID offers neither BMI1 nor LZCNT, so F3 before these means nothing.
  scan('bsf', 'BC', (o, value) => o.countTrailingZeros(value)),
  scan('bsr', 'BD', (o, value) =>
    o.subtract(o.constant(value.width - 1, value.width), o.countLeadingZeros(value)),
  ),
  defineInstruction({
    mnemonic: 'popcnt',
    encodings: ['F3 0F B8 /r Gv,Ev'],
    flags: { writes: ARITHMETIC_FLAGS },
    semantics(o, destination, source) {
      const value = o.read(source);
      o.setFlagsOfLogic(value);
      o.setFlag('SF', o.always(false));
      o.setFlag('PF', o.always(false));
      o.write(destination, o.populationCount(value));
    },
  }),
];
