/** Where regions end: an access that faults in their middle, and a cache that is full. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../machine/index.ts';
import { smallGuest } from '../small-guest.ts';
import { LIDT, putGates } from './interrupt-gates.ts';
import { benchMachine, EAGER, Lockstep } from './lockstep.ts';

const CODE = 0x40_0000;
const HANDLER = 0x50_0000;
const FAULTS = [13, 14];

/** Long mode, memory mapped one to one; control is at CODE, the stack below 9 MiB. */
function guest(code: readonly number[], prepare: (machine: Machine) => void): Lockstep {
  const lockstep = new Lockstep((engine) => benchMachine('spin', { engine }));
  lockstep.both((machine) => {
    machine.run({ budget: 10_000 });
    machine.writePhysical(BigInt(CODE), Uint8Array.from(code));
    machine.writeRegister('rip', BigInt(CODE));
    machine.writeRegister('rsp', 0x90_0000n);
    machine.writeRegister('rcx', 0n);
    prepare(machine);
  });
  return lockstep;
}

/** add rsp, 8 (the error code); mov edi, 8 MiB; iretq */
const REPAIR = [0x48, 0x83, 0xc4, 0x08, 0xbf, 0x00, 0x00, 0x80, 0x00, 0x48, 0xcf];

const ACCESSES: Readonly<Record<string, readonly number[]>> = {
  'mov eax, [rdi]': [0x8b, 0x07],
  'mov [rdi], eax': [0x89, 0x07],
  'add [rdi], eax': [0x01, 0x07],
  'adc [rdi], ecx': [0x11, 0x0f],
  'xchg eax, [rdi]': [0x87, 0x07],
  'push qword [rdi]; pop rdx': [0xff, 0x37, 0x5a],
  'pop qword [rdi]; push rax': [0x8f, 0x07, 0x50],
  'movups xmm0, [rdi]': [0x0f, 0x10, 0x07],
  'test eax, eax; mov edx, [rdi]': [0x85, 0xc0, 0x8b, 0x17],
  'cmpxchg [rdi], ecx': [0x0f, 0xb1, 0x0f],
};

describe('an access in the middle of hot code', () => {
  for (const [name, access] of Object.entries(ACCESSES)) {
    for (const [where, address] of [
      ['where nothing is mapped', 1n << 40n],
      ['that is not canonical', 1n << 62n],
    ] as const) {
      // prettier-ignore
      it(`faults with the state before it: ${name}, ${where}`, () => {
        // inc ecx; test cl, 31; cmovz rdi, rsi; the access; add eax, ecx; jmp to the inc
        const body = [0xff, 0xc1, 0xf6, 0xc1, 0x1f, 0x48, 0x0f, 0x44, 0xfe, ...access, 0x01, 0xc8];
        const code = [...LIDT, ...body, 0xeb, 0x100 - body.length - 2];
        const lockstep = guest(code, (machine) => {
          putGates(machine, FAULTS, HANDLER);
          machine.writePhysical(BigInt(HANDLER), Uint8Array.from(REPAIR));
          machine.writeRegister('rdi', 0x80_0000n);
          machine.writeRegister('rsi', address);
        });
        for (let slice = 0; slice < 60; slice++) lockstep.run({ budget: 997 });
        expect(lockstep.compiledRegions).toBeGreaterThan(0);
        // Faults came and were repaired: the counter went on.
        expect(lockstep.block.readRegister('rcx')).toBeGreaterThan(1000n);
      });
    }
  }
});

describe('the first loop that gets hot', () => {
  it('is compiled in part, since the compiler is cold, and soon as one region', () => {
    // add eax, ecx, 120 times; jmp to the first
    const body = Array.from({ length: 120 }, () => [0x01, 0xc8]).flat();
    const jump = [0xe9, ...new Uint8Array(new Int32Array([-body.length - 5]).buffer)];
    const lockstep = new Lockstep((engine) => {
      return smallGuest([...body, ...jump], { engine, hotness: EAGER });
    });
    const sizes = new Set<number>();
    for (let slice = 0; slice < 200; slice++) {
      lockstep.run({ budget: 101 });
      for (const { instructions } of lockstep.block.describeJit()!.regions) sizes.add(instructions);
    }
    expect(Math.min(...sizes)).toBeLessThanOrEqual(64);
    expect(lockstep.block.describeJit()!.regions.map(({ instructions }) => instructions)).toEqual([
      121,
    ]);
  });
});

describe('the two hot loops of SHA-256', () => {
  it('are in one region in the end, since 64 rounds of each go to and fro between them', () => {
    const machine = benchMachine('sha256=20000', { hotness: undefined });
    machine.run({ budget: 60_000_000 });
    const sizes = machine.describeJit()!.regions.map(({ instructions }) => instructions);
    expect(sizes).toHaveLength(1);
    expect(sizes[0]).toBeGreaterThan(128);
  });
});

describe('more hot pages than there is room for', () => {
  const PAGES = 1100;

  it('evict the region that has not been seen for longest, and all goes on', { timeout: 120_000 }, () => {
    const lockstep = guest([], (machine) => {
      for (let page = 0; page < PAGES; page++) {
        // mov edx, 400; add eax, edx; dec edx; jnz to the add; jmp to the next page
        const next = page === PAGES - 1 ? -PAGES * 4096 + 4096 : 4096;
        const code = new DataView(new ArrayBuffer(16));
        [0xba, 0x90, 0x01, 0, 0, 0x01, 0xd0, 0xff, 0xca, 0x75, 0xfa, 0xe9].forEach((byte, at) => code.setUint8(at, byte)); // prettier-ignore
        code.setInt32(12, next - 16, true);
        machine.writePhysical(BigInt(CODE + page * 4096), new Uint8Array(code.buffer));
      }
    });
    // Two rounds.
    for (let slice = 0; slice < 30; slice++) lockstep.run({ budget: 90_001 });
    const report = lockstep.block.describeJit()!;
    expect(report.compiled).toBeGreaterThan(1008);
    expect(report.evicted).toBeGreaterThan(0);
    expect(report.regions.length).toBeLessThanOrEqual(1008);
    lockstep.expectSameMemory();
  }); // prettier-ignore
});
