/**
 * The processes of `exoscope serve --sessions N`: at most N, each with a machine of its own. While
 * there is room one more is kept ready, its machine booted, so that no debugger waits for a start.
 */
import type { SessionLog } from '../session-options.ts';
import { SessionError, SessionProcess, type SessionProcessOptions } from './session-process.ts';
import type { MonitorOutcome, SessionLook } from './messages.ts';

export interface SessionPoolOptions extends SessionProcessOptions {
  /** How many sessions there may be at once. */
  readonly limit: number;
  readonly log: Pick<SessionLog, 'info' | 'warn'>;
}

/** A debugger's machine. */
export interface FleetSession {
  /** From 1; never used again. */
  readonly number: number;
  readonly since: Date;
  /** Where its debugger connected from. */
  readonly client: string;
  readonly process: SessionProcess;
}

/** A session and how it is; a text: why that is not known. */
export interface SessionReport {
  readonly session: FleetSession;
  readonly look: SessionLook | string;
}

export class SessionPool {
  readonly limit: number;
  private readonly options: SessionPoolOptions;
  private readonly processes = new Set<SessionProcess>();
  private readonly sessions = new Map<number, FleetSession>();
  private spare: SessionProcess | undefined;
  private opened = 0;
  private isDisposed = false;

  constructor(options: SessionPoolOptions) {
    this.options = options;
    this.limit = options.limit;
  }

  /** Starts the first process. Throws `ImageError` or `UsageError` if no machine can be made. */
  async start(): Promise<void> {
    this.keepOneReady();
    await this.spare?.whenReady;
  }

  /** Processes that are about to end count too: clients that come and go at once start few of them. */
  get isFull(): boolean {
    const isOverrun = this.spare === undefined && this.processes.size >= 2 * this.limit;
    return this.sessions.size >= this.limit || isOverrun;
  }

  /** Of living processes, those that wait for a debugger or are about to end included. */
  get processCount(): number {
    return this.processes.size;
  }

  /** A machine of its own for a client; undefined: there are too many. */
  open(client: string): FleetSession | undefined {
    if (this.isFull || this.isDisposed) return undefined;
    const process = this.spare ?? this.startProcess();
    this.spare = undefined;
    const session = { number: ++this.opened, since: new Date(), client, process };
    this.sessions.set(session.number, session);
    process.begin(session.number);
    this.options.log.info({ session: session.number, pid: process.pid }, `opened for ${client}`);
    this.keepOneReady();
    return session;
  }

  /** The client has gone, and its machine goes with it. */
  close(session: FleetSession): void {
    if (!this.sessions.delete(session.number)) return;
    this.options.log.info({ session: session.number }, 'closed');
    session.process.end();
    this.keepOneReady();
  }

  async reports(): Promise<SessionReport[]> {
    return Promise.all(
      [...this.sessions.values()].map(async (session) => ({
        session,
        look: await session.process.look().catch(reasonOf),
      })),
    );
  }

  /** Throws `SessionError` if there is no such session or it does not answer. */
  async monitor(number: number, commandLine: string): Promise<MonitorOutcome> {
    const session = this.sessions.get(number);
    if (session === undefined) throw new SessionError(`there is no session ${number}`);
    return session.process.monitor(commandLine);
  }

  /** Ends all sessions; resolves when their processes are gone. */
  async dispose(): Promise<void> {
    this.isDisposed = true;
    for (const process of this.processes) process.end();
    await Promise.all([...this.processes].map(({ whenEnded }) => whenEnded));
  }

  private keepOneReady(): void {
    const hasRoom = this.processes.size < this.limit && !this.isFull;
    if (this.spare === undefined && hasRoom && !this.isDisposed) this.spare = this.startProcess();
  }

  private startProcess(): SessionProcess {
    const process = new SessionProcess(this.options);
    this.processes.add(process);
    void process.whenEnded.then((how) => this.ended(process, how));
    return process;
  }

  /** One that ends by itself while it waits is not replaced at once: the next might do the same. */
  private ended(process: SessionProcess, how: string | undefined): void {
    this.processes.delete(process);
    const isSpare = this.spare === process;
    if (isSpare) this.spare = undefined;
    const session = [...this.sessions.values()].find((one) => one.process === process);
    if (how !== undefined) {
      const number = process.sessionNumber;
      const fields = number === undefined ? {} : { session: number };
      this.options.log.warn(fields, `the process of a session ${how}; all others go on`);
    }
    if (session !== undefined) this.close(session);
    else if (!isSpare) this.keepOneReady();
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof SessionError) return error.message;
  throw error;
}
