/**
 * Clients that vanish at any moment: in the midst of a packet, of a reply, of a run, of a step. The
 * server keeps nothing of them and the guest does not notice. `FUZZ_CYCLES=2000` is the long run.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
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

const CYCLES = cyclesOr(500);
const WARM_UP_CYCLES = 60;

const READY = '[INIT] forking a worker every second';

describe('clients that vanish', () => {
  let server: ServerProcess;
  let clients: VanishingClients;

  beforeAll(async () => {
    server = await ServerProcess.start();
    clients = new VanishingClients(server.address, new Random(SEED));
    await server.serial(READY);
  });
  afterAll(() => server.stop());

  it(`leave nothing behind in ${CYCLES} cycles`, { timeout: 3_600_000 }, async () => {
    for (let cycle = 0; cycle < WARM_UP_CYCLES; cycle++) await clients.vanish();
    await sleep(300);
    const before = footprint(server.pid);
    for (let cycle = 0; cycle < CYCLES; cycle++) await clients.vanish();
    await expectNothingLeft(`${CYCLES} cycles`, server.pid, before);
  });

  it('leave no breakpoint and no harm to the guest', async () => {
    // The kernel forks every second: a breakpoint of the dead would stop this run.
    const running = await clients.converse(['?', 'vCont;c'], 2500);
    expect(running).toMatch(/\$T[0-9a-f]{2}/);
    expect(running.match(/\$T/g)).toHaveLength(1);
    const read = clients.converse(['?', `m${FORK},4`], PATIENCE_MS, FOUR_BYTES);
    expect(await read).toMatch(FOUR_BYTES);
    const since = server.stdout.slice(server.stdout.indexOf(READY));
    expect(since).not.toMatch(/panic|\[KILL\]|FAILED/i);
    expect(server.stderr).not.toMatch(/internal error/);
  });

  /** What `forks` says there were, of one that there is not. */
  async function forks(): Promise<number> {
    const request = `qRcmd,${Buffer.from('forks 1000000').toString('hex')}`;
    const heard = await clients.converse([request], PATIENCE_MS, /\$O[0-9a-f]+#/);
    const text = Buffer.from(/\$O([0-9a-f]+)#/.exec(heard)?.[1] ?? '', 'hex').toString('latin1');
    return Number(/there were (\d+) since boot/.exec(text)?.[1]);
  }

  it('leave a guest that still forks', async () => {
    const before = await forks();
    await sleep(2500);
    expect(await forks()).toBeGreaterThan(before);
    expect(server.stderr).not.toMatch(/internal error|Error:/);
  });
});
