/** gdb's `catch syscall` and `monitor catch`, with the real gdb and kernel. */
import { describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect, gdb, type GdbResult } from './gdb.ts';
import { servedKernel } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('gdb')).each(['step', 'block'])('catching, %s engine', (engine) => {
  const kernel = servedKernel('--engine', engine);

  const attach = (): string => kernel.attach;

  it('stops at entry to and return from a system call by name, with its number in orig_rax', async () => {
    const { printed } = await gdb(
      attach(),
      'catch syscall getpid',
      'continue',
      'p $orig_rax',
      'p $rip == (long)syscall_entry',
      'continue',
      'p $orig_rax',
      'p $cs & 3',
      'p $rax > 0',
      'delete',
      'tbreak sys_fork',
      'continue',
    );
    expect(printed[1]).toContain("Catchpoint 2 (syscall 'getpid' [39])");
    expect(printed[2]).toMatch(/Catchpoint 2 \(call to syscall getpid\), /);
    expect(printed[3]).toContain('= 39');
    expect(printed[4]).toContain('= 1');
    expect(printed[5]).toMatch(/Catchpoint 2 \(returned from syscall getpid\), 0x0*401/);
    expect(printed[6]).toContain('= 39');
    expect(printed[7]).toContain('= 3');
    expect(printed[8]).toContain('= 1');
    expect(printed[11]).toMatch(/Temporary breakpoint 3, .*sys_fork/);
  });

  it('stops at all of them when none is named', async () => {
    const { printed } = await gdb(attach(), 'catch syscall', 'continue', 'continue', 'p $orig_rax');
    expect(printed[2]).toMatch(/Catchpoint 2 \((call to|returned from) syscall /);
    expect(printed[3]).toMatch(/Catchpoint 2 \((call to|returned from) syscall /);
    expect(printed[4]).not.toContain('= -1');
  });

  it('stops before a page fault is delivered, explains it, and enters its handler', async () => {
    const { printed, everything } = await gdb(
      attach(),
      'monitor catch pf on',
      'monitor catch',
      'break sys_fork',
      'continue',
      'set $old = $rip',
      'set $rip = 0x1234',
      'continue',
      'monitor why',
      'p $cr2 == 0x1234',
      'stepi',
      'p $cr2 == 0x1234',
      'info symbol $rip',
      'monitor catch pf off',
      'set $rip = $old',
      'set $rsp = *(long*)($rsp + 32)',
      'delete',
    );
    expect(printed[1], everything).toContain('#PF page fault is caught');
    expect(printed[2]).toContain('triple fault (always)');
    expect(printed[7]).toContain('#PF page fault at rip 0x1234, error code 0x10, address 0x1234');
    expect(printed[7]).toContain('SIGSEGV');
    expect(printed[8]).toContain('stopped before the exception is delivered');
    expect(printed[8]).toContain('entry 0 of its PML4 is not present');
    expect(printed[9]).toContain('= 0');
    expect(printed[11]).toContain('= 1');
    expect(printed[12]).toContain('interrupt_stub_14');
  });
});

describe.skipIf(missing('gdb'))("catching in the kernel's own tests", () => {
  const GUEST = ['--append', 'test', '--wait'];

  /** Boots it halted and drives gdb from the first instruction on. */
  async function fromPowerOn(...commands: string[]): Promise<GdbResult> {
    const server = await ServerProcess.start(...GUEST);
    try {
      return await gdb(`target remote ${server.address}`, ...commands);
    } finally {
      await server.stop();
    }
  }

  it('stops at write and when it has returned, with its arguments and its result', async () => {
    const { printed } = await fromPowerOn(
      'catch syscall write',
      'condition 2 $rip == (long)syscall_entry',
      'continue',
      'condition 2',
      'p $orig_rax',
      'p $rdi',
      'p $rdx',
      'output/c *(char*)$rsi',
      'continue',
      'p $rax',
      'info breakpoints',
    );
    expect(printed[1]).toContain("Catchpoint 2 (syscall 'write' [1])");
    expect(printed[3]).toMatch(
      /"hello\.elf" hit Catchpoint 2 \(call to syscall write\), syscall_entry/,
    );
    expect(printed[5]).toContain('= 1');
    expect(printed[6]).toContain('= 1');
    expect(printed[7]).toContain('= 19');
    expect(printed[8]).toContain("'H'");
    expect(printed[9]).toMatch(/Catchpoint 2 \(returned from syscall write\), 0x0*401041/);
    expect(printed[10]).toContain('= 19');
    expect(printed[11]).toContain('catchpoint already hit');
  });

  it('stops at the calls of processes in kernel mode, which no instruction tells of', async () => {
    const { printed } = await fromPowerOn(
      'catch syscall fork',
      'continue',
      'p $orig_rax == 57 && $rdi == 57 && $rip == (long)kernel_syscall',
      'bt 2',
      'continue',
      'p $orig_rax == 57 && $rax == 3',
      'x/i $pc',
      'monitor break-if kernel_syscall edi == 57',
      'continue',
      'monitor break-if delete 1',
      'catch syscall wait4',
      'continue',
      'continue',
      'p $orig_rax',
      'delete',
      'continue',
    );
    const call = '"test-runner" hit Catchpoint 2 (call to syscall fork), kernel_syscall ()';
    expect(printed[2]).toContain(call);
    expect(printed[3]).toContain('= 1');
    expect(printed[4]).toMatch(/#1 .* in test_call \(number=.*57/);
    expect(printed[5]).toContain('Catchpoint 2 (returned from syscall fork), kernel_syscall ()');
    expect(printed[6]).toContain('= 1');
    expect(printed[7]).toMatch(/<kernel_syscall\+\d+>:\s+ret/);
    // A condition in words at the same place: both are told.
    expect(printed[9]).toContain(`break-if 1 at kernel_syscall: edi == 57\n`);
    expect(printed[9]).toContain(call);
    expect(printed[12]).toContain('(returned from syscall fork)');
    expect(printed[13]).toContain('Catchpoint 3 (call to syscall wait4), kernel_syscall ()');
    expect(printed[14]).toContain('= 61');
    expect(printed[16]).toContain('exited normally');
  });

  it('stops at page faults as they come, with a text that says which, and lets them be handled', async () => {
    const { printed } = await fromPowerOn(
      'monitor catch pf on',
      'continue',
      'monitor why',
      'bt 1',
      'continue',
      'monitor why',
      'stepi',
      'p $cr2',
      'monitor catch pf off',
      'monitor catch',
      'continue',
    );
    expect(printed[2]).toContain(
      '#PF page fault at rip 0x401828, error code 0x6, address 0x403000',
    );
    expect(printed[2]).toContain('"tests.elf" received signal SIGSEGV');
    expect(printed[3]).toContain('a write by user code to 0x0000000000403000');
    expect(printed[3]).toContain('entry 3 of its page table is not present');
    expect(printed[3]).toContain('the handler is entered');
    expect(printed[4]).toMatch(/#0 +0x0*401828/);
    expect(printed[5]).toMatch(/#PF page fault at rip 0x401\w+, error code 0x7, address 0x7ff/);
    expect(printed[6]).toContain('denied: the page is read-only');
    expect(printed[8]).toContain('0x7ff');
    expect(printed[10]).toBe('triple fault (always)\n');
    expect(printed[11]).toContain('exited normally');
  });

  it('says in one line what it cannot catch', async () => {
    const { printed } = await fromPowerOn(
      'monitor catch bp on',
      'monitor catch triple off',
      'monitor catch triple on',
      'monitor catch pf',
    );
    expect(printed[1]).toContain(
      '"bp" is no exception that can be caught: de br ud nm df ts np ss gp pf',
    );
    expect(printed[2]).toContain('a triple fault always stops');
    expect(printed[3]).toBe('a triple fault always stops\n');
    expect(printed[4]).toContain('usage: catch [EXCEPTION on|off]');
  });
});

describe.skipIf(missing('lldb-14'))('catching, with lldb', () => {
  it('shows as an exception what was caught', async () => {
    const server = await ServerProcess.start('--append', 'test', '--wait');
    try {
      const commands = [
        `gdb-remote ${server.address}`,
        'process plugin packet monitor catch pf on',
        'continue',
        'quit',
      ].flatMap((command) => ['-o', command]);
      const args = ['-x', '-b', ...commands, 'kernel/images/kernel.elf'];
      const { output } = await collect('lldb-14', args);
      expect(output).toMatch(/stop reason = #PF page fault at rip 0x401828, error code 0x6/);
    } finally {
      await server.stop();
    }
  });
});
