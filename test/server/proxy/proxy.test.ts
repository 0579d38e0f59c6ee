/** The proxy before QEMU's stub, which runs our kernel, with the real gdb. */
import { spawn, type ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runUnattended } from '../../../server/session-context.ts';
import { ProxyTarget } from '../../../server/proxy/proxy-target.ts';
import { freePort, threadsOf } from '../../end-to-end/before-qemu.ts';
import { READY } from '../../end-to-end/served-kernel.ts';
import { gdb } from '../../end-to-end/gdb.ts';
import { ServerProcess } from '../../end-to-end/server-process.ts';
import { kernelImage, qemuArguments } from '../../kernel/qemu.ts';
import { serveTarget, type Served } from '../../library/serve-target.ts';
import { missing } from '../../tools.ts';

async function startQemu(port: number, isAwaited = true): Promise<ChildProcess> {
  const stub = ['-gdb', `tcp:127.0.0.1:${port}`];
  const qemu = spawn('qemu-system-x86_64', qemuArguments(['-kernel', kernelImage, ...stub]));
  let output = '';
  qemu.stdout.on('data', (bytes: Buffer) => (output += bytes.toString('latin1')));
  while (isAwaited && !output.includes(READY)) await sleep(50);
  return qemu;
}

describe.skipIf(missing('gdb', 'qemu-system-x86_64'))('the proxy before QEMU', () => {
  let port: number;
  let qemu: ChildProcess;
  let target: ProxyTarget;
  let served: Served;

  beforeAll(async () => {
    port = await freePort();
    qemu = await startQemu(port);
    const image = { name: 'kernel.elf', content: readFileSync(kernelImage) };
    target = new ProxyTarget({ host: '127.0.0.1', port, image });
    await target.whenReady();
    runUnattended(target);
    served = await serveTarget(target, 'run');
  });
  afterAll(async () => {
    await served.dispose();
    target.dispose();
    qemu.kill();
  });

  const session = (...commands: string[]) => gdb(`target remote ${served.address}`, ...commands);

  it('knows the threads that our own machine has at the same place', async () => {
    const ours = await ServerProcess.start();
    try {
      await ours.serial(READY);
      const atFork = ['break sys_fork', 'continue', 'info threads', 'bt'];
      const here = await session(...atFork);
      const there = await gdb(`target remote ${ours.address}`, ...atFork);
      expect(here.printed[2]).toMatch(/"init" hit Breakpoint 1, sys_fork \(\) at kernel/);
      const [first] = threadsOf(there.printed[3]!);
      expect(first).toBe('1.1 idle pid 0');
      expect(threadsOf(here.printed[3]!)).toEqual(threadsOf(there.printed[3]!));
      expect(here.printed[4]).toMatch(/thread_entry/);
    } finally {
      await ours.stop();
    }
  });

  it('unwinds a thread that sleeps, from its saved registers and its own stack', async () => {
    const { printed } = await session('thread 2', 'bt', 'p $xmm0', 'p $rax');
    expect(printed[2]).toMatch(/context_switch.*thread_entry/s);
    expect(printed[3]).toContain('<unavailable>');
  });

  it('steps, watches and passes monitor commands on', async () => {
    const { printed } = await session(
      'break fork_captured',
      'continue',
      'stepi',
      'monitor info version',
    );
    expect(printed[2]).toContain('hit Breakpoint 1');
    expect(printed[4]).toMatch(/^\d+\.\d+/);
  });

  it('takes the breakpoints of a killed gdb out of the running stub', async () => {
    const commands = [`target remote ${served.address}`, 'break sys_vfork', 'continue'];
    const args = commands.flatMap((command) => ['-ex', command]);
    const client = spawn('gdb', ['-nx', '-q', '-batch', ...args], { stdio: 'ignore' });
    await sleep(1500);
    client.kill('SIGKILL');
    await sleep(500);
    const { printed } = await session('info threads', 'break sys_fork', 'continue');
    expect(printed[1]).toMatch(/"idle" \(pid 0, /);
    expect(printed[3]).toContain('hit Breakpoint 1, sys_fork');
  });

  it('keeps the debugger through a restart of QEMU, tells it, and has its breakpoints', async () => {
    const ended = session('break sys_vfork', 'continue', 'delete', 'break sys_fork', 'continue');
    while (target.state().kind !== 'running') await sleep(20);
    await sleep(1500);
    qemu.kill();
    await new Promise((resolve) => qemu.once('exit', resolve));
    qemu = await startQemu(port, false);
    const { printed } = await ended;
    expect(printed[2]).toContain('has gone and come back: the machine is new');
    expect(printed[5]).toMatch(/hit Breakpoint 2, sys_fork/);
  });
});
