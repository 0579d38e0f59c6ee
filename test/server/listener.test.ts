import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DebuggerSeat } from '../../server/debugger-seat.ts';
import { Listener, ListenError, type ListenerOptions } from '../../server/listener.ts';
import { formatAddress, parseAddress, UsageError } from '../../server/listen-address.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { PacketRegistry } from '../../server/packets/registry.ts';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { FakeTarget } from '../fake-target.ts';

function options(target = new FakeTarget(), allowRemote = false): ListenerOptions {
  const ignore = (): void => undefined;
  return {
    allowRemote,
    logFor: () => ({ trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }),
    session: {
      target,
      registry: new PacketRegistry(PACKET_CHAPTERS),
      seat: new DebuggerSeat(),
      onDetach: 'run',
      server: { name: 'exoscope', version: '1.2.3' },
    },
  };
}

let folder: string;
const open: Listener[] = [];

async function listen(address: string, given = options()): Promise<Listener> {
  const parsed = parseAddress(address);
  if (parsed.kind === 'stdio') throw new Error('not for this test');
  const listener = await Listener.open(parsed, given);
  open.push(listener);
  return listener;
}

function connect({ address }: Listener): Socket {
  if (address.kind === 'tcp') return createConnection({ host: address.host, port: address.port });
  return createConnection({ path: address.kind === 'unix' ? address.path : '' });
}

async function receive(socket: Socket, expected: string): Promise<string> {
  let text = '';
  for await (const bytes of socket) {
    text += (bytes as Buffer).toString('latin1');
    if (text.includes(expected)) break;
  }
  return text;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
});

afterEach(async () => {
  for (const listener of open.splice(0)) await listener.dispose();
  rmSync(folder, { recursive: true });
});

describe('listening', () => {
  it('with port 0 tells which port it got, and serves there', async () => {
    const listener = await listen('127.0.0.1:0');
    expect(formatAddress(listener.address)).toMatch(/^127\.0\.0\.1:[1-9]\d+$/);
    const socket = connect(listener);
    socket.write('$qC#b4');
    expect(await receive(socket, '#')).toContain('$QC1#');
  });

  it('refuses hosts other than loopback unless told otherwise', async () => {
    await expect(listen('0.0.0.0:0')).rejects.toThrow(UsageError);
    await expect(listen('0.0.0.0:0')).rejects.toThrow('--allow-remote');
    await expect(listen('[::]:0')).rejects.toThrow(UsageError);
    await expect(listen('example.org:0')).rejects.toThrow(UsageError);
    expect(parseAddress('localhost:0')).toEqual({ kind: 'tcp', host: 'localhost', port: 0 });
  });

  it('says in one line that a port is taken', async () => {
    const first = await listen('127.0.0.1:0');
    const second = listen(formatAddress(first.address));
    await expect(second).rejects.toThrow(ListenError);
    await expect(second).rejects.toThrow(/^127\.0\.0\.1:\d+ is in use: [^\n]*$/);
  });

  it('closes a connection that begins like a web page, before it answers', async () => {
    const socket = connect(await listen('127.0.0.1:0'));
    socket.write('POST / HTTP/1.1\r\n\r\n$qC#b4');
    socket.on('error', () => undefined);
    let received = 0;
    socket.on('data', (bytes: Buffer) => (received += bytes.length));
    await once(socket, 'close');
    expect(received).toBe(0);
  });

  it('is patient with a connection that says nothing yet', async () => {
    const socket = connect(await listen('127.0.0.1:0'));
    await setTimeout(200);
    socket.write('+$qC#b4');
    expect(await receive(socket, '#')).toContain('$QC1#');
  });

  it('closes a connection that never says anything', async () => {
    const listener = await listen('127.0.0.1:0', { ...options(), silenceMs: 50 });
    const silent = connect(listener);
    const talking = connect(listener);
    talking.write('$qC#b4');
    await once(silent.resume(), 'close');
    await setTimeout(100);
    talking.write('+$qC#b4');
    expect(await receive(talking, '#')).toContain('$QC1#');
  });

  it('lets a debugger in, however many connections say nothing', async () => {
    const listener = await listen('127.0.0.1:0');
    const crowd = Array.from({ length: 200 }, () => connect(listener));
    for (const socket of crowd) socket.on('error', () => undefined);
    await Promise.all(crowd.map((socket) => once(socket, 'connect')));
    const debuggers = connect(listener);
    debuggers.write('$g#67');
    expect(await receive(debuggers, '#')).toMatch(/^\+\$[0-9a-fx]{1120}#/);
    for (const socket of crowd) socket.destroy();
  });

  it('never sends the debugger away for others, and of those the one longest unheard', async () => {
    const listener = await listen('127.0.0.1:0');
    const say = async (packet: string): Promise<Socket> => {
      const socket = connect(listener);
      socket.on('error', () => undefined);
      socket.write(encodePacket(Buffer.from(packet)));
      await once(socket, 'data');
      return socket;
    };
    const first = await say('g');
    const second = await say('qSupported');
    const others: Socket[] = [];
    for (let count = 0; count < 62; count++) others.push(await say('qSupported'));
    others.push(await say('qSupported'));
    for (let wait = 0; !second.destroyed && wait < 200; wait++) await setTimeout(10);
    expect(second.destroyed).toBe(true);
    expect(first.destroyed).toBe(false);
    expect(others.some((socket) => socket.destroyed)).toBe(false);
    first.write('+$g#67');
    await once(first, 'data');
    for (const socket of [first, ...others]) socket.destroy();
  });

  it('sends a slow reader each reply as it was, however many wait', async () => {
    const target = new FakeTarget();
    // Every byte of a read is the read's own.
    Object.assign(target.memory, {
      read: (_thread: number, address: bigint, lengthBytes: number, into?: Uint8Array) => {
        return (into ?? new Uint8Array(lengthBytes)).fill(Number(address));
      },
    });
    const socket = connect(await listen('127.0.0.1:0', options(target)));
    const numbers = Array.from({ length: 250 }, (_, number) => number);
    socket.write(encodePacket(Buffer.from('QStartNoAckMode')));
    await once(socket, 'data');
    socket.pause();
    for (const number of numbers) {
      socket.write(encodePacket(Buffer.from(`m${number.toString(16)},8000`)));
    }
    await setTimeout(300);
    const expected = numbers.map((number) => {
      return Buffer.from(
        encodePacket(Buffer.alloc(2 * 0x8000, number.toString(16).padStart(2, '0'))),
      );
    });
    const whole = Buffer.concat(expected);
    const pieces: Buffer[] = [];
    let receivedBytes = 0;
    for await (const piece of socket) {
      pieces.push(piece as Buffer);
      receivedBytes += (piece as Buffer).length;
      if (receivedBytes >= whole.length) break;
    }
    expect(Buffer.concat(pieces).equals(whole)).toBe(true);
  });

  it('takes the breakpoints of a debugger that vanished', async () => {
    const target = new FakeTarget();
    const listener = await listen('127.0.0.1:0', options(target));
    const socket = connect(listener);
    socket.write(encodePacket(Buffer.from('Z0,1010,1')));
    for (let wait = 0; target.inserted.size === 0 && wait < 100; wait++) await setTimeout(10);
    expect(target.inserted.size).toBe(1);
    socket.resetAndDestroy();
    for (let wait = 0; target.inserted.size > 0 && wait < 100; wait++) await setTimeout(10);
    expect(target.inserted.size).toBe(0);
  });
});

describe('a Unix socket', () => {
  it('is for its owner alone and goes with the listener', async () => {
    const path = join(folder, 'a.sock');
    const listener = await listen(`unix:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const socket = connect(listener);
    socket.write('$qC#b4');
    expect(await receive(socket, '#')).toContain('$QC1#');
    await listener.dispose();
    open.length = 0;
    expect(existsSync(path)).toBe(false);
  });

  it('takes over what a dead server left, but not from a living one', async () => {
    const path = join(folder, 'b.sock');
    await listen(`unix:${path}`);
    await expect(listen(`unix:${path}`)).rejects.toThrow('in use by another server');
    await open.pop()!.dispose();
    const code = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
    spawnSync(process.execPath, ['-e', code]);
    expect(existsSync(path)).toBe(true);
    await expect(listen(`unix:${path}`)).resolves.toBeInstanceOf(Listener);
  });

  it('never replaces a file that is not a socket', async () => {
    const path = join(folder, 'precious');
    writeFileSync(path, 'data');
    await expect(listen(`unix:${path}`)).rejects.toThrow('exists and is not a socket');
    expect(statSync(path).size).toBe(4);
  });

  it('says when its folder is missing', async () => {
    const listening = listen(`unix:${join(folder, 'none', 'c.sock')}`);
    await expect(listening).rejects.toThrow('there is no such folder');
  });
});

describe('addresses', () => {
  it.each(['', 'x', '1.2.3.4', '127.0.0.1:70000', 'unix:', `unix:${'p'.repeat(108)}`, '::1:5'])(
    'refuses "%s"',
    (text) => {
      expect(() => parseAddress(text)).toThrow(UsageError);
    },
  );

  it('takes a port alone as loopback', () => {
    expect(parseAddress(':1234')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 1234 });
    expect(parseAddress('1234')).toEqual({ kind: 'tcp', host: '127.0.0.1', port: 1234 });
    expect(formatAddress(parseAddress('[::1]:1234'))).toBe('[::1]:1234');
  });
});
