/** A client can ask for what takes for ever; it ends when the client breaks in or is gone. */
import { describe, expect, it } from 'vitest';
import { FakeTarget } from '../fake-target.ts';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { SessionHarness } from '../session-harness.ts';

describe('a checksum of endless memory', () => {
  function harness(): SessionHarness {
    const target = new FakeTarget();
    const memory = { ...target.memory, read: (): Uint8Array => new Uint8Array(0x10000) };
    Object.assign(target, { memory });
    return new SessionHarness({ target });
  }
  const request = encodePacket(Buffer.from('qCRC:0,1fffffffffffff'));

  it('ends when the client breaks in', async () => {
    const session = harness();
    session.session.receive(request);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await session.sendRaw(Uint8Array.of(3))).toEqual(['E04']);
    expect(await session.ask('?')).toMatch(/^T/);
  });

  it('ends when the client vanishes', async () => {
    const session = harness();
    session.session.receive(request);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await session.session.dispose();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(session.session['isHandling']).toBe(false);
  });
});
