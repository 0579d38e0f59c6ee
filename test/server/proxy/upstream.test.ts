/** The client's side of RSP, before a stub that says what QEMU says, at the worst moments. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { Upstream } from '../../../server/proxy/upstream.ts';
import { RemoteError } from '../../../server/rsp/errno.ts';
import { PacketFraming } from '../../../server/rsp/framing.ts';
import { encodePacket } from '../../../server/rsp/packet-writer.ts';

let close: () => void = () => undefined;
afterEach(() => close());

interface Stub {
  readonly upstream: Upstream;
  readonly stops: string[];
  readonly requests: string[];
  readonly connected: Promise<void>;
  readonly say: (text: string) => void;
}

/** A stub that says `greeting` unasked and then answers each request with `answer`. */
async function stub(greeting: string, answer: (request: string) => string[]): Promise<Stub> {
  const requests: string[] = [];
  const stops: string[] = [];
  const framing = new PacketFraming(4096);
  let socket: Socket | undefined;
  const say = (text: string): void => void socket?.write(encodePacket(Buffer.from(text)));
  const server: Server = createServer((accepted) => {
    socket = accepted;
    if (greeting !== '') say(greeting);
    accepted.on('data', (bytes: Buffer) => {
      for (const event of framing.feed(bytes)) {
        if (event.kind !== 'packet') continue;
        const request = Buffer.from(event.payload).toString('latin1');
        requests.push(request);
        answer(request).forEach(say);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  let upstream!: Upstream;
  const connected = new Promise<void>((resolve) => {
    const onStop = (reply: string): void => void stops.push(reply);
    const events = { onConnect: resolve, onLoss: () => undefined, onStop };
    upstream = new Upstream({ host: '127.0.0.1', port }, events);
  });
  close = () => {
    upstream.dispose();
    socket?.destroy();
    server.close();
  };
  return { upstream, stops, requests, connected, say };
}

it('does not take a stop that nobody asked for as the answer to its first request', async () => {
  const { upstream, stops, connected } = await stub('T02thread:01;', (request) => [
    request === '?' ? 'T05thread:01;' : `answer to ${request}`,
  ]);
  await connected;
  expect(await upstream.ask('qSupported')).toBe('answer to qSupported');
  expect(await upstream.ask('?')).toBe('T05thread:01;');
  expect(await upstream.ask('g')).toBe('answer to g');
  expect(stops).toEqual(['T02thread:01;']);
});

it('sends nothing to a target that runs: QEMU would take it for a break-in', async () => {
  const { upstream, stops, requests, connected, say } = await stub('', (request) =>
    request === 'c' ? [] : ['00'],
  );
  await connected;
  upstream.resume('c');
  await expect(upstream.ask('g')).rejects.toThrow(RemoteError);
  await expect.poll(() => requests).toEqual(['c']);
  say('T05thread:01;');
  await expect.poll(() => stops).toEqual(['T05thread:01;']);
  expect(await upstream.ask('g')).toBe('00');
});
