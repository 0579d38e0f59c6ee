/**
 * Clients that ask and do not read, or that send without end: they are dropped at a limit, the server's
 * memory stays bounded and the guest runs on.
 */
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { ServerProcess } from '../end-to-end/server-process.ts';

const READY = '[INIT] forking a worker every second';
const MIB = 1 << 20;
/** The backlog of 64 MiB, and as much again for garbage that has not been collected. */
const MOST_GROWTH_BYTES = 160 * MIB;
const MOST_PACKETS = 5000;

describe('a client', { timeout: 60_000 }, () => {
  let server: ServerProcess;
  let memoryBefore: number;

  beforeAll(async () => {
    server = await ServerProcess.start();
    await server.serial(READY);
    memoryBefore = memoryBytes();
  });
  afterAll(() => server.stop());

  function memoryBytes(): number {
    const status = readFileSync(`/proc/${server.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024;
  }

  async function dial(): Promise<Socket> {
    const socket = connect({ port: Number(server.address.split(':').at(-1)), host: '127.0.0.1' });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    return socket;
  }

  /** Sends again and again, never reading, until the server has enough; how often it took it. */
  async function flood(socket: Socket, bytes: Uint8Array): Promise<number> {
    socket.pause();
    let sent = 0;
    for (; !socket.destroyed && sent < MOST_PACKETS; sent++) {
      await Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), sleep(1000)]);
      if (sent % 8 === 0) await sleep(1);
    }
    return sent;
  }

  async function expectWarning(text: string): Promise<void> {
    for (let wait = 0; !server.stderr.includes(text) && wait < 500; wait++) await sleep(10);
    expect(server.stderr).toContain(text);
  }

  /** The guest still forks once a second, and a debugger gets in. */
  async function expectHealth(): Promise<void> {
    const socket = await dial();
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
    socket.write(encodePacket(Buffer.from('?')));
    for (let wait = 0; !heard.includes('$T') && wait < 200; wait++) await sleep(10);
    expect(heard).toContain('$T');
    socket.destroy();
    expect(server.stderr).not.toMatch(/internal error|Error:/);
    expect(server.stdout.slice(server.stdout.indexOf(READY))).not.toMatch(/panic|\[KILL\]|FAILED/);
    expect(memoryBytes() - memoryBefore).toBeLessThan(MOST_GROWTH_BYTES);
  }

  it('that asks for memory and never reads is dropped', async () => {
    const socket = await dial();
    socket.write(encodePacket(Buffer.from('QStartNoAckMode')));
    const sent = await flood(socket, encodePacket(Buffer.from('mffffffff80101000,10000')));
    expect(sent).toBeLessThan(MOST_PACKETS);
    await expectWarning('the client does not read its replies');
    await expectHealth();
  });

  it('that wants the last reply again and again and never reads it is dropped', async () => {
    const socket = await dial();
    socket.write(encodePacket(Buffer.from('mffffffff80101000,10000')));
    await sleep(100);
    const sent = await flood(socket, Buffer.alloc(64, '-'));
    expect(sent).toBeLessThan(MOST_PACKETS);
    await expectHealth();
  });

  it('that asks faster than can be answered is dropped', async () => {
    const socket = await dial();
    const requests = Array.from({ length: 20_000 }, () => encodePacket(Buffer.from('qC')));
    const sent = await flood(socket, Buffer.concat(requests));
    expect(sent).toBeLessThan(MOST_PACKETS);
    await expectWarning('the client does not wait for replies');
    await expectHealth();
  });

  it('that begins a packet and never ends it costs a bounded buffer', async () => {
    const socket = await dial();
    socket.write('$');
    const piece = Buffer.alloc(MIB, 'x');
    for (let sent = 0; sent < 300 && !socket.destroyed; sent++) {
      await new Promise((resolve) => socket.write(piece, resolve));
    }
    await expectHealth();
    socket.destroy();
  });
});
