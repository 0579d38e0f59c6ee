import { describe, expect, it } from 'vitest';
import {
  FLOAT_OPERATIONS,
  type FloatOperation,
} from '../../../machine/instructions/float-operations.ts';
import { missing } from '../../tools.ts';
import { neighbour, randomBits, randomFloat, randomWords } from './float-operands.ts';
import { FloatHost, isPacked } from './host-float.ts';
import { runNatively, type FloatCase, type FloatOutcome } from './native-float.ts';

const CASES_PER_OPERATION = 4000;

/** Width of the floating-point operands of an operation, or of the integers that it converts. */
function operandWidth(operation: FloatOperation): 32 | 64 {
  if (/^cvtsi/.test(operation)) return 64;
  if (/^cvtdq/.test(operation)) return 32;
  const type = /^cvtt?(\w\w)2/.exec(operation)?.[1] ?? operation.slice(-2);
  return type.endsWith('s') ? 32 : 64;
}

/** All modes; mostly everything masked, since a fault shows no result. */
function randomMxcsr(random: () => number): number {
  const masks = random() % 4 === 0 ? (random() & 0x3f) << 7 : 0x1f80;
  const daz = random() % 4 === 0 ? 0x40 : 0;
  const ftz = random() % 4 === 0 ? 0x8000 : 0;
  const sticky = random() % 2 === 0 ? random() & 0x3f : 0;
  return ((random() & 3) << 13) | masks | daz | ftz | sticky;
}

function randomOperand(random: () => number, operation: FloatOperation): bigint {
  const width = operandWidth(operation);
  if (/^cvt(si|dq)/.test(operation)) {
    return randomBits(random, width) >> BigInt(random() % width);
  }
  return randomFloat(random, width);
}

function randomCase(random: () => number, operation: FloatOperation): FloatCase {
  const width = operandWidth(operation);
  let left = 0n;
  let right = 0n;
  for (let lane = 0; lane < 128 / width; lane++) {
    const one = randomOperand(random, operation);
    const other =
      random() % 3 === 0 ? neighbour(random, one, width) : randomOperand(random, operation);
    left = (left << BigInt(width)) | one;
    right = (right << BigInt(width)) | other;
  }
  const test = { operation, mxcsr: randomMxcsr(random), left, right };
  if (isPacked(test)) return test;
  const isInteger = /2si$/.test(operation);
  const second = isInteger ? [32n, 64n][random() & 1]! : BigInt.asUintN(width, right);
  return { ...test, left: BigInt.asUintN(width, left), right: second };
}

function describeCase(test: FloatCase, outcome: FloatOutcome): string {
  const hex = (value: bigint | number): string => value.toString(16);
  const { operation, mxcsr, left, right } = test;
  const after = outcome.hasFaulted ? 'fault' : hex(outcome.result);
  return `${operation} mxcsr=${hex(mxcsr)} ${hex(left)} ${hex(right)} → ${after} ${hex(outcome.mxcsr)}`;
}

/** The bits that the operation defines: of a scalar only its lane, of COMIS only ZF, PF and CF. */
function definedBits(test: FloatCase): bigint {
  if (test.operation.includes('comis')) return 0x45n;
  if (isPacked(test)) return (1n << 128n) - 1n;
  if (/2si$/.test(test.operation)) return (1n << test.right) - 1n;
  return test.operation.endsWith('ss') ? 0xffff_ffffn : 0xffff_ffff_ffff_ffffn;
}

function visible(test: FloatCase, outcome: FloatOutcome): FloatOutcome {
  const result = outcome.hasFaulted ? 0n : outcome.result & definedBits(test);
  return { ...outcome, result };
}

describe.skipIf(process.arch !== 'x64' || missing('gcc'))('exact floating-point arithmetic', () => {
  it('gives results, flags and #XM as this CPU does, for every operation and mode', () => {
    const random = randomWords(0x5eed_0001);
    const cases = FLOAT_OPERATIONS.flatMap((operation) =>
      Array.from({ length: CASES_PER_OPERATION }, () => randomCase(random, operation)),
    );
    const host = new FloatHost();
    const native = runNatively(cases);
    const wrong = cases.flatMap((test, index) => {
      const expected = describeCase(test, visible(test, native[index]!));
      const actual = describeCase(test, visible(test, host.run(test)));
      return actual === expected ? [] : [`${actual}, but the CPU: ${expected}`];
    });
    expect(wrong.slice(0, 20)).toEqual([]);
    expect(native.filter((outcome) => outcome.hasFaulted).length).toBeGreaterThan(1000);
  });
});
