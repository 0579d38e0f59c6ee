/** System calls of kernel-mode processes: which are told, and which return belongs to which call. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MachineAgent } from '../../../server/target/machine-agent.ts';
import { MachineBreakpoints } from '../../../server/target/machine-breakpoints.ts';
import { KernelModeCalls } from '../../../server/target/kernel-mode-calls.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { FakeMachine } from '../fake-machine.ts';

const GATE = { entry: 0x1010n, exit: 0x1040n };

describe('the calls at a gate', () => {
  let machine: FakeMachine;
  let calls: KernelModeCalls;

  beforeEach(() => {
    machine = new FakeMachine();
    const agent = new MachineAgent(machine, new GuestView(machine, undefined));
    calls = new KernelModeCalls(machine, new MachineBreakpoints(machine, agent), GATE);
    machine.writeRegister('rsp', 0x8000n);
    machine.writeRegister('cr3', 0x1000n);
  });

  /** Control comes to an address: asks as the machine would, and gives what is told. */
  function arrive(address: bigint, registers: Readonly<Record<string, bigint>> = {}) {
    machine.icount++;
    for (const [name, value] of Object.entries(registers)) machine.writeRegister(name, value);
    if (machine.predicates.get(address)?.(machine) !== true) return undefined;
    // It may be asked again at the same place and says the same.
    expect(machine.predicates.get(address)!(machine)).toBe(true);
    return calls.stoppedFor([calls]);
  }

  it('are told with their return, by number', () => {
    calls.filter = new Set([57]);
    expect(arrive(GATE.entry, { rdi: 39n })).toBeUndefined();
    expect(arrive(GATE.exit)).toBeUndefined();
    expect(arrive(GATE.entry, { rdi: 57n })).toEqual({ phase: 'entry', number: 57 });
    expect(arrive(GATE.exit, { rsp: 0x9000n })).toBeUndefined();
    expect(arrive(GATE.exit, { rsp: 0x8000n })).toEqual({ phase: 'return', number: 57 });
    expect(arrive(GATE.exit)).toBeUndefined();
  });

  it('are remembered while catching is off at a stop only', () => {
    calls.filter = 'all';
    expect(arrive(GATE.entry, { rdi: 57n })).toEqual({ phase: 'entry', number: 57 });
    calls.filter = 'none';
    expect(machine.breakpoints.size).toBe(0);
    calls.filter = 'all';
    calls.beginRun();
    expect(arrive(GATE.exit)).toEqual({ phase: 'return', number: 57 });
    arrive(GATE.entry, { rdi: 57n });
    calls.filter = 'none';
    calls.beginRun();
    calls.filter = 'all';
    expect(arrive(GATE.exit)).toBeUndefined();
  });

  it('are nobody else’s', () => {
    calls.filter = 'all';
    arrive(GATE.entry, { rdi: 57n });
    expect(calls.stoppedFor([{}])).toBeUndefined();
  });
});
