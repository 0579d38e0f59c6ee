/** MUL, IMUL, DIV, IDIV (Intel SDM 2, by name). */
import { VECTOR } from '../guest-fault.ts';
import { ARITHMETIC_FLAGS } from './arithmetic-flags.ts';
import { defineInstruction } from './definition.ts';
import type { InstructionDefinition } from './definition.ts';
import type { IntegerWidth, Operand } from './operand.ts';
import type { Flag, Operations, Value } from './operations.ts';

/** CF and OF tell that the product needs its high half; the others come from the low half. */
const PRODUCT_FLAGS = {
  writes: ['CF', 'OF'],
  undefined: ['PF', 'AF', 'ZF', 'SF'],
} as const satisfies Record<string, readonly Flag[]>;

const QUOTIENT_FLAGS = { undefined: ARITHMETIC_FLAGS } as const;

function setProductFlags(o: Operations, low: Value, high: Value, isSigned: boolean): void {
  const fitting = isSigned
    ? o.shiftRightSigned(low, o.constant(low.width - 1, 8))
    : o.constant(0, low.width);
  const overflows = o.notEqual(high, fitting);
  o.setFlagsOfLogic(low);
  o.setFlag('CF', overflows);
  o.setFlag('OF', overflows);
}

/** rDX:rAX, or AX, becomes rAX × source. */
function multiplyAccumulator(o: Operations, source: Operand, isSigned: boolean): void {
  const right = o.read(source);
  const left = o.readRegister('rax', right.width);
  const low = o.multiply(left, right);
  const high = isSigned ? o.multiplyHighSigned(left, right) : o.multiplyHighUnsigned(left, right);
  if (right.width === 8) {
    o.writeRegister('rax', o.concatenate(high, low));
  } else {
    o.writeRegister('rax', low);
    o.writeRegister('rdx', high);
  }
  setProductFlags(o, low, high, isSigned);
}

function multiplySigned(o: Operations, destination: Operand, left: Operand, right: Operand): void {
  const a = o.read(left);
  const b = o.read(right);
  const low = o.multiply(a, b);
  setProductFlags(o, low, o.multiplyHighSigned(a, b), true);
  o.write(destination, low);
}

/** The dividend of 2 × width bits, width 8 to 32. */
function narrowDividend(o: Operations, width: IntegerWidth): Value {
  if (width === 8) return o.readRegister('rax', 16);
  return o.concatenate(o.readRegister('rdx', width), o.readRegister('rax', width));
}

function writeQuotient(o: Operations, quotient: Value, remainder: Value): void {
  if (quotient.width === 8) {
    o.writeRegister('rax', o.concatenate(remainder, quotient));
  } else {
    o.writeRegister('rax', quotient);
    o.writeRegister('rdx', remainder);
  }
}

/** −2^(width − 1) / −1 is the one quotient of equal widths that does not fit. */
function isLeastByMinusOne(
  o: Operations,
  dividend: Value,
  divisor: Value,
): ReturnType<Operations['both']> {
  const { width } = dividend;
  const least = o.constant(1n << BigInt(width - 1), width);
  return o.both(o.equal(dividend, least), o.equal(divisor, o.constant(-1n, width)));
}

function divideNarrow(o: Operations, divisor: Value, isSigned: boolean): void {
  const { width } = divisor;
  const dividend = narrowDividend(o, width);
  const wide = isSigned
    ? o.signExtend(divisor, dividend.width)
    : o.zeroExtend(divisor, dividend.width);
  if (isSigned) o.raiseIf(isLeastByMinusOne(o, dividend, wide), VECTOR.DE);
  const quotient = isSigned ? o.divideSigned(dividend, wide) : o.divideUnsigned(dividend, wide);
  const low = o.truncate(quotient, width);
  const back = isSigned ? o.signExtend(low, quotient.width) : o.zeroExtend(low, quotient.width);
  o.raiseIf(o.notEqual(back, quotient), VECTOR.DE);
  const remainder = isSigned
    ? o.remainderSigned(dividend, wide)
    : o.remainderUnsigned(dividend, wide);
  writeQuotient(o, low, o.truncate(remainder, width));
}

/** 128 by 64 bits goes to the host unless the high half says nothing that the low one does not. */
function divideUnsigned64(o: Operations, divisor: Value): void {
  const low = o.readRegister('rax', 64);
  const high = o.readRegister('rdx', 64);
  o.when(
    o.isZero(high),
    () => writeQuotient(o, o.divideUnsigned(low, divisor), o.remainderUnsigned(low, divisor)),
    () => writeQuotient(o, ...o.host('divideUnsigned', low, high, divisor)),
  );
}

function divideSigned64(o: Operations, divisor: Value): void {
  const low = o.readRegister('rax', 64);
  const high = o.readRegister('rdx', 64);
  const isShort = o.equal(high, o.shiftRightSigned(low, o.constant(63, 8)));
  o.raiseIf(o.both(isShort, isLeastByMinusOne(o, low, divisor)), VECTOR.DE);
  o.when(
    isShort,
    () => writeQuotient(o, o.divideSigned(low, divisor), o.remainderSigned(low, divisor)),
    () => writeQuotient(o, ...o.host('divideSigned', low, high, divisor)),
  );
}

function divide(o: Operations, source: Operand, isSigned: boolean): void {
  const divisor = o.read(source);
  o.raiseIf(o.isZero(divisor), VECTOR.DE);
  if (divisor.width < 64) divideNarrow(o, divisor, isSigned);
  else if (isSigned) divideSigned64(o, divisor);
  else divideUnsigned64(o, divisor);
}

export const MULTIPLICATION: readonly InstructionDefinition[] = [
  defineInstruction({
    mnemonic: 'mul',
    encodings: ['F6 /4 Eb', 'F7 /4 Ev'],
    flags: PRODUCT_FLAGS,
    semantics: (o, source) => multiplyAccumulator(o, source, false),
  }),
  defineInstruction({
    mnemonic: 'imul',
    encodings: ['F6 /5 Eb', 'F7 /5 Ev'],
    flags: PRODUCT_FLAGS,
    semantics: (o, source) => multiplyAccumulator(o, source, true),
  }),
  defineInstruction({
    mnemonic: 'imul',
    encodings: ['0F AF /r Gv,Ev'],
    flags: PRODUCT_FLAGS,
    semantics: (o, destination, source) => multiplySigned(o, destination, destination, source),
  }),
  defineInstruction({
    mnemonic: 'imul',
    encodings: ['69 /r Gv,Ev,Izs', '6B /r Gv,Ev,Ibs'],
    flags: PRODUCT_FLAGS,
    semantics: (o, destination, left, right) => multiplySigned(o, destination, left, right),
  }),
  defineInstruction({
    mnemonic: 'div',
    encodings: ['F6 /6 Eb', 'F7 /6 Ev'],
    flags: QUOTIENT_FLAGS,
    semantics: (o, source) => divide(o, source, false),
  }),
  defineInstruction({
    mnemonic: 'idiv',
    encodings: ['F6 /7 Eb', 'F7 /7 Ev'],
    flags: QUOTIENT_FLAGS,
    semantics: (o, source) => divide(o, source, true),
  }),
];
