/** A session without a socket: what goes in and what comes out, in order. */
import { setImmediate } from 'node:timers/promises';
import { DebuggerSeat } from '../server/debugger-seat.ts';
import { PACKET_CHAPTERS } from '../server/packets/index.ts';
import { PacketRegistry } from '../server/packets/registry.ts';
import { PacketFraming } from '../server/rsp/framing.ts';
import { encodePacket } from '../server/rsp/packet-writer.ts';
import { Session } from '../server/session.ts';
import type { SessionLog } from '../server/session-options.ts';
import type { Target } from '../server/target/target.ts';
import { FakeTarget } from './fake-target.ts';

const REGISTRY = new PacketRegistry(PACKET_CHAPTERS);
/** Turns of the event loop after which nothing more is expected. */
const QUIET_TURNS = 12;

export interface HarnessOptions<T extends Target> {
  readonly target?: T;
  readonly seat?: DebuggerSeat;
  readonly onDetach?: 'run' | 'halt';
}

export class SessionHarness<T extends Target = FakeTarget> {
  readonly target: T;
  readonly seat: DebuggerSeat;
  readonly session: Session;
  /** Every write, as it came. */
  readonly writes: Uint8Array[] = [];
  /** Errors of our own that the session caught. */
  readonly internalErrors: unknown[] = [];
  backlogBytes = 0;
  isClosed = false;
  private seen = 0;
  private readonly framing = new PacketFraming(0x100000);

  constructor(options: HarnessOptions<T> = {}) {
    this.target = options.target ?? (new FakeTarget() as Target as T);
    this.seat = options.seat ?? new DebuggerSeat();
    const ignore = (): void => undefined;
    const log: SessionLog = {
      trace: ignore,
      debug: ignore,
      info: ignore,
      warn: ignore,
      error: (fields) => void this.internalErrors.push(fields),
    };
    const backlog = (): number => this.backlogBytes;
    this.session = new Session(
      {
        target: this.target,
        registry: REGISTRY,
        seat: this.seat,
        onDetach: options.onDetach ?? 'run',
        server: { name: 'exoscope', version: '1.2.3' },
        log,
      },
      {
        write: (bytes) => void this.writes.push(bytes.slice()),
        get backlogBytes() {
          return backlog();
        },
        close: () => {
          this.isClosed = true;
        },
        abort: () => {
          this.isClosed = true;
        },
      },
    );
  }

  /** Sends one packet (Latin-1) and returns the payloads that come back, acknowledgements left out. */
  async send(payload: string): Promise<string[]> {
    return this.sendRaw(encodePacket(Buffer.from(payload, 'latin1')));
  }

  async sendRaw(bytes: Uint8Array): Promise<string[]> {
    this.session.receive(bytes);
    return this.answers();
  }

  /** One packet, one answer. */
  async ask(payload: string): Promise<string> {
    const answers = await this.send(payload);
    if (answers.length !== 1) throw new Error(`${answers.length} answers to ${payload}`);
    return answers[0]!;
  }

  /** The payloads that have come since the last look. */
  async answers(): Promise<string[]> {
    for (let quiet = 0, before = -1; quiet < QUIET_TURNS; quiet++) {
      if (this.writes.length !== before) quiet = 0;
      before = this.writes.length;
      await setImmediate();
    }
    const fresh = this.writes.slice(this.seen);
    this.seen = this.writes.length;
    return fresh
      .flatMap((bytes) => this.framing.feed(bytes))
      .flatMap((event) =>
        'payload' in event ? [Buffer.from(event.payload).toString('latin1')] : [],
      );
  }
}
