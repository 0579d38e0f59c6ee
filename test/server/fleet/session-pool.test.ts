/** The pool of sessions with processes of the test's own, which do what ours should never do. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ImageError } from '../../../machine/index.ts';
import { serialOf } from '../../../server/fleet/serial-of-session.ts';
import { SessionPool, type FleetSession } from '../../../server/fleet/session-pool.ts';

const WAIT_MS = 60_000;

/** A session that does what its debugger says: `throw`, `fill` its heap, `hang`, or echo. */
const SCRIPT = `
import { closeSync } from 'node:fs';
import { Socket } from 'node:net';
const channel = new Socket({ fd: 3, readable: true, writable: true });
process.on('disconnect', () => process.exit());
process.on('message', (message) => {
  if (message.kind === 'boot' && message.order.machine.image === 'bad') {
    process.send({ kind: 'failed', reason: 'image', message: 'it is bad' });
  } else if (message.kind === 'boot') {
    process.send({ kind: 'ready' });
  } else if (message.kind === 'ask') {
    const answer = { state: 'well', instructions: 7n, residentBytes: 8 };
    process.send({ kind: 'answer', id: message.id, answer });
  }
});
channel.on('data', (bytes) => {
  const word = bytes.toString();
  if (word === 'leave') {
    channel.destroy();
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 200);
    process.removeAllListeners('disconnect');
  }
  if (word === 'throw') throw new Error('a bug of the test script, meant to be seen');
  if (word === 'hang') for (;;);
  const kept = [];
  // What V8 says of a full heap looks like a crash of the tests.
  if (word === 'fill') closeSync(2);
  while (word === 'fill') kept.push(new Array(10000).fill({}));
  channel.write(bytes);
});
`;

let folder: string;
let pool: SessionPool;
let said: string[];

function open(limit: number, image = 'good'): SessionPool {
  const script = join(folder, 'session.mjs');
  writeFileSync(script, SCRIPT);
  const log = (_: object, message: string): void => void said.push(message);
  return new SessionPool({
    script,
    limit,
    heapMegabytes: 32,
    log: { info: log, warn: log },
    order: {
      machine: { image, memory: '2M', append: '', module: [], engine: 'step', symbols: [] },
      file: new Uint8Array(0),
      modules: [],
      symbols: [],
      serial: 'none',
      logLevel: 'silent',
      tracePackets: false,
      processes: false,
    },
  });
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}: ${said.join('; ')}`);
    await sleep(20);
  }
}

async function echo({ process: { channel } }: FleetSession, word: string): Promise<string> {
  const answer = new Promise<string>((resolve) => {
    channel.once('data', (bytes: Buffer) => resolve(bytes.toString()));
  });
  channel.write(word);
  return answer;
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
  said = [];
});
afterEach(async () => {
  await pool.dispose();
  expect(pool.processCount).toBe(0);
  rmSync(folder, { recursive: true });
});

describe('a pool of sessions', () => {
  it('has one process ready while there is room, and never more than its limit', async () => {
    pool = open(2);
    await pool.start();
    expect(pool.processCount).toBe(1);
    const first = pool.open('a')!;
    expect(pool.processCount).toBe(2);
    const second = pool.open('b')!;
    expect([first.number, second.number, pool.isFull]).toEqual([1, 2, true]);
    expect(pool.processCount).toBe(2);
    expect(pool.open('c')).toBeUndefined();
    pool.close(first);
    expect(pool.open('d')?.number).toBe(3);
  });

  it('says how a session ended whose connection was gone before it', async () => {
    pool = open(3);
    await pool.start();
    const bad = pool.open('bad')!;
    const closed = new Promise((resolve) => bad.process.channel.once('close', resolve));
    bad.process.channel.write('leave');
    bad.process.channel.resume();
    await closed;
    pool.close(bad);
    await bad.process.whenEnded;
    await until('a word about it', () => said.some((text) => /was ended by SIGKILL/.test(text)));
  });

  it.each([
    ['throw', /ended with status 1;/],
    ['fill', /was ended by SIGABRT \(its heap was full\?\);/],
  ])('goes on when a session does "%s", and says so', async (word, how) => {
    pool = open(3);
    await pool.start();
    const bad = pool.open('bad')!;
    const good = pool.open('good')!;
    expect(await echo(good, 'hello')).toBe('hello');
    bad.process.channel.write(word);
    await bad.process.whenEnded;
    await until('a word about it', () => said.some((text) => how.test(text)));
    expect(await echo(good, 'hello again')).toBe('hello again');
    const reports = await pool.reports();
    expect(reports.map(({ session, look }) => [session.number, look])).toEqual([
      [good.number, { state: 'well', instructions: 7n, residentBytes: 8 }],
    ]);
  });

  it('lists a session that does not answer, and ends it all the same', async () => {
    pool = open(1);
    await pool.start();
    const session = pool.open('a')!;
    await session.process.whenReady;
    session.process.channel.write('hang');
    await sleep(200);
    const [report] = await pool.reports();
    expect(report?.look).toBe('it does not answer');
    pool.close(session);
    await session.process.whenEnded;
    await until('its end', () => !pool.isFull);
    expect(await echo(pool.open('b')!, 'hello')).toBe('hello');
  });

  it('keeps nothing of a question that has been answered', async () => {
    pool = open(1);
    await pool.start();
    const { process } = pool.open('a')!;
    const handlers = vi.spyOn(process.whenEnded, 'then');
    for (let count = 0; count < 20; count++) await process.look();
    expect(handlers).not.toHaveBeenCalled();
  });

  it('answers at once for a session that ends while it is asked, or has ended', async () => {
    pool = open(1);
    await pool.start();
    const session = pool.open('a')!;
    session.process.channel.write('hang');
    await sleep(200);
    const asked = session.process.look();
    pool.close(session);
    await expect(asked).rejects.toThrow('it has ended');
    await expect(session.process.look()).rejects.toThrow('it has ended');
  });

  it('does not start where no machine can be made', async () => {
    pool = open(2, 'bad');
    const starting = pool.start();
    await expect(starting).rejects.toThrow(ImageError);
    await expect(starting).rejects.toThrow('it is bad');
  });
});

it('the serial output of a session goes where its number is in the name', () => {
  expect(serialOf('file:/tmp/a.b/com1.txt', 3)).toBe('file:/tmp/a.b/com1-3.txt');
  expect(serialOf('file:log', 12)).toBe('file:log-12');
  expect(serialOf('none', 1)).toBe('none');
});
