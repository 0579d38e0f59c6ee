/** Conditions in words, asked inside the machine: with lldb, which has none of its own, gdb and the shell. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect, gdb } from './gdb.ts';
import { lldb, monitorOfLldb } from './lldb.ts';
import { MAIN, ServerProcess } from './server-process.ts';

let server: ServerProcess;

afterEach(() => server.stop());

async function shell(...words: string[]): Promise<string> {
  const args = [MAIN, 'monitor', '--connect', server.address, ...words];
  return (await collect(process.execPath, args)).output;
}

/** Runs a monitor command until its answer shows this; the test's own limit ends it. */
async function shellUntil(pattern: RegExp, ...words: string[]): Promise<string> {
  for (;;) {
    const text = await shell(...words);
    if (pattern.test(text)) return text;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe.skipIf(missing('lldb-14'))('break-if and watch-if with lldb', () => {
  beforeEach(async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
  });

  const session = (...commands: string[]) => lldb(server.address, ...commands);

  it('stops where the condition holds, with it as the reason, and goes on', async () => {
    const text = await session(
      monitorOfLldb('break-if sys_fork guest_pid == 1 && u64[rsp] == ret_rsp'),
      'continue',
      'bt 2',
      'continue',
      monitorOfLldb('break-if'),
      monitorOfLldb('break-if delete 1'),
      monitorOfLldb('break-if'),
    );
    expect(text).toMatch(/^1: 0xffffffff80\w+ <sys_fork> when guest_pid == 1 && u64/m);
    expect(text).toMatch(
      /name = 'init', stop reason = break-if 1 at sys_fork: guest_pid == 1 && u64\[rsp\] == ret_rsp/,
    );
    expect(text).toMatch(/frame #0: .*`sys_fork at process\.c/);
    expect(text).toMatch(/frame #1: .*`syscall_dispatch\(/);
    expect(text).toMatch(/^ +1 +0xffffffff80\w+ <sys_fork> +guest_pid == 1 .* 2$/m);
    expect(text).toMatch(/^deleted 1$/m);
    expect(text).toMatch(/^no conditional breakpoints or watchpoints$/m);
  });

  it('stops after the write that makes the condition of a watchpoint true', async () => {
    const text = await session(
      monitorOfLldb('watch-if timer_ticks 8 timer_ticks % 10 == 3'),
      'continue',
      'expression -- (long)timer_ticks % 10',
      monitorOfLldb('watch-if'),
    );
    expect(text).toMatch(/stop reason = watch-if 1 of timer_ticks: timer_ticks % 10 == 3/);
    expect(text).toMatch(/frame #0: .*`timer_interrupt/);
    expect(text).toMatch(/\(long\) \$\d = 3$/m);
    expect(text).toMatch(/^ +1 +write of 8 at 0x\w+ <timer_ticks> +timer_ticks % 10 == 3 +1$/m);
  });

  it('says in one line what is wrong with a condition', async () => {
    const text = await session(
      monitorOfLldb('break-if sys_fork rdi = 5'),
      monitorOfLldb('break-if sys_fork nothing'),
      monitorOfLldb('break-if sys_fork'),
      monitorOfLldb('watch-if timer_ticks 0 1'),
      monitorOfLldb('break-if delete 7'),
      'detach',
    );
    expect(text).toContain('"=" sets nothing here: write "==" to compare (column 5)');
    expect(text).toContain('"nothing" is neither a register nor a symbol (column 1)');
    expect(text).toContain('usage: break-if [ADDRESS CONDITION | delete N|all]');
    expect(text).toContain('LENGTH must be a number from 1 on, not "0"');
    expect(text).toContain('there is no number 7');
    expect(text).toMatch(/Process 1 detached/);
  });
});

describe.skipIf(missing('gdb'))('break-if and watch-if with gdb and the shell', () => {
  it('stops a machine that nobody debugs, which a debugger then finds there', async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
    expect(await shell('break-if', 'sys_fork', 'guest_pid == 1')).toMatch(/^1: .*<sys_fork> when/);
    const list = await shellUntil(/ 1\n$/, 'break-if');
    expect(list).toMatch(
      /^number +stops at +when +stopped\n +1 +0x\w+ <sys_fork> +guest_pid == 1 /,
    );
    expect(server.stderr).toContain('break-if 1 at sys_fork: guest_pid == 1');
    const { printed } = await gdb(
      `target remote ${server.address}`,
      'p $rip == (long)sys_fork',
      'monitor why',
      'continue',
      'monitor break-if delete all',
      'p $rip == (long)sys_fork',
    );
    expect(printed[1]).toContain('= 1');
    expect(printed[2]).toBe('break-if 1 at sys_fork: guest_pid == 1\n');
    expect(printed[3]).toContain('break-if 1 at sys_fork: guest_pid == 1\n');
    expect(printed[3]).toContain('"init" received signal SIGTRAP');
    expect(printed[4]).toBe('deleted 1\n');
    expect(printed[5]).toContain('= 1');
    // The debugger is gone and the machine runs on.
    expect(await shell('break-if')).toBe('no conditional breakpoints or watchpoints\n');
  });

  it('keeps them when the debugger leaves, and lets anybody look meanwhile', async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
    const { printed } = await gdb(
      `target remote ${server.address}`,
      'monitor break-if sys_fork 1 == 2',
      `shell "${process.execPath}" "${MAIN}" monitor --connect ${server.address} break-if`,
      `shell "${process.execPath}" "${MAIN}" monitor --connect ${server.address} break-if delete 1 2>&1`,
      'break sys_fork',
      'continue',
    );
    expect(printed[2]).toMatch(/^ +1 +0x\w+ <sys_fork> +1 == 2 +0$/m);
    expect(printed[3]).toContain('a debugger is attached: `break-if` is its to type');
    expect(printed[5]).toMatch(/hit Breakpoint 2, .*sys_fork/);
    expect(printed[5]).not.toContain('break-if');
    expect(await shell('break-if')).toMatch(/ 1 == 2 +0$/m);
  });

  it('says so where a condition cannot be evaluated', async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
    const { printed } = await gdb(
      `target remote ${server.address}`,
      'monitor break-if sys_fork u64[0x7f0000000000] == 1',
      'continue',
    );
    expect(printed[2]).toContain('== 1 cannot be evaluated: memory cannot be read\n');
    expect(printed[2]).toContain('SIGTRAP');
  });

  it('asks a hot condition inside the slice, and counts exactly', async () => {
    server = await ServerProcess.start('kernel/images/bench.elf', '--append', 'spin');
    await server.serial('bench spin');
    const { printed } = await gdb(
      `target remote ${server.address}`,
      'set $start = bench_counter',
      'eval "monitor break-if bench_hot bench_counter == %lu", bench_counter + 200000',
      'continue',
      'p bench_counter - $start',
    );
    expect(printed[3]).toContain('break-if 1 at bench_hot: bench_counter == ');
    expect(printed[4]).toContain('= 200000');
  });
});
