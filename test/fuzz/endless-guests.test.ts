/** Guests that never retire another instruction: the slice ends all the same. */
import { describe, expect, it } from 'vitest';
import type { EngineKind } from '../../machine/index.ts';
import { smallGuest } from '../machine/small-guest.ts';
import { CODE, hostileMachine } from './hostile-guest.ts';

const IDT = 0x68_0000;
const TASK_STATE = 0x69_0000;
const STACK = 0x70_0000n;

function quadword(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes;
}

/** #UD has a handler that begins with UD2, on a stack of its own: it delivers #UD for ever. */
function handlerThatFaults(
  engine: EngineKind = 'step',
  interruptStack = 1,
): ReturnType<typeof hostileMachine> {
  const machine = hostileMachine(engine);
  machine.run({ budget: 10_000 });
  const gate = (BigInt(CODE >>> 16) << 48n) | 0x8e00_0008_0000n | BigInt(CODE & 0xffff);
  machine.writePhysical(BigInt(IDT + 6 * 16), quadword(gate | (BigInt(interruptStack) << 32n)));
  machine.writePhysical(BigInt(IDT + 6 * 16 + 8), quadword(0n));
  machine.writePhysical(BigInt(TASK_STATE + 36), quadword(STACK));
  machine.writePhysical(BigInt(CODE), Uint8Array.of(0x0f, 0x0b));
  const state = machine['state'];
  state.idtrBase = BigInt(IDT);
  state.idtrLimit = 4095;
  state.trBase = BigInt(TASK_STATE);
  state.trLimit = 103;
  machine.writeRegister('rip', BigInt(CODE));
  return machine;
}

describe('a guest that retires nothing', () => {
  it('does not keep the host in a handler that faults at once', () => {
    const machine = handlerThatFaults();
    const before = machine.icount;
    expect(machine.run({ budget: 1000 })).toEqual({ kind: 'budget' });
    expect(machine.readRegister('rsp')).toBe(STACK - 40n);
    expect(machine.icount).toBe(before);
  });

  for (const engine of ['step', 'block'] as const) {
    it(`is held to a slice by the ${engine} engine where its handlers pile up on one stack`, () => {
      const machine = handlerThatFaults(engine, 0);
      machine.writeRegister('rsp', STACK);
      expect(machine.run({ budget: 1000 })).toEqual({ kind: 'budget' });
      expect(machine.readRegister('rsp')).toBeGreaterThan(STACK - 0x10_0000n);
    });
  }

  it('is stepped from one delivery to the next', () => {
    expect(handlerThatFaults().run({ budget: 1, step: true })).toEqual({ kind: 'step' });
  });

  // mov al, 0xff; out 0x21, al; mov al, 0x34; out 0x43, al; mov al, 1; out 0x40, al; out 0x40, al; sti; hlt
  const SLEEPER = [
    0xb0, 0xff, 0xe6, 0x21, 0xb0, 0x34, 0xe6, 0x43, 0xb0, 0x01, 0xe6, 0x40, 0xe6, 0x40, 0xfb, 0xf4,
  ];

  it('does not keep a debugger that steps a HLT whose timer is masked', () => {
    const machine = smallGuest(SLEEPER);
    expect(machine.run({ budget: 100 }).kind).toBe('idle');
    expect(machine.run({ budget: 1, step: true }).kind).toBe('idle');
  });

  it('lets a run that skips idle time end while a masked timer fires for ever', () => {
    const machine = smallGuest(SLEEPER);
    const start = machine.ticks;
    expect(machine.run({ budget: 100, skipIdle: true })).toEqual({ kind: 'budget' });
    expect(machine.ticks).toBeGreaterThan(start);
  });
});
