/** What the tests of the proxy before QEMU's stub share. */
import { createServer, type AddressInfo } from 'node:net';

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Threads without what changes from one moment to the next: where they are, what they wait for, and the
 * workers, which come and go.
 */
export function threadsOf(text: string): string[] {
  return [...text.matchAll(/Thread (1\.\d+) "([^"]+)" \((pid \d+)/g)]
    .map((found) => found.slice(1).join(' '))
    .filter((line) => !line.includes('worker'));
}
