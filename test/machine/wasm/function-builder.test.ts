/** The encoder refuses wrong code while it is written, and what it accepts runs. */
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../machine/wasm/byte-writer.ts';
import { FunctionBuilder } from '../../../machine/wasm/function-builder.ts';
import { ModuleBuilder } from '../../../machine/wasm/module-builder.ts';
import { opcodeOf } from '../../../machine/wasm/opcodes.ts';

const BINARY = { parameters: ['i64', 'i64'], results: ['i64'] } as const;

/** Compiles one function of two 64-bit numbers and calls it. */
function run(write: (builder: FunctionBuilder) => void, left: bigint, right: bigint): bigint {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 1 });
  const module = new ModuleBuilder({ memoryPages: 1 });
  const { builder } = module.function('f', BINARY);
  write(builder);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), {
    host: { memory, table },
  });
  const call = instance.exports['f'] as (left: bigint, right: bigint) => bigint;
  return BigInt.asUintN(64, call(left, right));
}

describe('a function', () => {
  it('computes what was written', () => {
    const result = run(
      (builder) => {
        const [left, right] = builder.parameters;
        builder.get(left!);
        builder.get(right!);
        builder.emit('i64.add');
        builder.i64(-1n);
        builder.emit('i64.xor');
      },
      40n,
      2n,
    );
    expect(result).toBe(BigInt.asUintN(64, ~42n));
  });

  it('branches, loops and keeps locals', () => {
    // left to the power of right
    const result = run(
      (builder) => {
        const [left, right] = builder.parameters;
        const product = builder.local('i64');
        builder.i64(1n);
        builder.set(product);
        builder.block((done) => {
          builder.loop((again) => {
            builder.get(right!);
            builder.emit('i64.eqz');
            builder.branchIf(done);
            builder.get(product);
            builder.get(left!);
            builder.emit('i64.mul');
            builder.set(product);
            builder.get(right!);
            builder.i64(1n);
            builder.emit('i64.sub');
            builder.set(right!);
            builder.branch(again);
          });
        });
        builder.get(product);
      },
      3n,
      13n,
    );
    expect(result).toBe(3n ** 13n);
  });

  it('reads and writes memory with an offset', () => {
    const result = run(
      (builder) => {
        const [left, right] = builder.parameters;
        builder.i32(16);
        builder.get(left!);
        builder.memory('i64.store32', 100);
        builder.i32(18);
        builder.get(right!);
        builder.memory('i64.store8', 100);
        builder.i32(0);
        builder.memory('i64.load', 116);
      },
      0x1122_3344_5566_7788n,
      0xaan,
    );
    expect(result).toBe(0x55aa_7788n);
  });

  const refused: readonly (readonly [string, (builder: FunctionBuilder) => void, RegExp])[] = [
    ['an operand that is missing', (builder) => builder.emit('i64.add'), /i64 is missing/],
    [
      'an operand of another type',
      (builder) => {
        builder.i64(1n);
        builder.i32(1);
        builder.emit('i64.add');
      },
      /i64 expected, i32 found/,
    ],
    [
      'an operand from outside the block',
      (builder) => {
        builder.i64(1n);
        builder.i32(1);
        builder.when(() => builder.drop('i64'));
      },
      /i64 is missing/,
    ],
    [
      'a block that leaves something behind',
      (builder) => {
        builder.i32(1);
        builder.when(() => builder.i32(2));
      },
      /leaves values/,
    ],
    [
      'code behind a jump',
      (builder) => {
        builder.i64(0n);
        builder.return();
        builder.i64(1n);
      },
      /after a jump/,
    ],
    ['a load without its memory argument', (builder) => builder.emit('i64.load'), /immediate/],
    ['an operation that does not exist', (builder) => builder.emit('i64.frob'), /no WebAssembly/],
  ];
  for (const [what, write, message] of refused) {
    it(`refuses ${what}`, () => {
      expect(() => write(new FunctionBuilder(BINARY))).toThrow(message);
    });
  }

  it('refuses to finish without its result, or with more than it', () => {
    expect(() => new FunctionBuilder(BINARY).finish()).toThrow(/i64 is missing/);
    const builder = new FunctionBuilder(BINARY);
    builder.i64(1n);
    builder.i64(2n);
    expect(() => builder.finish()).toThrow(/left over/);
  });
});

describe('numbers', () => {
  it.each([
    [0n, [0]],
    [63n, [0x3f]],
    [64n, [0xc0, 0]],
    [-1n, [0x7f]],
    [-64n, [0x40]],
    [-65n, [0xbf, 0x7f]],
    [2n ** 63n - 1n, [255, 255, 255, 255, 255, 255, 255, 255, 255, 0]],
    [-(2n ** 63n), [128, 128, 128, 128, 128, 128, 128, 128, 128, 0x7f]],
  ])('%s is written as the specification has it', (value, bytes) => {
    const writer = new ByteWriter();
    writer.signed(value);
    expect([...writer.finish()]).toEqual(bytes);
  });

  it('refuses what is no unsigned 32-bit number', () => {
    const writer = new ByteWriter();
    for (const value of [-1, 0.5, 2 ** 32, NaN]) {
      expect(() => writer.unsigned(value)).toThrow(RangeError);
    }
  });
});

describe('the opcode table', () => {
  it('has the codes of the specification for a sample of every kind', () => {
    const codes = ['i32.load', 'i64.store32', 'i64.rotr', 'i64.extend32_s', 'f64.sqrt'];
    expect(codes.map((name) => opcodeOf(name).code)).toEqual([0x28, 0x3e, 0x8a, 0xc4, 0x9f]);
    expect(opcodeOf('i64x2.replace_lane')).toMatchObject({ prefix: 0xfd, code: 0x1e });
    expect(opcodeOf('i64.trunc_sat_f64_s')).toMatchObject({ prefix: 0xfc, code: 6 });
  });
});
