/** The two servers that are measured side by side: ours and QEMU's, on the same guest. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const ROOT = join(import.meta.dirname, '..', '..');
export const BENCH_IMAGE = join(ROOT, 'kernel/images/bench.elf');
export const KERNEL_IMAGE = join(ROOT, 'kernel/images/kernel.elf');
const MAIN = join(ROOT, 'dist/bin/exoscope.js');

export interface RunningServer {
  readonly name: 'exoscope' | 'QEMU';
  readonly port: number;
  /** From the start of the process until it listens. */
  readonly listeningAfterMs: number;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<'ended'>((resolve) => child.once('exit', () => resolve('ended')));
  child.kill('SIGTERM');
  if ((await Promise.race([ended, sleep(2000)])) !== 'ended') child.kill('SIGKILL');
}

/** `isHalted`: the guest waits for a debugger at its first instruction. */
export async function startExoscope(
  image: string,
  commandLine: string,
  isHalted = false,
): Promise<RunningServer> {
  const started = performance.now();
  const listen = ['--listen', '127.0.0.1:0', '--serial', 'none', '--append', commandLine];
  if (isHalted) listen.push('--wait');
  const child = spawn(process.execPath, [MAIN, 'serve', image, ...listen], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let text = '';
  const port = await new Promise<number>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      const found = /127\.0\.0\.1:(\d+)/.exec(text);
      if (found !== null) resolve(Number(found[1]));
    });
    child.once('exit', () => reject(new Error(`exoscope did not start: ${text}`)));
  });
  const listeningAfterMs = performance.now() - started;
  return { name: 'exoscope', port, listeningAfterMs, stop: () => stop(child) };
}

const QEMU_MACHINE = ['-accel', 'tcg', '-cpu', 'max', '-m', '256M', '-display', 'none', '-no-reboot', '-net', 'none']; // prettier-ignore

export async function startQemu(
  image: string,
  commandLine: string,
  isHalted = false,
): Promise<RunningServer> {
  const port = await freePort();
  const started = performance.now();
  const guest = ['-kernel', image, '-append', commandLine, '-serial', 'null', '-monitor', 'none'];
  const debug = ['-gdb', `tcp:127.0.0.1:${port}`, ...(isHalted ? ['-S'] : [])];
  const child = spawn('qemu-system-x86_64', [...QEMU_MACHINE, ...guest, ...debug], {
    stdio: 'ignore',
  });
  for (;;) {
    if (child.exitCode !== null) throw new Error('QEMU did not start');
    if (await accepts(port)) break;
    await sleep(20);
  }
  const listeningAfterMs = performance.now() - started;
  return { name: 'QEMU', port, listeningAfterMs, stop: () => stop(child) };
}

/** Does somebody listen? Asked of the kernel's table, not by a connection, which QEMU would take. */
async function accepts(port: number): Promise<boolean> {
  const { readFile } = await import('node:fs/promises');
  const wanted = `0100007F:${port.toString(16).toUpperCase().padStart(4, '0')} 00000000:0000 0A`;
  return (await readFile('/proc/net/tcp', 'latin1')).includes(wanted);
}

/** Runs a guest to its end without debugger: seconds of the whole process, and what the guest found. */
export function runToEnd(
  name: 'exoscope' | 'QEMU',
  image: string,
  commandLine: string,
  engine: 'step' | 'block' = 'block',
): { readonly seconds: number; readonly result: string } {
  const started = performance.now();
  const result =
    name === 'exoscope'
      ? spawnSync(process.execPath, [
          MAIN,
          'run',
          image,
          '--append',
          commandLine,
          '--engine',
          engine,
        ])
      : spawnSync('qemu-system-x86_64', [
          ...QEMU_MACHINE,
          ...['-kernel', image, '-append', commandLine, '-serial', 'stdio', '-monitor', 'none'],
          ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4'],
        ]);
  const seconds = (performance.now() - started) / 1000;
  const found = /bench \w+ result (\w+)/.exec(result.stdout.toString());
  if (found?.[1] === undefined) {
    throw new Error(`${name} did not finish ${commandLine}: ${result.stderr.toString()}`);
  }
  return { seconds, result: found[1] };
}
