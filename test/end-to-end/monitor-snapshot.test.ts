/** `monitor snapshot`: the real gdb goes back to a moment of the session, with all that belongs to it. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect, gdb } from './gdb.ts';
import { lldb, monitorOfLldb } from './lldb.ts';
import { READY } from './served-kernel.ts';
import { MAIN, ServerProcess } from './server-process.ts';

const FLUSH = ['maint flush dcache', 'maint flush register-cache'];
const FLUSH_LINE =
  'gdb still shows the old registers; type: maint flush dcache, then maint flush register-cache\n';

describe.skipIf(missing('gdb'))('monitor snapshot', () => {
  let server: ServerProcess;

  beforeEach(async () => {
    server = await ServerProcess.start('--log-level', 'error');
    await server.serial(READY);
  });
  afterEach(async () => {
    await server.stop();
    expect(server.stderr).not.toContain('internal error');
  });

  const session = (...commands: string[]) => gdb(`target remote ${server.address}`, ...commands);

  it('goes back to the bit: frames, threads, forks and trace as they were, and the same again', async () => {
    const look = ['bt', 'info threads', 'monitor forks', 'monitor serial', 'tstatus', 'p $icount'];
    const goOn = ['continue', 'continue', 'info registers', 'monitor forks', 'tstatus'];
    const { printed, everything } = await session(
      'tbreak sys_fork',
      'continue',
      'break sys_wait4',
      'monitor snapshot save before',
      ...look,
      ...goOn,
      'set var timer_ticks = 5',
      'monitor snapshot load before',
      ...FLUSH,
      ...look,
      ...goOn,
    );
    const at = 4;
    expect(printed[at]).toMatch(
      /^kept as "before": at 0x\w+ <sys_fork> after \d+ instructions; \d\.\d MiB\n$/,
    );
    const back = at + look.length + goOn.length + 2;
    const place = /at 0x.* instructions/.exec(printed[at]!)![0];
    expect(printed[back]).toBe(`the machine is where "before" was kept: ${place}\n${FLUSH_LINE}`);
    // gdb numbers its values.
    const values = (from: number, count: number) =>
      printed.slice(from, from + count).map((text) => text.replace(/^\$\d+/, '$'));
    const [then, now] = [values(at + 1, look.length), values(back + 3, look.length)];
    expect(then[0], everything).toMatch(/#0 +sys_fork .*\n#1 .*syscall_dispatch/);
    expect(then[2]).toMatch(/^ *\d+ +fork +tid 1 pid 1 +- .* open$/m);
    expect(now).toEqual(then);
    const [first, second] = [at + 1, back + 3].map((from) =>
      values(from + look.length, goOn.length),
    );
    expect(first![1]).toContain('sys_wait4');
    expect(first![3]).not.toBe(then[2]);
    expect(second!.map(withoutNews)).toEqual(first!.map(withoutNews));
  });

  it('keeps several, lists, replaces and drops them, and says what is wrong', async () => {
    const { printed } = await session(
      'monitor snapshot',
      'monitor snapshot save one',
      'tbreak sys_fork',
      'continue',
      'monitor snapshot save two',
      'monitor snapshot',
      'monitor snapshot drop one',
      'monitor snapshot save two',
      'monitor snapshot',
      'monitor snapshot load one',
      'monitor snapshot load',
      'monitor snapshot keep one',
    );
    expect(printed[1]).toBe('no snapshot is kept\n');
    expect(printed[6]).toMatch(
      /^name +at +instructions +memory\none .*\ntwo .* <sys_fork> .*MiB\n$/,
    );
    expect(printed[7]).toBe('"one" is dropped\n');
    expect(printed[9]).toMatch(/^name .*\ntwo .*\n$/);
    expect(printed[10]).toBe('there is no snapshot "one"; kept: two\n');
    expect(printed[11]).toBe('usage: snapshot [save NAME | load NAME | drop NAME]\n');
    expect(printed[12]).toBe(printed[11]);
  });

  it('is bounded', async () => {
    const saves = Array.from({ length: 17 }, (_, index) => `monitor snapshot save s${index}`);
    const { printed } = await session(...saves);
    expect(printed[16]).toContain('kept as "s15"');
    expect(printed[17]).toBe('there are 16 already: drop one\n');
  });

  it('outlives the debugger, and the shell lists it; threads that have ended are back', async () => {
    const shell = async (...words: string[]) => {
      const args = [MAIN, 'monitor', '--connect', server.address, ...words];
      return (await collect(process.execPath, args)).output;
    };
    const { printed } = await session(
      'tbreak sys_exit',
      'continue',
      'monitor snapshot save exiting',
      'info threads',
    );
    const worker = /^\* .*Thread 1\.(\d+) "worker\.elf"/m.exec(printed[4]!)![1]!;
    // The machine runs on, and its worker is gone.
    await expect.poll(() => shell('threads'), { timeout: 10_000 }).not.toMatch(/worker\.elf +runn/);
    expect(await shell('snapshot')).toMatch(/^exiting +0x\w+ <sys_exit>/m);
    const loaded = await session(
      'monitor snapshot load exiting',
      'thread 1',
      ...FLUSH,
      'info threads',
      'bt 1',
    );
    expect(loaded.printed[5]).toMatch(
      new RegExp(`Thread 1\\.${worker} "worker\\.elf" \\(pid \\d+, running`),
    );
  });

  it.skipIf(missing('lldb-14'))('serves lldb, which keeps nothing of before', async () => {
    const text = await lldb(
      server.address,
      'breakpoint set -o true -n sys_exit',
      'continue',
      monitorOfLldb('snapshot save exiting'),
      'breakpoint set -o true -n sys_wait4',
      'continue',
      monitorOfLldb('snapshot load exiting'),
      monitorOfLldb('threads'),
    );
    expect(text).toMatch(/^the machine is where "exiting" was kept: at 0x\w+ <sys_exit> after/m);
    expect(text).toMatch(/^\* +\d+ +\d+ +worker\.elf +running .*<sys_exit>/m);
  });

  it('is bounded more closely where each debugger has a machine of its own', async () => {
    await server.stop();
    server = await ServerProcess.start('--sessions', '1', '--log-level', 'error');
    const { printed } = await session(
      'monitor snapshot save small',
      // 64 MiB of RAM that the kernel does not use: a byte in each page.
      'maint packet Qqemu.PhyMemMode:1',
      'python [gdb.selected_inferior().write_memory(n << 12, b"x") for n in range(16384, 32768)]',
      'maint packet Qqemu.PhyMemMode:0',
      'monitor snapshot save large',
      'monitor snapshot',
    );
    expect(printed[1]).toContain('kept as "small"');
    expect(printed.at(-3)).toMatch(
      /^it takes 6\d\.\d MiB, and of 64\.0 MiB for all 0\.\d MiB are used: drop one\n$/,
    );
    expect(printed.at(-2)).toMatch(/^name .*\nsmall .*\n$/);
  });

  it('is refused where gdb has the processes as inferiors', async () => {
    await server.stop();
    server = await ServerProcess.start('--processes', '--log-level', 'error');
    await server.serial(READY);
    const { printed } = await session('monitor snapshot save now', 'monitor snapshot load now');
    expect(printed[1]).toContain('kept as "now"');
    expect(printed[2]).toMatch(
      /^gdb has the processes as inferiors, .*`processes-as-inferiors off`/,
    );
  });
});

/** gdb tells of a thread only when it first sees it. */
function withoutNews(text: string): string {
  return text.replace(/^\[(New Thread|Switching to) .*\n/gm, '');
}
