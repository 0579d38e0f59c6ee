/** What is measured over RSP: each measure takes an attached client of either server. */
import { spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startRelay } from './counting-relay.ts';
import { BENCH_IMAGE, KERNEL_IMAGE, type RunningServer } from './servers.ts';
import { RspClient } from './rsp-client.ts';

export interface Measure {
  readonly name: string;
  readonly unit: string;
  /** Whether larger figures are better; the ratio is turned so that above 1 is better for us. */
  readonly isRate: boolean;
  measure(client: RspClient, hot: string): Promise<number>;
}

async function repeatFor(milliseconds: number, action: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  let count = 0;
  while (performance.now() - started < milliseconds) {
    await action();
    count += 1;
  }
  return count / ((performance.now() - started) / 1000);
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.floor(sorted.length / 2)] ?? NaN;
}

/** Both servers offer `m`; the largest read that a reply of QEMU's can hold is 2 KiB. */
async function bulkRead(client: RspClient): Promise<number> {
  const features = await client.features();
  const packetSize = parseInt(/PacketSize=([0-9a-f]+)/.exec(features)?.[1] ?? '400', 16);
  const length = Math.min(Math.floor((packetSize - 8) / 2), 65536);
  const chunk = length > 4096 ? 65536 / 2 : 2000;
  const rate = await repeatFor(400, () => client.request(`m100000,${chunk.toString(16)}`));
  return (rate * chunk) / 1e6;
}

/** As gdb reads from 16 on: by `x` where the server has it, else by `m`. Throws on a short reply. */
async function bestBulkRead(client: RspClient): Promise<number> {
  if (!(await client.features()).includes('binary-upload+')) return bulkRead(client);
  const chunk = 65536;
  const rate = await repeatFor(400, async () => {
    const reply = await client.request(`x100000,${chunk.toString(16)}`);
    if (reply.length <= chunk) throw new Error(`x returned ${reply.length} bytes`);
  });
  return (rate * chunk) / 1e6;
}

async function breakIn(client: RspClient): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 25; round++) {
    client.send('vCont;c');
    await sleep(15);
    const started = performance.now();
    client.interrupt();
    await client.receive();
    times.push(performance.now() - started);
  }
  return median(times);
}

/** One stop as gdb makes it: over the breakpoint with it taken out, put it back, on to the next. */
async function breakpointStops(client: RspClient, hot: string): Promise<number> {
  await client.request(`Z0,${hot},1`);
  await client.request('vCont;c');
  const rate = await repeatFor(400, async () => {
    await client.request(`z0,${hot},1`);
    await client.request('vCont;s');
    await client.request(`Z0,${hot},1`);
    await client.request('vCont;c');
  });
  await client.request(`z0,${hot},1`);
  return rate;
}

export const MEASURES: readonly Measure[] = [
  {
    name: 'g round trip',
    unit: '/s',
    isRate: true,
    measure: (client) => repeatFor(400, () => client.request('g')),
  },
  {
    name: 'm round trip, 64 bytes',
    unit: '/s',
    isRate: true,
    measure: (client) => repeatFor(400, () => client.request('m100000,40')),
  },
  { name: 'bulk read by m', unit: 'MB/s', isRate: true, measure: bulkRead },
  { name: 'bulk read, best packet', unit: 'MB/s', isRate: true, measure: bestBulkRead },
  {
    name: 'stepi, raw',
    unit: '/s',
    isRate: true,
    measure: (client) => repeatFor(400, () => client.request('vCont;s')),
  },
  { name: 'breakpoint stops, raw', unit: '/s', isRate: true, measure: breakpointStops },
  { name: 'break-in latency, median', unit: 'ms', isRate: false, measure: breakIn },
];

/** reg 7 (rsp), const8 64, trace, end: 64 bytes of the stack. */
const STACK_64 = 'X7,26000722400c27';

/**
 * Frames a second of a tracepoint on a hot function: all registers and 64 bytes of stack, into a ring of
 * 64 MiB. Throws where there are no tracepoints.
 */
export async function tracepointFrames(client: RspClient, hot: string): Promise<number> {
  const packets = [
    'QTinit',
    `QTDP:1:${hot}:E:0:0-`,
    `QTDP:-1:${hot}:R3fffffffffffffffff-`,
    `QTDP:-1:${hot}:${STACK_64}`,
    'QTBuffer:circular:1',
    'QTStart',
  ];
  for (const packet of packets) {
    const answer = (await client.request(packet)).toString();
    if (answer !== 'OK') throw new Error(`${packet} is answered ${answer}`);
  }
  const started = performance.now();
  client.send('vCont;c');
  await sleep(2000);
  client.interrupt();
  await client.receive();
  const seconds = (performance.now() - started) / 1000;
  const status = (await client.request('qTStatus')).toString();
  await client.request('QTinit');
  return parseInt(/tcreated:([0-9a-f]+)/.exec(status)?.[1] ?? '', 16) / seconds;
}

/** A debugger and what makes it attach, look at one register and leave. */
export interface AttachingClient {
  readonly name: string;
  readonly program: string;
  readonly args: (port: number) => readonly string[];
}

const batch = (flag: string, commands: readonly string[]): string[] =>
  commands.flatMap((command) => [flag, command]);

/** Both have the ELF on this side, as a kernel developer does. */
export const ATTACHING_CLIENTS: readonly AttachingClient[] = [
  {
    name: 'gdb',
    program: 'gdb',
    args: (port) => [
      ...['-nx', '-q', '-batch', KERNEL_IMAGE],
      ...batch('-ex', [`target remote 127.0.0.1:${port}`, 'info registers rip', 'detach']),
    ],
  },
  {
    name: 'lldb',
    program: 'lldb-14',
    args: (port) => [
      ...['-x', '-b', KERNEL_IMAGE],
      ...batch('-o', [`gdb-remote 127.0.0.1:${port}`, 'register read rip', 'detach']),
    ],
  },
];

/** A stop that QEMU sends unasked makes about every other lldb fail. */
const MOST_ATTEMPTS = 10;

export interface Attachment {
  readonly seconds: number;
  /** Which the client sent; without acknowledgements, and with the one that detaches. */
  readonly packets: number;
}

/** A whole client, from its start to its end. */
export async function attach(client: AttachingClient, server: RunningServer): Promise<Attachment> {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const relay = await startRelay(server.port);
    const started = performance.now();
    const output = await outputOf(client.program, client.args(relay.port));
    const seconds = (performance.now() - started) / 1000;
    await relay.close();
    if (/^ *rip\b.*0x/m.test(output)) return { seconds, packets: relay.requests.length };
  }
  throw new Error(`${client.name} did not attach to ${server.name}`);
}

/** Not `spawnSync`: the relay must go on meanwhile. */
function outputOf(program: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.once('error', reject);
    child.once('close', () => resolve(output));
  });
}

/**
 * How often a second gdb's breakpoint on a hot function is passed because its condition is false: the
 * server evaluates it where it can (`Z0` with bytecode), gdb itself elsewhere, one stop each.
 */
export function falseConditionsWithGdb(server: RunningServer, evaluations: number): number {
  const seconds = secondsInGdb(
    server,
    [`eval "break bench_hot if bench_counter == %lu", bench_counter + ${evaluations}`],
    'continue',
  );
  return evaluations / seconds;
}

/** Instructions a second that gdb steps, in one command: it stops and looks at each. */
export function stepsWithGdb(server: RunningServer, steps: number): number {
  return steps / secondsInGdb(server, [], `stepi ${steps}`);
}

/** How long gdb takes for `command`, attached and prepared. Throws if it does not come to its end. */
function secondsInGdb(
  server: RunningServer,
  preparation: readonly string[],
  command: string,
): number {
  const commands = [
    'set breakpoint condition-evaluation auto',
    `target remote 127.0.0.1:${server.port}`,
    ...preparation,
    'python import time; started = time.monotonic()',
    command,
    'python print("took", time.monotonic() - started)',
    'detach',
  ];
  const result = spawnSync('gdb', ['-nx', '-q', '-batch', ...batch('-ex', commands), BENCH_IMAGE]);
  const seconds = Number(/^took ([\d.]+)$/m.exec(result.stdout.toString())?.[1]);
  if (seconds > 0) return seconds;
  throw new Error(`${command} did not end at ${server.name}: ${result.stderr.toString()}`);
}
