/** A real server in a process of its own, as a user starts it, for real clients to attach to. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..', '..');
export const MAIN = join(ROOT, 'dist/bin/exoscope.js');

export class ServerProcess {
  readonly address: string;
  private readonly child: ChildProcess;
  private readonly output: { stdout: string; stderr: string };

  private constructor(
    child: ChildProcess,
    address: string,
    output: { stdout: string; stderr: string },
  ) {
    this.child = child;
    this.address = address;
    this.output = output;
  }

  /** Starts `exoscope serve ARGS` on a port that the system picks, and waits until it listens. */
  static async start(...args: string[]): Promise<ServerProcess> {
    if (!existsSync(MAIN)) throw new Error('run `npm run build` first: dist/ is not there');
    const listen = args.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
    const child = spawn(process.execPath, [MAIN, 'serve', ...args, ...listen], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const output = { stdout: '', stderr: '' };
    child.stdout.on('data', (chunk: Buffer) => (output.stdout += chunk.toString()));
    const address = await new Promise<string>((resolve, reject) => {
      child.stderr.on('data', (chunk: Buffer) => {
        output.stderr += chunk.toString();
        const found = /listening on (\S+?)[;\s]/.exec(output.stderr);
        if (found?.[1] !== undefined) resolve(found[1]);
      });
      child.once('exit', () => reject(new Error(`the server ended: ${output.stderr}`)));
    });
    return new ServerProcess(child, address, output);
  }

  get stdout(): string {
    return this.output.stdout;
  }

  get stderr(): string {
    return this.output.stderr;
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('the server has no process');
    return this.child.pid;
  }

  /** Resolves when the serial console has shown `text`. */
  async serial(text: string | RegExp): Promise<void> {
    const shows = (): boolean =>
      typeof text === 'string' ? this.stdout.includes(text) : text.test(this.stdout);
    while (!shows()) {
      if (this.child.exitCode !== null) throw new Error(`the server ended: ${this.stderr}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async stop(): Promise<number | null> {
    if (this.child.exitCode !== null) return this.child.exitCode;
    const ended = new Promise<number | null>((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGTERM');
    return await ended;
  }
}
