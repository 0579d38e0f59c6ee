/**
 * Sockets: one `Session` per connection. The protocol has no authentication, so only loopback is served
 * unless the user insists, a Unix socket is its owner's alone, and a connection that does not begin like
 * a debugger is closed at once: a web page can make a browser post to loopback.
 */
import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { connectSession, type Connect } from './connection.ts';
import { formatAddress, isLoopback, UsageError, type ListenAddress } from './listen-address.ts';
import { Session } from './session.ts';
import { Visitors, type Visitor } from './visitors.ts';
import type { SessionLog, SessionOptions } from './session-options.ts';

/** Every packet, acknowledgement or break-in begins with one of these. */
const FIRST_BYTES = Buffer.from('+-$\x03');

/** The address cannot be served: one clear line. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

export interface ListenerOptions {
  /** What is behind a socket: a session of the one target, or something of the caller's. */
  readonly session: Omit<SessionOptions, 'log'> | Connect;
  readonly allowRemote: boolean;
  /** How long a connection may say nothing at all; see `Visitors`. */
  readonly silenceMs?: number;
  /** How many debuggers there may be at once. */
  readonly debuggers?: number;
  /** A logger for connection number `connection`, counted from 1. */
  readonly logFor: (connection: number) => SessionLog;
}

/** How long a closing connection may take. */
const FAREWELL_MS = 200;

export class Listener {
  /** What was really bound: with port 0 the port that the system chose. */
  readonly address: ListenAddress;
  private readonly server: Server;
  private readonly visitors: Visitors<SocketVisitor>;

  private constructor(address: ListenAddress, server: Server, visitors: Visitors<SocketVisitor>) {
    this.address = address;
    this.server = server;
    this.visitors = visitors;
  }

  /** Throws `UsageError` for a remote host, `ListenError` for an address that cannot be bound. */
  static async open(
    address: Exclude<ListenAddress, { kind: 'stdio' }>,
    options: ListenerOptions,
  ): Promise<Listener> {
    if (address.kind === 'tcp' && !isLoopback(address.host) && !options.allowRemote) {
      throw new UsageError(
        `${formatAddress(address)} is not loopback, and the protocol has no authentication: ` +
          'whoever reaches the port controls the machine. Give --allow-remote to serve it all the same',
      );
    }
    if (address.kind === 'unix') await removeStaleSocket(address.path);
    const visitors = new Visitors<SocketVisitor>(options.silenceMs, options.debuggers);
    const { session } = options;
    const connect = typeof session === 'function' ? session : connectSession(session);
    let connections = 0;
    const server = createServer({ noDelay: true }, (socket) => {
      serveSocket(socket, connect, options.logFor(++connections), visitors);
    });
    await bind(server, address);
    return new Listener(boundAddress(server, address), server, visitors);
  }

  /**
   * Closes the port and all connections; a Unix socket's file goes with it. What was written is sent
   * first, and a client has a moment to take it: closing with its last acknowledgement unread would
   * reset the connection and lose the answer to `monitor quit`.
   */
  async dispose(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
    for (const { socket } of this.visitors.present) socket.end();
    const impatience = setTimeout(() => {
      for (const { socket } of this.visitors.present) socket.destroy();
    }, FAREWELL_MS);
    await closed;
    clearTimeout(impatience);
  }
}

function boundAddress(server: Server, wanted: ListenAddress): ListenAddress {
  const bound = server.address();
  if (bound === null || typeof bound === 'string' || wanted.kind !== 'tcp') return wanted;
  return { ...wanted, port: bound.port };
}

function bind(server: Server, address: Exclude<ListenAddress, { kind: 'stdio' }>): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(listenError(error, address)));
    server.once('listening', resolve);
    if (address.kind === 'tcp') {
      server.listen({ host: address.host, port: address.port });
      return;
    }
    // The file is made inside `listen`: nobody may connect between making it and restricting it.
    const mask = process.umask(0o177);
    try {
      server.listen({ path: address.path });
    } finally {
      process.umask(mask);
    }
    server.once('listening', () => chmodSync(address.path, 0o600));
  });
}

const LISTEN_FAILURES: Readonly<Record<string, string>> = {
  EADDRINUSE:
    'is in use: end the other server or choose another address with --listen (port 0 picks one)',
  EACCES: 'cannot be listened on: no permission',
  ENOENT: 'cannot be made: there is no such folder',
  EADDRNOTAVAIL: "is no address of this machine's",
  ENOTFOUND: 'cannot be found: no such host',
};

function listenError(error: NodeJS.ErrnoException, address: ListenAddress): ListenError {
  const where = formatAddress(address);
  // libuv says EACCES of a socket in a folder that does not exist (uv_pipe_bind).
  const lacksFolder = address.kind === 'unix' && !existsSync(dirname(address.path));
  const code = lacksFolder ? 'ENOENT' : (error.code ?? error.message);
  const reason = LISTEN_FAILURES[code] ?? `cannot listen there (${code})`;
  return new ListenError(`${where} ${reason}`);
}

/** Removes what a dead server left behind; anything that is not a socket stays. */
async function removeStaleSocket(path: string): Promise<void> {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isSocket()) throw new ListenError(`${path} exists and is not a socket`);
  if (await answers(path)) throw new ListenError(`unix:${path} is in use by another server`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createConnection({ path });
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  });
}

interface SocketVisitor extends Visitor {
  readonly socket: Socket;
}

function serveSocket(
  socket: Socket,
  connect: Connect,
  log: SessionLog,
  visitors: Visitors<SocketVisitor>,
): void {
  const connection = connect(socket, log);
  const visitor: SocketVisitor = {
    socket,
    get isWanted() {
      return connection.isWanted;
    },
    sendAway: (why) => {
      log.info({}, `closed a connection: ${why}`);
      socket.destroy();
    },
  };
  visitors.enter(visitor);
  socket.on('data', () => visitors.hasSpoken(visitor));
  socket.once('data', (first: Buffer) => {
    if (!FIRST_BYTES.includes(first[0]!)) {
      log.warn({}, 'closed a connection that does not speak the remote protocol');
      socket.destroy();
      return;
    }
    connection.receive(first);
    socket.on('data', (bytes: Buffer) => connection.receive(bytes));
  });
  socket.on('error', (error) => log.debug({ err: error }, 'connection failed'));
  socket.once('close', () => {
    visitors.leave(visitor);
    void connection.closed();
  });
}

/** gdb's `target remote | exoscope serve --listen stdio`: resolves when the debugger has gone. */
export async function serveStdio(options: SessionOptions): Promise<void> {
  const { stdin, stdout } = process;
  const session = new Session(options, {
    write: (bytes) => void stdout.write(bytes),
    get backlogBytes() {
      return stdout.writableLength;
    },
    close: () => stdin.destroy(),
    abort: () => stdin.destroy(),
  });
  await new Promise<void>((resolve) => {
    stdin.on('data', (bytes: Buffer) => session.receive(bytes));
    stdin.once('close', resolve);
    stdin.once('end', resolve);
    stdout.on('error', () => resolve());
  });
  await session.dispose();
}
