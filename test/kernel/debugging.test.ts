/**
 * What a debugger finds in the kernel, with the stock gdb on QEMU: sys_fork can be stopped at its
 * first instruction, backtraces are whole, a switched-out thread unwinds from its saved context,
 * and a stripped kernel still leads to exo_debug.
 */
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

import { missing } from '../tools.ts';
import { images, inTemporaryFolder, kernelImage, qemuArguments, root } from './qemu.ts';

/** gdb starts QEMU itself and talks over its standard streams: no port is taken. */
function gdbOnQemu(commands: readonly string[], commandLine = 'test'): Promise<string> {
  const qemu = qemuArguments(['-cpu', 'max', '-kernel', kernelImage, '-append', `'${commandLine}'`])
    .join(' ')
    .replace('-serial stdio', '-serial null');
  const script = [
    'set pagination off',
    'set width 0',
    `target remote | exec qemu-system-x86_64 ${qemu} -gdb stdio -S`,
    ...commands,
    'kill',
  ];
  const options = script.flatMap((command) => ['-ex', command]);
  return new Promise((resolve, reject) => {
    const gdb = spawn('gdb', ['-nx', '-batch', ...options, kernelImage], { cwd: root });
    const output = { stdout: '', stderr: '' };
    const timer = setTimeout(() => gdb.kill('SIGKILL'), 60_000);
    gdb.stdout.on('data', (bytes: Buffer) => (output.stdout += bytes.toString()));
    gdb.stderr.on('data', (bytes: Buffer) => (output.stderr += bytes.toString()));
    gdb.on('error', reject);
    gdb.on('close', () => {
      clearTimeout(timer);
      // Apart: in a fresh clone gdb warns, in the midst of a line, of sources newer than the image.
      resolve(output.stdout + output.stderr);
    });
  });
}

const inRing3 = '((struct Thread *)cpus[0].current)->mode == 1';

/** Makes init, which waits in wait4, the thread that gdb looks at. */
const lookAtInit = [
  'set stack-cache off',
  'set $init = thread_list->next',
  'set $cr3 = $init->cr3',
  ...['rsp', 'rbp', 'rbx', 'r12', 'r13', 'r14', 'r15', 'rip'].map(
    (name) => `set $${name} = $init->context.${name}`,
  ),
];

describe.skipIf(missing('gdb', 'qemu-system-x86_64'))('gdb on the kernel', { timeout: 90_000 }, () => {
  it('stops at the first instruction of sys_fork, with the return address at rsp', async () => {
    const output = await gdbOnQemu(['break sys_fork', 'continue', 'info symbol $rip', 'x/a $rsp', 'bt']);
    expect(output).toContain('sys_fork in section .text');
    expect(output).toMatch(/0x[0-9a-f]+:\s+0x[0-9a-f]+ <syscall_dispatch\+\d+>/);
    expect(output).toMatch(/#0 +sys_fork \(\) at kernel\/src\/syscall\/handlers\/process\.c:\d+/);
    expect(output).toMatch(/#1 .* in syscall_dispatch \(frame=0x[0-9a-f]+\)/);
    expect(output).toMatch(/test_runner_main \(.*at kernel\/src\/tests\/process_tests\.c:\d+\n#\d+ .* thread_entry \(\)/);
    expect(output).not.toContain('Backtrace stopped');
  });

  it('unwinds at every instruction of sys_fork', async () => {
    const steps = Array.from({ length: 14 }, () => ['bt 2', 'stepi']).flat();
    const output = await gdbOnQemu(['tbreak sys_fork', 'continue', ...steps]);
    const callers = [...output.matchAll(/^#1 .* in (\w+)/gm)].map((match) => match[1]);
    expect(callers).toHaveLength(14);
    expect(new Set(callers.slice(0, 12))).toEqual(new Set(['syscall_dispatch']));
  });

  it('crosses from a system call into the ring-3 program that made it', async () => {
    const output = await gdbOnQemu([
      `add-symbol-file ${join(images, 'tests.elf')}`,
      `break sys_fork if ${inRing3}`,
      'continue',
      'bt',
    ]);
    expect(output).toMatch(/#2 .* in syscall_entry \(\)/);
    expect(output).toMatch(/ in test_fork \(\) at kernel\/src\/tests\/process_tests\.c:\d+/);
    expect(output).toMatch(/ in main \(.*\) at kernel\/user\/tests\.c:\d+/);
  });

  it('finds in the fork ring what the CPU held at sys_fork, and a child made of it', async () => {
    const names = ['rbx', 'rbp', 'r12', 'r13', 'r14', 'r15'];
    const equal = (expected: string, actual: string): string => `output (long)${expected} == (long)${actual}`;
    const output = await gdbOnQemu([
      'tbreak sys_fork',
      'continue',
      ...[...names, 'rsp'].map((name) => `set $true_${name} = $${name}`),
      'set $true_rip = *(long *)$rsp',
      'set $true_flags = $eflags + 0',
      'finish',
      'set $record = &fork_ring[0]',
      ...[...names, 'rsp'].map((name) => equal(`$true_${name}`, `$record->captured.${name}`)),
      ...names.map((name) => equal(`$true_${name}`, `$record->child.${name}`)),
      equal('$true_rsp + 8', '$record->child.rsp'),
      equal('$true_rip', '$record->derived_rip'),
      equal('$true_rip', '$record->child.rip'),
      equal('$true_flags', '$record->child.rflags'),
      equal('0', '$record->child.rax'),
      equal('8', '$record->child.cs'),
      equal('fork_ring_total', '1'),
      'echo \\n',
    ]);
    const comparisons = names.length * 2 + 8;
    expect(output).toMatch(new RegExp(`^1{${comparisons}}$`, 'm'));
  });

  it('unwinds a thread that is not on the CPU from its saved context', async () => {
    const output = await gdbOnQemu(['tbreak sys_fork', 'continue', ...lookAtInit, 'bt']);
    expect(output).toMatch(/#0 +context_switch \(\)/);
    const functions = ['schedule', 'thread_wait', 'sys_wait4', 'syscall_dispatch', 'kernel_syscall'];
    for (const name of [...functions, 'init_main', 'thread_entry']) {
      expect(output).toMatch(new RegExp(`^#\\d+ .* in ${name} \\(`, 'm'));
    }
  });

  it('unwinds from the last instruction of a switch, where a pending interrupt strikes, to any next thread', async () => {
    const lastInstruction = (next: string): readonly string[] => [
      `tbreak *((long)&context_switch_resume - 1) if *(long *)$rsp == ${next}`,
      'continue',
      'bt',
    ];
    const output = await gdbOnQemu([
      ...lastInstruction('(long)&thread_entry + 1'),
      ...lastInstruction('(long)&context_switch_resume'),
    ]);
    expect(output).toMatch(/#0 +context_switch \(\) .*\n#1 .* in thread_entry \(\)/);
    expect(output).toMatch(/#0 +context_switch \(\) .*\n#1 .* in context_switch \(\) .*\n#2 .* in schedule \(\)/);
    expect(output).not.toContain('Backtrace stopped');
  });

  it('unwinds through an interrupt to the code it interrupted', async () => {
    const output = await gdbOnQemu(['tbreak timer_interrupt', 'continue', 'bt']);
    expect(output).toMatch(/<signal handler called>/);
    expect(output).toMatch(/#\d+ .* thread_entry \(\)/);
  });
});

/** The description of the first note with this owner and type, in a 64-bit ELF. */
function findNote(elf: Buffer, owner: string, type: number): Buffer | null {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(owner.length + 1, 0);
  header.writeUInt32LE(8, 4);
  header.writeUInt32LE(type, 8);
  header.write(owner, 12);
  const at = elf.indexOf(header);
  return at < 0 ? null : elf.subarray(at + 16, at + 24);
}

describe.skipIf(missing('strip', 'nm'))('the note that leads to exo_debug', () => {
  it('survives stripping and names the symbol’s address', async () => {
    await inTemporaryFolder((folder) => {
      const stripped = join(folder, 'stripped.elf');
      spawnSync('strip', ['--strip-all', '-o', stripped, kernelImage]);
      const note = findNote(readFileSync(stripped), 'Exo', 0x45584f44);
      const symbols = spawnSync('nm', [kernelImage], { encoding: 'utf8' }).stdout;
      const address = /^([0-9a-f]+) R exo_debug$/m.exec(symbols)?.[1] ?? 'none';
      expect(note?.readBigUInt64LE(0).toString(16)).toBe(address);
      return Promise.resolve();
    });
  });
});
