/** Processes as inferiors in non-stop mode: stops, programs and ends of each, with the real gdb. */
import { afterEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { NonStopGdb } from './non-stop-gdb.ts';

const SERVE = ['--processes', '--log-level', 'error'];

describe.skipIf(missing('gdb', 'script'))('processes with `set non-stop on`', () => {
  let gdb: NonStopGdb;
  afterEach(() => gdb.end());

  async function attach(...before: string[]): Promise<void> {
    gdb = await NonStopGdb.attach('target remote', SERVE, ...before);
  }

  /** The machine runs, as the kernel's clock tells. */
  async function expectRunning(): Promise<void> {
    const before = await gdb.value('timer_ticks');
    await expect.poll(() => gdb.value('timer_ticks'), { timeout: 10_000 }).toBeGreaterThan(before);
  }

  it('stops one process at its breakpoint and memory of all is read while they run', async () => {
    await attach();
    await gdb.type('info inferiors', '* 1 ', 'kernel.elf', '  2 ', 'console.elf');
    await gdb.type('break sys_wait4', '(2 locations)');
    await gdb.type('continue -a &', 'Continuing.', '"init" hit Breakpoint 2.1, sys_wait4');
    await gdb.type('info threads', '1.1 ', '(running)', 'sys_wait4', '2.1 ', '(running)');
    await gdb.type('delete 2');
    await gdb.type('continue -a &', 'Continuing.');
    await expectRunning();
    await gdb.type('interrupt -a', '"idle" stopped.', '"init" stopped.', '"console.elf" stopped.');
    await gdb.type('thread 2.1', 'Switching to thread 2.1');
    await gdb.type('bt 2', '#0', 'context_switch', '#1');
    const at = await gdb.value("'timer_ticks'");
    expect(await gdb.value("'timer_ticks'")).toBe(at);
    await gdb.quit();
  });

  it('follows a child to its program and its end, behind which all others go on', async () => {
    await attach('set follow-fork-mode child', 'set detach-on-fork off', 'catch exec');
    await gdb.type('continue -a &', 'New inferior 3', '3.1 "worker.elf" hit Catchpoint 1 (exec\'d');
    await gdb.type('info threads', '1.2 ', '(running)', '3.1 ', '0x0000000000401000');
    await gdb.type('delete 1');
    await gdb.type('set follow-fork-mode parent');
    await gdb.type('set detach-on-fork on');
    await gdb.type('thread 3.1', '0x0000000000401000');
    await gdb.type('tbreak sys_exit', 'Temporary breakpoint');
    await gdb.type('continue &', '"worker.elf" hit Temporary breakpoint', 'sys_exit (status=0)');
    await gdb.type('next', 'process.c:');
    await gdb.type('continue &', '[Inferior 3 (process', 'exited normally]');
    await gdb.type('thread 1.1', '(running)');
    await expectRunning();
    await gdb.terminal.waitFor('Detaching after fork from child process');
    await gdb.quit();
  });

  it('lets the machine go on when the only stopped process is detached', async () => {
    await attach('set follow-fork-mode child', 'set detach-on-fork off', 'catch exec');
    await gdb.type('continue -a &', '3.1 "worker.elf" hit Catchpoint 1 (exec\'d');
    await gdb.type('set follow-fork-mode parent');
    await gdb.type('set detach-on-fork on');
    await gdb.type('delete 1');
    await gdb.type('detach inferior 3', '[Inferior 3 (process');
    await gdb.type('thread 1.1', '(running)');
    await expectRunning();
    await gdb.quit();
  });

  it('attaches a process again while the machine runs', async () => {
    gdb = await NonStopGdb.attach('target extended-remote', SERVE);
    await gdb.type('continue -a &', 'Continuing.');
    await gdb.type('detach inferior 2', '[Inferior 2 (process', 'detached]');
    await expectRunning();
    await gdb.type('inferior 2', 'Switching to inferior 2');
    await gdb.type('attach 48', 'context_switch ()');
    await gdb.type('info threads', '1.1 ', '(running)', '* 2.1 ', 'console.elf', 'context_switch');
    await gdb.type('continue -a &', 'Continuing.');
    await expectRunning();
    await gdb.quit();
  });

  it('takes the whole of the kernel’s tests, forks, vforks and kills, to their end', async () => {
    const args = [...SERVE, '--wait', '--append', 'test'];
    gdb = await NonStopGdb.attach('target remote', args);
    await gdb.type('continue -a &', 'Continuing.');
    const text = () => gdb.terminal.text;
    await expect.poll(text, { timeout: 60_000 }).toMatch(/Inferior 1 .* exited normally/);
    expect(text().match(/Detaching after fork/g)!.length).toBeGreaterThan(40);
    await gdb.server.serial('[TEST] all runs: PASSED');
    await gdb.quit();
  }, 90_000);
});
