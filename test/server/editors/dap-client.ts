/** A client of the Debug Adapter Protocol over an adapter's standard streams, as an editor is one. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';

interface DapMessage {
  readonly type: 'request' | 'response' | 'event';
  readonly event?: string;
  readonly request_seq?: number;
  readonly success?: boolean;
  readonly message?: string;
  readonly body?: unknown;
}

interface EventWaiter {
  readonly name: string;
  readonly matches: (body: unknown) => boolean;
  readonly resolve: (body: unknown) => void;
}

export class DapClient {
  /** What the adapter said on its way, for failing tests. */
  log = '';
  private readonly adapter: ChildProcessWithoutNullStreams;
  private readonly answers = new Map<number, (message: DapMessage) => void>();
  private waiters: EventWaiter[] = [];
  private events: { readonly name: string; readonly body: unknown }[] = [];
  private buffer = Buffer.alloc(0);
  private sequence = 0;

  constructor(program: string, args: readonly string[], workingFolder: string) {
    this.adapter = spawn(program, args, { cwd: workingFolder });
    this.adapter.stdout.on('data', (bytes: Buffer) => this.receive(bytes));
    this.adapter.stderr.on('data', (bytes: Buffer) => (this.log += bytes.toString()));
    this.adapter.stdin.on('error', () => undefined);
  }

  /** The body of the answer; throws with the adapter's words when it refuses. */
  async request<Body>(command: string, args: object = {}): Promise<Body> {
    const seq = ++this.sequence;
    const text = JSON.stringify({ seq, type: 'request', command, arguments: args });
    this.adapter.stdin.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    const answer = await new Promise<DapMessage>((resolve) => this.answers.set(seq, resolve));
    if (answer.success === true) return answer.body as Body;
    throw new Error(`${command}: ${JSON.stringify(answer)}\n${this.log}`);
  }

  /** The next event of that name, one that has come already included. */
  event<Body>(name: string, matches: (body: Body) => boolean = () => true): Promise<Body> {
    const isMeant = matches as (body: unknown) => boolean;
    const index = this.events.findIndex((event) => event.name === name && isMeant(event.body));
    if (index >= 0) return Promise.resolve(this.events.splice(index, 1)[0]!.body as Body);
    return new Promise((resolve) => {
      const take = resolve as (body: unknown) => void;
      this.waiters.push({ name, matches: isMeant, resolve: take });
    });
  }

  /** Events that came and were not asked for. */
  forgetEvents(): void {
    this.events = [];
  }

  async dispose(): Promise<void> {
    if (this.adapter.exitCode !== null) return;
    const ended = new Promise((resolve) => this.adapter.once('exit', resolve));
    this.adapter.kill();
    await ended;
  }

  private receive(bytes: Buffer): void {
    this.buffer = Buffer.concat([this.buffer, bytes]);
    for (;;) {
      const headerEnd = this.buffer.indexOf('\r\n\r\n');
      const length = /Content-Length: (\d+)/.exec(this.buffer.toString('latin1', 0, headerEnd));
      const end = headerEnd + 4 + Number(length?.[1]);
      if (headerEnd < 0 || length === null || this.buffer.length < end) return;
      this.take(JSON.parse(this.buffer.toString('utf8', headerEnd + 4, end)) as DapMessage);
      this.buffer = this.buffer.subarray(end);
    }
  }

  private take(message: DapMessage): void {
    if (message.type === 'response') {
      this.answers.get(message.request_seq!)?.(message);
    } else if (message.type === 'event') {
      this.takeEvent(message.event!, message.body);
    }
  }

  private takeEvent(name: string, body: unknown): void {
    if (name === 'output') this.log += (body as { output: string }).output;
    const waiter = this.waiters.find((candidate) => {
      return candidate.name === name && candidate.matches(body);
    });
    if (waiter === undefined) {
      this.events.push({ name, body });
      return;
    }
    this.waiters = this.waiters.filter((other) => other !== waiter);
    waiter.resolve(body);
  }
}
