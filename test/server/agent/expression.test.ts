/** Conditions in words: what they mean, what is refused and how, and that no text does harm. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AgentError } from '../../../server/agent/agent-error.ts';
import { compileCondition } from '../../../server/agent/condition.ts';
import type { AgentEnvironment } from '../../../server/agent/environment.ts';
import type { ExpressionNames } from '../../../server/agent/expression-parser.ts';
import { AgentProgram } from '../../../server/agent/program.ts';

const REGISTERS = ['rax', 'rbx', 'rdi', 'rsp', 'r8', 'eflags'];
const VALUES = [0xffff_ffff_8000_1234n, 7n, 6n, 0x10n, 0xdead_beefn << 32n, 0x202n];
const SYMBOLS = new Map([
  ['sys_fork', { address: 0xffff_ffff_8010_0000n, size: 40n, isFunction: true }],
  ['counter', { address: 0x20n, size: 8n, isFunction: false }],
  ['flag.0', { address: 0x81n, size: 1n, isFunction: false }],
  ['table', { address: 0x40n, size: 64n, isFunction: false }],
]);

const NAMES: ExpressionNames = {
  register: (name) => {
    const number = REGISTERS.indexOf(name);
    return number < 0 ? undefined : { number, bits: name === 'eflags' ? 32 : 64 };
  },
  symbol: (name) => SYMBOLS.get(name),
};

/** 256 bytes of memory, each its own address. */
const ENVIRONMENT: AgentEnvironment = {
  variables: new Map(),
  register: (number) => (VALUES[number] === undefined ? undefined : () => VALUES[number]!),
  integer(address, lengthBytes) {
    if (address > 256n - BigInt(lengthBytes)) return undefined;
    return Array.from({ length: lengthBytes }, (_, at) => (address + BigInt(at)) & 0xffn)
      .reverse()
      .reduce((value, byte) => (value << 8n) | byte, 0n);
  },
  bytes: () => new Uint8Array(),
  print: () => undefined,
};

function evaluate(text: string): bigint {
  return BigInt.asIntN(64, new AgentProgram(compileCondition(text, NAMES), ENVIRONMENT).evaluate());
}

function refusal(text: string): string {
  try {
    compileCondition(text, NAMES);
  } catch (error) {
    if (error instanceof AgentError) return error.message;
    throw error;
  }
  return 'nothing is wrong with it';
}

describe('a condition in words', () => {
  it.each([
    ['1 + 2 * 3', 7n],
    ['(1 + 2) * 3', 9n],
    ['7 - 2 - 1', 4n],
    ['1 << 4 >> 1', 8n],
    ['-7 / 2', -3n],
    ['-7 % 3', -1n],
    ['~0', -1n],
    ['!0 + !5', 1n],
    ['6 & 3 | 8 ^ 1', 11n],
    ["'A' + 0x10 + 0b11 + 1ul", 85n],
    ['- - 5', 5n],
  ])('computes %s as C does', (text, value) => {
    expect(evaluate(text)).toBe(value);
  });

  it.each([
    ['rdi == 6', 1n],
    ['$rdi == 6', 1n],
    ['RDI != 6', 0n],
    ['rdi == 6 && rbx == 7', 1n],
    ['rdi == 5 && *(u64*)0x7f000000 == 1', 0n],
    ['rdi == 6 || *(u64*)0x7f000000 == 1', 1n],
    ['rdi == 5 || rbx == 7', 1n],
    ['rdi && rbx', 1n],
    ['!(rdi == 6)', 0n],
    ['rax > 0x1000', 1n],
    ['(i64)rax < 0', 1n],
    ['rax == 0xffffffff80001234', 1n],
    ['eax == 0x80001234 && ax == 0x1234 && al == 0x34', 1n],
    ['(i32)eax < 0', 1n],
    ['r8d', 0n],
    ['eflags & 0x200', 0x200n],
    ['rdi >= 6 && rdi <= 6 && !(rdi > 6) && !(rdi < 6)', 1n],
  ])('sees registers: %s', (text, value) => {
    expect(evaluate(text)).toBe(value);
  });

  it.each([
    ['*(u8*)3', 3n],
    ['*(u32*)(rsp + 4)', 0x17161514n],
    ['u32[rsp + 4]', 0x17161514n],
    ['*(rsp + 8) == *(unsigned long*)0x18', 1n],
    ['((u16*)rsp)[2]', 0x1514n],
    ['*((u16*)rsp + 2)', 0x1514n],
    ['*(i8*)0x90', -0x70n],
    ['*(signed char*)0x90 < 0', 1n],
    ['*(unsigned*)0xfc == 0xfffefdfc', 1n],
    ['*(u8*)0xff == -1', 1n],
    ['*(u32*)(u64)(u8)0x1fc', 0xfffe_fdfcn],
    ['counter == 0x2726252423222120', 1n],
    ['&counter', 0x20n],
    ['flag.0', 0x81n],
    ['table', 0x40n],
    ['table[1] & 0xff', 0x48n],
    ['sys_fork == 0xffffffff80100000', 1n],
    ['sys_fork + 4 > sys_fork', 1n],
  ])('sees memory and symbols: %s', (text, value) => {
    expect(evaluate(text)).toBe(value);
  });

  it.each([
    ['', 'an expression is missing (column 1)'],
    ['rdi = 5', '"=" sets nothing here: write "==" to compare (column 5)'],
    ['rdi ==', 'an operand is missing at the end (column 7)'],
    ['rdi 5', 'an operator is expected, not "5" (column 5)'],
    ['(rdi', '")" is expected, not the end (column 5)'],
    ['rdj == 5', '"rdj" is neither a register nor a symbol (column 1)'],
    ['* == 5', 'an operand is expected, not "==" (column 3)'],
    ['5xyz', '"5xyz" is not understood (column 1)'],
    ['010', '"010" is octal in C: write it in decimal or with 0x (column 1)'],
    ['0x10000000000000000', 'a number has at most 64 bits (column 1)'],
    ['(short char)5', '"short char" is no type (column 2)'],
    ['&rdi', '& wants the name of a symbol (column 2)'],
    ['u32 + 1', '"[" is expected, not "+" (column 5)'],
    ['rax < 0', 'an unsigned value is never below 0: compare (i64)value, or (i32), … (column 5)'],
    [
      '0 > *(u32*)1',
      'an unsigned value is never below 0: compare (i64)value, or (i32), … (column 3)',
    ],
    ['(u8*)1 - (u8*)2', 'two pointers make no sum or difference: convert them by (u64) (column 8)'],
    ['rdi ? 1 : 2', '"?" is not understood (column 5)'],
    ['"text"', '""" is not understood (column 1)'],
    ['rdi\n== 5', '"?" is not understood (column 4)'],
    ['('.repeat(500), 'nested too deeply (column 65)'],
    ['!'.repeat(500) + '1', 'nested too deeply (column 129)'],
    ['1'.repeat(1001), 'an expression has at most 1000 characters'],
    ['x'.repeat(400), `"${'x'.repeat(24)}…" is neither a register nor a symbol (column 1)`],
  ])('refuses %j in one clear line', (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  it('says of an evaluation that fails why it does', () => {
    expect(() => evaluate('*(u64*)0x7f000000')).toThrow('memory cannot be read');
    expect(() => evaluate('5 / (rdi - 6)')).toThrow('division by zero');
  });
});

/** Words that meet often in mistakes, in any order. */
const WORDS = [
  'rdi', '$rax', 'eax', 'counter', 'sys_fork', 'nothing', 'u8', 'i32', 'unsigned', 'long', '(', ')', '[', ']',
  '*', '&', '+', '-', '!', '~', '/', '%', '<<', '>>', '<', '<=', '>', '>=', '==', '!=', '=', '&&', '||', '^', '|',
  '0', '1', '64', '0xffffffffffffffff', '0x', '09', "'a'", "'", '"', '\\', '\0', '\n', '\u{1f41b}', '__proto__',
  'constructor', '$', '.', ',', ';', '?', ':', '(u64)', '*(u32*)', '(', ')',
]; // prettier-ignore

describe('hostile text', () => {
  /** Compiles or is refused by one printable line; what compiles can be evaluated. */
  function check(text: string): void {
    let code: Uint8Array;
    try {
      code = compileCondition(text, NAMES);
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      expect(error.message).toMatch(/^[\x20-\x7e…]{1,120}$/);
      return;
    }
    try {
      new AgentProgram(code, ENVIRONMENT).evaluate();
    } catch (error) {
      // Too deep for the stack, or an evaluation that fails: one line as well.
      if (!(error instanceof AgentError)) throw error;
    }
  }

  it('gives one clear line or works, whatever the words', () => {
    const words = fc.array(fc.constantFrom(...WORDS), { maxLength: 40 });
    fc.assert(
      fc.property(words, fc.boolean(), (list, isSpaced) => check(list.join(isSpaced ? ' ' : ''))),
      { numRuns: 20_000 },
    );
  });

  it('gives one clear line or works, whatever the characters', () => {
    const text = fc.string({ unit: 'binary', maxLength: 1100 });
    fc.assert(fc.property(text, check), { numRuns: 2000 });
  });

  it('is bounded where it nests or runs on', () => {
    for (const piece of ['(', '-', '!', '*', '1+', '1||', 'u8[', 'table[', '(u8)', '1|(2^(3&(']) {
      check(piece.repeat(1000 / piece.length));
      check(`${piece.repeat(40)}1${')'.repeat(40)}`);
    }
  });
});

type Tree = readonly [text: string, value: bigint];

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);
const bit = (is: boolean): bigint => (is ? 1n : 0n);

const OPERATORS: Readonly<Record<string, (left: bigint, right: bigint) => bigint>> = {
  '+': (left, right) => left + right,
  '-': (left, right) => left - right,
  '*': (left, right) => left * right,
  '&': (left, right) => left & right,
  '|': (left, right) => left | right,
  '^': (left, right) => left ^ right,
  '==': (left, right) => bit(left === right),
  '!=': (left, right) => bit(left !== right),
  '<': (left, right) => bit(left < right),
  '<=': (left, right) => bit(left <= right),
  '>': (left, right) => bit(left > right),
  '>=': (left, right) => bit(left >= right),
  '&&': (left, right) => bit(left !== 0n && right !== 0n),
  '||': (left, right) => bit(left !== 0n || right !== 0n),
};

/** Random expressions over signed numbers, with the value that 64-bit arithmetic gives them. */
const { tree } = fc.letrec<{ tree: Tree; leaf: Tree }>((tie) => ({
  leaf: fc
    .oneof(fc.bigInt({ min: -9n, max: 9n }), fc.bigInt({ min: -(1n << 62n), max: 1n << 62n }))
    .map((value): Tree => [`(i64)(${value})`, value]),
  tree: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    tie('leaf'),
    fc
      .tuple(tie('tree'), fc.constantFrom(...Object.keys(OPERATORS)), tie('tree'))
      .map(([[left, a], operator, [right, b]]): Tree => {
        return [`(i64)(${left} ${operator} ${right})`, signed(OPERATORS[operator]!(a, b))];
      }),
    fc.tuple(fc.constantFrom('-', '~', '!'), tie('tree')).map(([operator, [text, value]]): Tree => {
      const result = operator === '-' ? -value : operator === '~' ? ~value : bit(value === 0n);
      return [`(i64)(${operator}${text})`, signed(result)];
    }),
  ),
}));

describe('any expression', () => {
  it('has the value of 64-bit arithmetic', () => {
    const short = tree.filter(([text]) => text.length < 900 && text.split('(i64)(').length < 40);
    fc.assert(
      fc.property(short, ([text, value]) => {
        expect(evaluate(text)).toBe(value);
      }),
      { numRuns: 3000 },
    );
  });
});
