/**
 * Clients that vanish at any moment: in the midst of a packet, of a reply, of a run, of a step. The
 * server keeps nothing of them and the guest does not notice. `FUZZ_CYCLES=2000` is the long run.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { ServerProcess } from '../end-to-end/server-process.ts';
import { Random } from '../machine/block-engine/random-program.ts';
import { symbolAddress } from '../server/fake-exo.ts';

const CYCLES = Number(process.env['FUZZ_CYCLES'] ?? 500);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
/** Node's heap breathes; a leak of one connection's buffers in each cycle is far more. */
const MOST_GROWTH_KIB = 48 * 1024;
const WARM_UP_CYCLES = 60;

const FORK = symbolAddress('sys_fork').toString(16);
const HANDSHAKE = ['QStartNoAckMode', 'qSupported:multiprocess+;swbreak+;hwbreak+', '?'];
const REQUESTS = [
  'g', `mffffffff80101000,1000`, `m${FORK},20000`, `Z0,${FORK},1`, `Z1,${FORK},1`, 'Z2,ffffffff80120000,8', 'Z4,1000,1000',
  'vCont;s:p1.1', 'vCont;s:p1.2', 'vCont;c', 'c', 's', 'jThreadsInfo', 'qXfer:threads:read::0,20000', 'qCRC:ffffffff80100000,10000',
  'qSearch:memory:ffffffff80100000;10000;nowhere to be found', 'qRcmd,746872656164732d', 'qRcmd,666f726b73', 'qRcmd,696e666f206d656d',
  'vFile:open:2f626f6f742f6b65726e656c2e656c66,0,0', 'vFile:pread:3,20000,0', 'QSaveRegisterState', 'vCtrlC', 'QNonStop:1', 'vStopped', 'vCont;t', 'D', 'D1', '\x03',
]; // prettier-ignore

const READY = '[INIT] forking a worker every second';

interface Footprint {
  readonly files: number;
  readonly memoryKib: number;
}

function footprint(pid: number): Footprint {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const memoryKib = Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]);
  return { files: readdirSync(`/proc/${pid}/fd`).length, memoryKib };
}

function encoded(request: string): Uint8Array {
  return request === '\x03' ? Uint8Array.of(3) : encodePacket(Buffer.from(request, 'latin1'));
}

describe('clients that vanish', () => {
  let server: ServerProcess;
  let port: number;
  const random = new Random(SEED);

  beforeAll(async () => {
    server = await ServerProcess.start();
    port = Number(server.address.split(':').at(-1));
    await server.serial(READY);
  });
  afterAll(() => server.stop());

  async function dial(): Promise<Socket> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
    return socket;
  }

  /** Talks for a while, cut at a random byte, and goes without a word. */
  async function vanish(): Promise<void> {
    const socket = await dial();
    const requests = Array.from({ length: random.below(8) }, () => random.pick(REQUESTS));
    const bytes = Buffer.concat([...HANDSHAKE, ...requests].map(encoded));
    const reads = random.below(3) > 0;
    if (reads) socket.resume();
    socket.write(bytes.subarray(0, random.below(4) === 0 ? random.below(bytes.length) : undefined));
    if (random.below(2) === 0) await sleep(random.below(8));
    if (random.below(2) === 0) socket.resetAndDestroy();
    else socket.destroy();
  }

  /** Asks as a debugger; the answers to all requests, and what comes until the time is over. */
  async function converse(requests: readonly string[], listenMs: number): Promise<string> {
    const socket = await dial();
    let heard = '';
    socket.on('data', (bytes: Buffer) => (heard += bytes.toString('latin1')));
    for (const request of ['QStartNoAckMode', ...requests]) socket.write(encoded(request));
    await sleep(listenMs);
    socket.destroy();
    await sleep(50);
    return heard;
  }

  /** The footprint once the last sockets have closed, or after ten seconds. */
  async function settled(files: number): Promise<Footprint> {
    for (let turn = 0; turn < 100 && footprint(server.pid).files > files; turn++) await sleep(100);
    return footprint(server.pid);
  }

  it(`leave nothing behind in ${CYCLES} cycles`, { timeout: 3_600_000 }, async () => {
    for (let cycle = 0; cycle < WARM_UP_CYCLES; cycle++) await vanish();
    await sleep(300);
    const before = footprint(server.pid);
    for (let cycle = 0; cycle < CYCLES; cycle++) await vanish();
    const after = await settled(before.files);
    process.stderr.write(
      `${CYCLES} cycles: ${JSON.stringify(before)} → ${JSON.stringify(after)}\n`,
    );
    expect(after.files).toBe(before.files);
    expect(after.memoryKib - before.memoryKib).toBeLessThan(MOST_GROWTH_KIB);
  });

  it('leave no breakpoint and no harm to the guest', async () => {
    // The kernel forks every second: a breakpoint of the dead would stop this run.
    const running = await converse(['?', 'vCont;c'], 2500);
    expect(running).toMatch(/\$T[0-9a-f]{2}/);
    expect(running.match(/\$T/g)).toHaveLength(1);
    expect(await converse(['?', `m${FORK},4`], 200)).toMatch(/\$[0-9a-f]{8}#/);
    const since = server.stdout.slice(server.stdout.indexOf(READY));
    expect(since).not.toMatch(/panic|\[KILL\]|FAILED/i);
    expect(server.stderr).not.toMatch(/internal error/);
  });

  it('leave a guest that still forks', async () => {
    const before = (await converse(['qRcmd,666f726b73'], 300)).length;
    await sleep(2500);
    expect((await converse(['qRcmd,666f726b73'], 300)).length).toBeGreaterThanOrEqual(before);
    expect(server.stderr).not.toMatch(/internal error|Error:/);
  });
});
