/** Clients that come, ask something and vanish without a word, and what a server holds of them. */
import { readFileSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import type { Random } from '../machine/block-engine/random-program.ts';
import { symbolAddress } from '../server/fake-exo.ts';

/** How many clients: as the long run wants it, or as many as a short one has the time for. */
export function cyclesOr(usual: number): number {
  return Number(process.env['FUZZ_CYCLES'] ?? usual);
}
export const SEED = Number(process.env['FUZZ_SEED'] ?? 1);

export const FORK = symbolAddress('sys_fork').toString(16);
const HANDSHAKE = ['QStartNoAckMode', 'qSupported:multiprocess+;swbreak+;hwbreak+', '?'];
const REQUESTS = [
  'g', `mffffffff80101000,1000`, `m${FORK},20000`, `Z0,${FORK},1`, `Z1,${FORK},1`, 'Z2,ffffffff80120000,8', 'Z4,1000,1000',
  'vCont;s:p1.1', 'vCont;s:p1.2', 'vCont;c', 'c', 's', 'jThreadsInfo', 'qXfer:threads:read::0,20000', 'qCRC:ffffffff80100000,10000',
  'qSearch:memory:ffffffff80100000;10000;nowhere to be found', 'qRcmd,746872656164732d', 'qRcmd,666f726b73', 'qRcmd,696e666f206d656d',
  'vFile:open:2f626f6f742f6b65726e656c2e656c66,0,0', 'vFile:pread:3,20000,0', 'QSaveRegisterState', 'vCtrlC', 'QNonStop:1', 'vStopped', 'vCont;t', 'D', 'D1', '\x03',
]; // prettier-ignore

/** Node's heap breathes; a leak of one connection's buffers in each cycle is far more. */
const MOST_GROWTH_KIB = 48 * 1024;
/** For an answer that is due: a busy machine is slow. */
export const PATIENCE_MS = 20_000;
/** The answer to a request for four bytes of memory. */
export const FOUR_BYTES = /\$[0-9a-f]{8}#/;

export interface Footprint {
  readonly files: number;
  readonly memoryKib: number;
}

export function footprint(pid: number): Footprint {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const memoryKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { files: readdirSync(`/proc/${pid}/fd`).length, memoryKib };
}

function encoded(request: string): Uint8Array {
  return request === '\x03' ? Uint8Array.of(3) : encodePacket(Buffer.from(request, 'latin1'));
}

/** Once no more files are open than before, or after ten seconds: nothing is left of so many cycles. */
export async function expectNothingLeft(of: string, pid: number, before: Footprint): Promise<void> {
  for (let turn = 0; turn < 100 && footprint(pid).files > before.files; turn++) await sleep(100);
  const after = footprint(pid);
  process.stderr.write(`${of}: ${JSON.stringify(before)} → ${JSON.stringify(after)}\n`);
  expect(after.files).toBeLessThanOrEqual(before.files);
  expect(after.memoryKib - before.memoryKib).toBeLessThan(MOST_GROWTH_KIB);
}

/** Clients of the server at a port of this host. */
export class VanishingClients {
  private readonly port: number;
  private readonly random: Random;

  /** `address`: HOST:PORT. */
  constructor(address: string, random: Random) {
    this.port = Number(address.split(':').at(-1));
    this.random = random;
  }

  private async dial(): Promise<Socket> {
    const socket = connect({ port: this.port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    return socket;
  }

  /** Talks for a while, cut at a random byte, and goes without a word. */
  async vanish(): Promise<void> {
    const socket = await this.dial();
    const { random } = this;
    const requests = Array.from({ length: random.below(8) }, () => random.pick(REQUESTS));
    const bytes = Buffer.concat([...HANDSHAKE, ...requests].map(encoded));
    const reads = random.below(3) > 0;
    if (reads) socket.resume();
    socket.write(bytes.subarray(0, random.below(4) === 0 ? random.below(bytes.length) : undefined));
    if (random.below(2) === 0) await sleep(random.below(8));
    if (random.below(2) === 0) socket.resetAndDestroy();
    else socket.destroy();
  }

  /** Asks as a debugger; the answers, and what comes until the time is over or `last` was heard. */
  async converse(requests: readonly string[], listenMs: number, last?: RegExp): Promise<string> {
    const socket = await this.dial();
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
    for (const request of ['QStartNoAckMode', ...requests]) socket.write(encoded(request));
    const end = Date.now() + listenMs;
    while (Date.now() < end && last?.test(heard) !== true) await sleep(Math.min(listenMs, 20));
    socket.destroy();
    await sleep(50);
    return heard;
  }
}
