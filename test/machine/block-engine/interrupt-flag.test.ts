/** POPFQ and STI at CPL 0, which are generated code where nothing waits, beside the manual's words. */
import { describe, expect, it } from 'vitest';
import type { EngineKind, Machine } from '../../../machine/index.ts';
import { fingerprint } from '../small-guest.ts';
import { LIDT, putGates } from './interrupt-gates.ts';
import { benchMachine } from './lockstep.ts';

const CODE = 0x40_0000;
const HANDLER = 0x50_0000;
const LOG = 0x80_0000;
const STACK = 0x90_0000n;
const TIMER_VECTOR = 0x20;

/** Long mode, memory mapped one to one. */
function guest(code: readonly number[], engine: EngineKind): Machine {
  const machine = benchMachine('spin', { engine });
  machine.run({ budget: 10_000 });
  machine.writePhysical(BigInt(CODE), Uint8Array.from(code));
  machine.writeRegister('rip', BigInt(CODE));
  machine.writeRegister('rsp', STACK);
  machine.writeRegister('rbx', BigInt(LOG));
  return machine;
}

/** mov al, value; out port, al */
const out = (port: number, value: number): number[] => [0xb0, value, 0xe6, port];

describe('POPFQ', () => {
  /** Intel SDM 2B, "POPF", 64-bit mode with CPL 0: CF PF AF ZF SF TF IF DF OF IOPL NT AC ID. */
  const POPPED = 0x24_7fd5n;
  const CLEARED = 0x19_0000n;
  const FLAGS = 0x3f_7fd5n;
  const TF = 0x100n;

  it('brings what level 0 may change and leaves the rest', () => {
    const machine = guest([0x9d, 0x90], 'step');
    let seed = 1n;
    const random = (): bigint => (seed = BigInt.asUintN(64, seed * 6364136223846793005n + 1442695040888963407n)) >> 32n; // prettier-ignore
    for (let round = 0; round < 2000; round++) {
      const isCommon = round % 2 === 0;
      const mask = (isCommon ? 0x20_3ed5n : FLAGS) & ~TF;
      const [old, popped] = [(random() & mask) | 2n, random() & mask];
      machine.writeRegister('rflags', old);
      machine.writeRegister('rip', BigInt(CODE));
      machine.writeRegister('rsp', STACK);
      machine.writePhysical(STACK, new Uint8Array(new BigUint64Array([popped]).buffer));
      machine.run({ budget: 1, maskInterrupts: true });
      const expected = (old & ~(POPPED | CLEARED)) | (popped & POPPED);
      expect(machine.readRegister('rflags')).toBe(expected);
      expect(machine.readRegister('rsp')).toBe(STACK + 8n);
      expect(machine.readRegister('rip')).toBe(BigInt(CODE + 1));
    }
  });
});

describe('STI', () => {
  const PIC = [[0x20, 0x11], [0x21, TIMER_VECTOR], [0x21, 4], [0x21, 1], [0x21, 0xfe]]; // prettier-ignore
  const PIT = [
    [0x43, 0x34],
    [0x40, 2],
    [0x40, 0],
  ];
  const PREFIX = [...LIDT, ...[...PIC, ...PIT].flatMap(([port, value]) => out(port!, value!))];
  // cli; add ecx, eax; sti; inc ecx; nop; pushfq; cli; popfq; nop; jmp to the first
  const LOOP = [0xfa, 0x01, 0xc1, 0xfb, 0xff, 0xc1, 0x90, 0x9c, 0xfa, 0x9d, 0x90, 0xeb, 0xf3];
  const START = CODE + PREFIX.length;
  const AFTER = { sti: START + 4, shadow: START + 6, popf: START + 10 };
  // mov rdx, [rsp]; mov [rbx], rdx; add rbx, 8; mov al, 0x20; out 0x20, al; iretq
  const HANDLER_CODE = [0x48, 0x8b, 0x14, 0x24, 0x48, 0x89, 0x13, 0x48, 0x83, 0xc3, 0x08, ...out(0x20, 0x20), 0x48, 0xcf]; // prettier-ignore
  const INSTRUCTIONS = 120_000;

  function interruptedGuest(engine: EngineKind): Machine {
    const machine = guest([...PREFIX, ...LOOP], engine);
    machine.writePhysical(BigInt(HANDLER), Uint8Array.from(HANDLER_CODE));
    putGates(machine, [TIMER_VECTOR], HANDLER);
    return machine;
  }

  function run(engine: EngineKind, budget: number): Machine {
    const machine = interruptedGuest(engine);
    for (let done = 0; done < INSTRUCTIONS; done += budget) {
      machine.run({ budget: Math.min(budget, INSTRUCTIONS - done) });
    }
    return machine;
  }

  it('lets no interrupt in before the next instruction has retired', () => {
    const machine = run('step', INSTRUCTIONS);
    const end = Number(machine.readRegister('rbx'));
    const log = new BigUint64Array(machine.readPhysical(BigInt(LOG), end - LOG).slice().buffer);
    const interrupted = [...log].map(Number);
    expect(interrupted.length).toBeGreaterThan(50);
    expect(interrupted).not.toContain(AFTER.sti);
    // What came while IF was 0 is let in behind the shadow, and at once behind POPF.
    expect(interrupted).toContain(AFTER.shadow);
    expect(interrupted).toContain(AFTER.popf);
  });

  it('does so with either engine and however the run is cut', () => {
    const whole = fingerprint(run('step', INSTRUCTIONS));
    for (const engine of ['step', 'block'] as const) {
      for (const budget of [1, 7, 1001, INSTRUCTIONS]) {
        expect(fingerprint(run(engine, budget)), `${engine} by ${budget}`).toBe(whole);
      }
    }
  });
});
