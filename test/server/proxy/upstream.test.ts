/** The client's side of RSP, before a stub that says what QEMU says, at the worst moments. */
import { afterEach, describe, expect, it } from 'vitest';
import { Upstream } from '../../../server/proxy/upstream.ts';
import { RemoteError } from '../../../server/rsp/errno.ts';
import { packet, ScriptedStub, type Answers } from './scripted-stub.ts';

let close: () => void = () => undefined;
afterEach(() => close());

/** Long for a stub that answers, short for a test of one that does not. */
const PATIENCE_MS = 300;

/** Before a stub that says `greeting` unasked and then answers each request with `answers`. */
async function stub(greeting: string, answers: Answers) {
  const scripted = await ScriptedStub.start(answers, greeting);
  const stops: string[] = [];
  const output: string[] = [];
  const seen = { losses: 0 };
  let upstream!: Upstream;
  const connected = new Promise<void>((resolve) => {
    const events = {
      onConnect: resolve,
      onLoss: () => (seen.losses += 1),
      onStop: (reply: string) => void stops.push(reply),
      onOutput: (hex: string) => void output.push(hex),
    };
    const { port } = scripted;
    upstream = new Upstream({ host: '127.0.0.1', port }, events, PATIENCE_MS);
  });
  close = () => {
    upstream.dispose();
    scripted.dispose();
  };
  const { requests } = scripted;
  const say = (text: string): void => scripted.send(packet(text));
  return { upstream, stops, output, requests, connected, say, scripted, seen };
}

it('does not take a stop that nobody asked for as the answer to its first request', async () => {
  const { upstream, stops, connected } = await stub('T02thread:01;', (request) => [
    packet(request === '?' ? 'T05thread:01;' : `answer to ${request}`),
  ]);
  await connected;
  expect(await upstream.ask('qSupported')).toBe('answer to qSupported');
  expect(await upstream.ask('?')).toBe('T05thread:01;');
  expect(await upstream.ask('g')).toBe('answer to g');
  expect(stops).toEqual(['T02thread:01;']);
});

it('sends nothing to a target that runs: QEMU would take it for a break-in', async () => {
  const { upstream, stops, requests, connected, say } = await stub('', (request) =>
    request === 'c' ? [] : [packet('00')],
  );
  await connected;
  upstream.resume('c');
  await expect(upstream.ask('g')).rejects.toThrow(RemoteError);
  await expect.poll(() => requests).toEqual(['c']);
  say('T05thread:01;');
  await expect.poll(() => stops).toEqual(['T05thread:01;']);
  expect(await upstream.ask('g')).toBe('00');
});

describe('a stub that does not keep to the protocol', () => {
  const LONG = 0x20001;
  const nonsense: readonly (readonly [string, Uint8Array])[] = [
    ['nothing', Buffer.alloc(0)],
    ['half a packet', Buffer.from('$00')],
    ['a packet beyond all bounds', packet('0'.repeat(LONG))],
    ['one packet without an end', Buffer.from(`$${'0'.repeat(2 * LONG)}`)],
    ['nothing but wrong checksums', Buffer.from('$00#00'.repeat(10))],
    ['noise', Buffer.from('%Stop:T05#aa HTTP/1.1 400 Bad Request\r\n\r\n+++---')],
  ];

  for (const [what, bytes] of nonsense) {
    it(`is hung up on and called again when its answer is ${what}`, async () => {
      let isHostile = true;
      const { upstream, connected, seen } = await stub('', () => {
        return isHostile ? [bytes] : [packet('00')];
      });
      await connected;
      await expect(upstream.ask('g')).rejects.toThrow(RemoteError);
      isHostile = false;
      await expect.poll(() => upstream.isConnected).toBe(true);
      expect(await upstream.ask('g')).toBe('00');
      expect(seen.losses).toBe(1);
    });
  }

  it('is hung up on when it does not heed a break-in', async () => {
    const { upstream, connected, seen } = await stub('', () => []);
    await connected;
    upstream.resume('c');
    await upstream.allSent();
    upstream.breakIn();
    await expect.poll(() => seen.losses).toBe(1);
  });

  it('may run for as long as it likes while nobody breaks in', async () => {
    const { upstream, connected, stops, say, seen } = await stub('', () => []);
    await connected;
    upstream.resume('c');
    await new Promise((resolve) => setTimeout(resolve, 3 * PATIENCE_MS));
    say('T05');
    await expect.poll(() => stops).toEqual(['T05']);
    expect(seen.losses).toBe(0);
  });

  it('does not end a run with its output, or with what nobody asked for', async () => {
    const { upstream, connected, stops, output, requests, say } = await stub('', () => []);
    await connected;
    upstream.resume('c');
    await expect.poll(() => requests).toEqual(['c']);
    for (const text of ['O48690a', 'OK', 'qNothing', '0011']) say(text);
    await expect.poll(() => output).toEqual(['48690a']);
    expect(upstream.isResumed).toBe(true);
    say('E01');
    await expect.poll(() => stops).toEqual(['E01']);
  });

  it('is hung up on when it reads none of our acknowledgements', async () => {
    const { upstream, connected, say, seen } = await stub('', () => []);
    await connected;
    Object.defineProperty(upstream['socket'], 'writableLength', { get: () => 2 << 20 });
    say('OK');
    await expect.poll(() => seen.losses).toBe(1);
  });
});
