/** A program in a pseudo-terminal, driven as a person does it: type, wait for what it prints, Ctrl-C. */
import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from './server-process.ts';

/** How long anything that is waited for may take. */
const PATIENCE_MS = 20_000;
const CTRL_C = '\x03';

export class Terminal {
  readonly #script: ChildProcess;
  readonly #closed: Promise<void>;
  #text = '';
  /** Up to where the text has been waited for. */
  #seen = 0;

  /** `script` of util-linux makes the terminal; the words of `command` must need no quotes. */
  constructor(...command: string[]) {
    this.#script = spawn('script', ['--quiet', '--flush', '--command', command.join(' '), '/dev/null'], {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, LC_ALL: 'C', TERM: 'dumb' },
    }); // prettier-ignore
    this.#script.stdout!.on('data', (chunk: Buffer) => (this.#text += chunk.toString()));
    this.#closed = new Promise((resolve) => this.#script.once('close', () => resolve()));
  }

  /** All that was printed, what was typed included. */
  get text(): string {
    return this.#text;
  }

  type(line: string): void {
    this.#script.stdin!.write(`${line}\n`);
  }

  interrupt(): void {
    this.#script.stdin!.write(CTRL_C);
  }

  /** Waits for `text` behind what was waited for before. Throws, with all that was printed, if it does not come. */
  async waitFor(text: string): Promise<void> {
    await this.until(`'${text}'`, () => this.#text.includes(text, this.#seen));
    this.#seen = this.#text.indexOf(text, this.#seen) + text.length;
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!holds()) {
      if (performance.now() > end) {
        this.#script.kill('SIGKILL');
        throw new Error(`${what} did not come; the terminal shows:\n${this.#text}`);
      }
      await sleep(10);
    }
  }

  /** Waits for the program's end. */
  async ended(): Promise<void> {
    let hasEnded = false;
    void this.#closed.then(() => (hasEnded = true));
    await this.until('the end', () => hasEnded);
  }
}
