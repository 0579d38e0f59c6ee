/** Serves any target on loopback: all the glue that `exoscope/rsp` wants, one `Session` a connection. */
import { createServer, type AddressInfo, type Socket } from 'node:net';
import {
  DebuggerSeat,
  PACKET_CHAPTERS,
  PacketRegistry,
  Session,
  type SessionLog,
  type Target,
} from '../../server/index.ts';

const silent: SessionLog = {
  trace: () => undefined,
  debug: () => undefined,
  info: () => undefined,
  warn: (fields, message) => console.warn(message, fields),
  error: (fields, message) => console.error(message, fields),
  isLevelEnabled: (level) => level === 'warn' || level === 'error',
};

export interface Served {
  /** HOST:PORT for gdb's `target remote`. */
  readonly address: string;
  dispose(): Promise<void>;
}

/** Listens on a free port; `onDetach`: what the target does when its debugger has gone. */
export async function serveTarget(target: Target, onDetach: 'run' | 'halt'): Promise<Served> {
  const shared = {
    target,
    registry: new PacketRegistry(PACKET_CHAPTERS),
    seat: new DebuggerSeat(),
    onDetach,
    server: { name: 'example', version: '1.0' },
    log: silent,
  };
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    const session = new Session(shared, {
      write: (bytes) => void socket.write(bytes),
      get backlogBytes() {
        return socket.writableLength;
      },
      close: () => socket.destroySoon(),
      abort: () => socket.destroy(),
    });
    socket.on('data', (bytes: Buffer) => session.receive(bytes));
    socket.on('error', () => socket.destroy());
    socket.once('close', () => void session.dispose());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    address: `127.0.0.1:${port}`,
    dispose: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
