/**
 * The client's side of RSP, towards the stub that the proxy stands in front of: one request at a time,
 * acknowledged, over a socket that connects again whenever it is lost. A stub that is silent, or talks
 * nonsense, is hung up on: nobody who waits for it, and no later debugger, waits for ever.
 */
import { Socket } from 'node:net';
import NetReconnect from 'node-net-reconnect';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import { PacketFraming, type FramingEvent } from '../rsp/framing.ts';
import { encodePacket } from '../rsp/packet-writer.ts';

const RETRY_MS = 300;
const MAX_REPLY_BYTES = 0x20000;
/** QEMU's main loop, which answers, stands still while it saves a machine. */
const PATIENCE_MS = 30_000;
/** A monitor command may do anything. */
const COMMAND_PATIENCE_MS = 600_000;
/** As often as gdb asks for a packet again. */
const MOST_DAMAGED = 3;
/** Acknowledgements and requests that the stub does not read. */
const MOST_UNREAD_BYTES = 1 << 20;
const BREAK_IN = Buffer.from([3]);

export interface UpstreamEvents {
  /** A connection is there: the first one, or a new one after a loss. */
  readonly onConnect: () => void;
  readonly onLoss: () => void;
  /** A stop reply to a resume, or one that nobody asked for. */
  readonly onStop: (reply: string) => void;
  /** Text for the user, in hex, while the target runs. */
  readonly onOutput?: (hex: string) => void;
}

/** Sends a request; the reply, of text. Throws as `Upstream.request` does. */
export type Ask = (request: string) => Promise<string>;

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
  /** Ends the connection unless the stub answers before. */
  private impatience: NodeJS.Timeout | undefined;
  /** Replies with a wrong checksum since the last right one. */
  private damaged = 0;
  private readonly patienceMs: number;

  constructor(
    address: { readonly host: string; readonly port: number },
    events: UpstreamEvents,
    patienceMs = PATIENCE_MS,
  ) {
    this.events = events;
    this.patienceMs = patienceMs;
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
    return this.inTurn(() => this.exchange(text, output));
  }

  /** `request` for replies that are text. */
  async ask(text: string): Promise<string> {
    return (await this.request(text)).toString('latin1');
  }

  /** Requests that nothing comes between: no other one, no resume, no break-in. */
  together<Result>(use: (ask: Ask) => Promise<Result>): Promise<Result> {
    return this.inTurn(() => use(async (text) => (await this.exchange(text)).toString('latin1')));
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
    this.lastRequest = this.lastRequest.then(() => {
      if (this.isTargetRunning) this.awaitAnswer(this.patienceMs);
      this.socket.write(BREAK_IN);
    });
  }

  /** Resolves when everything asked for until now has left, and was answered where it has an answer. */
  async allSent(): Promise<void> {
    await this.lastRequest;
  }

  dispose(): void {
    this.isClosed = true;
    clearTimeout(this.impatience);
    this.reconnect.end();
    this.socket.destroy();
  }

  private inTurn<Result>(talk: () => Promise<Result>): Promise<Result> {
    const result = this.lastRequest.then(talk);
    this.lastRequest = result.catch(() => undefined);
    return result;
  }

  private connected(): void {
    this.framing = new PacketFraming(MAX_REPLY_BYTES);
    this.damaged = 0;
    this.events.onConnect();
  }

  private lost(): void {
    clearTimeout(this.impatience);
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
      this.awaitAnswer(output === undefined ? this.patienceMs : COMMAND_PATIENCE_MS);
      this.send(text);
    });
  }

  private send(text: string): void {
    this.socket.write(encodePacket(Buffer.from(text, 'latin1')));
  }

  private awaitAnswer(patienceMs: number): void {
    clearTimeout(this.impatience);
    this.impatience = setTimeout(() => this.socket.destroy(), patienceMs);
    this.impatience.unref();
  }

  private receive(bytes: Uint8Array): void {
    let acknowledgements = '';
    for (const event of this.framing.feed(bytes)) {
      // Nothing comes any more, or nothing that its sender means.
      if (this.socket.destroyed || !this.isSane(event.kind)) {
        this.socket.destroy();
        return;
      }
      if (event.kind === 'damaged') acknowledgements += '-';
      if (event.kind !== 'packet') continue;
      acknowledgements += '+';
      this.deliver(Buffer.from(event.payload));
    }
    if (acknowledgements !== '') this.socket.write(acknowledgements);
  }

  private isSane(kind: FramingEvent['kind']): boolean {
    if (kind === 'damaged') this.damaged++;
    else if (kind === 'packet') this.damaged = 0;
    return (
      kind !== 'too-long' &&
      this.damaged <= MOST_DAMAGED &&
      this.socket.writableLength <= MOST_UNREAD_BYTES
    );
  }

  private deliver(payload: Buffer): void {
    const { waiting } = this;
    // `OK` and output are told apart by the second letter: hex has no K.
    if (payload[0] === 0x4f && payload[1] !== 0x4b) {
      const output = waiting === undefined ? this.events.onOutput : waiting.output;
      output?.(payload.toString('latin1', 1));
      return;
    }
    if (waiting === undefined || (!waiting.asksForStop && isStopReply(payload))) {
      this.unasked(payload);
      return;
    }
    clearTimeout(this.impatience);
    this.waiting = undefined;
    waiting.resolve(payload);
  }

  private unasked(payload: Buffer): void {
    const text = payload.toString('latin1');
    // A refusal to resume ends the run too; anything else is noise.
    if (this.isTargetRunning && !/^([TSWXNE]|$)/.test(text)) return;
    if (this.waiting === undefined) clearTimeout(this.impatience);
    this.isTargetRunning = false;
    this.events.onStop(text);
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
