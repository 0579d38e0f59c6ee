/** The real lldb: what it shows of the guest, and in how many packets. */
import { describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { lldb, lldbWith, monitorOfLldb } from './lldb.ts';
import { requestsByStop, requestsOf } from './packet-trace.ts';
import { servedKernel } from './served-kernel.ts';

describe.skipIf(missing('lldb-14'))('lldb', () => {
  const kernel = servedKernel('--trace-packets');

  const session = (...commands: string[]) => lldb(kernel.server.address, ...commands);

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

  it('attaches in 19 packets, and shows the threads by name in none more', async () => {
    await session('thread list', 'detach');
    const requests = requestsOf(kernel.server);
    expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(20);
    expect(requests.at(-1)).toMatch(/^D/);
  });

  it("attaches without the kernel's file in 22 packets, and has its symbols and lines", async () => {
    const text = await lldbWith([], kernel.server.address, 'thread list', 'image list', 'detach');
    const requests = requestsOf(kernel.server);
    expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(23);
    expect(text).toMatch(/frame #0: 0xf\w+ kernel\.elf`idle\(.*\) at main\.c:\d+/);
    expect(text).toContain("name = 'init'");
    expect(text).toMatch(/^\[ +0\] .*\/kernel\/images\/kernel\.elf/m);
  });

  it("breaks, unwinds and watches without the kernel's file", async () => {
    const text = await lldbWith(
      [],
      kernel.server.address,
      'breakpoint set -n sys_fork',
      'continue',
      'bt',
      'finish',
      'watchpoint set variable timer_ticks',
      'continue',
      'detach',
    );
    expect(text).toMatch(/frame #1: .*`syscall_dispatch\(.*at dispatch\.c:\d+/);
    expect(text).toMatch(/Return value: \(int64_t\) \$0 = \d+/);
    expect(text).toMatch(/old value: \d+\nnew value: \d+/);
    expect(text).not.toMatch(/error:/);
  });

  /** What was asked at each stop after the first resume. */
  const askedAtStops = (): string[][] => {
    const [, ...stops] = requestsByStop(requestsOf(kernel.server));
    return stops.map((asked) => asked.filter((request) => !/^[kD]/.test(request)));
  };

  it('needs one packet more at a stop, and finish one before', async () => {
    const text = await session(
      'breakpoint set -n sys_fork',
      'continue',
      'thread step-inst',
      'next',
      'finish',
      'continue',
    );
    expect(text).toMatch(/stop reason = instruction step into/);
    expect(text).toMatch(/stop reason = step over/);
    expect(text).toMatch(/Return value: \(int64_t\) \$0 = \d+/);
    const stops = askedAtStops();
    expect(stops).toHaveLength(5);
    for (const asked of stops) expect(asked.length, asked.join('\n')).toBeLessThanOrEqual(2);
    expect(stops.filter(({ length }) => length > 1).length).toBeLessThanOrEqual(1);
  });

  it('needs one packet more where a watched variable was written', async () => {
    const text = await session('watchpoint set variable timer_ticks', 'continue', 'continue');
    expect(text.match(/stop reason = watchpoint 1/g)).toHaveLength(2);
    expect(askedAtStops()).toEqual([['jThreadsInfo'], ['jThreadsInfo']]);
  });

  it('unwinds every thread on its own stack, though all are at one address', async () => {
    const text = await session(
      'breakpoint set -n sys_fork',
      'continue',
      'thread backtrace all',
      'thread select 1',
      'memory region $rsp',
    );
    const all = text.slice(text.indexOf('thread backtrace all'), text.indexOf('thread select'));
    const threads = all.split(/^[* ] thread #/m);
    const framesOf = (name: string) => threads.find((thread) => thread.includes(`'${name}'`));
    expect(framesOf('idle'), text).toMatch(/`schedule at [^]*`thread_entry at /);
    expect(framesOf('init')).toMatch(/`sys_fork at [^]*`thread_entry at /);
    expect(framesOf('console.elf')).toMatch(/`console_read\([^]*`syscall_entry at /);
    expect(text).toMatch(/\[0x0001ff0000010000-0x0001ff0000014000\) rw-/);
  });

  it('evaluates expressions, whatever needs no code in the guest', async () => {
    const text = await session(
      'breakpoint set -n syscall_dispatch',
      'continue',
      'expression frame->rip == $rip',
      'expression int sum = 0; for (int i = 0; i < 4; i++) sum += i; sum',
      'expression $rax = 7',
      'register read rax',
      'expression -- (int)boot_has_argument("test")',
    );
    expect(text).toMatch(/\(bool\) \$\d = false/);
    expect(text).toMatch(/\(int\) \$\d = 6/);
    expect(text).toMatch(/rax = 0x0000000000000007/);
    expect(text).toContain("Can't evaluate the expression without a running target");
  });

  it('watches a variable, and tells its old and new value', async () => {
    const text = await session('watchpoint set variable timer_ticks', 'continue', 'detach');
    const [, before, after] = /old value: (\d+)\nnew value: (\d+)/.exec(text) ?? [];
    expect(Number(after), text).toBe(Number(before) + 1);
    expect(text).toMatch(/frame #0: .*`timer_interrupt\(/);
  });

  it('tells the rights of memory', async () => {
    const text = await session(
      'memory region 0xffffffff80101000',
      'memory region 0x500000000000',
      'detach',
    );
    expect(text).toMatch(/\[0xffffffff80101000-0xffffffff80\w+\) r-x/);
    expect(text).toMatch(/\[0x0000000000000000-0xffff800000000000\) ---/);
  });

  it('prints monitor commands and finds the guest where it left it', async () => {
    const text = await session(monitorOfLldb('threads'), 'detach');
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
