/** A stub's memory mode is one for all that it is asked: what is read physically is nobody else's time. */
import { afterEach, expect, it } from 'vitest';
import { ProxyMemory } from '../../../server/proxy/proxy-memory.ts';
import { Upstream } from '../../../server/proxy/upstream.ts';
import { packet, ScriptedStub, type Answers } from './scripted-stub.ts';

let close: () => void = () => undefined;
afterEach(() => close());

async function memoryOf(answers: Answers) {
  const stub = await ScriptedStub.start(answers);
  let upstream!: Upstream;
  await new Promise<void>((resolve) => {
    const events = { onConnect: resolve, onLoss: () => undefined, onStop: () => undefined };
    upstream = new Upstream({ host: '127.0.0.1', port: stub.port }, events);
  });
  close = () => {
    upstream.dispose();
    stub.dispose();
  };
  return { upstream, memory: new ProxyMemory(upstream), requests: stub.requests };
}

/** A stub whose memory is of zeros. */
const answers: Answers = (request) => {
  if (request.startsWith('m')) return [packet('00'.repeat(8))];
  if (request === 'qqemu.PhyMemMode') return [packet('1')];
  return request === 'c' ? [] : [packet('OK')];
};

it('resumes a stub only when its memory is linear again', async () => {
  const { upstream, memory, requests } = await memoryOf(answers);
  const bytes = memory.read({ address: 0x1000n, lengthBytes: 8, cr3: 0x2000n });
  upstream.resume('c');
  upstream.breakIn();
  expect(await bytes).toHaveLength(0);
  await expect.poll(() => requests.at(-1)).toBe('\x03');
  expect(requests).toEqual(['Qqemu.PhyMemMode:1', 'm2000,8', 'Qqemu.PhyMemMode:0', 'c', '\x03']);
});

it('reads linear memory of a stub that somebody left in the physical mode', async () => {
  const { memory, requests } = await memoryOf(answers);
  expect(memory.physical).toBeUndefined();
  await memory.begin();
  expect(requests).toEqual(['qqemu.PhyMemMode', 'Qqemu.PhyMemMode:0']);
  expect(memory.physical).toBeDefined();
});
