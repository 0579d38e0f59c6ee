/**
 * Packets under fire for a client that has the guest's processes as inferiors: one answer for each
 * request, no internal error, no hang. `FUZZ_INPUTS=N` and `FUZZ_SEED=N` as in packets.test.ts.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BesiegedSession } from './besieged-session.ts';
import { Corpus, shapeOf } from './mutation.ts';
import { anyPacket } from './packet-grammar.ts';

const INPUTS = Math.round(Number(process.env['FUZZ_INPUTS'] ?? 20_000) / 10);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const INPUTS_PER_CLIENT = 200;
/** The console's process is 0x30, its thread 0x31. */
const OF_PROCESSES = [
  'Hgp30.31', 'Hgp1.2', 'Hgp31.32', 'vCont;c:p1.-1', 'vCont;c:p30.-1', 'vCont;s:p30.31', 'vCont;c', 'D;30',
  'vAttach;30', 'vAttach;31', 'vAttach;0', 'vAttach;1', 'vAttach;ffffffff', 'Z0,ffffffff80105579,1', 'Z0,401000,1',
  'z0,401000,1', 'Z2,ffffff0000013f00,8', 'm401000,10', 'qXfer:threads:read::0,1000', 'qXfer:exec-file:read:30:0,100',
  'qXfer:libraries-svr4:read::0,1000', 'qAttached:30', 'vKill;30', 'Tp30.31', 'Hcp30.31', 'c', 's', '?', 'g',
]; // prettier-ignore

describe('under fuzzing, a session with processes', () => {
  it(`answers ${INPUTS} packets`, { timeout: 36_000_000 }, async () => {
    const session = await BesiegedSession.create({ processes: true });
    const general = fc.sample(anyPacket, { numRuns: 200, seed: SEED });
    const seeds = [...OF_PROCESSES, ...general].map((packet) => Buffer.from(packet, 'latin1'));
    const corpus = new Corpus(SEED, seeds);
    for (let count = 1; count <= INPUTS; count++) {
      const input = count % 3 === 0 ? corpus.draw() : Buffer.from(drawn(count), 'latin1');
      const [answer] = await session.ask(input);
      if (answer !== undefined) {
        corpus.learn(input, [`${session.nameOf(input)} ${shapeOf(answer)}`]);
      }
      if (count % INPUTS_PER_CLIENT === 0) await session.reconnect();
      if (count % (5 * INPUTS_PER_CLIENT) === 0) session.reboot();
    }
    await session.reconnect();
    expect(await session.ask(Buffer.from('?'))).toEqual([expect.stringMatching(/^T/)]);
  });
});

/** One of the packets about processes, the same in each run. */
function drawn(count: number): string {
  return OF_PROCESSES[(Math.imul(count + SEED, 2654435761) >>> 16) % OF_PROCESSES.length]!;
}
