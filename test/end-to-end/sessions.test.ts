/** `exoscope serve --sessions`: a machine for each debugger, with real gdbs at the same time. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { missing } from '../tools.ts';
import { collect, gdb } from './gdb.ts';
import { MAIN, ServerProcess } from './server-process.ts';
import { Terminal } from './terminal.ts';

const WAIT_MS = 60_000;
const MACHINE = ['--memory', '32M'];

let folder: string;
let server: ServerProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function exoscope(...words: string[]): Promise<{ output: string; status: number | null }> {
  return collect(process.execPath, [MAIN, ...words]);
}

interface Row {
  readonly session: number;
  readonly process: number;
  readonly state: string;
  readonly instructions: number;
}

async function sessions(): Promise<Row[]> {
  const { output, status } = await exoscope('sessions', '--connect', server.address);
  expect(status, output).toBe(0);
  const line = /^ *(\d+) {2}[\d: -]+ {2}\S+ +(\d+) {2}(\S.*?) +(\d+) +\d+M$/;
  return output.split('\n').flatMap((text) => {
    const found = line.exec(text);
    if (found === null) return [];
    const [, session, process, state, instructions] = found;
    return {
      session: Number(session),
      process: Number(process),
      state: state!,
      instructions: Number(instructions),
    };
  });
}

/** The processes of its sessions and the one that waits. */
function childrenOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? 0 : children.split(' ').length;
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}; ${server.stderr}`);
    await sleep(50);
  }
}

/** A raw client that has attached. */
async function attach(): Promise<Socket> {
  const [host, port] = server.address.split(':');
  const socket = connect({ host: host!, port: Number(port) });
  socket.on('error', () => undefined);
  socket.write(encodePacket(Buffer.from('?')));
  let text = '';
  socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
  await until('a stop reply', () => text.includes('#'));
  expect(text).toMatch(/^\+\$T05thread:1;/);
  return socket;
}

async function withSessions(args: readonly string[], test: () => Promise<void>): Promise<void> {
  server = await ServerProcess.start(...MACHINE, ...args);
  try {
    await test();
  } finally {
    expect(await server.stop()).toBe(0);
  }
}

describe.skipIf(missing('gdb', 'script'))('two gdbs on one server', () => {
  it('have a machine each, and what happens to one does not happen to the other', async () => {
    await withSessions(['--sessions', '2', '--log-level', 'warn'], async () => {
      const first = new Terminal('gdb', '-nx', '-q', '-iex', "'set confirm off'");
      const second = new Terminal('gdb', '-nx', '-q', '-iex', "'set confirm off'");
      for (const terminal of [first, second]) {
        terminal.type(`target remote ${server.address}`);
        await terminal.waitFor('multiboot_entry ()');
      }
      first.type('break sys_fork');
      first.type('continue');
      await first.waitFor('hit Breakpoint 2, sys_fork');
      second.type('p $icount');
      await second.waitFor('$1 = 0');
      second.type('continue');
      await second.waitFor('Continuing.');
      await until('the second machine to run', async () => {
        const [halted, running] = await sessions();
        expect(halted).toMatchObject({ session: 1, state: 'halted: breakpoint' });
        return running?.state === 'running' && running.instructions > halted!.instructions;
      });
      const [halted, running] = await sessions();
      first.type('p $icount');
      await first.waitFor(`$1 = ${halted!.instructions}`);

      process.kill(running!.process, 'SIGKILL');
      await second.waitFor('Remote connection closed');
      expect((await sessions()).map(({ session }) => session)).toEqual([1]);
      // The connection may end before the log says so.
      await until('the log of it', () => server.stderr.includes('was ended by SIGKILL'));
      expect(server.stderr).toContain('all others go on');
      first.type('stepi');
      first.type('p $icount');
      await first.waitFor(`$2 = ${halted!.instructions + 1}`);
      first.type('detach');
      await first.waitFor('detached');
      await until('the end of the session', async () => (await sessions()).length === 0);
      for (const terminal of [first, second]) {
        terminal.type('quit');
        await terminal.ended();
      }
    });
  });

  it('and no third: it is told why, and what to do', async () => {
    await withSessions(['--sessions', '1'], async () => {
      const socket = await attach();
      const { everything } = await gdb(`target remote ${server.address}`, 'info threads');
      expect(everything).toContain(
        'the one machine is in use: end a session first (exoscope sessions lists them)',
      );
      socket.destroy();
      await until('the end of the session', async () => (await sessions()).length === 0);
      const { printed } = await gdb(`target remote ${server.address}`, 'p $icount');
      expect(printed[1]).toContain('$1 = 0');
    });
  });
});

describe('exoscope sessions and monitor', () => {
  it('look at one session, and say so when none is named', async () => {
    await withSessions(['--sessions', '2'], async () => {
      const to = ['--connect', server.address];
      expect((await exoscope('sessions', ...to)).output).toBe('no sessions; 2 of 2 free\n');
      const socket = await attach();
      const listing = (await exoscope('sessions', ...to)).output;
      expect(listing).toMatch(/^session +since +client +process +state +instructions +memory\n/);
      expect(listing).toMatch(/\n1 of 2 free\n$/);
      const icount = await exoscope('monitor', '--session', '1', 'icount', ...to);
      expect(icount.output).toMatch(/^0 instructions/);
      const reset = await exoscope('monitor', 'reset', '--session', '1', ...to);
      expect(reset.output).toContain('a debugger is attached: `reset` is its to type');
      const other = await exoscope('monitor', 'icount', '--session', '7', ...to);
      expect(other).toEqual({ output: 'exoscope: there is no session 7\n', status: 1 });
      const none = await exoscope('monitor', 'icount', ...to);
      expect(none.output).toMatch(/^exoscope: each debugger has a machine .*--session K[^\n]*\n$/);
      expect(none.status).toBe(1);
      socket.destroy();
    });
  });

  it('say of an ordinary server that it has one machine', async () => {
    server = await ServerProcess.start('--serial', 'none');
    const { output, status } = await exoscope('sessions', '--connect', server.address);
    expect(output).toMatch(/^exoscope: the server at \S+ has one machine for all: [^\n]*\n$/);
    expect(status).toBe(1);
    expect(await server.stop()).toBe(0);
  });
});

describe('serve --sessions', () => {
  it('leaves nothing behind of fifty sessions', async () => {
    await withSessions(['--sessions', '2', '--log-level', 'warn'], async () => {
      for (let count = 0; count < 50; count++) (await attach()).destroy();
      await until('the end of all processes but one', () => childrenOf(server.pid) === 1);
      expect(await sessions()).toEqual([]);
      expect(server.stderr).not.toContain('process of a session');
    });
  }, 300_000);

  it('keeps little of what a client sends that is not served yet', async () => {
    await withSessions(['--sessions', '1', '--log-level', 'warn'], async () => {
      const [host, port] = server.address.split(':');
      const socket = connect({ host: host!, port: Number(port) });
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.on('error', () => undefined);
      const acknowledgements = Buffer.alloc(0x10000, '+');
      const pour = (): boolean => !socket.destroyed && socket.write(acknowledgements, pour);
      pour();
      await closed;
      const line = 'closed a connection that sends no packet';
      await until('the log of it', () => server.stderr.includes(line));
      (await attach()).destroy();
    });
  });

  it('writes the serial output of each machine to a file of its own', async () => {
    const serial = `file:${join(folder, 'com1.txt')}`;
    await withSessions(['--sessions', '2', '--serial', serial], async () => {
      for (let count = 0; count < 2; count++) {
        const socket = await attach();
        socket.write(encodePacket(Buffer.from('c')));
        const file = join(folder, `com1-${count + 1}.txt`);
        await until('a kernel that speaks', () => readFileSync(file, 'utf8').includes('[INIT]'));
        socket.destroy();
      }
    });
    expect(readdirSync(folder).sort()).toEqual(['com1-1.txt', 'com1-2.txt']);
    expect(server.stdout).toBe('');
  });

  it('ends all its processes when the server is killed', async () => {
    server = await ServerProcess.start(...MACHINE, '--sessions', '2');
    const socket = await attach();
    const [row] = await sessions();
    process.kill(server.pid, 'SIGKILL');
    await until('the end of the session', () => {
      try {
        process.kill(row!.process, 0);
        return false;
      } catch {
        return true;
      }
    });
    socket.destroy();
  });

  it.each([
    [
      '--sessions 2 --listen stdio',
      2,
      '--sessions with --listen stdio: there is only one debugger',
    ],
    ['--sessions 2 --console', 2, '--sessions with --console: which machine is typed to?'],
    ['--sessions 2 --serial stdio', 2, '--sessions with --serial stdio: machines would mix'],
    ['--sessions 2 --serial tape', 2, '--serial tape: none of stdio, file:PATH and none'],
    ['--sessions 0', 2, '--sessions: a number from 1 to 256 is expected'],
    ['--sessions many', 2, '--sessions: a number from 1 to 256 is expected'],
    [
      '--sessions 256 --memory 2G',
      2,
      '--sessions 256: with 2048M of RAM each they may come to want',
    ],
    ['package.json --sessions 2', 120, 'package.json: not a kernel image'],
  ])('refuses %s in one line', async (words, expected, text) => {
    const { output, status } = await exoscope('serve', ...words.split(' '));
    expect(output).toMatch(/^exoscope: /);
    expect(output).toContain(text);
    expect(status).toBe(expected);
  });
});
