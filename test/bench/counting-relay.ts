/** Stands between a debugger and a server, passes all bytes on and counts the debugger's packets. */
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** `$` and `#` are escaped inside a payload. */
const PACKETS = /\$([^$#]*)#[0-9a-fA-F]{2}/g;

export interface CountingRelay {
  readonly port: number;
  /** The payloads of all packets that came from debuggers, in order; a break-in is not one. */
  readonly requests: readonly string[];
  close(): Promise<void>;
}

export async function startRelay(toPort: number): Promise<CountingRelay> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(toPort, '127.0.0.1');
    let text = '';
    client.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      let end = 0;
      for (const found of text.matchAll(PACKETS)) {
        requests.push(found[1] ?? '');
        end = found.index + found[0].length;
      }
      text = text.slice(end);
    });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
    }
    client.pipe(upstream).pipe(client);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { port, requests, close };
}
