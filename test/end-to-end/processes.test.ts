/** Guest processes as inferiors, with the real gdb and kernel. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect, gdb, type GdbResult } from './gdb.ts';
import { MAIN, ServerProcess } from './server-process.ts';

/** The kernel's own, init and the console; a worker for a moment in each second. */
async function livingProcesses(server: ServerProcess): Promise<number> {
  const args = [MAIN, 'monitor', 'processes', '--connect', server.address];
  const { output } = await collect(process.execPath, args);
  return output.match(/ alive /g)?.length ?? 0;
}

describe.skipIf(missing('gdb'))('processes as inferiors', () => {
  let server: ServerProcess;

  beforeAll(async () => {
    const symbols = ['worker', 'console'].flatMap((name) => [
      '--symbols',
      `kernel/images/${name}.elf`,
    ]);
    server = await ServerProcess.start('--processes', ...symbols);
    await server.serial('[INIT] forking a worker every second');
  });
  afterAll(() => server.stop());
  // A debugger that attaches while a worker lives has it as well, and is told of its exec and its end.
  beforeEach(() => expect.poll(() => livingProcesses(server), { timeout: 20_000 }).toBe(3));

  const attach = (): string => `target remote ${server.address}`;

  it('are all there at attach, each with its own program, the kernel first', async () => {
    const { printed, everything } = await gdb(
      attach(),
      'info inferiors',
      'info threads',
      'inferior 2',
      'info registers cr3',
      'p $_inferior',
      'detach',
    );
    expect(printed[1], everything).toMatch(/\* 1 +process 1 .*target:\/boot\/kernel.elf/);
    expect(printed[1]).toMatch(/2 +process \d+ .*target:\/bin\/console.elf/);
    expect(printed[2]).toMatch(/1\.1 +Thread 1\.1 "idle"/);
    expect(printed[2]).toMatch(/1\.2 +Thread 1\.2 "init"/);
    expect(printed[2]).toMatch(/2\.1 +Thread (\d+)\.\d+ "console.elf" \(pid \1,/);
    expect(printed[5]).toContain('= 2');
    expect(everything).not.toContain('too long');
  });

  it('catch fork stops at each fork, and gdb lets the child go by default', async () => {
    const { printed } = await gdb(attach(), 'catch fork', 'continue', 'continue', 'bt 3', 'detach');
    const [, first] = /hit Catchpoint 2 \(forked process (\d+)\), sys_fork/.exec(printed[2]!)!;
    expect(printed[3]).toContain(`[Detaching after fork from child process ${first}]`);
    const [, second] = /hit Catchpoint 2 \(forked process (\d+)\), sys_fork/.exec(printed[3]!)!;
    expect(Number(second)).toBeGreaterThan(Number(first));
    expect(printed[4]).toMatch(/#2 .* in kernel_syscall/);
  });

  it('a breakpoint on the fork function beside catch fork: both stop, and stepping goes on', async () => {
    const { printed } = await gdb(
      attach(),
      'catch fork',
      'break sys_fork',
      'continue',
      'continue',
      'stepi',
      'continue',
      'next',
      'info symbol $pc',
      'detach',
    );
    expect(printed[3]).toMatch(/hit Breakpoint 3(\.\d)?, sys_fork/);
    expect(printed[4]).toMatch(/hit Catchpoint 2 \(forked process \d+\)/);
    expect(printed[5]).toContain('[Detaching after fork from child process');
    expect(printed[6]).toMatch(/hit Breakpoint 3(\.\d)?, sys_fork/);
    expect(printed[8]).toContain('sys_fork + 3 in section .text');
  });

  it('without a catchpoint the parent goes on, and its breakpoints stay', async () => {
    const { printed } = await gdb(
      attach(),
      'break fork_worker',
      'continue',
      'continue',
      'info inferiors',
      'detach',
    );
    expect(printed[2]).toMatch(/hit Breakpoint 2, fork_worker/);
    expect(printed[3]).toContain('[Detaching after fork from child process');
    expect(printed[3]).toMatch(/hit Breakpoint 2, fork_worker/);
    expect(printed[4]).not.toContain('worker.elf');
  });

  it('follow-fork-mode child: a breakpoint in the child, its exec and its end', async () => {
    const { printed } = await gdb(
      attach(),
      'set follow-fork-mode child',
      'catch exec',
      'break sys_execve',
      'continue',
      'continue',
      'tbreak main',
      'continue',
      'p $cs & 3',
      'continue',
      'info inferiors',
    );
    expect(printed[4]).toContain('[Detaching after fork from parent process 1]');
    expect(printed[4]).toMatch(/Thread \d+\.1 "init" hit Breakpoint 3(\.\d)?, sys_execve/);
    expect(printed[5]).toMatch(/process (\d+) is executing new program: \/bin\/worker.elf/);
    expect(printed[5]).toMatch(
      /hit Catchpoint 2 \(exec'd \/bin\/worker.elf\), _start \(\) at kernel\/user\/start.S/,
    );
    expect(printed[7]).toMatch(/hit Temporary breakpoint [\d.]+, main \(.*worker.c/);
    expect(printed[8]).toContain('= 3');
    expect(printed[9]).toMatch(/\[Inferior \d+ \(process \d+\) exited normally\]/);
    expect(printed[10]).toMatch(/<null>/);
  });

  it('a process shows its stack from its program into the kernel, which is its library', async () => {
    const { printed } = await gdb(attach(), 'inferior 2', 'sharedlibrary', 'bt', 'detach');
    expect(printed[3]).toMatch(/#0 +context_switch \(\) at kernel\/src/);
    expect(printed[3]).toMatch(/#\d+ .* in syscall_entry \(\)/);
    expect(printed[3]).toMatch(/#\d+ .*read_line .* at kernel\/user\/console.c/);
    expect(printed[3]).toMatch(/#\d+ .* in main .* at kernel\/user\/console.c/);
    expect(printed[3]!.trimEnd()).not.toContain('??');
  });

  it('a child that gdb holds stays where its fork returns, also in kernel mode', async () => {
    const { printed, everything } = await gdb(
      attach(),
      'set detach-on-fork off',
      'tbreak fork_worker',
      'continue',
      'tbreak fork_worker',
      'continue',
      'tbreak fork_worker',
      'continue',
      'inferior 3',
      'bt',
      'tbreak sys_execve',
      'continue',
      'continue',
      'detach inferiors 2 4',
      'inferior 1',
      'detach',
    );
    // The second time round the child has had a second and all of the CPU that it could take.
    expect(printed[7], everything).toMatch(/hit Temporary breakpoint [\d.]+, fork_worker/);
    expect(printed[9]).toMatch(/in system_call \(number=number@entry=57,/);
    expect(printed[9]).toMatch(/in fork_worker \(\) at kernel\/src\/boot\/main.c:68/);
    expect(printed[11]).toMatch(/Thread 3\.1 "init" hit Temporary breakpoint [\d.]+, sys_execve/);
    expect(printed[12]).toMatch(/process \d+ is executing new program: \/bin\/worker.elf/);
    expect(printed[12]).toMatch(/\[Inferior 3 \(process \d+\) exited normally\]/);
  });

  it('what was let go can be attached again, and ends when the machine is reset', async () => {
    const { printed: list } = await gdb(attach(), 'info inferiors', 'detach');
    const pid = /2 +process (\d+) /.exec(list[1]!)![1]!;
    const { printed } = await gdb(
      `target extended-remote ${server.address}`,
      'detach inferiors 2',
      'add-inferior',
      'inferior 3',
      `attach ${pid}`,
      'info registers rip',
      'info inferiors',
      'monitor reset',
      'continue',
      'inferior 1',
      'tbreak fork_worker',
      'continue',
      'kill inferiors 1',
    );
    expect(printed[4]).toContain('context_switch ()');
    expect(printed[6]).toMatch(/\* 3 +process \d+ .*console.elf/);
    expect(printed[8]).toContain('Program terminated with signal SIGKILL');
    expect(printed[11]).toMatch(/hit Temporary breakpoint [\d.]+, fork_worker/);
  });

  it('can be switched on by a monitor command before attaching', async () => {
    const plain = await ServerProcess.start();
    try {
      await plain.serial('[INIT] forking a worker every second');
      const monitor = (...words: string[]) =>
        collect(process.execPath, [MAIN, 'monitor', '--connect', plain.address, ...words]);
      const before = await gdb(`target remote ${plain.address}`, 'info inferiors', 'detach');
      expect(before.printed[1]).not.toContain('console.elf');
      const { output } = await monitor('processes-as-inferiors', 'on');
      expect(output).toContain('on from the next attach on; this debugger does not have them');
      const { printed } = await gdb(
        `target remote ${plain.address}`,
        'info inferiors',
        'monitor processes-as-inferiors off',
        'info inferiors',
        'detach',
      );
      expect(printed[1]).toContain('target:/bin/console.elf');
      expect(printed[2]).toContain('off from the next attach on; this debugger has them');
      expect(printed[3]).toContain('target:/bin/console.elf');
    } finally {
      await plain.stop();
    }
  });
});

describe.skipIf(missing('gdb'))('a process that forks in ring 3', () => {
  /** Attaches when the kernel is about to execute protection.elf: that is inferior 2. */
  async function atProtection(...commands: string[]): Promise<GdbResult> {
    const options = ['--append', 'test', '--wait', '--on-detach', 'halt'];
    const server = await ServerProcess.start('--processes', ...options);
    try {
      const attach = `target remote ${server.address}`;
      const sixthLetterIsP = 'tbreak start_program if ((char*)path)[5] == 112';
      await gdb(attach, sixthLetterIsP, 'continue', 'detach');
      return await gdb(
        attach,
        'inferior 2',
        'catch exec',
        'continue',
        'symbol-file kernel/images/protection.elf',
        ...commands,
      );
    } finally {
      await server.stop();
    }
  }

  it('detach-on-fork off: both are inferiors, with different memory at the same address', async () => {
    const { printed, everything } = await atProtection(
      'tbreak test_copy_on_write',
      'continue',
      'set detach-on-fork off',
      'set schedule-multiple on',
      'tbreak test_exit',
      'continue',
      'info inferiors',
      'bt',
      'p shared_value',
      'inferior 2',
      'p shared_value',
      'bt',
      'inferior 3',
      'p shared_value',
      'continue',
    );
    expect(printed[3], everything).toMatch(/hit Catchpoint 2 \(exec'd \/bin\/protection.elf\)/);
    expect(printed[6]).toMatch(/Detaching after fork from child process/);
    expect(printed[6]).toMatch(/hit Temporary breakpoint 3, test_copy_on_write/);
    expect(printed[10]).toMatch(/\[New inferior 3 \(process \d+\)\]/);
    expect(printed[10]).toMatch(/Thread 3\.1 "protection.elf" hit .*, test_exit \(status=0\)/);
    expect(printed[11]).toMatch(/1 +process 1 .*kernel.elf/);
    expect(printed[11]).toMatch(/2 +process \d+ .*protection.elf/);
    expect(printed[11]).toMatch(/\* 3 +process \d+ .*protection.elf/);
    expect(printed[12]).toMatch(/#1 .*change_value \(\) at kernel\/user\/protection.c/);
    expect(printed[13]).toContain('= 2');
    expect(printed[14]).toMatch(/Switching to inferior 2 \[process \d+\]/);
    expect(printed[15]).toContain('= 1');
    expect(printed[18]).toContain('= 2');
    expect(printed[19]).toMatch(/\[Inferior 3 \(process \d+\) exited normally\]/);
  });

  it('holds the child while its parent is stepped, then the parent while the child goes on', async () => {
    const { printed, everything } = await atProtection(
      'tbreak test_copy_on_write',
      'continue',
      'set detach-on-fork off',
      'tbreak test_wait',
      'continue',
      'next',
      'next',
      'inferior 3',
      'bt',
      'p shared_value',
      'tbreak test_exit',
      'continue',
      'p shared_value',
      'inferior 2',
      'p shared_value',
      'inferior 3',
      'continue',
      'inferior 2',
      'tbreak test_memory_calls',
      'continue',
    );
    expect(printed[9], everything).toMatch(
      /Thread 2\.1 .* hit Temporary breakpoint [\d.]+, test_wait/,
    );
    expect(printed[11]).toContain('test_call(SYS_WAIT4');
    // In the kernel, on its way back from the fork in ring 3.
    expect(printed[13]).toMatch(/#\d+ .*test_call \(number=number@entry=57,/);
    expect(printed[13]).toMatch(/#\d+ .* in test_copy_on_write \(\)/);
    expect(printed[14]).toContain('= 1');
    expect(printed[16]).toMatch(/Thread 3\.1 .* hit Temporary breakpoint [\d.]+, test_exit/);
    expect(printed[17]).toContain('= 2');
    expect(printed[19]).toContain('= 1');
    expect(printed[21]).toMatch(/\[Inferior 3 \(process \d+\) exited normally\]/);
    expect(printed[24]).toMatch(
      /Thread 2\.1 .* hit Temporary breakpoint [\d.]+, test_memory_calls/,
    );
  });

  it('catch vfork, exec in the child, and the parent goes on when that is done', async () => {
    const { printed, everything } = await atProtection(
      'catch vfork',
      'continue',
      'set detach-on-fork off',
      'set follow-fork-mode child',
      'continue',
      'info inferiors',
      'continue',
      'inferior 2',
      'tbreak test_sse_state',
      'continue',
    );
    expect(printed[6], everything).toMatch(/hit Catchpoint 3 \(vforked process \d+\)/);
    expect(printed[9]).toContain("(exec'd /bin/worker.elf), 0x0000000000401000");
    expect(printed[10]).toMatch(/2 +process \d+ .*protection.elf/);
    expect(printed[10]).toMatch(/\* 3 +process \d+ .*worker.elf/);
    expect(printed[11]).toMatch(/\[Inferior 3 \(process \d+\) exited normally\]/);
    expect(printed[14]).toMatch(/hit Temporary breakpoint \d+, test_sse_state/);
  });
});
