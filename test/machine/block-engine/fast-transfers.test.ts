/**
 * The fast paths into and out of the kernel beside the rules in machine/cpu/. A machine whose TLB is
 * empty before each instruction, and which never has a budget of more than one, takes no fast path.
 */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../machine/index.ts';
import { fingerprint, kernelMachine } from '../small-guest.ts';
import { benchMachine } from './lockstep.ts';

const REGISTERS =
  'rip rflags rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 cs ss ds es fs gs cs_base cs_limit cs_attributes ss_base ss_limit ss_attributes ds_attributes es_attributes gs_base k_gs_base cr2 cr3 cpl mxcsr'.split(
    ' ',
  );

function visibleState(machine: Machine): string {
  const registers = REGISTERS.map((name) => `${name}=${machine.readRegister(name)?.toString(16)}`);
  return [`icount=${machine.icount}`, ...registers].join('\n');
}

function runByTheRules(machine: Machine, instructions: number): void {
  const end = machine.icount + BigInt(instructions);
  while (machine.icount < end) {
    // Any change of watchpoints empties the TLB.
    machine.addWatchpoint(0x7fff_ffff_0000n, 1, 'write');
    machine.removeWatchpoint(0x7fff_ffff_0000n, 1, 'write');
    machine.run({ budget: 1, skipIdle: true });
  }
}

function compare(make: () => Machine, from: number, slices: number, slice: number): void {
  const [fast, exact] = [make(), make()];
  for (const machine of [fast, exact]) machine.run({ budget: from, skipIdle: true });
  for (let count = 0; count < slices; count++) {
    fast.run({ budget: slice, skipIdle: true });
    runByTheRules(exact, slice);
    const [found, expected] = [visibleState(fast), visibleState(exact)];
    if (found !== expected) expect(found).toBe(expected);
  }
  expect(fingerprint(fast)).toBe(fingerprint(exact));
}

describe('the fast paths do what the rules say', () => {
  it('for int 0x80 and iretq at one level', () => {
    compare(() => benchMachine('int80=20000', { engine: 'step' }), 3500, 100, 101);
  });

  it('for page faults and their handler', () => {
    compare(() => benchMachine('fault=20000', { engine: 'step' }), 4000, 100, 101);
  });

  for (const from of [3_000_000, 4_000_000, 5_000_000]) {
    it(`for system calls, faults and interrupts of a kernel and its programs at ${from}`, { timeout: 120_000 }, () => {
      compare(() => kernelMachine('test', { engine: 'step' }), from, 200, 307);
    }); // prettier-ignore
  }
});
