/**
 * The server's end of a session's process. A process and not a thread: what V8 cannot survive (a heap
 * that is full in the wrong moment) or what the host's kernel ends for want of memory takes nothing
 * else along, and a session can be ended whatever it does.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { Socket } from 'node:net';
import { ImageError } from '../../machine/index.ts';
import { UsageError } from '../listen-address.ts';
import type { FromSession, MachineOrder, MonitorOutcome, SessionLook, SessionQuestion, ToSession } from './messages.ts'; // prettier-ignore

/** How long a process may take to leave by itself. */
const LEAVING_MS = 2000;
/** And to answer a question, on a host that is busy with other machines. */
const ANSWER_MS = 5000;

/** What V8 does when its heap is full, and the host's kernel when its memory is. */
const LIKELY_REASONS: Readonly<Partial<Record<NodeJS.Signals, string>>> = {
  SIGABRT: 'its heap was full',
  SIGKILL: 'the host was out of memory',
};

/** The machine's process could not be started, or does not answer: one line. */
export class SessionError extends Error {
  override readonly name = 'SessionError';
}

export interface SessionProcessOptions {
  /** A module that speaks `messages.ts` and serves the debugger on descriptor 3. */
  readonly script: string;
  readonly order: MachineOrder;
  /** A bound on the JavaScript heap, in MiB; guest RAM is not in it. */
  readonly heapMegabytes: number;
}

/** Who waits for the answer to a question. */
interface Asker {
  readonly resolve: (answer: SessionLook | MonitorOutcome) => void;
  readonly reject: (error: SessionError) => void;
}

export class SessionProcess {
  /** Rejects with `ImageError`, `UsageError` or `SessionError`. */
  readonly whenReady: Promise<void>;
  /** How it ended, in words; undefined: as it was meant to. Never rejects. */
  readonly whenEnded: Promise<string | undefined>;
  /** The debugger's bytes, both ways. */
  readonly channel: Socket;
  private readonly child: ChildProcess;
  private readonly askers = new Map<number, Asker>();
  private asked = 0;
  private hasEnded = false;
  private isEnding = false;
  /** Its channel was gone before it was to end: what follows it has brought about itself. */
  private hasGone = false;
  private isKilled = false;
  private session: number | undefined;
  private isReady = false;

  constructor({ script, order, heapMegabytes }: SessionProcessOptions) {
    this.child = fork(script, [], {
      execArgv: [`--max-old-space-size=${heapMegabytes}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'inherit', 'pipe', 'ipc'],
    });
    // With no descriptors left Node makes no streams, and the child's `error` follows.
    const streams = this.child.stdio as readonly unknown[] | undefined;
    this.channel = (streams?.[3] as Socket | undefined) ?? new Socket();
    this.channel.on('error', () => undefined);
    for (const event of ['end', 'close']) {
      this.channel.once(event, () => {
        if (!this.isEnding) this.hasGone = true;
      });
    }
    this.whenEnded = new Promise((resolve) => {
      this.child.once('error', (error) => resolve(error.message));
      this.child.once('exit', (status, signal) => resolve(this.describeEnd(status, signal)));
    });
    this.whenReady = this.untilReady();
    void this.whenEnded.then(() => this.refuseAskers());
    // Whoever waits for it hears of a failure; with nobody there it is no error of the server's.
    this.whenReady.catch(() => undefined);
    this.tell({ kind: 'boot', order });
  }

  get pid(): number | undefined {
    return this.child.pid;
  }

  /** Whom it serves, or served last; undefined: it has waited for a debugger. */
  get sessionNumber(): number | undefined {
    return this.session;
  }

  begin(session: number): void {
    this.session = session;
    this.tell({ kind: 'begin', session });
  }

  look(): Promise<SessionLook> {
    return this.ask({ kind: 'look' }) as Promise<SessionLook>;
  }

  monitor(commandLine: string): Promise<MonitorOutcome> {
    return this.ask({ kind: 'monitor', commandLine }) as Promise<MonitorOutcome>;
  }

  /** It leaves by itself, or is made to. */
  end(): void {
    if (this.isEnding) return;
    this.isEnding = true;
    this.channel.destroy();
    if (this.child.connected) this.child.disconnect();
    // It would first finish its start, and has nothing to lose.
    if (!this.isReady) this.kill();
    const impatience = setTimeout(() => this.kill(), LEAVING_MS);
    void this.whenEnded.then(() => clearTimeout(impatience));
  }

  private kill(): void {
    this.isKilled = true;
    this.child.kill('SIGKILL');
  }

  private untilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.child.on('message', (message: FromSession) => {
        if (message.kind === 'ready') {
          this.isReady = true;
          resolve();
        }
        if (message.kind === 'answer') this.askers.get(message.id)?.resolve(message.answer);
        if (message.kind === 'failed')
          reject(new { image: ImageError, usage: UsageError }[message.reason](message.message));
      });
      void this.whenEnded.then((how) => {
        reject(new SessionError(`the process of a session ${how ?? 'ended'} before it was ready`));
      });
    });
  }

  private tell(message: ToSession): void {
    // Without a callback a process that is just ending would make this throw later.
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  private async ask(question: SessionQuestion): Promise<SessionLook | MonitorOutcome> {
    if (this.hasEnded) throw new SessionError('it has ended');
    const id = ++this.asked;
    let impatience: NodeJS.Timeout | undefined;
    try {
      return await new Promise((resolve, reject) => {
        this.askers.set(id, { resolve, reject });
        impatience = setTimeout(() => {
          reject(new SessionError('it does not answer'));
        }, ANSWER_MS).unref();
        this.tell({ kind: 'ask', id, question });
      });
    } finally {
      clearTimeout(impatience);
      this.askers.delete(id);
    }
  }

  /** One handler for all who ask: a promise keeps each that it is given until it is settled. */
  private refuseAskers(): void {
    this.hasEnded = true;
    for (const { reject } of this.askers.values()) reject(new SessionError('it has ended'));
  }

  private describeEnd(status: number | null, signal: NodeJS.Signals | null): string | undefined {
    const isMeant = this.isKilled || (this.isEnding && !this.hasGone);
    if (status === 0 || isMeant) return undefined;
    if (signal === null) return `ended with status ${status ?? ''}`;
    const reason = LIKELY_REASONS[signal];
    return `was ended by ${signal}${reason === undefined ? '' : ` (${reason}?)`}`;
  }
}
