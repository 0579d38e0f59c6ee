/** gdb in non-stop mode: memory, symbols and breakpoints while the guest runs, threads that stop alone. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { ServerProcess } from './server-process.ts';
import { Terminal } from './terminal.ts';

const READY = '[INIT] forking a worker every second';
const SETTINGS = ['confirm off', 'pagination off', 'width 0', 'non-stop on'];

describe.skipIf(missing('gdb', 'script'))('gdb with `set non-stop on`', () => {
  let server: ServerProcess;
  let terminal: Terminal;

  afterEach(async () => {
    expect(terminal.text).not.toMatch(/internal-error|Remote failure|unexpected/i);
    await server.stop();
    expect(server.stderr).not.toContain('internal error');
  });

  async function attach(...args: string[]): Promise<void> {
    server = await ServerProcess.start(...args);
    if (!args.includes('--wait')) await server.serial(READY);
    const settings = SETTINGS.flatMap((setting) => ['-iex', `'set ${setting}'`]);
    terminal = new Terminal('gdb', '-nx', '-q', ...settings);
    terminal.type(`target remote ${server.address}`);
    await terminal.waitFor('Created tracepoint 1');
  }

  async function type(command: string, ...expected: string[]): Promise<void> {
    terminal.type(command);
    for (const text of expected) await terminal.waitFor(text);
  }

  async function quit(): Promise<void> {
    terminal.type('quit');
    await terminal.ended();
  }

  /** The value that a `print` shows. */
  async function value(expression: string): Promise<bigint> {
    await type(`printf "value %lu.\\n", (unsigned long) ${expression}`, '\nvalue ', '.');
    return BigInt(/value (\d+)\.\s*\S*\s*$/.exec(terminal.text)![1]!);
  }

  describe('attached to a running guest', () => {
    beforeEach(() => attach('--log-level', 'error'));

    it('reads memory and sets a breakpoint while it runs; one thread stops, others run', async () => {
      await type('continue &', 'Continuing.');
      await type('thread 1', '(running)');
      await type('x/i sys_fork', '<sys_fork>:', 'mov ');
      const before = await value('timer_ticks');
      await type('break sys_fork', 'Breakpoint 2 at');
      await terminal.waitFor('"init" hit Breakpoint 2, sys_fork ()');
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
      await terminal.waitFor('"console.elf" stopped.');
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
      terminal.interrupt();
      await terminal.waitFor('received signal SIGINT');
      await type('continue &', 'Continuing.');
      await type('detach', 'detached');
      await quit();
      const { printed } = await gdb(`target remote ${server.address}`, 'info threads');
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
    await terminal.waitFor('exited');
    await quit();
  });
});

it.skipIf(missing('gdb'))('is not offered together with processes as inferiors', async () => {
  const server = await ServerProcess.start('--processes', '--wait', '--log-level', 'error');
  const { everything } = await gdb('set non-stop on', `target remote ${server.address}`);
  expect(everything).toContain('Non-stop mode requested, but remote does not support non-stop');
  await server.stop();
});
