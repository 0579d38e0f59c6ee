import { describe, expect, it } from 'vitest';
import {
  addFloat,
  divideFloat,
  multiplyFloat,
  squareRootFloat,
  subtractFloat,
  type BinaryFloatOperation,
} from '../../../machine/cpu/float/arithmetic.ts';
import { compareFloat } from '../../../machine/cpu/float/comparison.ts';
import {
  convertFloat,
  floatFromInteger,
  integerFromFloat,
} from '../../../machine/cpu/float/conversion.ts';
import { FLOAT32, FLOAT64, type FloatFormat } from '../../../machine/cpu/float/format.ts';
import { FLOAT_FLAG, MXCSR_DEFAULT, truncating } from '../../../machine/cpu/float/mxcsr.ts';
import { boundaryPartner, randomBits, randomFloat, randomWords } from './float-operands.ts';

const PAIRS = 30_000;

const view = new DataView(new ArrayBuffer(8));

function toNumber(bits: bigint, { width }: FloatFormat): number {
  if (width === 32) view.setUint32(0, Number(bits));
  else view.setBigUint64(0, bits);
  return width === 32 ? view.getFloat32(0) : view.getFloat64(0);
}

/** The bits of a number that `format` has; a double of arithmetic in singles is rounded first. */
function toBits(value: number, { width }: FloatFormat): bigint {
  if (width === 32) view.setFloat32(0, Math.fround(value));
  else view.setFloat64(0, value);
  return width === 32 ? BigInt(view.getUint32(0)) : view.getBigUint64(0);
}

/** Singles computed in doubles and rounded once more are right: 53 ≥ 2 · 24 + 2 (Figueroa 1995). */
const OPERATIONS: readonly [string, BinaryFloatOperation, (a: number, b: number) => number][] = [
  ['sum', addFloat, (a, b) => a + b],
  ['difference', subtractFloat, (a, b) => a - b],
  ['product', multiplyFloat, (a, b) => a * b],
  ['quotient', divideFloat, (a, b) => a / b],
  ['root', (a, _b, format, mxcsr) => squareRootFloat(a, format, mxcsr), (a) => Math.sqrt(a)],
];

function sameNumber(bits: bigint, expected: number, format: FloatFormat): boolean {
  if (Number.isNaN(expected)) return Number.isNaN(toNumber(bits, format));
  return bits === toBits(expected, format);
}

function differences(
  [, operation, reference]: (typeof OPERATIONS)[number],
  format: FloatFormat,
): string[] {
  const random = randomWords(0x5eed_0003);
  const wrong: string[] = [];
  for (let index = 0; index < PAIRS; index++) {
    const left = randomFloat(random, format.width);
    const right =
      index % 3 === 0
        ? boundaryPartner(random, left, format.width)
        : randomFloat(random, format.width);
    const { bits } = operation(left, right, format, MXCSR_DEFAULT);
    const expected = reference(toNumber(left, format), toNumber(right, format));
    if (!sameNumber(bits, expected, format)) {
      wrong.push([left, right, bits].map((value) => value.toString(16)).join(' '));
    }
  }
  return wrong;
}

describe.each([FLOAT32, FLOAT64])('exact arithmetic on $width bits', (format) => {
  it.each(OPERATIONS)('rounds a %s to nearest as JavaScript does', (...operation) => {
    expect(differences(operation, format)).toEqual([]);
  });

  it('orders numbers as JavaScript does', () => {
    const random = randomWords(0x5eed_0004);
    for (let index = 0; index < PAIRS; index++) {
      const left = randomFloat(random, format.width);
      const right =
        index % 2 === 0 ? left ^ BigInt(random() & 1) : randomFloat(random, format.width);
      const [a, b] = [toNumber(left, format), toNumber(right, format)];
      const relation = a < b ? 'less' : a > b ? 'greater' : a === b ? 'equal' : 'unordered';
      expect(compareFloat(left, right, format, MXCSR_DEFAULT).relation).toBe(relation);
    }
  });

  it('converts integers as JavaScript does', () => {
    const random = randomWords(0x5eed_0005);
    for (let index = 0; index < PAIRS; index++) {
      const integer = BigInt.asIntN(64, randomBits(random, 64)) >> BigInt(random() % 64);
      const { bits } = floatFromInteger(integer, format, MXCSR_DEFAULT);
      // Number() would round a single twice.
      if (format.width === 64) expect(bits).toBe(toBits(Number(integer), format));
      const back = integerFromFloat(bits, format, 64, truncating(MXCSR_DEFAULT));
      const number = toNumber(bits, format);
      if (Math.abs(number) < 2 ** 63) expect(back.bits).toBe(BigInt.asUintN(64, BigInt(number)));
      else expect(back).toEqual({ bits: 1n << 63n, flags: FLOAT_FLAG.invalid });
    }
  });
});

describe('exact conversion between the formats', () => {
  it('narrows doubles as Math.fround does and widens the result without loss', () => {
    const random = randomWords(0x5eed_0006);
    for (let index = 0; index < PAIRS; index++) {
      const double = randomFloat(random, 64);
      const single = convertFloat(double, FLOAT64, FLOAT32, MXCSR_DEFAULT).bits;
      const expected = toNumber(double, FLOAT64);
      expect(sameNumber(single, Math.fround(expected), FLOAT32)).toBe(true);
      const widened = convertFloat(single, FLOAT32, FLOAT64, MXCSR_DEFAULT);
      expect(sameNumber(widened.bits, Math.fround(expected), FLOAT64)).toBe(true);
      expect(widened.flags & ~FLOAT_FLAG.denormal).toBe(0);
    }
  });
});

describe('NaNs of SSE', () => {
  const quiet = (payload: bigint): bigint => 0x7fc0_0000n | payload;
  const signalling = (payload: bigint): bigint => 0x7f80_0000n | payload;
  const sum = (left: bigint, right: bigint): { bits: bigint; flags: number } =>
    addFloat(left, right, FLOAT32, MXCSR_DEFAULT);

  it('are negative where an operation is invalid', () => {
    expect(sum(0x7f80_0000n, 0xff80_0000n)).toEqual({ bits: 0xffc0_0000n, flags: 1 });
    expect(squareRootFloat(0xbff0_0000_0000_0000n, FLOAT64, MXCSR_DEFAULT)).toEqual({
      bits: 0xfff8_0000_0000_0000n,
      flags: 1,
    });
  });

  it('come from the first operand that is one, and become quiet', () => {
    expect(sum(quiet(1n), quiet(2n))).toEqual({ bits: quiet(1n), flags: 0 });
    expect(sum(0x3f80_0000n, quiet(2n))).toEqual({ bits: quiet(2n), flags: 0 });
    expect(sum(quiet(1n), signalling(2n))).toEqual({ bits: quiet(1n), flags: 1 });
    expect(sum(signalling(1n), quiet(2n))).toEqual({ bits: quiet(1n), flags: 1 });
  });
});
