/** What users of gdb rely on, with the real gdb: it has no file argument and no configuration. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { Terminal } from './terminal.ts';
import { gdb, gdbWith } from './gdb.ts';
import { requestsOf } from './packet-trace.ts';
import { servedKernel } from './served-kernel.ts';
import { MAIN, ROOT, ServerProcess } from './server-process.ts';

describe.skipIf(missing('gdb'))('gdb without a file', () => {
  const kernel = servedKernel();

  const attach = (): string => kernel.attach;

  it('gets symbols and source lines from the server', async () => {
    const { printed } = await gdb(attach(), 'info symbol sys_fork', 'info line sys_fork');
    expect(printed[0]).toContain('Reading symbols from target:');
    expect(printed[1]).toContain('sys_fork in section .text');
    expect(printed[2]).toContain('kernel/src/syscall/handlers/process.c');
  });

  it('breaks on sys_fork and unwinds to the thread entry with source lines', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'bt',
      'p $rip == (long)&sys_fork',
    );
    expect(printed[2]).toMatch(/hit Breakpoint 2, sys_fork/);
    expect(printed[3]).toMatch(
      /#0 +sys_fork \(\) at kernel\/src\/syscall\/handlers\/process\.c:\d+/,
    );
    expect(printed[3]).toMatch(/#1 +0x[0-9a-f]+ in syscall_dispatch/);
    expect(printed[3]).toMatch(/in thread_entry \(\)/);
    expect(printed[3]).not.toMatch(/corrupt|Backtrace stopped/);
    expect(printed[4]).toContain('= 1');
  });

  it('calls functions of the kernel, stops in one, and has all registers back', async () => {
    const { printed } = await gdb(
      attach(),
      'tbreak sys_fork',
      'continue',
      'set $before = $rsp',
      'print (int)sys_getpid()',
      'tbreak sys_getppid',
      'print (int)sys_getppid()',
      'finish',
      'print $rip == (long)&sys_fork && $rsp == $before',
    );
    expect(printed[4]).toMatch(/^\$\d+ = \d+$/m);
    expect(printed[6]).toContain('stopped while in a function called from GDB');
    expect(printed[7]).toContain('Value returned is');
    expect(printed[8]).toContain('= 1');
  });

  it('compares the sections of a kernel in the upper half with its file', async () => {
    const { printed } = await gdb(attach(), 'compare-sections -r');
    expect(printed[1]).toMatch(/Section \.text, range 0x101000 -- 0x[0-9a-f]+: matched/);
    expect(printed[1]).toMatch(/Section \.rodata, range 0x[0-9a-f]+ -- 0x[0-9a-f]+: matched/);
    expect(printed[1]).not.toContain('target memory fault');
  });

  it('sees the return address at RSP on the first instruction of sys_fork', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'info symbol *(long*)$rsp',
      'p $ret_rsp == *(long*)$rsp',
    );
    expect(printed[3]).toMatch(/syscall_dispatch \+ \d+ in section/);
    expect(printed[4]).toContain('= 1');
  });

  it('prints all registers, control registers among them', async () => {
    const { printed } = await gdb(
      attach(),
      'info registers',
      'p $cr3',
      'p/x $efer & 0x500',
      'p $xmm0',
      'p $eflags',
    );
    for (const name of ['rax', 'r15', 'rip', 'eflags', 'cs', 'k_gs_base', 'cr0', 'cr4']) {
      expect(printed[1]).toMatch(new RegExp(`^${name} `, 'm'));
    }
    expect(printed[2]).toMatch(/= [1-9]\d+/);
    expect(printed[3]).toContain('= 0x500');
    expect(printed[4]).toContain('v4_float');
    expect(printed[5]).toMatch(/= \[/);
  });

  it('finishes, steps instructions and steps lines', async () => {
    const { printed } = await gdb(
      attach(),
      'tbreak sys_fork',
      'continue',
      'finish',
      'stepi',
      'stepi',
      'p $rip',
      'next',
      'next',
    );
    expect(printed[3]).toMatch(/syscall_dispatch .* at kernel\/src\/syscall\/dispatch\.c:\d+/);
    expect(printed[3]).toMatch(/Value returned is \$\d+ = \d+/);
    expect(printed[6]).toMatch(/0xffffffff80[0-9a-f]+/);
    for (const text of [printed[7], printed[8]]) expect(text).toMatch(/^\d+\t|\w+ \(/m);
  });

  it('watches a variable and says old and new value', async () => {
    const { printed } = await gdb(attach(), 'watch fork_ring_total', 'continue', 'p $rip');
    expect(printed[1]).toMatch(/atchpoint 2: fork_ring_total/);
    expect(printed[2]).toMatch(/Old value = \d+/);
    expect(printed[2]).toMatch(/New value = \d+/);
  });

  it('lists the guest threads by name and unwinds a sleeping one', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'info threads',
      'thread 1',
      'bt',
    );
    expect(printed[3]).toMatch(/"idle" \(pid 0/);
    expect(printed[3]).toMatch(/\* \d+ +Thread 1\.\d+ "init" \(pid 1, running/);
    expect(printed[5]).toMatch(/#0 .*context_switch/);
    expect(printed[5]).toMatch(/schedule|idle/);
    expect(printed[5]).not.toMatch(/corrupt/);
  });

  it('answers monitor threads, forks and retaddr', async () => {
    const { printed } = await gdb(
      attach(),
      'break sys_fork',
      'continue',
      'monitor threads',
      'monitor forks',
      'monitor forks 1',
      'monitor retaddr',
      'monitor help',
    );
    expect(printed[3]).toMatch(/^\* +\d+ +1 +init +running .*<sys_fork>/m);
    expect(printed[4]).toMatch(/^ *\d+ +fork +tid 1 pid 1 .*<syscall_dispatch\+\d+> +sound$/m);
    expect(printed[5]).toMatch(/captured .*true .*stale .*child/);
    expect(printed[6]).toMatch(/<syscall_dispatch\+\d+>.*call/);
    expect(printed[7]).toMatch(/retaddr/);
  });

  it('detaches and attaches again, and the guest has gone on', async () => {
    const first = await gdb(attach(), 'monitor icount', 'detach');
    expect(first.printed[2]).toContain('detached');
    await sleep(300);
    const second = await gdb(attach(), 'monitor icount', 'info threads');
    expect(second.printed[2]).toContain('"idle"');
    const count = (text: string | undefined): bigint => BigInt(/\d+/.exec(text ?? '')?.[0] ?? '0');
    expect(count(second.printed[1])).toBeGreaterThan(count(first.printed[1]));
  });

  it('survives a gdb that is killed, and forgets its breakpoints', async () => {
    const victim = spawn(
      'gdb',
      [
        '-nx',
        '-q',
        '-batch',
        '-ex',
        attach(),
        '-ex',
        'break schedule',
        '-ex',
        'break sys_fork',
        '-ex',
        'continue',
        '-ex',
        'shell sleep 60',
      ],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] },
    );
    await new Promise<void>((resolve) => {
      let text = '';
      victim.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (/hit Breakpoint/.test(text)) resolve();
      });
    });
    victim.kill('SIGKILL');
    await sleep(200);
    const before = kernel.server.stdout.length;
    const { printed } = await gdb(attach(), 'info threads', 'p fork_ring_total');
    expect(printed[1]).toContain('"init"');
    expect(printed[2]).toMatch(/= \d+/);
    expect(kernel.server.stdout.length).toBeGreaterThanOrEqual(before);
  });
});

describe.skipIf(missing('gdb'))('gdb with a file of its own', () => {
  it('attaches in 22 packets and what it reads of memory, the tracepoint on fork among them', async () => {
    const server = await ServerProcess.start('--wait', '--trace-packets');
    const image = 'kernel/images/kernel.elf';
    const { everything } = await gdbWith([image], `target remote ${server.address}`, 'detach');
    expect(await server.stop()).toBe(0);
    expect(everything).toContain("Created tracepoint 1 for target's tracepoint 1");
    const requests = requestsOf(server).filter((request) => !/^[Dm]/.test(request));
    expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(22);
  });
});

describe.skipIf(missing('gdb', 'script'))('gdb in a terminal', () => {
  it('interrupts a running guest by Ctrl-C, lets it go on and interrupts it again', async () => {
    // The packet trace tells when gdb has really let the guest go.
    const server = await ServerProcess.start('--trace-packets');
    const resumes = (): number => server.stderr.split('"vCont;c:').length - 1;
    const terminal = new Terminal('gdb', '-nx', '-q');
    await terminal.waitFor('(gdb) ');
    terminal.type('set pagination off');
    await terminal.waitFor('(gdb) ');
    terminal.type(`target remote ${server.address}`);
    await terminal.waitFor('(gdb) ');
    for (const round of [1, 2]) {
      terminal.type('continue');
      await terminal.until('the resume', () => resumes() === round);
      await terminal.waitFor('Continuing.');
      terminal.interrupt();
      await terminal.waitFor('received signal SIGINT');
      await terminal.waitFor('(gdb) ');
    }
    terminal.type('p 6*7');
    await terminal.waitFor('$1 = 42');
    terminal.type('detach');
    await terminal.waitFor('[Inferior 1 (process 1) detached]');
    terminal.type('quit');
    await terminal.ended();
    await server.stop();
  });
});

describe.skipIf(missing('gdb'))('gdb through a pipe', () => {
  it('attaches with target remote | exoscope serve --listen stdio', async () => {
    const command = `target remote | ${process.execPath} ${MAIN} serve --listen stdio --wait --serial none`;
    const { printed } = await gdb(command, 'p $rip', 'break kernel_main', 'continue', 'bt 1');
    expect(printed[1]).toMatch(/0x1[0-9a-f]{5}/);
    expect(printed[3]).toMatch(/Breakpoint 2, kernel_main/);
  });
});

describe.skipIf(missing('gdb'))('the end of the guest', () => {
  it('is an exit for gdb, with the value that the guest wrote', async () => {
    const server = await ServerProcess.start('--wait', '--append', 'test');
    const { printed } = await gdb(`target remote ${server.address}`, 'continue');
    expect(printed[1]).toContain('exited normally');
    expect(server.stdout).toContain('[TEST] all runs: PASSED');
    await server.stop();
  });

  it('is the other status when the tests fail', async () => {
    const server = await ServerProcess.start('--wait', '--append', 'test capture=stale');
    const { printed } = await gdbWith([], `target remote ${server.address}`, 'continue');
    expect(printed[1]).toMatch(/exited with code 0?1/);
    await server.stop();
  });
});
