/**
 * Clients that vanish at any moment from a proxy that records forks: it keeps nothing of them, the stub
 * behind it is left with no breakpoint of theirs, and its guest goes on forking.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startProxy, type Program } from '../end-to-end/before-qemu.ts';
import { ServerProcess } from '../end-to-end/server-process.ts';
import { Random } from '../machine/block-engine/random-program.ts';
import {
  cyclesOr,
  footprint,
  FORK,
  FOUR_BYTES,
  PATIENCE_MS,
  SEED,
  expectNothingLeft,
  VanishingClients,
} from './vanishing-clients.ts';

const CYCLES = cyclesOr(100);
const WARM_UP_CYCLES = 30;
const READY = '[INIT] forking a worker every second';

describe('clients of a proxy that vanish', () => {
  let stub: ServerProcess;
  let proxy: Program;
  let clients: VanishingClients;

  beforeAll(async () => {
    stub = await ServerProcess.start();
    await stub.serial(READY);
    const port = Number(stub.address.split(':').at(-1));
    const started = await startProxy(port, '--record-forks');
    proxy = started.proxy;
    clients = new VanishingClients(started.address, new Random(SEED));
  });
  afterAll(async () => {
    await proxy.end();
    await stub.stop();
  });

  it(`leave nothing behind in ${CYCLES} cycles`, { timeout: 7_200_000 }, async () => {
    for (let cycle = 0; cycle < WARM_UP_CYCLES; cycle++) await clients.vanish();
    await sleep(1000);
    const before = footprint(proxy.pid);
    for (let cycle = 0; cycle < CYCLES; cycle++) await clients.vanish();
    await expectNothingLeft(`${CYCLES} cycles of the proxy`, proxy.pid, before);
  });

  it('leave no breakpoint and a guest that runs and forks', async () => {
    await expect.poll(() => clients.converse(['?'], 500), { timeout: 20_000 }).toMatch(/\$T/);
    const heard = await clients.converse(['?', 'vCont;c'], 3500);
    expect(heard.match(/\$T/g)).toHaveLength(1);
    const read = clients.converse(['?', `m${FORK},4`], PATIENCE_MS, FOUR_BYTES);
    expect(await read).toMatch(FOUR_BYTES);
    const since = stub.stdout.slice(stub.stdout.indexOf(READY));
    expect(since).not.toMatch(/panic|\[KILL\]|FAILED/i);
    expect(proxy.output + stub.stderr).not.toMatch(/internal error|Error:/);
  });
});
