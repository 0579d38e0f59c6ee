/** The log of forks that `exoscope proxy` keeps before QEMU's stub, with the real gdb. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { freePort, startProxy, startQemu, type Program } from './before-qemu.ts';
import { collect, gdb } from './gdb.ts';
import { lldbWith, monitorOfLldb } from './lldb.ts';
import { READY } from './served-kernel.ts';
import { MAIN } from './server-process.ts';

const FORK_LINE =
  /^ *\d+ +v?fork +tid \d+ pid \d+ +(tid \d+ pid \d+|-) +0x\w+ <syscall_dispatch\+/gm;

describe.skipIf(missing('gdb', 'qemu-system-x86_64'))('forks before QEMU', () => {
  const running = new Set<Program>();
  let port: number;
  let address: string;

  afterEach(async () => {
    for (const program of running) await program.end('SIGKILL');
    running.clear();
  });

  function start(program: Program): Program {
    running.add(program);
    return program;
  }

  async function startBoth(qemuArgs: readonly string[], ...proxyArgs: string[]) {
    port = await freePort();
    const qemu = start(startQemu(port, ...qemuArgs));
    if (!qemuArgs.includes('-S')) await qemu.says(READY);
    const served = await startProxy(port, ...proxyArgs);
    start(served.proxy);
    ({ address } = served);
    return { qemu, proxy: served.proxy };
  }

  const session = (...commands: string[]) => gdb(`target remote ${address}`, ...commands);
  const shell = async (...words: string[]) =>
    (await collect(process.execPath, [MAIN, 'monitor', '--connect', address, ...words])).output;
  const forkCount = (text: string): number => text.match(FORK_LINE)?.length ?? 0;

  it("shows what the guest's ring holds, and says that nobody recorded what was true", async () => {
    await startBoth([]);
    const { printed } = await session('monitor forks', 'monitor forks 3', 'monitor forks 9999');
    expect(forkCount(printed[1]!)).toBeGreaterThan(40);
    expect(printed[1]).toMatch(/^ +3 +fork +tid 2 pid 2 .* not recorded$/m);
    expect(printed[1]).not.toMatch(/sound|FALSE/);
    expect(printed[1]).toContain('true registers are not recorded; `forks record on` does');
    expect(printed[2]).toMatch(/^rip +0x\w{16} +- +0x\w{16} +0x\w{16}$/m);
    expect(printed[2]).toContain('verdict: none: nobody recorded what the CPU held at this fork');
    expect(printed[3]).toMatch(/there is no fork 9999; there were \d+ since boot/);
  });

  it('records the true registers unseen by the debugger, whose own stops stay', async () => {
    await startBoth([]);
    const { printed, everything } = await session(
      // A fork that is under way when recording begins has no verdict: begin behind one.
      'tbreak sys_execve',
      'continue',
      'monitor forks record on',
      'tbreak sys_execve',
      'continue',
      'tbreak sys_fork',
      'continue',
      'p/x $rbx',
      'monitor forks',
      'stepi',
      'p $rip - (unsigned long) sys_fork',
      'tbreak sys_execve',
      'continue',
      'monitor forks',
    );
    expect(printed[3]).toContain('true registers of forks are recorded');
    expect(printed[5], everything).toContain('hit Temporary breakpoint 2, sys_execve');
    expect(printed[7]).toContain('hit Temporary breakpoint 3, sys_fork');
    expect(printed[9]).toMatch(/^ *\d+ +fork +tid 1 pid 1 +- .* open$/m);
    expect(printed[9]).toMatch(/ sound$/m);
    expect(printed[11]).toMatch(/ 0x3$/m);
    expect(printed[13]).toContain('hit Temporary breakpoint 4, sys_execve');
    const [newest] = printed[14]!.match(FORK_LINE)!;
    expect(printed[14]).not.toContain('open');
    const number = /\d+/.exec(newest)![0];
    expect(printed[14]).toMatch(new RegExp(`^ *${number} +fork +tid 1 .* sound$`, 'm'));
    const rbx = /0x(\w+)/.exec(printed[8]!)![1]!.padStart(16, '0');
    expect(await shell('forks', number)).toMatch(new RegExp(`^rbx +0x${rbx} +0x${rbx} `, 'm'));
  });

  it("keeps conditions, watchpoints and breakpoints behind the fork's first instruction", async () => {
    await startBoth([], '--record-forks');
    const { printed, everything } = await session(
      'break sys_fork if 0',
      'tbreak sys_execve',
      'continue',
      'hbreak *sys_fork',
      'continue',
      'delete',
      'watch timer_ticks',
      'continue',
      'delete',
      'break *sys_fork+3',
      'continue',
      'delete',
      'tbreak sys_fork',
      'continue',
      'finish',
      'monitor forks',
      'info os forks',
    );
    expect(printed[3], everything).toContain('hit Temporary breakpoint 2, sys_execve');
    expect(printed[5]).toContain('hit Breakpoint 3, sys_fork');
    expect(printed[8]).toContain('hit Hardware watchpoint 4: timer_ticks');
    expect(printed[11]).toContain('hit Breakpoint 5, sys_fork');
    expect(printed[14]).toContain('hit Temporary breakpoint 6, sys_fork');
    expect(printed[15]).toMatch(/Value returned is \$1 = \d+/);
    const [, ...rows] = printed[16]!.trimEnd().split('\n');
    const verdicts = rows.map((row) => row.split(/ {2,}/).at(-1));
    expect(verdicts.length).toBeGreaterThan(40);
    expect(verdicts.lastIndexOf('sound')).toBe(verdicts.indexOf('not recorded') - 1);
    expect(new Set(verdicts)).toEqual(new Set(['sound', 'not recorded']));
    const verdict = / (sound|not recorded) *$/;
    const [, ...sameRows] = printed[17]!.trimEnd().split('\n');
    expect(sameRows.map((row) => verdict.exec(row)?.[1])).toEqual(verdicts);
  });

  it.skipIf(missing('lldb-14'))("serves lldb without the kernel's file", async () => {
    await startBoth([], '--record-forks');
    const text = await lldbWith(
      [],
      address,
      'breakpoint set -n sys_fork',
      'continue',
      'thread step-inst',
      'finish',
      monitorOfLldb('forks'),
      'detach',
    );
    expect(text).toMatch(/stop reason = breakpoint 1\.1\n.*kernel\.elf`sys_fork at process\.c/);
    expect(text).toMatch(/stop reason = instruction step into/);
    expect(text).toMatch(/Return value: \(int64_t\) \$0 = \d+/);
    expect(text).toMatch(/^ *\d+ +fork +tid 1 pid 1 .* sound$/m);
  });

  it('names the bug of capture=stale, from the first fork on', async () => {
    await startBoth(['-S', '-append', 'capture=stale'], '--record-forks');
    await expect.poll(() => shell('forks', '5'), { timeout: 30_000 }).toMatch(/verdict: STALE/);
    const text = await shell('forks', '1');
    expect(text).toMatch(/^rip +(0x\w+) +\1 +(0x\w+) +\2 +<< child has the stale value$/m);
    expect(text).toMatch(/^verdict: STALE: the child got rip, rsp, .* not from its call of fork$/m);
  });

  it('goes on recording when QEMU comes back, and leaves no breakpoint behind', async () => {
    const { qemu, proxy } = await startBoth(['-S'], '--record-forks');
    await qemu.says(READY);
    const before = forkCount(await shell('forks'));
    expect(before).toBeGreaterThan(40);
    await qemu.end('SIGKILL');
    const second = start(startQemu(port, '-S'));
    await second.says(READY);
    const after = await shell('forks');
    expect(after).toMatch(/^ +1 +fork +tid 2 pid 2 +tid 3 pid 3 .* sound$/m);
    expect(after).not.toMatch(/not recorded|FALSE|warning/);
    expect(await proxy.end()).toBe(0);
    // Forks go on: the guest does not stand at a breakpoint that nobody knows of.
    await sleep(1500);
    ({ address } = await startProxy(port).then((served) => (start(served.proxy), served)));
    const later = forkCount(await shell('forks'));
    await expect.poll(async () => forkCount(await shell('forks'))).toBeGreaterThan(later);
    expect(await shell('forks')).toMatch(/ not recorded$/m);
  });
});
