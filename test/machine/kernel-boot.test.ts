/** The same kernel image boots on our machine by each protocol, and its tests pass by each. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Machine } from '../../machine/index.ts';
import { KERNEL_PATH } from './small-guest.ts';

const MULTIBOOT1_MAGIC = Uint8Array.of(0x02, 0xb0, 0xad, 0x1b);
const XEN_NOTE_NAME = Buffer.from('Xen\0');

/** A copy of the image in which each of the patterns is blanked where it first stands. */
function kernelWithout(...patterns: Uint8Array[]): Uint8Array {
  const image = Buffer.from(readFileSync(KERNEL_PATH));
  for (const pattern of patterns) {
    const at = image.indexOf(pattern);
    expect(at).toBeGreaterThan(0);
    image.fill(0, at, at + pattern.length);
  }
  return image;
}

const PROTOCOLS: readonly (readonly [string, Uint8Array[]])[] = [
  ['Multiboot 1', []],
  ['PVH', [MULTIBOOT1_MAGIC]],
  ['Multiboot 2', [MULTIBOOT1_MAGIC, XEN_NOTE_NAME]],
];

describe('the kernel', () => {
  it.each(PROTOCOLS)(
    'boots by %s, takes its command line and passes its tests',
    (name, blanked) => {
      const machine = new Machine({
        image: kernelWithout(...blanked),
        imageName: 'kernel.elf',
        commandLine: 'test',
        memoryBytes: 64 << 20,
      });
      const stop = machine.run({ budget: 100_000_000, skipIdle: true });
      const text = Buffer.from(machine.serialHistory()).toString('latin1');
      expect(text).toContain(`[BOOT] ${name}, command line "test"`);
      expect(text).toContain('[TEST] all runs: PASSED');
      expect(stop).toEqual({ kind: 'debug-exit', value: 0 });
    },
  );

  it('fails its tests with the stale capture, and ends', () => {
    const machine = new Machine({
      image: readFileSync(KERNEL_PATH),
      imageName: 'kernel.elf',
      commandLine: 'test capture=stale',
      memoryBytes: 64 << 20,
    });
    const stop = machine.run({ budget: 400_000_000, skipIdle: true });
    const text = Buffer.from(machine.serialHistory()).toString('latin1');
    expect(text).toContain('[TEST] test_fork_return_value FAILED');
    expect(stop).toEqual({ kind: 'debug-exit', value: 1 });
  });

  it('takes the local APIC for its timer when told to', () => {
    const machine = new Machine({
      image: readFileSync(KERNEL_PATH),
      imageName: 'kernel.elf',
      commandLine: 'test timer=apic',
      memoryBytes: 64 << 20,
    });
    expect(machine.run({ budget: 100_000_000, skipIdle: true })).toEqual({
      kind: 'debug-exit',
      value: 0,
    });
  });
});
