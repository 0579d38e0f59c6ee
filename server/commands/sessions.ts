/** `exoscope sessions`: which machines a server with `--sessions` has, and for whom. */
import type { Argv } from 'yargs';
import { formatAddress } from '../listen-address.ts';
import { ConnectionLost, MonitorClient } from '../monitor-client.ts';
import { EXIT } from './exit-status.ts';
import { CONNECT_OPTION, parseServerAddress } from './monitor.ts';

export function sessionsOptions<Arguments>(parser: Argv<Arguments>) {
  return parser.option('connect', CONNECT_OPTION);
}

export interface SessionsArguments {
  readonly connect: string;
}

/** Resolves with the process's exit status. */
export async function sessions({ connect }: SessionsArguments): Promise<number> {
  const address = parseServerAddress(connect);
  const client = new MonitorClient(address, (text) => process.stdout.write(text), false);
  try {
    const answer = await client.run('sessions');
    if (answer.kind === 'done') return EXIT.success;
    const where = formatAddress(address);
    say(`the server at ${where} has one machine for all: it was started without --sessions`);
  } catch (error) {
    if (!(error instanceof ConnectionLost)) throw error;
    say(error.message);
  } finally {
    client.dispose();
  }
  return EXIT.failure;
}

function say(line: string): void {
  process.stderr.write(`exoscope: ${line}\n`);
}
