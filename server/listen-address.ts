/** Where to listen or connect: `HOST:PORT`, `[IPV6]:PORT`, `unix:PATH` or `stdio`. */
import { isIPv4, isIPv6 } from 'node:net';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'stdio' };

/** A wrong use of the command line: one line, exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** Throws `UsageError`. A port alone means loopback. */
export function parseAddress(text: string): ListenAddress {
  if (text === 'stdio') return { kind: 'stdio' };
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    // 107 bytes is what sockaddr_un holds beside its terminator.
    if (path === '' || Buffer.byteLength(path) > 107) {
      throw new UsageError(`'${text}': a Unix socket's path has 1 to 107 bytes`);
    }
    return { kind: 'unix', path };
  }
  const match = /^(?:(?:\[([^\]]+)\]|([^:]*)):)?(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65535) {
    throw new UsageError(`'${text}' is none of HOST:PORT, unix:PATH and stdio`);
  }
  const host = match[1] ?? match[2] ?? '';
  return { kind: 'tcp', host: host === '' ? '127.0.0.1' : host, port };
}

/** Only this machine's own processes can reach it. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.');
  if (isIPv6(host)) return host === '::1';
  return host === 'localhost';
}

/** As `parseAddress` reads it. */
export function formatAddress(address: ListenAddress): string {
  switch (address.kind) {
    case 'stdio':
      return 'stdio';
    case 'unix':
      return `unix:${address.path}`;
    case 'tcp':
      return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
  }
}
