/** The kernel on QEMU: three boot protocols, the same test lines; the historical bug on request. */
import { describe, expect, it } from 'vitest';

import { missing } from '../tools.ts';
import {
  inTemporaryFolder,
  kernelImage,
  type QemuRun,
  runKernel,
  runQemu,
  testLines,
  writeGrubDisc,
  writePvhCopy,
} from './qemu.ts';

const processTests = [
  'test_getpid',
  'test_fork',
  'test_fork_return_value',
  'test_fork_wait_cycle',
  'test_exec',
  'test_fork_exec_wait',
];

function expectAllPassed(run: QemuRun): void {
  const lines = testLines(run);
  for (const name of processTests) {
    expect(lines.filter((line) => line === `[TEST] ${name} PASSED`)).toHaveLength(2);
  }
  expect(lines).toContain('[TEST] summary: kernel-mode 6 passed, 0 failed');
  expect(lines).toContain('[TEST] summary: ring-3 6 passed, 0 failed');
  expect(lines).toContain('[TEST] summary: protection 13 passed, 0 failed');
  expect(lines).toContain('[TEST] summary: crashes 2 passed, 0 failed');
  expect(lines.filter((line) => line === 'Hello from execve!')).toHaveLength(4);
  expect(lines.at(-1)).toBe('[TEST] all runs: PASSED');
  expect(run.exitValue).toBe(0);
}

describe.skipIf(missing('qemu-system-x86_64'))('the kernel on QEMU', { timeout: 90_000 }, () => {
  it('passes its tests when booted by Multiboot 1', async () => {
    const run = await runKernel('test');
    expectAllPassed(run);
    expect(run.lines.join('\n')).toContain('[BOOT] Multiboot 1, command line ');
  });

  it('prints the same test lines when booted by PVH', async () => {
    await inTemporaryFolder(async (folder) => {
      const kernel = writePvhCopy(folder);
      const run = await runQemu(['-cpu', 'max', '-kernel', kernel, '-append', 'test']);
      expectAllPassed(run);
      expect(run.lines.join('\n')).toContain('[BOOT] PVH, command line "test"');
      expect(testLines(run)).toEqual(testLines(await runKernel('test')));
    });
  });

  it.skipIf(missing('grub-mkrescue', 'xorriso'))(
    'prints the same test lines when booted by Multiboot 2',
    async () => {
      await inTemporaryFolder(async (folder) => {
        const run = await runQemu(['-cpu', 'max', '-cdrom', writeGrubDisc(folder, 'test')]);
        expectAllPassed(run);
        expect(run.lines.join('\n')).toContain('[BOOT] Multiboot 2, command line "test"');
        expect(testLines(run)).toEqual(testLines(await runKernel('test')));
      });
    },
  );

  it('passes on a processor without SMEP, SMAP and 1 GiB pages', async () => {
    expectAllPassed(await runKernel('test', 'qemu64'));
  });

  it('passes without NX and global pages', async () => {
    const run = await runKernel('test', 'qemu64,-nx,-pge');
    const failed = testLines(run).filter((line) => line.endsWith('FAILED'));
    // Data is executable there, which is what test_bad_accesses finds.
    expect(failed).toEqual(['[TEST] test_bad_accesses FAILED', '[TEST] all runs: FAILED']);
  });

  it('passes with the local APIC timer as its clock', async () => {
    const run = await runKernel('test timer=apic');
    expectAllPassed(run);
    expect(run.lines).toContain('[BOOT] clock: local APIC timer');
  });

  it('fails with capture=stale, and does not hang', async () => {
    const run = await runKernel('test capture=stale');
    const lines = testLines(run);
    expect(lines.filter((line) => line === '[TEST] test_fork_return_value FAILED')).toHaveLength(2);
    expect(lines).toContain('[TEST] reaped 0/3');
    expect(lines.at(-1)).toBe('[TEST] all runs: FAILED');
    expect(run.lines.join('\n')).toMatch(/\[KILL\] pid \d+ "test-runner": .* in kernel mode, rip=/);
    expect(run.exitValue).toBe(1);
  });

  it('stays, forks, and answers on the console when no test run is asked for', async () => {
    const machine = ['-cpu', 'max', '-kernel', kernelImage];
    const run = await runQemu(machine, {
      timeoutMs: 5_000,
      input: { after: '[INIT] forking a worker every second', text: 'hello\rcrash\r' },
    });
    expect(run.lines).toContain('[TEST] all runs: PASSED');
    expect(run.lines.filter((line) => line === 'Hello from execve!')).toHaveLength(5);
    expect(run.lines).toContain("the child's wait status is 11");
    expect(run.exitValue).toBeNull();
  });
});
