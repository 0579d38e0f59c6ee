/**
 * Every packet under fire, in a session over the real machine and kernel: one answer for each request, no
 * internal error, no hang; nothing that only looks changes the guest. `FUZZ_INPUTS=N` is the number of
 * inputs (`npm run fuzz`: ten million), `FUZZ_SEED=N` draws others.
 */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { fingerprint } from '../machine/small-guest.ts';
import { BesiegedSession } from './besieged-session.ts';
import { Corpus, shapeOf, transitionsOf } from './mutation.ts';
import { Progress } from './progress.ts';
import { ALL_DEFINITIONS, KNOWN_KILLERS, anyPacket, packetOf } from './packet-grammar.ts';

const INPUTS = Number(process.env['FUZZ_INPUTS'] ?? 20_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const GRAMMAR_INPUTS = Math.min(Math.round(INPUTS / 10), 200_000);
const RAW_INPUTS = Math.round(INPUTS / 5);
const MUTATED_INPUTS = INPUTS - GRAMMAR_INPUTS - RAW_INPUTS;
/** After so many inputs that may write and run, the guest is a ruin that teaches nothing. */
const INPUTS_PER_BOOT = 50_000;
const MEMORY_BYTES = 32 << 20;

/** Packets that write or run, by their first letters. */
const CHANGES = /^([GPMXcsCSRkD]|vCont;|vKill|QRestore|qRcmd)/;
const RUNS = /^([cCsSR]|vCont;|qCRC|qSear)/;
const LOOKING = ALL_DEFINITIONS.filter(({ name }) => !CHANGES.test(`${name};`));

function bytesOf(packet: string): Uint8Array {
  return Buffer.from(packet, 'latin1');
}

describe('under fuzzing, the server', () => {
  let session: BesiegedSession;
  beforeAll(async () => {
    session = await BesiegedSession.create();
  });

  it('answers what crashes or hangs others', async () => {
    for (const packet of KNOWN_KILLERS) await session.ask(bytesOf(packet));
    session.reboot();
  });

  it('takes the bytes that lldb reads for an answer, even if they look like text for the user', async () => {
    const rsp = session.machine.readRegister('rsp')!;
    session.machine.writeLinear(rsp, bytesOf('Oh!'));
    await session.ask(bytesOf('QListThreadsInStopReply'));
    expect(await session.ask(bytesOf(`x${rsp.toString(16)},3`))).toEqual(['Oh!']);
    await session.reconnect();
    session.reboot();
  });

  it('answers every packet of the grammar exactly once, and none that looks changes the guest', async () => {
    const before = fingerprint(session.machine, MEMORY_BYTES);
    const looking = fc.oneof(...LOOKING.map(packetOf));
    const property = fc.asyncProperty(looking, async (packet) => {
      expect(await session.ask(bytesOf(packet))).toHaveLength(1);
    });
    await fc.assert(property, { numRuns: GRAMMAR_INPUTS, seed: SEED, maxSkipsPerRun: 0 });
    expect(fingerprint(session.machine, MEMORY_BYTES)).toBe(before);
  });

  it(`answers ${MUTATED_INPUTS} mutated packets`, { timeout: 36_000_000 }, async () => {
    const seeds = [...fc.sample(anyPacket, { numRuns: 1000, seed: SEED }), ...KNOWN_KILLERS];
    const corpus = new Corpus(SEED, seeds.map(bytesOf));
    const progress = new Progress(INPUTS_PER_BOOT);
    for (let count = 1; count <= MUTATED_INPUTS; count++) {
      const input = drawMostlyHalted(corpus, count);
      const [answer] = await session.ask(input);
      if (answer !== undefined) {
        corpus.learn(input, [`${session.nameOf(input)} ${shapeOf(answer)}`]);
      }
      if (count % INPUTS_PER_BOOT === 0) {
        await session.reconnect();
        session.reboot();
      }
      progress.done(count, corpus.seen);
    }
    await session.reconnect();
    expect(await session.ask(bytesOf('?'))).toEqual([expect.stringMatching(/^T/)]);
    expect(progress.isLevel()).toBe(true);
  });

  it(`lives through ${RAW_INPUTS} inputs of raw bytes`, { timeout: 36_000_000 }, async () => {
    const seeds = fc
      .sample(anyPacket, { numRuns: 300, seed: SEED })
      .map((packet) => `$${packet}#00`);
    const corpus = new Corpus(
      SEED,
      ['+', '-', '\x03', '$', '#', '$#00', '$*~#', '$}#5d', ...seeds].map(bytesOf),
    );
    const progress = new Progress(INPUTS_PER_BOOT);
    for (let count = 1; count <= RAW_INPUTS; count++) {
      const input = corpus.draw();
      await session.pour(input);
      corpus.learn(input, transitionsOf(session.answers));
      if (count % 500 === 0) await session.reconnect();
      if (count % INPUTS_PER_BOOT === 0) session.reboot();
      progress.done(count, corpus.seen);
    }
    await session.reconnect();
    expect(await session.ask(bytesOf('?'))).toEqual([expect.stringMatching(/^T/)]);
    expect(progress.isLevel()).toBe(true);
  });
});

/** A packet that runs the guest takes as long as a hundred others: one such draw in 32 is kept. */
function drawMostlyHalted(corpus: Corpus, count: number): Uint8Array {
  for (;;) {
    const input = corpus.draw();
    const isRun = RUNS.test(Buffer.from(input.subarray(0, 6)).toString('latin1'));
    if (!isRun || count % 32 === 0) return input;
  }
}
