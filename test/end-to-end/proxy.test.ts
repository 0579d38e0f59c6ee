/** `exoscope proxy` before QEMU's stub, which runs our kernel, with the real gdb. */
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { freePort, startProxy, startQemu, threadsOf, until, type Program } from './before-qemu.ts';
import { READY } from './served-kernel.ts';
import { collect, gdb } from './gdb.ts';
import { lldb, monitorOfLldb } from './lldb.ts';
import { MAIN, ServerProcess } from './server-process.ts';
import { Terminal } from './terminal.ts';

describe.skipIf(missing('gdb', 'qemu-system-x86_64'))('exoscope proxy before QEMU', () => {
  let port: number;
  let qemu: Program;
  let proxy: Program;
  let address: string;

  beforeAll(async () => {
    port = await freePort();
    qemu = startQemu(port);
    await qemu.says(READY);
    ({ proxy, address } = await startProxy(port, '--trace-packets'));
  });
  afterAll(async () => {
    expect(await proxy.end()).toBe(0);
    await qemu.end('SIGKILL');
  });

  /** The packet trace tells when gdb has really let the guest go. */
  const resumes = (): number => proxy.output.split('"vCont;c:').length - 1;
  const session = (...commands: string[]) => gdb(`target remote ${address}`, ...commands);

  it('attaches to the running guest, with symbols by vFile, again and again', async () => {
    for (let attached = 0; attached < 3; attached++) {
      const { printed, everything } = await session('info threads', 'info symbol sys_fork');
      expect(everything).toContain('Reading /boot/kernel.elf from remote target');
      expect(printed[1], everything).toMatch(/"idle" \(pid 0, .*"init" \(pid 1, /s);
      expect(printed[2]).toContain('sys_fork in section .text');
    }
  });

  it('shows the threads that our own server shows at the same place', async () => {
    const ours = await ServerProcess.start();
    try {
      await ours.serial(READY);
      const atFork = ['delete', 'tbreak sys_fork', 'continue', 'info threads', 'bt'];
      const here = await session(...atFork);
      const there = await gdb(`target remote ${ours.address}`, ...atFork);
      expect(here.printed[3], here.everything).toMatch(
        /"init" hit Temporary breakpoint \d+, sys_fork/,
      );
      expect(threadsOf(here.printed[4]!).length).toBeGreaterThan(1);
      expect(threadsOf(here.printed[4]!)).toEqual(threadsOf(there.printed[4]!));
      expect(here.printed[5]).toMatch(/thread_entry/);
    } finally {
      await ours.stop();
    }
  });

  it('fills the tables of info os that awareness can fill, and lists no other', async () => {
    const { printed } = await session(
      'tbreak sys_fork',
      'continue',
      'info os',
      'info os threads',
      'monitor threads',
      'info os processes',
      'info os forks',
      'monitor forks',
      'info os syscalls',
      'info os devices',
      'interpreter-exec mi "-info-os threads"',
    );
    const lines = (index: number): string[] => printed[index]!.trimEnd().split('\n');
    const tables = lines(3).map((line) => line.split(' ')[0]);
    expect(tables).toEqual(['Type', 'threads', 'processes', 'forks', 'syscalls']);
    expect(printed[4]).toMatch(/^1 +0 +0 +kernel +ready +\d+ +idle +0x\w{16} <context_switch\S*>/m);
    expect(printed[4]).toMatch(
      /^2 +1 +1 +kernel +running +\d+ +init +0x\w{16} <sys_fork(\+\d+)?> /m,
    );
    expect(lines(4)).toHaveLength(lines(5).length);
    expect(printed[6]).toMatch(/^1 +0 +kernel +alive +\d+ +init +1 *$/m);
    const rows = lines(7);
    const hint = 1;
    expect(rows).toHaveLength(lines(8).length - hint);
    expect(rows.at(-1)).toMatch(
      /^1 +fork +2 +2 +3 +3 +0x\w+ <syscall_dispatch\+\d+> not recorded *$/,
    );
    expect(printed[9]).toMatch(/^57 +fork +0x\w{16} <sys_fork>/m);
    expect(printed[10]).toContain('Can not fetch data now.');
    expect(printed[11]).toMatch(/colhdr="thread"}.*col6="idle"/s);
  });

  it("answers monitor threads by itself and passes the rest on to QEMU's monitor", async () => {
    const { printed } = await session(
      'tbreak sys_fork',
      'continue',
      'monitor threads',
      'monitor info version',
    );
    expect(printed[3]).toMatch(/ +tid +pid +name +state +waits for +rip +rsp +stack/);
    expect(printed[3]).toMatch(/^\* +1 +1 +init +running +- +0x\w+ <sys_fork(\+\d+)?> /m);
    expect(printed[3]).toMatch(/^ +0 +0 +idle /m);
    expect(printed[4]).toMatch(/^\d+\.\d+/);
  });

  it('stops at a breakpoint only where its condition holds', async () => {
    const { printed, everything } = await session(
      'break timer_interrupt if $rsp == 1',
      'tbreak sys_fork if $rip == (unsigned long) sys_fork + 1',
      'tbreak fork_captured if $rsp != 0',
      'continue',
      'info breakpoints',
    );
    expect(printed[4], everything).toContain('hit Temporary breakpoint 3, ');
    expect(printed[5]).toMatch(/timer_interrupt[^]*sys_fork/);
    expect(printed[5]).not.toContain('already hit');
  });

  it('breaks in by Ctrl-C, lets the guest go on, breaks in again and detaches', async () => {
    const before = resumes();
    const terminal = new Terminal('gdb', '-nx', '-q');
    await terminal.waitFor('(gdb) ');
    terminal.type('set pagination off');
    await terminal.waitFor('(gdb) ');
    terminal.type(`target remote ${address}`);
    await terminal.waitFor('(gdb) ');
    for (const round of [1, 2, 3]) {
      terminal.type('continue');
      await terminal.until('the resume', () => resumes() === before + round);
      await terminal.waitFor('Continuing.');
      terminal.interrupt();
      await terminal.waitFor('received signal SIGINT');
      await terminal.waitFor('(gdb) ');
    }
    terminal.type('detach');
    await terminal.waitFor('[Inferior 1 (process 1) detached]');
    terminal.type('quit');
    await terminal.ended();
    const tick = async () =>
      /sleep until tick \d+/.exec((await session('info threads')).printed[1]!);
    const asleep = await tick();
    await sleep(1200);
    const after = await tick();
    expect(after?.[0]).toBeDefined();
    expect(after?.[0]).not.toBe(asleep?.[0]);
  });

  const shell = async (...words: string[]) =>
    (await collect(process.execPath, [MAIN, 'monitor', '--connect', address, ...words])).output;

  it('halts a machine that nobody debugs for as long as a monitor command takes', async () => {
    const ticks = async () =>
      Number(/sleep until tick (\d+)/.exec(await shell('threads'))?.[1] ?? 'nothing');
    const before = await ticks();
    expect(await shell('processes')).toMatch(/^ +1 +init +alive +kernel +\d+/m);
    expect(await shell('info', 'version')).toMatch(/^\d+\.\d+/);
    await expect.poll(ticks, { timeout: 10_000, interval: 300 }).toBeGreaterThan(before);
  });

  it("lets others look while a debugger's machine stands, and not while it runs", async () => {
    const word = (...words: string[]) =>
      `shell "${process.execPath}" "${MAIN}" monitor --connect ${address} ${words.join(' ')} 2>&1`;
    const { printed } = await session(word('threads'), word('info', 'version'));
    expect(printed[1]).toMatch(/^[* ] +0 +0 +idle /m);
    expect(printed[2]).toContain('a debugger is attached');
    const before = resumes();
    // It waits for a call that nobody makes.
    const commands = [`target remote ${address}`, 'tbreak sys_vfork', 'continue'];
    const args = commands.flatMap((command) => ['-ex', command]);
    const client = spawn('gdb', ['-nx', '-q', '-batch', ...args], { stdio: 'ignore' });
    await until('the resume', () => resumes() > before);
    const answer = await shell('threads');
    client.kill('SIGKILL');
    expect(answer).toContain('the machine runs for its debugger');
    await expect.poll(() => shell('threads')).toMatch(/ idle /);
  });

  it.skipIf(missing('lldb-14'))('serves lldb as our own server does', async () => {
    const text = await lldb(
      address,
      'breakpoint set -n sys_fork',
      'continue',
      'thread backtrace all',
      'thread step-inst',
      'finish',
      'watchpoint set variable timer_ticks',
      'continue',
      monitorOfLldb('threads'),
      'detach',
    );
    expect(text).toMatch(/name = 'init', stop reason = breakpoint 1\.1/);
    expect(text).toMatch(/name = 'console\.elf'[^']*`console_read\([^']*`syscall_entry at /);
    expect(text).toMatch(/stop reason = instruction step into/);
    expect(text).toMatch(/Return value: \(int64_t\) \$0 = \d+/);
    expect(text).toMatch(/old value: \d+\nnew value: \d+[^]*stop reason = watchpoint 1/);
    expect(text).toMatch(/^\* +\d+ +\d+ +\S+ +running/m);
    expect(text).toMatch(/Process 1 detached/);
  });

  it('passes on what it does not know, but nothing that moves the machine', async () => {
    const { printed } = await session(
      'maint packet qqemu.sstepbits',
      'maint packet qNothingOfTheKind',
      'maint packet bs',
      'maint packet Qqemu.PhyMemMode:1',
      'x/2xb 0xb8000',
      'maint packet Qqemu.PhyMemMode:0',
      'info symbol $rip',
    );
    expect(printed[1]).toMatch(/received: "ENABLE=1,NOIRQ=2,NOTIMER=4"/);
    expect(printed[2]).toContain('received: ""');
    expect(printed[3]).toContain('received: ""');
    expect(printed[4]).toContain('received: "OK"');
    expect(printed[5]).toMatch(/0xb8000:\t0x\w\w\t0x\w\w/);
    expect(printed[7]).toMatch(/in section/);
  });

  it('tells the debugger that QEMU has gone and come back, and keeps its breakpoints', async () => {
    const before = resumes();
    const ended = session('tbreak sys_vfork', 'continue', 'break sys_fork', 'continue', 'bt 1');
    await until('the resume', () => resumes() > before);
    await sleep(300);
    await qemu.end('SIGKILL');
    await sleep(500);
    qemu = startQemu(port);
    const { printed, everything } = await ended;
    expect(printed[2], everything).toContain('has gone: waiting until it comes back');
    expect(printed[2]).toContain('has gone and come back: the machine is new');
    expect(printed[4]).toMatch(/hit Breakpoint 2, .*sys_fork/);
  });
});
