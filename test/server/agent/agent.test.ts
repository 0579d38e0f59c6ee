/** Agent expressions: validation, every operation, and what gdb 13.1 really sends. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AgentError } from '../../../server/agent/agent-error.ts';
import type { AgentEnvironment } from '../../../server/agent/environment.ts';
import { AgentProgram } from '../../../server/agent/program.ts';

const MEMORY = Uint8Array.from({ length: 256 }, (_, index) => index);
const MINUS_ONE = (1n << 64n) - 1n;

class FakeEnvironment implements AgentEnvironment {
  readonly variables = new Map<number, bigint>();
  readonly registers = new Map<number, bigint>([
    [0, 0xffff_ffff_8000_0000n],
    [5, 6n],
    [7, 0x10n],
  ]);
  printed = '';

  register(number: number): (() => bigint) | undefined {
    const value = this.registers.get(number);
    return value === undefined ? undefined : () => this.registers.get(number)!;
  }

  integer(address: bigint, lengthBytes: 1 | 2 | 4 | 8): bigint | undefined {
    const bytes = this.bytes(address, lengthBytes);
    if (bytes.length < lengthBytes) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  bytes(address: bigint, lengthBytes: number): Uint8Array {
    const start = address > 256n ? 256 : Number(address);
    return MEMORY.subarray(start, start + lengthBytes);
  }

  print(text: string): void {
    this.printed += text;
  }
}

function program(hex: string, environment = new FakeEnvironment()): AgentProgram {
  return new AgentProgram(Buffer.from(hex.replaceAll(' ', ''), 'hex'), environment);
}

/** const64 of a value */
function push(value: bigint): string {
  return `25${BigInt.asUintN(64, value).toString(16).padStart(16, '0')}`;
}

describe('agent expressions', () => {
  it('evaluates the condition that gdb sends for $rdi == 6', () => {
    expect(program('26 0005 16 40 22 06 13 27').evaluate()).toBe(1n);
    expect(program('26 0005 16 40 22 07 13 27').isTrue()).toBe(false);
  });

  it.each([
    ['add', '02', 7n, -9n, -2n],
    ['sub', '03', 7n, 9n, -2n],
    ['mul', '04', 1n << 63n, 3n, 1n << 63n],
    ['div_signed', '05', -7n, 2n, -3n],
    ['div_unsigned', '06', -2n, 2n, (1n << 63n) - 1n],
    ['rem_signed', '07', -7n, 2n, -1n],
    ['rem_unsigned', '08', MINUS_ONE, 10n, 5n],
    ['lsh', '09', 3n, 63n, 1n << 63n],
    ['lsh beyond the width', '09', 3n, 200n, 0n],
    ['rsh_signed', '0a', -8n, 1n, -4n],
    ['rsh_signed beyond the width', '0a', -8n, 1n << 40n, -1n],
    ['rsh_unsigned', '0b', -8n, 60n, 15n],
    ['bit_and', '0f', 12n, 10n, 8n],
    ['bit_or', '10', 12n, 10n, 14n],
    ['bit_xor', '11', 12n, 10n, 6n],
    ['equal', '13', 5n, 5n, 1n],
    ['less_signed', '14', -1n, 0n, 1n],
    ['less_unsigned', '15', -1n, 0n, 0n],
  ])('computes %s', (_name, opcode, left, right, result) => {
    const value = program(`${push(left)} ${push(right)} ${opcode} 27`).evaluate();
    expect(value).toBe(BigInt.asUintN(64, result));
  });

  it.each([
    ['log_not', '0e', 0n, 1n],
    ['bit_not', '12', 0n, MINUS_ONE],
    ['ext 8', '16 08', 0x80n, MINUS_ONE - 0x7fn],
    ['ext 64', '16 40', 5n, 5n],
    ['zero_ext 32', '2a 20', MINUS_ONE, 0xffff_ffffn],
    ['ref8', '17', 3n, 3n],
    ['ref16', '18', 3n, 0x0403n],
    ['ref32', '19', 3n, 0x0605_0403n],
    ['ref64', '1a', 0n, 0x0706_0504_0302_0100n],
  ])('computes %s of one value', (_name, code, operand, result) => {
    expect(program(`${push(operand)} ${code} 27`).evaluate()).toBe(result);
  });

  it('moves values on the stack: dup, pop, swap, pick, rot', () => {
    expect(program('22 05 28 02 27').evaluate()).toBe(10n);
    expect(program('22 05 22 06 29 27').evaluate()).toBe(5n);
    expect(program('22 05 22 06 2b 03 27').evaluate()).toBe(1n);
    expect(program('22 05 22 06 32 01 27').evaluate()).toBe(5n);
    // a b c → c a b: b is on top
    expect(program('22 0a 22 0b 22 0c 33 27').evaluate()).toBe(0x0bn);
    expect(program('22 0a 22 0b 22 0c 33 29 29 27').evaluate()).toBe(0x0cn);
  });

  it('jumps as gdb does for && and ||', () => {
    // reg 5 != 0 ? const 1 : const 2
    const code = '26 0005 20 0009 22 02 27 22 01 27';
    const environment = new FakeEnvironment();
    const choice = program(code, environment);
    expect(choice.evaluate()).toBe(1n);
    environment.registers.set(5, 0n);
    expect(choice.evaluate()).toBe(2n);
  });

  it('keeps trace state variables', () => {
    const environment = new FakeEnvironment();
    const count = program('2c 0002 22 01 02 2d 0002 27', environment);
    for (let round = 0; round < 3; round++) count.evaluate();
    expect(environment.variables.get(2)).toBe(3n);
  });

  it('prints as dprintf asks: the first argument is on top, under function and channel', () => {
    const environment = new FakeEnvironment();
    const format = Buffer.from('%d of %#lx: %-4u|%05d|%s\\n\0').toString('hex');
    const length = (format.length / 2).toString(16).padStart(4, '0');
    const values = `22 00 ${push(-42n)} 22 07 26 0000 ${push(-3n)} 22 00 22 00`;
    program(`${values} 34 05 ${length} ${format} 27`, environment).evaluate();
    expect(environment.printed).toBe('-3 of 0xffffffff80000000: 7   |-0042|\n');
  });

  it('counts as true what fails: division, memory, wide registers, floating point, endless loops', () => {
    for (const code of [
      '22 01 22 00 06 27',
      '23 1000 17 27',
      '26 0010 27',
      '22 01 1e 27',
      '21 0000',
    ]) {
      expect(program(code).isTrue()).toBe(true);
      expect(() => program(code).evaluate()).toThrow(AgentError);
    }
  });

  it.each([
    ['an operation cut off', '26 00'],
    ['an unknown operation', 'ff 27'],
    ['an empty stack', '02 27'],
    ['a jump into an operand', '22 00 20 0001 27'],
    ['a jump out of the expression', '21 0040 27'],
    ['an end that does not come', '22 01'],
    ['nothing at all', ''],
    ['different depths where two ways meet', '22 01 20 0007 22 01 27'],
    ['an extension of 0 bits', '22 01 16 00 27'],
    ['an extension of 65 bits', '22 01 2a 41 27'],
    ['a pick below the stack', '22 01 32 01 27'],
    ['a format without NUL', '22 00 22 00 34 00 0001 41 27'],
    ['a format that wants more arguments', '22 00 22 00 34 00 0003 256400 27'],
    ['a stack that grows without end', `22 01 ${'28 '.repeat(100)} 27`],
  ])('refuses %s when it comes', (_name, code) => {
    expect(() => program(code)).toThrow(AgentError);
  });

  it('refuses or evaluates any bytes, and throws nothing but AgentError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        try {
          new AgentProgram(bytes, new FakeEnvironment()).isTrue();
        } catch (error) {
          expect(error).toBeInstanceOf(AgentError);
        }
      }),
      { numRuns: 5000, seed: 1 },
    );
  });
});
