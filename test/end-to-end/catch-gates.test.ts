/** `catch syscall` at every way into the kernel that the machine has, with the real gdb. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder } from '../kernel/qemu.ts';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

/** gdb takes the numbers for those of x86-64. */
const CALLS = [
  ['sysenter', 20, 'writev'],
  ['int80', 5, 'fstat'],
  ['gate', 24, 'sched_yield'],
  ['syscall', 39, 'getpid'],
] as const;

function build(folder: string): string {
  const image = join(folder, 'four-gates.elf');
  const options = ['-nostdlib', '-static', '-Wl,-Ttext=0x200000,--build-id=none', '-o', image];
  execFileSync('gcc', [...options, join(import.meta.dirname, 'four-gates.S')]);
  return image;
}

/** Serves the guest and lets gdb run the commands behind its attach. */
const session = (engine: string, commands: readonly string[]) =>
  inTemporaryFolder(async (folder) => {
    const server = await ServerProcess.start('--wait', '--engine', engine, build(folder));
    try {
      return await gdb(`target remote ${server.address}`, ...commands);
    } finally {
      await server.stop();
    }
  });

describe.skipIf(missing('gdb', 'gcc')).each(['step', 'block'])('catch, %s engine', (engine) => {
  it('stops at entry and return of SYSENTER, INT 0x80, a call gate and SYSCALL', async () => {
    const stop = ['continue', 'info symbol $rip', 'p $orig_rax', 'p $cs & 3'];
    const rounds = [...CALLS, ...CALLS].flatMap(() => [...stop, ...stop]);
    const { printed, everything } = await session(engine, ['catch syscall', ...rounds]);
    const stops = printed.slice(2);
    [...CALLS, ...CALLS].forEach(([gate, number, name], index) => {
      const [entry, enteredAt, entryNumber, entryLevel, back, backAt, backNumber, backLevel] =
        stops.slice(index * 8);
      expect(entry, everything).toContain(`(call to syscall ${name})`);
      expect(enteredAt).toMatch(new RegExp(`^${gate}_entry in section`));
      expect(back).toContain(`(returned from syscall ${name})`);
      expect(backAt).toMatch(new RegExp(`^after_${gate} in section`));
      for (const text of [entryNumber, backNumber]) expect(text).toMatch(` = ${number}\n`);
      expect([entryLevel, backLevel].join('')).toMatch(/ = 0\n.* = 3\n/s);
    });
  });

  it('stops at the one that is named', async () => {
    const commands = ['catch syscall writev', 'continue', 'continue', 'continue', 'p $orig_rax'];
    const { printed } = await session(engine, commands);
    expect(printed[2]).toContain('(call to syscall writev)');
    expect(printed[3]).toMatch(/returned from syscall writev\).*after_sysenter/s);
    expect(printed[4]).toContain('(call to syscall writev)');
    expect(printed[5]).toContain(' = 20');
  });
});
