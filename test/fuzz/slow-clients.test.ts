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
/** After so many packets there is nothing to do but to wait for the server. */
const MOST_AT_SPEED = 5000;
/** A starved server may take seconds; one that never drops the client is wrong. */
const MOST_PATIENCE_MS = 60_000;

describe('a client', () => {
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

  /**
   * Sends again and again, never reading, until the server drops the client. How much that takes says
   * nothing: a server that waits for the CPU leaves thousands of small packets to the kernel's buffers.
   */
  async function expectDrop(socket: Socket, bytes: Uint8Array): Promise<void> {
    socket.pause();
    const end = performance.now() + MOST_PATIENCE_MS;
    for (let sent = 0; !socket.destroyed && performance.now() < end; sent++) {
      await Promise.race([new Promise((resolve) => socket.write(bytes, resolve)), sleep(1000)]);
      if (sent % 8 === 0) await sleep(sent < MOST_AT_SPEED ? 1 : 50);
    }
    expect(socket.destroyed).toBe(true);
  }

  async function expectWarning(text: string): Promise<void> {
    for (let wait = 0; !server.stderr.includes(text) && wait < 3000; wait++) await sleep(10);
    expect(server.stderr).toContain(text);
  }

  /** The guest still forks once a second, and a debugger gets in. */
  async function expectHealth(): Promise<void> {
    const socket = await dial();
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
    socket.write(encodePacket(Buffer.from('?')));
    for (let wait = 0; !heard.includes('$T') && wait < 3000; wait++) await sleep(10);
    expect(heard).toContain('$T');
    socket.destroy();
    expect(server.stderr).not.toMatch(/internal error|Error:/);
    expect(server.stdout.slice(server.stdout.indexOf(READY))).not.toMatch(/panic|\[KILL\]|FAILED/);
    expect(memoryBytes() - memoryBefore).toBeLessThan(MOST_GROWTH_BYTES);
  }

  it('that asks for memory and never reads is dropped', async () => {
    const socket = await dial();
    socket.write(encodePacket(Buffer.from('QStartNoAckMode')));
    await expectDrop(socket, encodePacket(Buffer.from('mffffffff80101000,10000')));
    await expectWarning('the client does not read its replies');
    await expectHealth();
  });

  it('that wants the last reply again and again and never reads it is dropped', async () => {
    const socket = await dial();
    socket.write(encodePacket(Buffer.from('mffffffff80101000,10000')));
    await sleep(100);
    await expectDrop(socket, Buffer.alloc(64, '-'));
    await expectHealth();
  });

  it('that asks faster than can be answered is dropped', async () => {
    const socket = await dial();
    const requests = Array.from({ length: 20_000 }, () => encodePacket(Buffer.from('qC')));
    await expectDrop(socket, Buffer.concat(requests));
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
