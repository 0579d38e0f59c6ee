/** Drives the real lldb in batch mode, and reads what it asked for in the server's packet trace. */
import { collect } from './gdb.ts';
import type { ServerProcess } from './server-process.ts';

const IMAGE = 'kernel/images/kernel.elf';

/** Attaches with the kernel's file, runs the commands and quits: all that it printed. */
export async function lldb(address: string, ...commands: string[]): Promise<string> {
  const script = [`gdb-remote ${address}`, ...commands, 'quit'];
  const options = script.flatMap((command) => ['-o', command]);
  return (await collect('lldb-14', ['-x', '-b', ...options, IMAGE])).output;
}

export function monitorOfLldb(line: string): string {
  return `process plugin packet monitor ${line}`;
}

/** The packets of the last connection, of a server with --trace-packets. */
export function requestsOf(server: ServerProcess): string[] {
  const traced = server.stderr
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as { connection?: number; direction?: string; msg: string })
    .filter(({ direction }) => direction === 'in');
  const last = traced.at(-1)?.connection;
  return traced.filter(({ connection }) => connection === last).map(({ msg }) => msg);
}

/** What was asked from one resume to the next, without inserting and removing breakpoints. */
export function requestsByStop(requests: readonly string[]): string[][] {
  const stops: string[][] = [[]];
  for (const request of requests) {
    if (/^(c|s|vCont;.*)$/.test(request)) stops.push([]);
    else if (!/^[zZ]/.test(request)) stops.at(-1)!.push(request);
  }
  return stops;
}
