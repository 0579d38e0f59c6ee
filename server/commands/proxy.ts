/**
 * `exoscope proxy`: a debug server before an existing stub, QEMU's for one, which adds what that lacks:
 * its guest kernel's threads, its symbols over the protocol, and a session that outlives the stub.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Argv } from 'yargs';
import { DebuggerSeat } from '../debugger-seat.ts';
import { formatAddress, parseAddress, UsageError } from '../listen-address.ts';
import { Listener } from '../listener.ts';
import { openLogs, type LogLevel } from '../log.ts';
import { DEFAULT_IMAGE, VERSION } from '../package-root.ts';
import { PACKET_CHAPTERS } from '../packets/index.ts';
import { PacketRegistry } from '../packets/registry.ts';
import { ProxyTarget } from '../proxy/proxy-target.ts';
import { runUnattended } from '../session-context.ts';
import { EXIT } from './exit-status.ts';
import { LOG_OPTIONS } from './log-options.ts';
import { readImage } from './machine-source.ts';

const DEPARTURE_MS = 500;

export const PROXY_EXAMPLES: readonly [string, string][] = [
  ['$0 proxy :1234 --listen 127.0.0.1:2345 --image kernel.elf', "QEMU's `-s`, with threads"],
];

export function proxyOptions<Arguments>(parser: Argv<Arguments>) {
  return parser
    .positional('stub', {
      type: 'string',
      demandOption: true,
      describe: 'HOST:PORT of the stub',
    })
    .option('listen', {
      type: 'string',
      describe: 'HOST:PORT (port 0 picks one) or unix:PATH',
      default: '127.0.0.1:2345',
      requiresArg: true,
    })
    .option('allow-remote', {
      type: 'boolean',
      describe: 'Serve other hosts too. There is no authentication',
      default: false,
    })
    .option('image', {
      type: 'string',
      describe: 'The kernel that runs there',
      default: DEFAULT_IMAGE,
      defaultDescription: 'kernel/images/kernel.elf',
      requiresArg: true,
    })
    .option('record-forks', {
      type: 'boolean',
      describe: 'Record true registers of forks: the stub stops at each',
      default: false,
    })
    .option('on-detach', {
      choices: ['run', 'halt'] as const,
      describe: 'What the machine does when its debugger detaches or vanishes',
      default: 'run' as const,
    })
    .options(LOG_OPTIONS);
}

export interface ProxyArguments {
  readonly stub: string;
  readonly listen: string;
  readonly allowRemote: boolean;
  readonly image: string;
  readonly recordForks: boolean;
  readonly onDetach: 'run' | 'halt';
  readonly logLevel: LogLevel;
  readonly tracePackets: boolean;
}

/** Serves until a signal; resolves with the process's exit status. */
export async function proxy(options: ProxyArguments): Promise<number> {
  const stub = parseAddress(options.stub);
  const address = parseAddress(options.listen);
  if (stub.kind !== 'tcp') throw new UsageError(`'${options.stub}': the stub is at HOST:PORT`);
  if (address.kind === 'stdio') throw new UsageError('--listen stdio: HOST:PORT or unix:PATH');
  const image = { name: options.image, content: readImage(options.image) };
  const logs = await openLogs(options.logLevel, options.tracePackets);
  const ended = endOfService();
  const { host, port } = stub;
  const target = new ProxyTarget({ host, port, image, recordsForks: options.recordForks });
  try {
    process.stderr.write(`exoscope: waiting for the stub at ${formatAddress(stub)}\n`);
    if ((await Promise.race([target.whenReady(), ended])) === 'ended') return EXIT.success;
    await serveProxy(target, address, options, logs, ended);
  } finally {
    target.dispose();
  }
  return EXIT.success;
}

async function serveProxy(
  target: ProxyTarget,
  address: Exclude<ReturnType<typeof parseAddress>, { kind: 'stdio' }>,
  { allowRemote, onDetach }: ProxyArguments,
  logs: Awaited<ReturnType<typeof openLogs>>,
  ended: Promise<'ended'>,
): Promise<void> {
  const session = {
    target,
    registry: new PacketRegistry(PACKET_CHAPTERS),
    seat: new DebuggerSeat(),
    onDetach,
    server: { name: 'exoscope', version: VERSION },
  };
  // A stub that was restarted waits for its debugger; with none attached the machine goes on. Only
  // after a restart, and unless a debugger attached meanwhile: it believes in the halt that it found.
  target.onStop((stop) => {
    if (stop.kind !== 'stopped' || stop.cause.kind !== 'reset') return;
    setImmediate(() => session.seat.isFree && runUnattended(target));
  });
  const logFor = (connection: number) => logs.forConnection(connection);
  const listener = await Listener.open(address, { session, allowRemote, logFor });
  const bound = formatAddress(listener.address);
  process.stderr.write(
    `exoscope: listening on ${bound}\n  gdb -ex 'target remote ${bound.replace(/^unix:/, '')}'\n`,
  );
  runUnattended(target);
  try {
    await ended;
  } finally {
    await listener.dispose();
    await departure(session.seat);
    await target.leave(onDetach === 'run');
  }
}

/** A debugger whose connection has closed still takes its breakpoints out. */
async function departure(seat: DebuggerSeat): Promise<void> {
  for (let waited = 0; !seat.isFree && waited < DEPARTURE_MS; waited += 10) await sleep(10);
}

async function endOfService(): Promise<'ended'> {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  await Promise.race(signals.map((signal) => once(process, signal)));
  return 'ended';
}
