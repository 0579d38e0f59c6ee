/** The small emulator of the README, behind `exoscope/rsp`, with the real gdb. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gdb } from '../end-to-end/gdb.ts';
import { missing } from '../tools.ts';
import { TinyCpu } from './example-emulator/tiny-cpu.ts';
import { TinyTarget } from './example-emulator/tiny-target.ts';
import { serveTarget, type Served } from './serve-target.ts';

/** Adds 5 + 4 + 3 + 2 + 1 by a call for each and stores the sum at 0x1800 as it grows. */
const PROGRAM = Buffer.from(
  [
    'b905000000', // 1000 mov ecx, 5
    'ba01000000', // 1005 mov edx, 1
    'e806000000', // 100a call 1015
    '4829d1', //     100f sub rcx, rdx
    '75f6', //       1012 jne 100a
    'f4', //         1014 hlt
    '4801c8', //     1015 add rax, rcx
    '4889042500180000', // 1018 mov [0x1800], rax
    'c3', //         1020 ret
  ].join(''),
  'hex',
);

describe.skipIf(missing('gdb'))('an emulator of somebody else behind exoscope/rsp', () => {
  let target: TinyTarget;
  let served: Served;

  beforeAll(async () => {
    target = new TinyTarget(new TinyCpu(PROGRAM));
    served = await serveTarget(target, 'halt');
  });
  afterAll(() => served.dispose());

  const session = (...commands: string[]) => {
    target.restart();
    return gdb(`target remote ${served.address}`, ...commands);
  };

  it('shows registers and instructions at attach, and what it lacks as unavailable', async () => {
    const { printed } = await session('x/2i $pc', 'p $rsp', 'p $st0', 'info threads');
    expect(printed[1]).toMatch(/=> 0x1000:\s+mov +\$0x5,%ecx\s+0x1005:\s+mov +\$0x1,%edx/);
    expect(printed[2]).toContain('0x2000');
    expect(printed[3]).toContain('<unavailable>');
    expect(printed[4]).toMatch(/\* 1 +Thread 1(\.1)? "cpu" \(the only one\)/);
  });

  it('steps into a call, over it, and out of it', async () => {
    const { printed } = await session(
      'stepi 3',
      'p/x *(long*)$rsp',
      'stepi 2',
      'p $rax',
      'stepi',
      'p $pc',
    );
    expect(printed[1]).toContain('0x0000000000001015');
    expect(printed[2]).toContain('= 0x100f');
    expect(printed[4]).toContain('= 5');
    expect(printed[6]).toContain('0x100f');
  });

  it('stops at breakpoints, with gdb counting and judging conditions', async () => {
    const { printed } = await session(
      'break *0x1018 if $rcx == 2',
      'continue',
      'p $rax',
      'info breakpoints',
    );
    expect(printed[2]).toContain('Breakpoint 1, 0x0000000000001018');
    expect(printed[3]).toContain('= 14');
    expect(printed[4]).toContain('breakpoint already hit 1 time');
  });

  it('tells old and new value of a watched word', async () => {
    const { printed } = await session('watch *(long*)0x1800', 'continue', 'continue');
    expect(printed[2]).toMatch(/Old value = 0\s+New value = 5/);
    expect(printed[3]).toMatch(/Old value = 5\s+New value = 9/);
  });

  it('writes registers and memory, runs to the end and tells the status', async () => {
    const { printed } = await session(
      'set var *(char*)0x1001 = 3',
      'set var $rax = 100',
      'continue',
    );
    expect(printed[3]).toMatch(/exited with code 0152/);
  });

  it('tells of a fault in words, with the machine as it was before', async () => {
    const { printed } = await session('set var $pc = 0x1900', 'continue', 'p $pc');
    expect(printed[2]).toContain('no instruction has the opcode 0');
    expect(printed[2]).toContain('SIGSEGV');
    expect(printed[3]).toContain('0x1900');
  });
});
