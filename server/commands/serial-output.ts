/**
 * Where the guest's serial console goes. Nothing that the guest wrote is lost when the process ends,
 * also into a pipe that is read slowly.
 */
import { createWriteStream } from 'node:fs';
import type { Writable } from 'node:stream';
import { UsageError } from '../listen-address.ts';

/** What the guest may be ahead of its reader before `drained` waits. */
const COMFORTABLE_BACKLOG_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;

export class SerialOutput {
  private readonly stream: Writable | undefined;
  private readonly isOwn: boolean;
  private failure: NodeJS.ErrnoException | undefined;
  private isLineOpen = false;

  private constructor(stream: Writable | undefined, isOwn: boolean) {
    this.stream = stream;
    this.isOwn = isOwn;
    stream?.on('error', (error: NodeJS.ErrnoException) => (this.failure = error));
  }

  /** `stdio`, `file:PATH` or `none`. Throws `UsageError` for anything else. */
  static open(destination: string): SerialOutput {
    if (destination === 'none') return new SerialOutput(undefined, false);
    if (destination === 'stdio') return new SerialOutput(process.stdout, false);
    SerialOutput.check(destination);
    const path = destination.slice('file:'.length);
    return new SerialOutput(createWriteStream(path), true);
  }

  /** Throws `UsageError` for what `open` cannot open. */
  static check(destination: string): void {
    if (destination === 'none' || destination === 'stdio' || /^file:./s.test(destination)) return;
    throw new UsageError(`--serial ${destination}: none of stdio, file:PATH and none`);
  }

  /** The output is lost from here on, e.g. EPIPE: whoever read it has gone. */
  get error(): NodeJS.ErrnoException | undefined {
    return this.failure;
  }

  /** Copies `bytes`: they may be the guest's own memory. */
  readonly write = (bytes: Uint8Array): void => {
    if (this.failure !== undefined || bytes.length === 0) return;
    this.stream?.write(Buffer.from(bytes));
    this.isLineOpen = bytes.at(-1) !== LINE_FEED;
  };

  /** Waits until the reader has caught up. */
  async drained(): Promise<void> {
    if (this.stream === undefined || this.stream.writableLength < COMFORTABLE_BACKLOG_BYTES) return;
    await this.flush();
  }

  /** Resolves when everything written has left, or cannot any more. */
  async flush(): Promise<void> {
    const { stream } = this;
    if (stream === undefined || this.failure !== undefined) return;
    await new Promise<void>((resolve) => {
      stream.once('error', () => resolve());
      stream.write('', () => resolve());
    });
  }

  /** On a terminal what is said next, on stderr, begins a line of its own. */
  async dispose(): Promise<void> {
    await this.flush();
    const { stream } = this;
    const isShown = stream === process.stdout && process.stdout.isTTY && process.stderr.isTTY;
    if (isShown && this.isLineOpen) process.stderr.write('\n');
    this.isLineOpen = false;
    if (stream === undefined || !this.isOwn || this.failure !== undefined) return;
    await new Promise<void>((resolve) => stream.end(() => resolve()));
  }
}
