/** `exoscope monitor`: one monitor command to a running server, once or every few seconds. */
import { once } from 'node:events';
import { setTimeout } from 'node:timers/promises';
import type { Argv } from 'yargs';
import { parseAddress, UsageError, type ListenAddress } from '../listen-address.ts';
import { ConnectionLost, MonitorClient } from '../monitor-client.ts';
import { EXIT } from './exit-status.ts';

export const MONITOR_EXAMPLES: readonly [string, string][] = [
  ['$0 monitor threads', "the guest's threads"],
  ['$0 monitor forks 3 --connect unix:/tmp/exo.sock', 'the third fork in full'],
  ['$0 monitor --session 3 threads', 'of one session of a server with --sessions'],
  ['$0 monitor processes --follow 2', 'every two seconds, also across restarts of the server'],
];

export const CONNECT_OPTION = {
  type: 'string',
  describe: 'HOST:PORT or unix:PATH of the server',
  default: '127.0.0.1:1234',
  requiresArg: true,
} as const;

export function monitorOptions<Arguments>(parser: Argv<Arguments>) {
  return parser
    .positional('command', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'The command and its arguments; `help` lists all',
    })
    .option('connect', CONNECT_OPTION)
    .option('session', {
      type: 'number',
      describe: 'Of a server with --sessions: the number of a session',
      requiresArg: true,
    })
    .option('follow', {
      type: 'number',
      describe: 'Repeat every so many seconds and stay attached through restarts',
      requiresArg: true,
    });
}

export interface MonitorArguments {
  readonly command: readonly (string | number)[];
  readonly connect: string;
  readonly session?: number | undefined;
  readonly follow?: number | undefined;
}

export async function monitor(options: MonitorArguments): Promise<number> {
  const address = parseServerAddress(options.connect);
  const { follow, session } = options;
  if (session !== undefined && !(Number.isInteger(session) && session > 0)) {
    throw new UsageError('--session: a number that `exoscope sessions` lists is expected');
  }
  if (follow !== undefined && !(follow > 0)) throw new UsageError('--follow: seconds expected');
  const client = new MonitorClient(address, print, follow !== undefined);
  try {
    const words = session === undefined ? [] : ['session', session];
    const commandLine = [...words, ...options.command].join(' ');
    return follow === undefined
      ? await runMonitorOnce(client, commandLine)
      : await runForEver(client, commandLine, follow * 1000);
  } finally {
    client.dispose();
  }
}

/** Of `--connect`. Throws `UsageError`. */
export function parseServerAddress(text: string): Exclude<ListenAddress, { kind: 'stdio' }> {
  const address = parseAddress(text);
  if (address.kind === 'stdio') throw new UsageError('--connect stdio: HOST:PORT or unix:PATH');
  return address;
}

function print(text: string): void {
  process.stdout.write(text);
}

async function runMonitorOnce(client: MonitorClient, commandLine: string): Promise<number> {
  try {
    const answer = await client.run(commandLine);
    if (answer.kind === 'done') return EXIT.success;
    process.stderr.write(`exoscope: ${answer.reason}\n`);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    process.stderr.write(`exoscope: ${error.message}\n`);
  }
  return EXIT.failure;
}

/** Until a signal: a server that is gone is waited for, and said once. */
async function runForEver(
  client: MonitorClient,
  commandLine: string,
  periodMs: number,
): Promise<number> {
  const stop = new AbortController();
  const end = (): void => stop.abort();
  process.once('SIGINT', end).once('SIGTERM', end);
  process.stdout.once('error', end);
  const stopped = once(stop.signal, 'abort').then(() => 'stopped' as const);
  while (!stop.signal.aborted) {
    const outcome = await Promise.race([stopped, runOnceForFollow(client, commandLine)]);
    if (outcome === 'stopped') break;
    await setTimeout(periodMs, undefined, { signal: stop.signal }).catch(() => undefined);
  }
  return EXIT.success;
}

async function runOnceForFollow(client: MonitorClient, commandLine: string): Promise<void> {
  try {
    const answer = await client.run(commandLine);
    if (answer.kind === 'refused') process.stderr.write(`exoscope: ${answer.reason}\n`);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    process.stderr.write('exoscope: the server has gone; waiting for it\n');
  }
}
