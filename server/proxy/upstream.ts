/**
 * The client's side of RSP, towards the stub that the proxy stands in front of: one request at a time,
 * acknowledged, over a socket that connects again whenever it is lost.
 */
import { Socket } from 'node:net';
import NetReconnect from 'node-net-reconnect';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import { PacketFraming } from '../rsp/framing.ts';
import { encodePacket } from '../rsp/packet-writer.ts';

const RETRY_MS = 300;
const MAX_REPLY_BYTES = 0x20000;
const ACK = Buffer.from('+');
const BREAK_IN = Buffer.from([3]);

export interface UpstreamEvents {
  /** A connection is there: the first one, or a new one after a loss. */
  readonly onConnect: () => void;
  readonly onLoss: () => void;
  /** A stop reply to a resume, or one that nobody asked for. */
  readonly onStop: (reply: string) => void;
}

interface Waiting {
  /** The request is `?`: a stop reply is its answer. */
  readonly asksForStop: boolean;
  /** `O` packets before the reply; absent: there are none to expect. */
  readonly output?: (hex: string) => void;
  resolve(payload: Buffer): void;
  reject(error: RemoteError): void;
}

export class Upstream {
  private readonly socket = new Socket();
  private readonly reconnect: NetReconnect;
  private readonly events: UpstreamEvents;
  private framing = new PacketFraming(MAX_REPLY_BYTES);
  private waiting: Waiting | undefined;
  private lastRequest: Promise<unknown> = Promise.resolve();
  private isClosed = false;
  private isTargetRunning = false;

  constructor(address: { readonly host: string; readonly port: number }, events: UpstreamEvents) {
    this.events = events;
    const options = { ...address, retryTime: RETRY_MS, retryAlways: true };
    this.socket.setNoDelay(true);
    this.socket.on('connect', () => {
      // node-net-reconnect may have scheduled an attempt before it was told to end.
      if (this.isClosed) this.socket.destroy();
      else this.connected();
    });
    this.socket.on('data', (bytes: Buffer) => this.receive(bytes));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => this.lost());
    this.reconnect = new NetReconnect(this.socket, options);
    this.socket.connect(options);
  }

  /**
   * Between a resume and its stop QEMU takes whatever it is sent for a break-in, and answers only the
   * stop: requests are refused here until then.
   */
  get isResumed(): boolean {
    return this.isTargetRunning;
  }

  get isConnected(): boolean {
    return this.socket.readyState === 'open';
  }

  /** The reply's payload. Throws `RemoteError`: EIO, the connection is lost; EBUSY, `isResumed`. */
  request(text: string, output?: (hex: string) => void): Promise<Buffer> {
    const answer = this.lastRequest.then(() => this.exchange(text, output));
    this.lastRequest = answer.catch(() => undefined);
    return answer;
  }

  /** `request` for replies that are text. */
  async ask(text: string): Promise<string> {
    return (await this.request(text)).toString('latin1');
  }

  /** Sends what resumes the target: its answer comes as a stop. */
  resume(text: string): void {
    this.lastRequest = this.lastRequest.then(() => {
      this.isTargetRunning = this.isConnected;
      this.send(text);
    });
  }

  /** Never before the resume that it is to end. */
  breakIn(): void {
    this.lastRequest = this.lastRequest.then(() => this.socket.write(BREAK_IN));
  }

  /** Resolves when everything asked for until now has left, and was answered where it has an answer. */
  async allSent(): Promise<void> {
    await this.lastRequest;
  }

  dispose(): void {
    this.isClosed = true;
    this.reconnect.end();
    this.socket.destroy();
  }

  private connected(): void {
    this.framing = new PacketFraming(MAX_REPLY_BYTES);
    this.events.onConnect();
  }

  private lost(): void {
    this.waiting?.reject(new RemoteError(ERRNO.EIO, 'the stub behind the proxy has gone'));
    this.waiting = undefined;
    this.isTargetRunning = false;
    if (!this.isClosed) this.events.onLoss();
  }

  private exchange(text: string, output?: (hex: string) => void): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (!this.isConnected) {
        reject(new RemoteError(ERRNO.EIO, 'the stub behind the proxy is not there'));
        return;
      }
      if (this.isResumed) {
        reject(new RemoteError(ERRNO.EBUSY, 'the machine behind the proxy runs'));
        return;
      }
      const asksForStop = text === '?';
      this.waiting = { asksForStop, resolve, reject, ...(output === undefined ? {} : { output }) };
      this.send(text);
    });
  }

  private send(text: string): void {
    this.socket.write(encodePacket(Buffer.from(text, 'latin1')));
  }

  private receive(bytes: Uint8Array): void {
    for (const event of this.framing.feed(bytes)) {
      if (event.kind === 'damaged') this.socket.write('-');
      if (event.kind !== 'packet') continue;
      this.socket.write(ACK);
      this.deliver(Buffer.from(event.payload));
    }
  }

  private deliver(payload: Buffer): void {
    const { waiting } = this;
    if (waiting === undefined || (!waiting.asksForStop && isStopReply(payload))) {
      this.isTargetRunning = false;
      this.events.onStop(payload.toString('latin1'));
      return;
    }
    // `OK` and output are told apart by the second letter: hex has no K.
    if (waiting.output !== undefined && payload[0] === 0x4f && payload[1] !== 0x4b) {
      waiting.output(payload.toString('latin1', 1));
      return;
    }
    this.waiting = undefined;
    waiting.resolve(payload);
  }
}

/**
 * QEMU stops a running guest when a debugger connects, and reports that unasked, before or after our
 * first request has left: taken for its answer, it would shift every later answer by one. Only `?` has
 * a stop reply as its answer: all others are hex, `OK`, `E..`, or begin with `m`, `l` or a feature.
 */
function isStopReply(payload: Buffer): boolean {
  return /^(T[0-9a-f]{2}([0-9a-z]+:|$)|S[0-9a-f]{2}$)/.test(payload.toString('latin1', 0, 40));
}
