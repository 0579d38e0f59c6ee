import { afterEach, describe, expect, it } from 'vitest';
import { DebuggerSeat } from '../../server/debugger-seat.ts';
import { Listener } from '../../server/listener.ts';
import type { ListenAddress } from '../../server/listen-address.ts';
import { ConnectionLost, MonitorClient } from '../../server/monitor-client.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { PacketRegistry } from '../../server/packets/registry.ts';
import { FakeTarget } from '../fake-target.ts';

type Tcp = Extract<ListenAddress, { kind: 'tcp' }>;

const ignore = (): void => undefined;
const disposables: { dispose(): unknown }[] = [];

function serve(port: number, seat = new DebuggerSeat()): Promise<Listener> {
  return Listener.open(
    { kind: 'tcp', host: '127.0.0.1', port },
    {
      allowRemote: false,
      logFor: () => ({ trace: ignore, debug: ignore, info: ignore, warn: ignore, error: ignore }),
      session: {
        target: new FakeTarget(),
        registry: new PacketRegistry(PACKET_CHAPTERS),
        seat,
        onDetach: 'run',
        server: { name: 'exoscope', version: '1.2.3' },
      },
    },
  );
}

function client(address: ListenAddress, keepsTrying: boolean) {
  const printed: string[] = [];
  const made = new MonitorClient(address as Tcp, (text) => printed.push(text), keepsTrying);
  disposables.push(made);
  return { client: made, printed };
}

afterEach(async () => {
  for (const disposable of disposables.splice(0)) await disposable.dispose();
});

describe('monitor client', () => {
  it('prints the answer of a command and tells success from failure', async () => {
    const listener = await serve(0);
    disposables.push(listener);
    const { client: one, printed } = client(listener.address, false);
    expect(await one.run('threads 1')).toEqual({ kind: 'done' });
    expect(printed.join('')).toBe('threads 1 as control on 1\n');
    expect(await one.run('fail')).toEqual({ kind: 'refused', reason: 'it failed' });
  });

  it('may only look while a debugger is attached, and does not disturb it', async () => {
    const seat = new DebuggerSeat();
    const somebody = {};
    seat.take(somebody);
    const listener = await serve(0, seat);
    disposables.push(listener);
    const { client: one, printed } = client(listener.address, false);
    await one.run('x');
    expect(printed.join('')).toBe('x as look on 1\n');
    expect(seat.isHeldBy(somebody)).toBe(true);
  });

  it('says where no server answers', async () => {
    const listener = await serve(0);
    const { address } = listener;
    await listener.dispose();
    const { client: one } = client(address, false);
    await expect(one.run('x')).rejects.toThrow(ConnectionLost);
    await expect(one.run('x')).rejects.toThrow(
      /no server answers at 127\.0\.0\.1:\d+ \(ECONNREFUSED\)/,
    );
  });

  it('connects again by itself when the server restarts', async () => {
    const first = await serve(0);
    const { port } = first.address as Tcp;
    const { client: one, printed } = client(first.address, true);
    await one.run('before');
    await first.dispose();
    // The old connection may be found dead only by using it.
    const second = await serve(port);
    disposables.push(second);
    for (let attempt = 0; attempt < 3; attempt++) {
      try {
        await one.run('after');
        break;
      } catch (error) {
        expect(error).toBeInstanceOf(ConnectionLost);
      }
    }
    expect(printed).toEqual(['before as control on 1\n', 'after as control on 1\n']);
  });

  it('waits for a server that is not there yet', async () => {
    const early = await serve(0);
    const { port } = early.address as Tcp;
    await early.dispose();
    const { client: one, printed } = client(early.address, true);
    const answer = one.run('patient');
    disposables.push(await serve(port));
    expect(await answer).toEqual({ kind: 'done' });
    expect(printed).toEqual(['patient as control on 1\n']);
  });
});
