/** What a client asked for, by the packet trace of a server (`--trace-packets`). */
import type { ServerProcess } from './server-process.ts';

/** The packets of the last connection. */
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
