/** One session with the real lldb: attach, breakpoint by name, backtrace, step, registers, detach. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect } from './gdb.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('lldb-14'))('lldb', () => {
  let server: ServerProcess;

  beforeAll(async () => {
    server = await ServerProcess.start();
    await server.serial('[INIT] forking a worker every second');
  });
  afterAll(() => server.stop());

  const session = async (...commands: string[]): Promise<string> => {
    const script = [`gdb-remote ${server.address}`, ...commands, 'quit'];
    const options = script.flatMap((command) => ['-o', command]);
    return (await collect('lldb-14', ['-x', '-b', ...options, 'kernel/images/kernel.elf'])).output;
  };

  it('attaches, breaks by name, unwinds, steps, reads registers and detaches', async () => {
    const text = await session(
      'breakpoint set -n sys_fork',
      'continue',
      'bt',
      'register read rip rsp',
      'thread step-inst',
      'thread list',
      'detach',
    );
    expect(text).toMatch(/stop reason = breakpoint 1\.1/);
    expect(text).toMatch(/frame #0: .*`sys_fork at process\.c:\d+/);
    expect(text).toMatch(/frame #1: .*`syscall_dispatch\(.*at dispatch\.c:\d+/);
    expect(text).toMatch(/`thread_entry at interrupt_entry\.S/);
    expect(text).toMatch(/rip = 0xffffffff80[0-9a-f]+ +kernel\.elf`sys_fork/);
    expect(text).toMatch(/stop reason = instruction step into/);
    expect(text).toMatch(/name = 'idle'/);
    expect(text).toMatch(/Process 1 detached/);
    expect(text).not.toMatch(/error:/);
  });

  it('prints monitor commands and finds the guest where it left it', async () => {
    const text = await session('process plugin packet monitor threads', 'detach');
    expect(text).toMatch(/^ +tid +pid +name +state/m);
    expect(text).toMatch(/idle +(running|ready)/);
    expect(text).toMatch(/Process 1 detached/);
  });

  it('leaves the machine alone when it quits without detaching', async () => {
    await session('quit');
    const text = await session('thread list', 'detach');
    expect(text).toMatch(/name = 'idle'/);
  });
});
