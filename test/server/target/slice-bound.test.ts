/** What conditions, commands and collecting may cost before a slice is over: counted, not timed. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../machine/index.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { MachineAgent, MOST_SLICE_STEPS } from '../../../server/target/machine-agent.ts';
import { MachineBreakpoints } from '../../../server/target/machine-breakpoints.ts';
import { BREAKPOINT_KIND } from '../../../server/target/target.ts';
import { CODE_ADDRESS, fingerprint, smallGuest } from '../../machine/small-guest.ts';

/** inc eax; jmp to it. */
const LOOP = [0x40, 0xeb, 0xfd];
/** Counts down from 2,499 and is 0: nearly all the operations that a condition may take. */
const COSTLY = Uint8Array.of(0x23, 0x09, 0xc3, 0x22, 1, 0x03, 0x28, 0x20, 0, 3, 0x27);
const COSTLY_STEPS = 9998;
/** All conditions of a place together. */
const MOST_AT_PLACE = 1_000_000;

class CountingAgent extends MachineAgent {
  total = 0;

  override spend(steps: number): void {
    this.total += steps;
    super.spend(steps);
  }
}

function place(machine: Machine, conditions: number): CountingAgent {
  const agent = new CountingAgent(machine, new GuestView(machine, undefined));
  const address = BigInt(CODE_ADDRESS);
  const breakpoint = { kind: BREAKPOINT_KIND.software, address, lengthBytes: 1, process: 1 };
  const code = { conditions: new Array<Uint8Array>(conditions).fill(COSTLY), commands: [] };
  new MachineBreakpoints(machine, agent).insert({}, breakpoint, code);
  return agent;
}

describe.each(['step', 'block'] as const)('a slice of the %s engine', (engine) => {
  it('ends soon when conditions cost much, and the guest runs as without them', () => {
    const [machine, alone] = [smallGuest(LOOP, { engine }), smallGuest(LOOP, { engine })];
    const agent = place(machine, 10);
    let slices = 0;
    for (; machine.icount < 1000n; slices++) {
      const [before, spent] = [machine.icount, agent.total];
      const reason = machine.run({ budget: Number(1000n - before) });
      expect(reason.kind).toBe('budget');
      expect(agent.total - spent).toBeLessThan(MOST_SLICE_STEPS + 11 * COSTLY_STEPS);
    }
    expect(agent.total).toBe(500 * 10 * COSTLY_STEPS);
    expect(slices).toBeGreaterThan(500);
    alone.run({ budget: 1000 });
    expect(fingerprint(machine, 4 << 20)).toBe(fingerprint(alone, 4 << 20));
  });

  it('ends at once at a place of 1,000 costly conditions, which stops', () => {
    const machine = smallGuest(LOOP, { engine });
    const agent = place(machine, 1000);
    expect(machine.run({ budget: 1_000_000 }).kind).toBe('breakpoint');
    expect(machine.icount).toBe(0n);
    expect(agent.total).toBeLessThan(MOST_AT_PLACE + 2 * COSTLY_STEPS);
  });

  it('lets a single step make its instruction, whatever the condition costs', () => {
    const machine = smallGuest(LOOP, { engine });
    place(machine, 10);
    for (let count = 1n; count <= 20n; count++) {
      expect(machine.run({ budget: 1, step: true }).kind).toBe('step');
      expect(machine.icount).toBe(count);
    }
  });
});
