import { describe, expect, it } from 'vitest';
import { SseEngine } from './engine-sse.ts';
import { randomFloat, randomWords } from './float-operands.ts';
import { SSE_FORMS } from './sse-forms.ts';

const view = new DataView(new ArrayBuffer(4));

function single(bits: bigint): number {
  view.setUint32(0, Number(bits));
  return view.getFloat32(0);
}

const engine = new SseEngine();

/** Lane 0 of what `mnemonic xmm1, xmm2` makes of `bits` in all lanes; MXCSR must stay. */
function approximate(mnemonic: string, bits: bigint): bigint {
  const form = SSE_FORMS.findIndex(
    (candidate) => candidate.definition.mnemonic === mnemonic && !candidate.isMemory,
  );
  const xmm2 = bits | (bits << 32n) | (bits << 64n) | (bits << 96n);
  const before = { xmm1: 0n, xmm2, rcx: 0n, rdx: 0n, memory: 0n, mxcsr: 0x1f80, flags: 0 };
  const after = engine.run({ form, before: { ...before, hasFaulted: false } });
  expect(after.mxcsr).toBe(0x1f80);
  expect(after.hasFaulted).toBe(false);
  return after.xmm1 & 0xffff_ffffn;
}

const INFINITY = 0x7f80_0000n;
const SIGN = 0x8000_0000n;
const DEFAULT_NAN = 0xffc0_0000n;
/** What the manual allows (Intel SDM 2B, RCPPS and RSQRTPS). */
const RELATIVE_ERROR = 1.5 * 2 ** -12;

describe.each([
  ['rcpps', (value: number) => 1 / value],
  ['rcpss', (value: number) => 1 / value],
  ['rsqrtps', (value: number) => 1 / Math.sqrt(value)],
  ['rsqrtss', (value: number) => 1 / Math.sqrt(value)],
])('%s', (mnemonic, exact) => {
  it('is within the error that the manual allows', () => {
    const random = randomWords(0x5eed_0007);
    let compared = 0;
    for (let index = 0; index < 5000; index++) {
      const bits = randomFloat(random, 32);
      const expected = exact(single(bits));
      const isNormal = Math.abs(single(bits)) >= 2 ** -126 && Math.abs(expected) >= 2 ** -126;
      if (!isNormal || !Number.isFinite(expected)) continue;
      const result = single(approximate(mnemonic, bits));
      expect(Math.abs(result / expected - 1)).toBeLessThan(RELATIVE_ERROR);
      compared++;
    }
    expect(compared).toBeGreaterThan(1000);
  });

  it('takes denormals for zeros, whose reciprocal is infinite', () => {
    for (const bits of [0n, 1n, 0x007f_ffffn]) {
      expect(approximate(mnemonic, bits)).toBe(INFINITY);
      expect(approximate(mnemonic, bits | SIGN)).toBe(INFINITY | SIGN);
    }
  });

  it('makes a NaN quiet and records nothing', () => {
    expect(approximate(mnemonic, 0x7f80_0123n)).toBe(0x7fc0_0123n);
    expect(approximate(mnemonic, 0xffc0_0123n)).toBe(0xffc0_0123n);
  });
});

describe('the reciprocal', () => {
  it('of a number so large that it would be denormal is a zero of its sign', () => {
    expect(approximate('rcpps', 0x7f7f_ffffn)).toBe(0n);
    expect(approximate('rcpps', 0xff7f_ffffn)).toBe(SIGN);
    expect(approximate('rcpps', INFINITY | SIGN)).toBe(SIGN);
  });

  it('square root of a negative number is the default NaN', () => {
    expect(approximate('rsqrtps', 0xbf80_0000n)).toBe(DEFAULT_NAN);
    expect(approximate('rsqrtps', INFINITY | SIGN)).toBe(DEFAULT_NAN);
    expect(approximate('rsqrtps', INFINITY)).toBe(0n);
  });
});
