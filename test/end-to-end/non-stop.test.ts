/** gdb in non-stop mode: memory, symbols and breakpoints while the guest runs, threads that stop alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { NonStopGdb } from './non-stop-gdb.ts';

describe.skipIf(missing('gdb', 'script'))('gdb with `set non-stop on`', () => {
  let session: NonStopGdb;

  const attach = async (...args: string[]): Promise<void> => {
    session = await NonStopGdb.attach('target remote', args);
  };
  const type = (command: string, ...expected: string[]) => session.type(command, ...expected);
  const value = (expression: string) => session.value(expression);
  const quit = () => session.quit();
  afterEach(() => session.end());

  describe('attached to a running guest', () => {
    beforeEach(() => attach('--log-level', 'error'));

    it('reads memory and sets a breakpoint while it runs; one thread stops, others run', async () => {
      await type('continue &', 'Continuing.');
      await type('thread 1', '(running)');
      await type('x/i sys_fork', '<sys_fork>:', 'mov ');
      const before = await value('timer_ticks');
      await type('break sys_fork', 'Breakpoint 2 at');
      await session.terminal.waitFor('"init" hit Breakpoint 2, sys_fork ()');
      expect(await value('timer_ticks')).toBeGreaterThan(before);
      await type('info threads', '"idle"', '(running)', '"init"', 'sys_fork ()');
      await type('thread 2', 'Switching to thread 2');
      await type('bt 2', '#0', 'sys_fork ()', '#1', 'syscall_dispatch');
      const at = await value('$icount');
      await type('stepi', '43', 'pushfq');
      await type('info threads', '"init"', 'process.c:43');
      expect(await value('$icount')).toBe(at + 1n);
      await type('next', 'popq');
      expect(await value('$icount')).toBe(at + 2n);
      await type('continue &', 'hit Breakpoint 2, sys_fork ()');
      await quit();
    });

    it('stops all threads and lets all of them go on', async () => {
      await type('continue -a &', 'Continuing.');
      await type('interrupt -a', 'stopped.');
      await session.terminal.waitFor('"console.elf" stopped.');
      await type('thread 2', 'Switching to thread 2');
      await type('bt 1', '#0', 'context_switch');
      const at = await value('timer_ticks');
      expect(await value('timer_ticks')).toBe(at);
      await type('continue -a &', 'Continuing.');
      for (let tries = 0; (await value('timer_ticks')) === at; tries++) {
        expect(tries).toBeLessThan(100);
        await sleep(50);
      }
      await quit();
    });

    it('comes back by Ctrl-C, and leaves a guest that runs', async () => {
      await type('continue', 'Continuing.');
      session.terminal.interrupt();
      await session.terminal.waitFor('received signal SIGINT');
      await type('continue &', 'Continuing.');
      await type('detach', 'detached');
      await quit();
      const { printed } = await gdb(`target remote ${session.server.address}`, 'info threads');
      expect(printed[1]).toMatch(/"idle" \(pid 0, .*\n.*"init" \(pid 1, /);
      expect(printed[1]).not.toContain('(running)');
    });
  });

  it('hits a watchpoint, and hears of the end of the guest', async () => {
    await attach('--wait', '--append', 'test', '--log-level', 'error');
    await type('watch timer_ticks', 'atchpoint 2: timer_ticks');
    await type('continue &', 'Continuing.', 'atchpoint 2: timer_ticks', 'New value = 1');
    await type('delete 2');
    await type('continue -a &', 'Continuing.');
    await session.terminal.waitFor('exited');
    await quit();
  });
});
