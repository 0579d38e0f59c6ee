/**
 * The client of `exoscope monitor`: sends monitor commands to a running server and prints the answers.
 * It sends nothing that only a debugger sends, so it never disturbs one.
 */
import { Socket, type SocketConnectOpts } from 'node:net';
import NetReconnect from 'node-net-reconnect';
import { formatAddress, type ListenAddress } from './listen-address.ts';
import { MONITOR_FEATURE } from './monitor-feature.ts';
import { PacketFraming } from './rsp/framing.ts';
import { textToHex } from './rsp/hex.ts';
import { encodePacket } from './rsp/packet-writer.ts';

const RETRY_MS = 500;
/** The longest reply that the server may send. */
const MAX_REPLY_BYTES = 0x20000;

export type MonitorAnswer =
  | { readonly kind: 'done' }
  /** The server says why not. */
  | { readonly kind: 'refused'; readonly reason: string };

/** The connection could not be made or ended before the answer was complete. */
export class ConnectionLost extends Error {
  override readonly name = 'ConnectionLost';
}

interface PendingReply {
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

export class MonitorClient {
  private readonly address: Exclude<ListenAddress, { kind: 'stdio' }>;
  private readonly print: (text: string) => void;
  private readonly socket = new Socket();
  private readonly reconnect: NetReconnect | undefined;
  private framing = new PacketFraming(MAX_REPLY_BYTES);
  private pending: PendingReply | undefined;
  private connected: PromiseWithResolvers;
  private isClosed = false;
  private lastError = 'the server closed the connection';

  /** `keepsTrying`: connect again, without end, whenever the connection is lost. */
  constructor(
    address: Exclude<ListenAddress, { kind: 'stdio' }>,
    print: (text: string) => void,
    keepsTrying: boolean,
  ) {
    this.address = address;
    this.print = print;
    this.connected = withResolvers();
    const options = { ...connectOptions(address), retryTime: RETRY_MS, retryAlways: true };
    this.listen(keepsTrying);
    if (keepsTrying) this.reconnect = new NetReconnect(this.socket, options);
    this.socket.connect(options);
  }

  /** Sends one command; its output is printed as it arrives. Throws `ConnectionLost`. */
  async run(commandLine: string): Promise<MonitorAnswer> {
    await this.connected.promise;
    await this.request(`qSupported:error-message+;${MONITOR_FEATURE}`);
    let payload = await this.request(`qRcmd,${textToHex(commandLine)}`);
    while (payload[0] === 0x4f && payload.toString('latin1') !== 'OK') {
      this.print(Buffer.from(payload.toString('latin1', 1), 'hex').toString('utf8'));
      payload = await this.nextReply();
    }
    return readAnswer(payload.toString('latin1'));
  }

  /** Closes for good. */
  dispose(): void {
    this.isClosed = true;
    this.reconnect?.end();
    this.socket.destroy();
  }

  private listen(keepsTrying: boolean): void {
    this.socket.setNoDelay(true);
    this.socket.on('connect', () => {
      // node-net-reconnect may have scheduled an attempt before it was told to end.
      if (this.isClosed) this.socket.destroy();
      this.framing = new PacketFraming(MAX_REPLY_BYTES);
      this.connected.resolve();
    });
    this.socket.on('data', (bytes: Buffer) => this.receive(bytes));
    this.socket.on('error', (error: NodeJS.ErrnoException) => {
      this.lastError = error.code ?? error.message;
    });
    this.socket.on('close', () => {
      const where = formatAddress(this.address);
      const error = new ConnectionLost(`no server answers at ${where} (${this.lastError})`);
      this.pending?.reject(error);
      this.pending = undefined;
      if (!keepsTrying) this.connected.reject(error);
      else if (this.connected.isSettled) this.connected = withResolvers();
    });
  }

  private receive(bytes: Uint8Array): void {
    for (const event of this.framing.feed(bytes)) {
      if (event.kind === 'damaged') this.socket.write('-');
      if (event.kind !== 'packet') continue;
      this.socket.write('+');
      this.replies.push(Buffer.from(event.payload));
    }
    this.deliver();
  }

  private replies: Buffer[] = [];

  private deliver(): void {
    if (this.pending === undefined) return;
    const payload = this.replies.shift();
    if (payload === undefined) return;
    const { pending } = this;
    this.pending = undefined;
    pending.resolve(payload);
  }

  private request(text: string): Promise<Buffer> {
    this.replies = [];
    this.socket.write(encodePacket(Buffer.from(text, 'latin1')));
    return this.nextReply();
  }

  private nextReply(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.socket.destroyed) {
        reject(new ConnectionLost(`no server answers at ${formatAddress(this.address)}`));
        return;
      }
      this.pending = { resolve, reject };
      this.deliver();
    });
  }
}

function connectOptions(address: Exclude<ListenAddress, { kind: 'stdio' }>): SocketConnectOpts {
  return address.kind === 'unix'
    ? { path: address.path }
    : { host: address.host, port: address.port };
}

function readAnswer(text: string): MonitorAnswer {
  if (text === 'OK') return { kind: 'done' };
  if (text === '') return { kind: 'refused', reason: 'the server has no monitor commands' };
  const isInWords = text.startsWith('E.');
  return { kind: 'refused', reason: isInWords ? text.slice(2) : `the server answered ${text}` };
}

interface PromiseWithResolvers {
  readonly promise: Promise<void>;
  readonly isSettled: boolean;
  resolve(): void;
  reject(error: Error): void;
}

/** A promise that others settle; an unheard rejection is no error of the process. */
function withResolvers(): PromiseWithResolvers {
  let isSettled = false;
  let settle: Pick<PromiseWithResolvers, 'resolve' | 'reject'> | undefined;
  const promise = new Promise<void>((resolve, reject) => (settle = { resolve, reject }));
  promise.catch(() => undefined);
  return {
    promise,
    get isSettled() {
      return isSettled;
    },
    resolve: () => {
      isSettled = true;
      settle?.resolve();
    },
    reject: (error) => {
      isSettled = true;
      settle?.reject(error);
    },
  };
}
