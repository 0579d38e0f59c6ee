/**
 * `npm run bench`: this server beside QEMU on the same guests in the same run. Ratios above 1 mean
 * that we are ahead. These machines are noisy: quote ratios, not figures.
 */
import { spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  attach,
  ATTACHING_CLIENTS,
  falseConditionsWithGdb,
  median,
  MEASURES,
  stepsWithGdb,
  tracepointFrames,
  type AttachingClient,
  type Attachment,
} from './measures.ts';
import { RspClient } from './rsp-client.ts';
import { BENCH_IMAGE, KERNEL_IMAGE, runToEnd, startExoscope, startQemu, type RunningServer } from './servers.ts'; // prettier-ignore
import { BREAKPOINT_ROUNDS, measureBreakpointPage, measureWorkloads } from './workloads.ts';

interface Row {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  readonly theirs: number;
  readonly isRate: boolean;
}

const LCG_ROUNDS = 60_000_000;
const ROUNDS = 5;
const rows: Row[] = [];

function add(row: Row): void {
  rows.push(row);
  const ratio = row.isRate ? row.ours / row.theirs : row.theirs / row.ours;
  console.log(
    `${row.name.padEnd(30)} ${figure(row.ours, row.unit)} ${figure(row.theirs, row.unit)} ${ratio.toFixed(2).padStart(8)}`,
  );
}

function figure(value: number, unit: string): string {
  const digits = value >= 100 ? 0 : 2;
  return `${value.toFixed(digits)} ${unit}`.padStart(18);
}

function addressOf(symbol: string): string {
  const table = spawnSync('nm', [BENCH_IMAGE]).stdout.toString();
  const found = new RegExp(`^([0-9a-f]+) . ${symbol}$`, 'm').exec(table);
  if (found?.[1] === undefined) throw new Error(`no ${symbol} in the bench guest`);
  return BigInt(`0x${found[1]}`).toString(16);
}

async function pair(
  image: string,
  commandLine: string,
  use: (servers: readonly RunningServer[]) => Promise<void>,
  isHalted = false,
): Promise<void> {
  const servers = [
    await startExoscope(image, commandLine, isHalted),
    await startQemu(image, commandLine, isHalted),
  ];
  try {
    await use(servers);
  } finally {
    for (const server of servers) await server.stop();
  }
}

async function measureRsp(servers: readonly RunningServer[]): Promise<void> {
  const hot = addressOf('bench_hot');
  await sleep(1000);
  const [ours, theirs] = await Promise.all(servers.map(({ port }) => RspClient.attach(port)));
  const clients = { ours: ours!, theirs: theirs! };
  await clients.ours.request('?');
  await clients.theirs.request('?');
  for (const measure of MEASURES) {
    const { name, unit, isRate } = measure;
    const ours: number[] = [];
    const theirs: number[] = [];
    // In turn, so that a change of the machine's speed meets both; a halted guest costs nothing.
    for (let round = 0; round < ROUNDS; round++) {
      ours.push(await measure.measure(clients.ours, hot));
      theirs.push(await measure.measure(clients.theirs, hot));
    }
    add({ name, unit, isRate, ours: median(ours), theirs: median(theirs) });
  }
}

async function measureAttach(
  client: AttachingClient,
  servers: readonly RunningServer[],
): Promise<void> {
  const attached = servers.map((): Attachment[] => []);
  for (let round = 0; round < 3 * ROUNDS; round++) {
    for (const [index, server] of servers.entries()) {
      attached[index]!.push(await attach(client, server));
    }
  }
  const addMedian = (name: string, unit: string, figure: (one: Attachment) => number): void => {
    const [ours = NaN, theirs = NaN] = attached.map((all) => median(all.map(figure)));
    add({ name, unit, isRate: false, ours, theirs });
  };
  addMedian(`${client.name} attach, local ELF`, 's', ({ seconds }) => seconds);
  addMedian(`${client.name} attach, packets`, '', ({ packets }) => packets);
}

/** Ours alone: QEMU has no tracepoints. */
async function measureTracepoints(): Promise<void> {
  const server = await startExoscope(BENCH_IMAGE, 'spin', false);
  try {
    await sleep(1000);
    const client = await RspClient.attach(server.port);
    const frames: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      frames.push(await tracepointFrames(client, addressOf('bench_hot')));
    }
    console.log(`${'tracepoint frames'.padEnd(30)} ${figure(median(frames), '/s')}`);
    client.close();
  } finally {
    await server.stop();
  }
}

/** Guest instructions, without what starting and ending cost. */
function measureSpeed(name: string, work: string, options: SpeedOptions): void {
  const { count, perRound, engine } = options;
  const seconds = (times: number): Record<'exoscope' | 'QEMU', number> => {
    const run = (server: 'exoscope' | 'QEMU'): number =>
      runToEnd(server, BENCH_IMAGE, `${work}=${times}`, engine).seconds;
    const rounds = Array.from({ length: 3 }, () => [run('exoscope'), run('QEMU')] as const);
    return {
      exoscope: Math.min(...rounds.map(([ours]) => ours)),
      QEMU: Math.min(...rounds.map(([, theirs]) => theirs)),
    };
  };
  const [base, whole] = [seconds(1), seconds(count)];
  const speed = (server: 'exoscope' | 'QEMU'): number =>
    (count * perRound) / (whole[server] - base[server]) / 1e6;
  add({ name, unit: 'MIPS', isRate: true, ours: speed('exoscope'), theirs: speed('QEMU') });
}

interface SpeedOptions {
  readonly count: number;
  /** Guest instructions in one round of the loop. */
  readonly perRound: number;
  /** Ours; default: the one that a user gets. */
  readonly engine?: 'step';
}

console.log(`${''.padEnd(30)} ${'exoscope'.padStart(18)} ${'QEMU'.padStart(18)}    ratio`);
await pair(KERNEL_IMAGE, '', async (servers) => {
  const [ours, theirs] = servers.map((server) => server.listeningAfterMs);
  add({ name: 'listening after', unit: 'ms', isRate: false, ours: ours!, theirs: theirs! });
  // Both guests have run their tests by then and are idle.
  await sleep(4000);
  for (const client of ATTACHING_CLIENTS) await measureAttach(client, servers);
});
await pair(BENCH_IMAGE, 'spin', measureRsp);
await measureTracepoints();
await pair(BENCH_IMAGE, 'spin', async (servers) => {
  await sleep(1000);
  const [first, second] = servers;
  const rounds = Array.from({ length: ROUNDS }, () => ({
    ours: stepsWithGdb(first!, 2000),
    theirs: stepsWithGdb(second!, 2000),
  }));
  add({
    name: 'stepi, through gdb',
    unit: '/s',
    isRate: true,
    ours: median(rounds.map(({ ours }) => ours)),
    theirs: median(rounds.map(({ theirs }) => theirs)),
  });
  const ours = falseConditionsWithGdb(first!, 3_000_000);
  const theirs = falseConditionsWithGdb(second!, 1500);
  add({ name: 'false condition, through gdb', unit: '/s', isRate: true, ours, theirs });
});
await pair(
  BENCH_IMAGE,
  `lcg=${BREAKPOINT_ROUNDS}`,
  async (servers) => {
    const [loop, elsewhere] = [addressOf('bench_lcg'), addressOf('bench_hot')];
    const seconds: number[] = [];
    for (const { port } of servers) {
      const client = await RspClient.attach(port);
      seconds.push(await measureBreakpointPage(client, loop, elsewhere));
      client.close();
    }
    const [ours = NaN, theirs = NaN] = seconds;
    add({ name: 'loop beside a breakpoint', unit: 's', isRate: false, ours, theirs });
  },
  true,
);
measureSpeed('integer loop', 'lcg', { count: LCG_ROUNDS, perRound: 5.5 });
measureSpeed('integer loop, step engine', 'lcg', {
  count: LCG_ROUNDS,
  perRound: 5.5,
  engine: 'step',
});
measureSpeed('stores', 'store', { count: LCG_ROUNDS, perRound: 6 });
for (const line of measureWorkloads(add)) console.log(line);
