/** What is behind a socket: a session of this process, or something that passes the bytes on. */
import type { Socket } from 'node:net';
import { Session } from './session.ts';
import type { SessionLog, SessionOptions, Transport } from './session-options.ts';
import { PollingChoice, Wakefulness } from './wakefulness.ts';

/** A socket's bytes go here. */
export interface Connection {
  /** It is a debugger: when there are too many connections, others go. */
  readonly isWanted: boolean;
  receive(bytes: Uint8Array): void;
  /** The socket has closed; resolves when everything has been let go. */
  closed(): Promise<void>;
}

/** Called for each socket, before it has said anything. */
export type Connect = (socket: Socket, log: SessionLog) => Connection;

/** Each socket gets a session of the one target. */
export function connectSession(options: Omit<SessionOptions, 'log'>): Connect {
  const polling = new PollingChoice();
  return (socket, log) => {
    const wakefulness = new Wakefulness(polling);
    const session = new Session({ ...options, log }, socketTransport(socket, wakefulness));
    return {
      get isWanted() {
        return options.seat.isHeldBy(session);
      },
      receive: (bytes) => {
        wakefulness.heard();
        session.receive(bytes);
      },
      closed: () => session.dispose(),
    };
  };
}

function socketTransport(socket: Socket, wakefulness: Wakefulness): Transport {
  return {
    write: (bytes) => {
      socket.write(bytes);
      wakefulness.replied();
    },
    get backlogBytes() {
      return socket.writableLength;
    },
    lendsOnly: true,
    close: () => socket.destroySoon(),
    abort: () => socket.destroy(),
  };
}
