/** What may happen to code while it is hot, with either engine in lockstep. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../machine/index.ts';
import { CODE_ADDRESS, kernelMachine, smallGuest } from '../small-guest.ts';
import { benchMachine, EAGER, Lockstep } from './lockstep.ts';

const BASE = BigInt(CODE_ADDRESS);
const HOT = { budget: 20_000 };

function small(code: readonly number[]): Lockstep {
  return new Lockstep((engine) => smallGuest(code, { engine, hotness: EAGER }));
}

/** 64-bit code at 4 MiB, data at 8 MiB (rbp), a stack below 9 MiB, memory mapped one to one. */
function long(code: readonly number[]): Lockstep {
  const lockstep = new Lockstep((engine) => benchMachine('spin', { engine }));
  lockstep.both((machine) => {
    machine.run({ budget: 10_000 });
    machine.writePhysical(0x40_0000n, Uint8Array.from(code));
    machine.writeRegister('rip', 0x40_0000n);
    machine.writeRegister('rbp', 0x80_0000n);
    machine.writeRegister('rsp', 0x90_0000n);
    machine.writeRegister('rbx', 0n);
    machine.writeRegister('rcx', 0n);
  });
  return lockstep;
}

function bytes32(value: number): number[] {
  return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
}

/** add ebx, eax; rol ebx, 3; adc ecx, ebx; inc eax; jmp to the first */
const LOOP = [0x01, 0xc3, 0xc1, 0xc3, 0x03, 0x11, 0xd9, 0x40, 0xeb, 0xf6];
const LOOP_OFFSETS = [0, 2, 5, 7, 8];

describe('a hot loop', () => {
  it('stops where the budget says, for every budget', () => {
    const lockstep = small(LOOP);
    lockstep.run(HOT);
    expect(lockstep.compiledRegions).toBe(1);
    for (let budget = 1; budget <= 300; budget++) {
      expect(lockstep.run({ budget })).toEqual({ kind: 'budget' });
    }
  });

  it('is stepped through one instruction at a time', () => {
    const lockstep = small(LOOP);
    lockstep.run(HOT);
    for (let step = 0; step < 20; step++) {
      expect(lockstep.run({ budget: 1, step: true })).toEqual({ kind: 'step' });
      lockstep.run({ budget: 77 });
    }
  });

  for (const offset of LOOP_OFFSETS) {
    it(`stops at a breakpoint on its byte ${offset}, set and cleared while hot`, () => {
      const lockstep = small(LOOP);
      const address = BASE + BigInt(offset);
      for (let round = 0; round < 4; round++) {
        lockstep.run(HOT);
        lockstep.both((machine) => machine.addBreakpoint(address));
        for (let stop = 0; stop < 5; stop++) {
          const passBreakpoint = stop > 0 || lockstep.step.readRegister('rip') !== address;
          expect(lockstep.run({ ...HOT, passBreakpoint }).kind).toBe('breakpoint');
        }
        lockstep.both((machine) => machine.removeBreakpoint(address));
      }
      expect(lockstep.compiledRegions).toBeGreaterThan(1);
    });
  }

  it('runs hooks at every address while hot', () => {
    const seen: bigint[][] = [];
    const lockstep = small(LOOP);
    lockstep.both((machine) => {
      const icounts: bigint[] = [];
      seen.push(icounts);
      for (const offset of LOOP_OFFSETS) {
        machine.addExecutionHook(BASE + BigInt(offset), (view) => icounts.push(view.icount));
        machine.run({ budget: 3001 });
      }
    });
    lockstep.run({ budget: 5000 });
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[0]!.length).toBeGreaterThan(10_000);
  });
});

describe('hot code that is written', () => {
  it('by itself does what is written from the next instruction on', () => {
    // inc byte [immediate]; mov al, 0; add ebx, eax; jmp
    const target = CODE_ADDRESS + 7;
    const code = [0xfe, 0x05, ...bytes32(target), 0xb0, 0x00, 0x01, 0xc3, 0xeb, 0xf4];
    const lockstep = small(code);
    for (let slice = 0; slice < 40; slice++) lockstep.run({ budget: 1237 });
    lockstep.expectSameMemory();
  });

  it('by the debugger does what is written', () => {
    const lockstep = small(LOOP);
    for (let value = 1; value < 31; value++) {
      lockstep.run(HOT);
      lockstep.both((machine) => machine.writePhysical(BASE + 4n, Uint8Array.of(value)));
    }
    expect(lockstep.compiledRegions).toBeGreaterThan(10);
  });

  it('only beside its instructions goes on as it is', () => {
    // inc dword [data on the same page]; add ebx, [data]; inc ecx; jmp
    const data = bytes32(CODE_ADDRESS + 0x200);
    const code = [0xff, 0x05, ...data, 0x03, 0x1d, ...data, 0x41, 0xeb, 0xf1];
    const lockstep = small(code);
    for (let slice = 0; slice < 10; slice++) lockstep.run({ budget: 5003 });
    expect(lockstep.block.readRegister('rcx')).toBeGreaterThan(10_000n);
    lockstep.expectSameMemory();
  });
});

describe('memory under hot code', () => {
  /** Loads and stores at rbp with a page boundary in the middle. */
  const COPY = [
    0x48, 0x8b, 0x85, ...bytes32(0xffc), // mov rax, [rbp + 0xffc]
    0x48, 0x01, 0xc3, // add rbx, rax
    0x48, 0x89, 0x9d, ...bytes32(0x10), // mov [rbp + 0x10], rbx
    0x48, 0xff, 0x85, ...bytes32(0xffb), // inc qword [rbp + 0xffb]
    0xff, 0xc1, // inc ecx
    0xeb, 0xe4, // jmp
  ]; // prettier-ignore

  it('is accessed across pages as one by one', () => {
    const lockstep = long(COPY);
    for (let slice = 0; slice < 10; slice++) lockstep.run({ budget: 6007 });
    lockstep.expectSameMemory();
  });

  it('is watched from the moment a watchpoint is set until it is cleared', () => {
    const lockstep = long(COPY);
    for (let round = 0; round < 3; round++) {
      lockstep.run(HOT);
      lockstep.both((machine) => machine.addWatchpoint(0x80_0010n, 8, 'write'));
      for (let hit = 0; hit < 5; hit++) {
        expect(lockstep.run(HOT).kind).toBe('watchpoint');
      }
      lockstep.both((machine) => machine.removeWatchpoint(0x80_0010n, 8, 'write'));
      expect(lockstep.run(HOT).kind).toBe('budget');
    }
  });

  it('comes to mean other code when the guest maps another page there', () => {
    const lockstep = long([
      0xe8, ...bytes32(0x60_0000 - 0x40_0005), // call 0x600000
      0x48, 0x81, 0xb5, ...bytes32(0), ...bytes32(0x20_0000 ^ 0x40_0000), // xor [rbp], …: the entry
      0x0f, 0x01, 0x3c, 0x25, ...bytes32(0x60_0000), // invlpg [0x600000]
      0xeb, 0xe6, // jmp to the call
    ]); // prettier-ignore
    lockstep.both((machine) => {
      machine.writeRegister('rbp', directoryOf(machine) + 8n * 3n);
      machine.writePhysical(0x60_0000n, Uint8Array.of(0x48, 0xff, 0xc3, 0xc3)); // inc rbx; ret
      machine.writePhysical(0xa0_0000n, Uint8Array.of(0x48, 0x83, 0xc1, 0x03, 0xc3)); // add rcx, 3
      // The entry of 0x600000 is toggled between 0x600000 and 0xa00000.
      machine.writePhysical(0x40_0008n, Uint8Array.from([...bytes32(0), ...bytes32(0xc0_0000)]));
    });
    for (let slice = 0; slice < 20; slice++) lockstep.run({ budget: 3001 });
    const [rbx, rcx] = ['rbx', 'rcx'].map((name) => lockstep.block.readRegister(name)!);
    expect(rbx).toBeGreaterThan(1000n);
    expect(rcx! - rbx! * 3n).toBeLessThan(4n);
  });
});

describe('single-stepping by the guest', () => {
  it('traps after every instruction of hot code while TF is set', () => {
    const handler = 0x40_0800;
    const lockstep = long([
      0x0f, 0x01, 0x1c, 0x25, ...bytes32(0x70_1000), // lidt [0x701000]
      0xff, 0xc1, 0x01, 0xcb, 0xf7, 0xc1, ...bytes32(0xff), // inc ecx; add ebx, ecx; test ecx, 255
      0x75, 0xf4, // jnz to the inc
      0x9c, 0x81, 0x34, 0x24, ...bytes32(0x100), 0x9d, // pushfq; xor dword [rsp], TF; popfq
      0xeb, 0xe9, // jmp to the inc
    ]); // prettier-ignore
    lockstep.both((machine) => {
      machine.writePhysical(BigInt(handler), Uint8Array.of(0x48, 0xff, 0xc2, 0x48, 0xcf)); // inc rdx; iretq
      const table = new Uint8Array(32);
      const view = new DataView(table.buffer);
      view.setUint16(16, handler & 0xffff, true);
      view.setUint16(18, 8, true);
      view.setUint16(20, 0x8e00, true);
      view.setUint16(22, handler >> 16, true);
      machine.writePhysical(0x70_0000n, table);
      const pointer = new DataView(new ArrayBuffer(16));
      pointer.setUint16(0, 0xfff, true);
      pointer.setBigUint64(2, 0x70_0000n, true);
      machine.writePhysical(0x70_1000n, new Uint8Array(pointer.buffer));
      machine.writeRegister('rdx', 0n);
    });
    for (let slice = 0; slice < 30; slice++) lockstep.run({ budget: 2003 });
    expect(lockstep.block.readRegister('rdx')).toBeGreaterThan(1000n);
  });
});

describe('interrupts', () => {
  it('come at the same instructions however the run is cut', { timeout: 120_000 }, () => {
    const lockstep = new Lockstep((engine) => kernelMachine('test', { engine, hotness: EAGER }));
    lockstep.run({ budget: 1_000_000, skipIdle: true });
    for (let budget = 1; budget < 600; budget++) lockstep.run({ budget, skipIdle: true });
    lockstep.expectSameMemory();
  });
});

/** Physical address of the page directory that maps the first GiB. */
function directoryOf(machine: Machine): bigint {
  const entry = (table: bigint): bigint => {
    const bytes = machine.readPhysical(table, 8);
    return new DataView(bytes.buffer).getBigUint64(0, true) & ~0xfffn;
  };
  return entry(entry(machine.readRegister('cr3')!));
}
