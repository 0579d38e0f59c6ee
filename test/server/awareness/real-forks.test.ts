/**
 * Forks of the real kernel on the real machine: sound ones, the historical bug, and a lie.
 */
import { beforeEach, describe, expect, it } from 'vitest';
import { Machine } from '../../../machine/index.ts';
import { findDescriptor } from '../../../server/awareness/exo/descriptor.ts';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { ForkLog } from '../../../server/awareness/fork-log.ts';
import { forkVerdict } from '../../../server/awareness/fork-verdict.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { quadwordAt } from '../../../server/target/register-table.ts';
import { KERNEL_IMAGE, symbolAddress } from '../fake-exo.ts';

let machine: Machine;
let log: ForkLog;
const kernel = findKernelAwareness(KERNEL_IMAGE)!;

function boot(commandLine: string): void {
  machine = new Machine({
    image: KERNEL_IMAGE,
    imageName: 'kernel.elf',
    commandLine,
    memoryBytes: 64 << 20,
  });
  log = new ForkLog(machine, kernel);
}

/** Runs until there are `count` forks or the time is up. */
function runToForks(count: number): void {
  const end = Date.now() + 60_000;
  while (log.total < count && Date.now() < end) machine.run({ budget: 10_000, skipIdle: true });
}

function runTo(address: bigint): void {
  machine.addBreakpoint(address);
  for (let slice = 0; slice < 10_000; slice++) {
    const stop = machine.run({ budget: 100_000, skipIdle: true, passBreakpoint: true });
    if (stop.kind === 'breakpoint') break;
  }
  machine.removeBreakpoint(address);
  expect(machine.readRegister('rip')).toBe(address);
}

describe('forks of the kernel', () => {
  beforeEach(() => boot(''));

  it('are sound, each seen in the CPU and recorded by the kernel', () => {
    runToForks(10);
    const recorded = log.entries().slice(0, 9);
    expect(recorded.map((entry) => forkVerdict(entry).kind)).toEqual(Array(9).fill('sound'));
    expect(recorded.every(({ sighting }) => sighting?.thread !== undefined)).toBe(true);
    expect(log.complaints).toEqual([]);
  });

  it('are exposed when the guest rewrites its record', () => {
    runTo(symbolAddress('fork_ring_record'));
    runTo(quadwordAt(machine, machine.readRegister('rsp')!));
    const { address, captured_offset } = findDescriptor(KERNEL_IMAGE)!.forkRing;
    const capturedRbx = address + BigInt(captured_offset);
    const rbx = quadwordAt(machine, capturedRbx);
    machine.writeLinear(capturedRbx, Uint8Array.of(0x66, 0x66));
    const [entry] = log.entries();
    expect(forkVerdict(entry!)).toMatchObject({ kind: 'false record' });
    expect(entry!.sighting!.registers.get('rbx')).toBe(rbx);
    expect(entry!.record!.captured.get('rbx')).not.toBe(rbx);
  });

  it('leave threads with names and saved registers behind', () => {
    runToForks(3);
    const threads = new GuestView(machine, kernel).threads();
    expect(threads.complaints).toEqual([]);
    expect(threads.items.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['idle', 'init', 'test-runner']),
    );
    const init = threads.items.find(({ name }) => name === 'init')!;
    expect(init.registers.get('rip')).toBe(symbolAddress('context_switch_resume'));
    expect(init.waitsFor).toBe('child 2');
  });
});

describe('the historical bug, capture=stale', () => {
  it('is named by the verdict', () => {
    boot('capture=stale');
    runToForks(2);
    const verdict = forkVerdict(log.entries()[0]!);
    expect(verdict.kind).toBe('stale');
    expect(verdict.text).toContain('rip');
  });
});
