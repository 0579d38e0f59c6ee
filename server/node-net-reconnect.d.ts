/** node-net-reconnect 0.2.1 has no types of its own; this is its public surface. */
declare module 'node-net-reconnect' {
  import type { Socket, SocketConnectOpts } from 'node:net';

  export default class NetReconnect {
    /** Connects `socket` again with `options` whenever its connection is lost or refused. */
    constructor(
      socket: Socket,
      options: SocketConnectOpts & {
        /** Milliseconds between attempts. */
        readonly retryTime?: number;
        /** Also when the other side closed in order. */
        readonly retryAlways?: boolean;
      },
    );
    /** Closes for good. An attempt that is already scheduled still happens. */
    end(): void;
  }
}
