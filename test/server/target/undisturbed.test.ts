/** What stops at the server's breakpoints changes nothing of what the guest does, to the bit. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../../machine/index.ts';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { ConditionalStops } from '../../../server/target/conditional-stops.ts';
import { KernelModeCalls } from '../../../server/target/kernel-mode-calls.ts';
import { MachineAgent } from '../../../server/target/machine-agent.ts';
import { MachineBreakpoints } from '../../../server/target/machine-breakpoints.ts';
import { fingerprint, kernelMachine } from '../../machine/small-guest.ts';
import { KERNEL_IMAGE, KERNEL_SYMBOLS, symbolAddress } from '../fake-exo.ts';

/** Runs the kernel's tests to their end, passing every breakpoint, and counts the stops. */
function runToExit(machine: Machine, stopped: () => void = () => undefined): string {
  for (let isTold = false; ;) {
    const stop = machine.run({ budget: 100_000_000, skipIdle: true, passBreakpoint: isTold });
    if (stop.kind === 'debug-exit') return fingerprint(machine);
    isTold = stop.kind === 'breakpoint';
    if (stop.kind !== 'budget') stopped();
  }
}

describe.each(['step', 'block'] as const)('the kernel’s tests, %s engine', (engine) => {
  it('end in the same state with everything caught and conditions asked', () => {
    const watched = kernelMachine('test', { engine });
    const kernel = findKernelAwareness(KERNEL_IMAGE)!;
    const agent = new MachineAgent(watched, new GuestView(watched, kernel));
    const breakpoints = new MachineBreakpoints(watched, agent);
    const calls = new KernelModeCalls(watched, breakpoints, kernel.kernelModeGate!);
    calls.filter = 'all';
    watched.catchSystemCalls('all');
    const conditions = new ConditionalStops(breakpoints, agent, KERNEL_SYMBOLS);
    const place = { kind: 0, address: symbolAddress('scheduler_tick'), lengthBytes: 1 } as const;
    conditions.add(place, 'guest_pid % 2 == 1 || u64[rsp] == 0');
    const ticks = { kind: 2, address: symbolAddress('timer_ticks'), lengthBytes: 8 } as const;
    conditions.add(ticks, 'timer_ticks % 3 == 0');
    let stops = 0;
    expect(runToExit(watched, () => stops++)).toBe(runToExit(kernelMachine('test', { engine })));
    expect(stops).toBeGreaterThan(200);
  });
});
