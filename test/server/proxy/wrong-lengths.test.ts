/** What a stub says is as long as it likes: none of it is believed beyond its place. */
import { describe, expect, it } from 'vitest';
import { ProxyMemory } from '../../../server/proxy/proxy-memory.ts';
import type { Upstream } from '../../../server/proxy/upstream.ts';
import { readDescription } from '../../../server/proxy/upstream-registers.ts';

function upstream(answer: (request: string) => string): Upstream {
  return { ask: (request: string) => Promise.resolve(answer(request)) } as unknown as Upstream;
}

describe('memory of which a stub gives', () => {
  const read = (answer: (request: string) => string): Promise<Uint8Array> =>
    new ProxyMemory(upstream(answer)).read({ address: 0n, lengthBytes: 0x800 });

  it('too little ends there: what follows would lie at a wrong address', async () => {
    expect(await read((request) => (request === 'm0,400' ? '11' : '22'.repeat(0x400)))).toEqual(
      Buffer.from([0x11]),
    );
  });

  it('too much is cut', async () => {
    expect(await read(() => '11'.repeat(0x1000))).toHaveLength(0x800);
  });
});

describe('a target description', () => {
  it('without an end is none', async () => {
    for (const piece of ['m', `m${'<reg '.repeat(100)}`]) {
      const { texts, registers } = await readDescription(upstream(() => piece));
      expect([[...texts], registers]).toEqual([[['target.xml', '']], []]);
    }
  });

  it('ends for us at a register of no size that is one', async () => {
    const sane = '<reg name="rip" bitsize="64"/>';
    for (const size of ['-8', '1e308', '12', '', 'wide', '8192']) {
      const text = `l${sane}<reg name="bad" bitsize="${size}"/>${sane}`;
      const { registers } = await readDescription(upstream(() => text));
      expect(registers).toEqual([{ name: 'rip', number: 0, offset: 0, lengthBytes: 8 }]);
    }
  });
});
