import { describe, expect, it } from 'vitest';
import { SSE_CONVERSIONS } from '../../../machine/instructions/sse-conversions.ts';
import { SSE_FLOAT_ARITHMETIC } from '../../../machine/instructions/sse-float-arithmetic.ts';
import { SSE_FLOAT_COMPARE } from '../../../machine/instructions/sse-float-compare.ts';
import { missing } from '../../tools.ts';
import { SseEngine } from './engine-sse.ts';
import {
  boundaryPartner,
  halfFraction,
  neighbour,
  randomBits,
  randomFloat,
  randomWords,
  roundFraction,
} from './float-operands.ts';
import { runSseNatively } from './native-sse.ts';
import { SSE_FORMS, type SseForm } from './sse-forms.ts';
import type { SseCase, SseState } from './sse-state.ts';

/** Floating-point forms have paths to prove, the others only lanes to compute. */
const CASES_PER_FLOAT_FORM = 800;
const CASES_PER_FORM = 100;
/** Where generated code need not ask the host: to nearest, all masked, precision recorded. */
const SETTLED = 0x1fa0;
/** Where it need not ask only if nothing is rounded. */
const UNSETTLED = 0x1f80;

const SSE_FLOAT = new Set([...SSE_FLOAT_ARITHMETIC, ...SSE_FLOAT_COMPARE, ...SSE_CONVERSIONS]);

/** RCP and RSQRT are not the same on all CPUs. */
function isComparable({ definition }: SseForm): boolean {
  return !/^(rcp|rsqrt)/.test(definition.mnemonic);
}

function lanes(width: 32 | 64, next: () => bigint): bigint {
  let value = 0n;
  for (let lane = 0; lane < 128 / width; lane++) value = (value << BigInt(width)) | next();
  return value;
}

/** Singles, doubles, or anything; ordinary numbers half of the time, so that all paths are taken. */
function randomVector(random: () => number, width: 32 | 64): bigint {
  const kind = random() % 8;
  if (kind === 0) return randomBits(random, 128);
  if (kind === 1) return lanes(32, () => INTEGERS[random() % INTEGERS.length]!);
  if (kind === 2) return lanes(width, () => roundFloat(random, width));
  if (kind < 5) return lanes(width, () => randomFloat(random, width));
  return lanes(width, () => ordinaryFloat(random, width));
}

/** Integers that a single has, or just not, and the largest ones. */
const INTEGERS = [
  0n, 1n, 69n, 0xffn, 0x00ff_ffffn, 0x0100_0000n, 0x0100_0001n, 0xfeff_ffffn, 0xff00_0000n,
  0x3fff_ffc0n, 0x4000_0000n, 0x7fff_ff80n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn,
]; // prettier-ignore

/** A normal number between 2^-16 and 2^32, with few or many significant bits. */
function ordinaryFloat(random: () => number, width: 32 | 64): bigint {
  const [fraction, bias] = width === 32 ? [23, 127] : [52, 1023];
  const bits = randomBits(random, fraction);
  const short = (bits >> BigInt(fraction - 6)) << BigInt(fraction - 6);
  const half = halfFraction(random, BigInt(fraction));
  const kept = [bits, short, half, half][random() % 4]!;
  const exponent = BigInt(bias - 16 + (random() % 48)) << BigInt(fraction);
  return (BigInt(random() & 1) << BigInt(width - 1)) | exponent | kept;
}

function randomMxcsr(random: () => number): number {
  if (random() % 2 === 0) return SETTLED;
  if (random() % 2 === 0) return UNSETTLED;
  const masks = random() % 4 === 0 ? (random() & 0x3f) << 7 : 0x1f80;
  const modes = random() & 0xe040;
  return masks | (random() % 2 === 0 ? modes : 0) | (random() & 0x3f);
}

/** A second operand: independent, or close to the first, or such that the result is at a boundary. */
function otherVector(random: () => number, first: bigint, width: 32 | 64): bigint {
  const kind = random() % 4;
  if (kind > 1) return randomVector(random, width);
  let lane = 128;
  return lanes(width, () => {
    lane -= width;
    const bits = BigInt.asUintN(width, first >> BigInt(lane));
    return kind === 0 ? neighbour(random, bits, width) : boundaryPartner(random, bits, width);
  });
}

/** A number at or next to a power of two. */
function roundFloat(random: () => number, width: 32 | 64): bigint {
  const fraction = width === 32 ? 23n : 52n;
  const exponent = randomFloat(random, width) >> fraction;
  return (exponent << fraction) | roundFraction(random, fraction);
}

function randomState(random: () => number, { definition }: SseForm): SseState {
  const isDouble = /p?s?d$|sd2|pd2/.test(definition.mnemonic);
  const width = random() % 8 === 0 ? (isDouble ? 32 : 64) : isDouble ? 64 : 32;
  const xmm1 = randomVector(random, width);
  const other = (): bigint => otherVector(random, xmm1, width);
  return {
    xmm1,
    xmm2: other(),
    memory: other(),
    rcx: randomBits(random, 64),
    rdx: BigInt.asUintN(64, BigInt.asIntN(64, randomBits(random, 64)) >> BigInt(random() % 64)),
    mxcsr: randomMxcsr(random),
    flags: 0,
    hasFaulted: false,
  };
}

function describeState(state: SseState): string {
  const fields = Object.entries(state) as [keyof SseState, SseState[keyof SseState]][];
  return fields
    .map(([name, value]) => `${name}=${typeof value === 'boolean' ? value : value.toString(16)}`)
    .join(' ');
}

/** Flags are only looked at where the instruction writes them. */
function visible(form: SseForm, state: SseState): SseState {
  return form.definition.flags === undefined || state.hasFaulted ? { ...state, flags: 0 } : state;
}

function makeCases(seed: number): SseCase[] {
  const random = randomWords(seed);
  return SSE_FORMS.flatMap((form, index) => {
    if (!isComparable(form)) return [];
    const before = (): SseState => randomState(random, form);
    const isFloat = SSE_FLOAT.has(form.definition);
    const length = isFloat ? CASES_PER_FLOAT_FORM : CASES_PER_FORM;
    return Array.from({ length }, () => ({ form: index, before: before() }));
  });
}

describe.skipIf(process.arch !== 'x64' || missing('gcc'))('generated SSE code', () => {
  it('does what this CPU does, in every form, rounding mode and mask', () => {
    const cases = makeCases(0x5eed_0002);
    const engine = new SseEngine();
    const native = runSseNatively(cases);
    const wrong = cases.flatMap((test, index) => {
      const form = SSE_FORMS[test.form]!;
      const expected = describeState(visible(form, native[index]!));
      const actual = describeState(visible(form, engine.run(test)));
      if (actual === expected) return [];
      const place = form.isMemory ? 'memory' : 'register';
      const name = `${form.definition.mnemonic} ${form.code.map((byte) => byte.toString(16)).join(' ')}`;
      return [`${name} ${place}\n${describeState(test.before)}\n${actual}\n${expected} on the CPU`];
    });
    expect(wrong.slice(0, 10).join('\n\n')).toBe('');
    expect(cases.length).toBeGreaterThan(100_000);
  });

  it('asks the host for nothing while numbers are whole and nothing was ever rounded', () => {
    const engine = new SseEngine();
    const number = (value: number): bigint => {
      const bits = new BigUint64Array(Float64Array.of(value).buffer)[0]!;
      return bits | (bits << 64n);
    };
    const operations =
      /^(add|sub|mul|div|min|max|cmpn?)[ps]d$|^u?comisd$|^cvt.*sd2|2sd$|pd2(ps|dq)$/;
    const before = { xmm1: number(120), xmm2: number(8), memory: number(8), rcx: 0n, rdx: 7n };
    const state = { ...before, mxcsr: UNSETTLED, flags: 0, hasFaulted: false };
    const asking = SSE_FORMS.filter(({ definition, isMemory }, form) => {
      // The memory holds a double, which is no small integer.
      const isForeign = isMemory && definition.mnemonic.startsWith('cvtsi');
      if (isForeign || !operations.test(definition.mnemonic)) return false;
      const calls = engine.hostCalls;
      const after = engine.run({ form, before: state });
      return engine.hostCalls !== calls || after.mxcsr !== UNSETTLED;
    });
    expect(asking.map(({ definition }) => definition.mnemonic)).toEqual([]);
  });
});
