/** What the tests of the proxy before QEMU's stub share. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { kernelImage, qemuArguments } from '../kernel/qemu.ts';
import { MAIN, ROOT } from './server-process.ts';

const WAIT_MS = 20_000;

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/**
 * Threads without what changes from one moment to the next: where they are, what they wait for, and the
 * workers, which come and go.
 */
export function threadsOf(text: string): string[] {
  return [...text.matchAll(/Thread (1\.\d+) "([^"]+)" \((pid \d+)/g)]
    .map((found) => found.slice(1).join(' '))
    .filter((line) => !line.includes('worker'));
}

export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = Date.now() + WAIT_MS;
  while (!isSo()) {
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(20);
  }
}

/** A child with all that it has written, to either stream. */
export class Program {
  output = '';
  private readonly child: ChildProcess;

  constructor(name: string, args: readonly string[]) {
    this.child = spawn(name, args, { cwd: ROOT, stdio: ['pipe', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (bytes: Buffer) => (this.output += bytes.toString('latin1')));
    this.child.stderr?.on('data', (bytes: Buffer) => (this.output += bytes.toString('latin1')));
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('it was not started');
    return this.child.pid;
  }

  async says(text: string | RegExp): Promise<void> {
    const isThere = (): boolean =>
      typeof text === 'string' ? this.output.includes(text) : text.test(this.output);
    await until(`${text} in: ${this.output}`, () => isThere() || this.child.exitCode !== null);
    if (!isThere()) throw new Error(`it ended: ${this.output}`);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.child.kill(signal);
    await until('its end', () => this.child.exitCode !== null || this.child.signalCode !== null);
    return this.child.exitCode;
  }
}

/** QEMU with the example kernel, its stub at the port. */
export function startQemu(port: number, ...more: readonly string[]): Program {
  const boot = ['-kernel', kernelImage, '-gdb', `tcp:127.0.0.1:${port}`, ...more];
  return new Program('qemu-system-x86_64', qemuArguments(boot));
}

/** `exoscope proxy` before the stub at the port, of the example kernel unless told; resolves when it listens. */
export async function startProxy(
  port: number,
  ...more: readonly string[]
): Promise<{ readonly proxy: Program; readonly address: string }> {
  const stub = ['proxy', `127.0.0.1:${port}`, '--listen', '127.0.0.1:0'];
  const image = more.includes('--image') ? [] : ['--image', kernelImage];
  const args = [MAIN, ...stub, ...image, ...more];
  const proxy = new Program(process.execPath, args);
  await proxy.says(/listening on \S+\n/);
  return { proxy, address: /listening on (\S+)\n/.exec(proxy.output)![1]! };
}
