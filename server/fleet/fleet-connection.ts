/**
 * A socket of `exoscope serve --sessions`. Its first packet says who it is: a debugger, which gets a
 * machine of its own if there is one left, or somebody for the front desk.
 */
import type { Socket } from 'node:net';
import { connectSession, type Connect, type Connection } from '../connection.ts';
import { PacketFraming } from '../rsp/framing.ts';
import { PACKET_SIZE } from '../packets/packet-context.ts';
import type { SessionLog } from '../session-options.ts';
import { frontDesk, isForFrontDesk } from './front-desk.ts';
import type { FleetSession, SessionPool } from './session-pool.ts';

/** What a client may send before it is answered: a packet and what surrounds it. */
const MOST_EARLY_BYTES = 2 * PACKET_SIZE;

/** Each socket gets what its first packet asks for. */
export function connectFleet(pool: SessionPool): Connect {
  return (socket, log) => new FleetConnection(pool, socket, log);
}

class FleetConnection implements Connection {
  private readonly pool: SessionPool;
  private readonly socket: Socket;
  private readonly log: SessionLog;
  private readonly framing = new PacketFraming(PACKET_SIZE);
  /** What came before it was known who is there. */
  private held = Buffer.alloc(0);
  private behind: Connection | undefined;
  private isKnown = false;

  constructor(pool: SessionPool, socket: Socket, log: SessionLog) {
    this.pool = pool;
    this.socket = socket;
    this.log = log;
  }

  get isWanted(): boolean {
    return this.behind?.isWanted ?? false;
  }

  receive(bytes: Uint8Array): void {
    if (this.behind !== undefined) {
      this.behind.receive(bytes);
      return;
    }
    this.held = Buffer.concat([this.held, bytes]);
    if (this.held.length > MOST_EARLY_BYTES) {
      this.log.warn({}, 'closed a connection that sends no packet');
      this.socket.destroy();
      return;
    }
    if (this.isKnown) return;
    const isNoise = ({ kind }: { kind: string }): boolean => kind === 'ack' || kind === 'nack';
    const first = this.framing.feed(bytes).find((event) => !isNoise(event));
    if (first === undefined) return;
    const isMonitor = first.kind === 'packet' && isForFrontDesk(first.payload);
    this.isKnown = true;
    // Of a client that has gone already the event loop knows within this turn: it costs no machine.
    setImmediate(() => this.begin(isMonitor));
  }

  private begin(isMonitor: boolean): void {
    if (this.socket.destroyed) return;
    this.behind = this.choose(isMonitor);
    this.behind.receive(this.held);
    this.held = Buffer.alloc(0);
  }

  async closed(): Promise<void> {
    await this.behind?.closed();
  }

  private choose(isMonitor: boolean): Connection {
    const session = isMonitor ? undefined : this.pool.open(addressOf(this.socket));
    if (session !== undefined) return new Relay(this.pool, session, this.socket);
    return connectSession(frontDesk(this.pool, isMonitor))(this.socket, this.log);
  }
}

/** Between a debugger and the process of its machine. */
class Relay implements Connection {
  readonly isWanted = true;
  private readonly pool: SessionPool;
  private readonly session: FleetSession;
  private readonly socket: Socket;
  /** What came before the machine was ready; undefined: it is. */
  private early: Buffer | undefined = Buffer.alloc(0);

  constructor(pool: SessionPool, session: FleetSession, socket: Socket) {
    this.pool = pool;
    this.session = session;
    this.socket = socket;
    const { channel, whenReady, whenEnded } = session.process;
    channel.pipe(socket);
    void whenReady.then(
      () => this.ready(),
      () => socket.destroy(),
    );
    void whenEnded.then(() => socket.destroySoon());
  }

  receive(bytes: Uint8Array): void {
    if (this.early !== undefined) {
      // gdb sends a packet again that has not been acknowledged in two seconds.
      if (!this.early.includes(Buffer.from(bytes))) this.early = Buffer.concat([this.early, bytes]);
      if (this.early.length > MOST_EARLY_BYTES) this.socket.destroy();
      return;
    }
    const { channel } = this.session.process;
    if (channel.destroyed || channel.write(bytes)) return;
    this.socket.pause();
    channel.once('drain', () => this.socket.resume());
  }

  closed(): Promise<void> {
    this.pool.close(this.session);
    return Promise.resolve();
  }

  private ready(): void {
    const { early } = this;
    this.early = undefined;
    if (early !== undefined && early.length > 0) this.receive(early);
  }
}

function addressOf({ remoteAddress, remotePort }: Socket): string {
  return remoteAddress === undefined ? 'a Unix socket' : `${remoteAddress}:${remotePort ?? ''}`;
}
