/**
 * Clients that vanish at any moment from a server that gives each a machine in a process of its own: the
 * server keeps nothing of them, no process outlives its client, and the next client gets a sound machine.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ServerProcess } from '../end-to-end/server-process.ts';
import { Random } from '../machine/block-engine/random-program.ts';
import {
  cyclesOr,
  expectNothingLeft,
  footprint,
  SEED,
  VanishingClients,
} from './vanishing-clients.ts';

const CYCLES = cyclesOr(40);
const WARM_UP_CYCLES = 30;
const SESSIONS = 2;

function childrenOf(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

describe('clients of sessions that vanish', () => {
  let server: ServerProcess;
  let clients: VanishingClients;
  const random = new Random(SEED);

  beforeAll(async () => {
    server = await ServerProcess.start('--sessions', String(SESSIONS), '--memory', '16M');
    clients = new VanishingClients(server.address, random);
  });
  afterAll(() => server.stop());

  /** Of each thirty clients one has its machine's process killed under it. */
  function killOne(): void {
    const children = childrenOf(server.pid);
    if (random.below(30) > 0 || children.length === 0) return;
    try {
      process.kill(random.pick(children), 'SIGKILL');
    } catch {
      // It has just ended by itself.
    }
  }

  it(`leave nothing behind in ${CYCLES} cycles`, { timeout: 7_200_000 }, async () => {
    for (let cycle = 0; cycle < WARM_UP_CYCLES; cycle++) await clients.vanish();
    await expect.poll(() => childrenOf(server.pid).length, { timeout: 60_000 }).toBe(1);
    const before = footprint(server.pid);
    for (let cycle = 0; cycle < CYCLES; cycle++) {
      await clients.vanish();
      killOne();
    }
    // A new client gets a machine, and with it a process waits for the next.
    await expect.poll(() => clients.converse(['?'], 3000), { timeout: 60_000 }).toMatch(/\$T05/);
    await expect.poll(() => childrenOf(server.pid).length, { timeout: 60_000 }).toBe(1);
    await expectNothingLeft(`${CYCLES} cycles of sessions`, server.pid, before);
  });

  it('leave no error of the server’s and no breakpoint to the next client', async () => {
    expect(server.stderr).not.toMatch(/internal error|Error:/);
    let heard = '';
    for (let tries = 0; tries < 10 && !heard.includes('$T'); tries++) {
      heard = await clients.converse(['?', 'vCont;c'], 2500);
    }
    expect(heard.match(/\$T/g)).toHaveLength(1);
  });
});
