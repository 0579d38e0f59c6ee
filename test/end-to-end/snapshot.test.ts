/** `exoscope snapshot`, and what begins from its file: `serve`, `serve --sessions` and `run`, with real gdbs. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { collect, gdb } from './gdb.ts';
import { MAIN, ServerProcess } from './server-process.ts';
import { Terminal } from './terminal.ts';

const FORKED = 'test_fork PASSED';

let folder: string;
/** The kernel's tests, after the first fork. */
let taken: string;
let told: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
  taken = join(folder, 'forked.snapshot');
  const until = ['--until-output', FORKED, '--output', taken];
  const { output, status } = await exoscope(
    'snapshot',
    '--memory',
    '32M',
    '--append',
    'test',
    ...until,
  );
  expect(status, output).toBe(0);
  told = output;
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

function exoscope(...words: string[]): Promise<{ output: string; status: number | null }> {
  return collect(process.execPath, [MAIN, ...words]);
}

async function serving(args: readonly string[], test: (server: ServerProcess) => Promise<void>) {
  const server = await ServerProcess.start(...args);
  try {
    await test(server);
  } finally {
    expect(await server.stop()).toBe(0);
  }
}

describe('exoscope snapshot', () => {
  it('says where the machine stands and leaves nothing but its file', () => {
    expect(told).toContain(FORKED);
    expect(told).toMatch(
      /exoscope: wrote \S+forked\.snapshot: at 0x[0-9a-f]+ <\S+> after \d+ instructions; 1 of 32 MiB in use, \d+ KiB\n$/,
    );
    expect(readdirSync(folder)).toEqual(['forked.snapshot']);
  });

  it('writes the same file again', async () => {
    const again = join(folder, 'again.snapshot');
    const until = ['--until-output', FORKED, '--output', again];
    await exoscope('snapshot', '--memory', '32M', '--append', 'test', ...until);
    expect(readFileSync(again).equals(readFileSync(taken))).toBe(true);
    rmSync(again);
  });

  it.each([
    ['', 2, 'one of --until, --until-output and --instructions is needed'],
    ['--until nowhere', 2, '--until: "nowhere" is not an address, a symbol or a $register'],
    ['--instructions -1', 2, '--instructions: a whole number is expected'],
    ['--until-output xyzzy --max-instructions 1000000', 122, 'no snapshot is written'],
    ['--until sys_fork --append capture=stale --memory 7', 2, '--memory 7: whole megabytes'],
  ])('refuses "%s" in one line', async (words, expected, text) => {
    const output = join(folder, 'none.snapshot');
    const given = words.split(' ').filter((word) => word !== '');
    const result = await exoscope('snapshot', '--output', output, ...given);
    expect(result.output).toContain(text);
    expect(result.status).toBe(expected);
    expect(readdirSync(folder)).toEqual(['forked.snapshot']);
  });
});

describe('what begins from a snapshot', () => {
  it('runs to the same end as the kernel that was not interrupted', async () => {
    const whole = await exoscope('run', '--memory', '32M', '--append', 'test');
    const rest = await exoscope('run', taken);
    expect(rest.status).toBe(0);
    const [before = ''] = told.split('exoscope: wrote');
    expect(before + rest.output).toBe(whole.output);
    const step = await exoscope('run', taken, '--engine', 'step');
    expect(step).toEqual(rest);
  });

  it.each([
    ['--memory 64M', 2, '--memory 64M: the machine of this snapshot has 32M'],
    ['--append x', 2, "--append: the kernel of this snapshot has started already, with 'test'"],
  ])('takes no %s', async (words, expected, text) => {
    const { output, status } = await exoscope('run', taken, ...words.split(' '));
    expect(output).toContain(text);
    expect(status).toBe(expected);
  });

  it('is refused in one line when the file is cut off or damaged', async () => {
    const whole = readFileSync(taken);
    const damaged = Buffer.from(whole);
    damaged[damaged.length >> 1]! ^= 1;
    const later = Buffer.from(whole);
    later.writeUInt32LE(2, 8);
    for (const [bytes, text] of [
      [whole.subarray(0, -1), `it has ${whole.length - 1} bytes and should have ${whole.length}`],
      [whole.subarray(0, 50), 'it is cut off'],
      [damaged, 'it is damaged: its digest is wrong'],
      [later, 'its format is version 2, this program reads version 1'],
    ] as const) {
      const bad = join(folder, 'bad.snapshot');
      writeFileSync(bad, bytes);
      const { output, status } = await exoscope('run', bad);
      expect(output).toBe(`exoscope: snapshot '${bad}': ${text}\n`);
      expect(status).toBe(120);
      rmSync(bad);
    }
  });
});

describe.skipIf(missing('gdb', 'script'))('gdb on a machine that begins from a snapshot', () => {
  it('has symbols, threads, forks and what the kernel had said, and goes on', async () => {
    await serving([taken, '--wait'], async (server) => {
      expect(server.stderr).toContain('the machine is halted where the snapshot was taken');
      const { printed } = await gdb(
        `target remote ${server.address}`,
        'bt',
        'info threads',
        'monitor forks',
        'monitor serial',
        'tbreak sys_fork',
        'continue',
        'bt 3',
        'monitor forks',
      );
      const [attached, backtrace, threads, forks, serial, , stop, atFork, forksThen] = printed;
      expect(attached).toContain('Reading symbols from target:/boot/kernel.elf');
      expect(backtrace).toContain('test_run_all');
      expect(threads).toMatch(/\* 3 +Thread 1\.3 "test-runner" \(pid 2, running\)/);
      expect(forks).toMatch(/^fork [^\n]*\n +1 +fork +tid 2 pid 2 +tid 3 pid 3 .* not recorded\n$/);
      expect(serial).toContain('Exo-OS 0.1\n');
      expect(serial).toContain(FORKED);
      expect(stop).toContain('Thread 3 "test-runner" hit Temporary breakpoint 2, sys_fork ()');
      expect(atFork).toMatch(/#0 +sys_fork \(\)[^]*#1[^]*syscall_dispatch/);
      expect(forksThen).toMatch(/\n +\d +fork +tid 2 pid 2 +- .* open\n(.* not recorded\n)+$/);
    });
  });

  it('boots the kernel by a reset, with the command line that it had', async () => {
    await serving([taken, '--wait'], async (server) => {
      const { printed } = await gdb(
        `target remote ${server.address}`,
        'thread 1',
        'monitor reset',
        'maintenance flush register-cache',
        'p $icount',
        'monitor serial',
        'tbreak sys_fork',
        'continue',
        'monitor serial',
      );
      expect(printed[4]).toBe('$1 = 0\n');
      expect(printed[5]).not.toContain('Exo-OS');
      expect(printed[8]).toContain('command line "test"');
      expect(printed[8]).not.toContain(FORKED);
    });
  });

  it('has a machine of its own among several, and each begins there', async () => {
    await serving([taken, '--sessions', '2', '--log-level', 'warn'], async (server) => {
      expect(server.stderr).toContain('up to 2 machines, each halted where the snapshot was taken');
      const terminals = [1, 2].map(
        () => new Terminal('gdb', '-nx', '-q', '-iex', "'set confirm off'"),
      );
      const [first, second] = terminals as [Terminal, Terminal];
      for (const terminal of terminals) {
        terminal.type(`target remote ${server.address}`);
        await terminal.waitFor('kernel/src/');
        terminal.type('p $icount == 0');
        await terminal.waitFor('$1 = 0');
      }
      first.type('tbreak sys_fork');
      first.type('continue');
      await first.waitFor('sys_fork ()');
      first.type('set var *(char*)$rsp = 77');
      second.type('monitor forks');
      await second.waitFor('not recorded');
      second.type('tbreak sys_fork');
      second.type('continue');
      await second.waitFor('sys_fork ()');
      second.type('p *(char*)$rsp == 77');
      await second.waitFor('$2 = 0');
      for (const terminal of terminals) {
        terminal.type('quit');
        await terminal.ended();
      }
    });
  });
});
