/** The ten workloads of the bench guest, each on both servers: how long, and whether they agree. */
import type { RspClient } from './rsp-client.ts';
import { BENCH_IMAGE, runToEnd } from './servers.ts';

interface Workload {
  readonly name: string;
  readonly word: string;
  readonly count: number;
}

/** The first seven compute; the last three are what a kernel does often. */
export const WORKLOADS: readonly Workload[] = [
  { name: 'integer loop, 60 M', word: 'lcg', count: 60_000_000 },
  { name: 'sieve of 2 M bytes, 20', word: 'sieve', count: 20 },
  { name: 'SHA-256 blocks, 100 k', word: 'sha256', count: 100_000 },
  { name: 'quicksort of 1 M', word: 'quicksort', count: 1_000_000 },
  { name: 'matrix product of 160³, 30', word: 'matrix', count: 30 },
  { name: 'indirect calls, 30 M', word: 'indirect', count: 30_000_000 },
  { name: 'stack switches, 8 M', word: 'switch', count: 8_000_000 },
  { name: 'rep movsb, 256 MB', word: 'movs', count: 256 },
  { name: 'int 0x80 and back, 2 M', word: 'int80', count: 2_000_000 },
  { name: 'page faults, 400 k', word: 'fault', count: 400_000 },
];
const COMPUTING = 7;
/** One much better ratio says nothing of the others. */
const RATIO_LIMIT = 8;
const ROUNDS = 3;

/** Seconds for the work without what starting and ending cost, the least of a few runs. */
function secondsFor(
  server: 'exoscope' | 'QEMU',
  { word, count }: Workload,
  results: Set<string>,
): number {
  const least = (times: number): number => {
    const runs = Array.from({ length: ROUNDS }, () =>
      runToEnd(server, BENCH_IMAGE, `${word}=${times}`),
    );
    if (times === count) for (const { result } of runs) results.add(result);
    return Math.min(...runs.map(({ seconds }) => seconds));
  };
  return least(count) - least(1);
}

/** Calls `add` for each workload and gives lines that sum them up. Throws if results differ. */
export function measureWorkloads(
  add: (row: { name: string; unit: string; isRate: boolean; ours: number; theirs: number }) => void,
): string[] {
  const ratios = WORKLOADS.map((workload) => {
    const results = new Set<string>();
    const ours = secondsFor('exoscope', workload, results);
    const theirs = secondsFor('QEMU', workload, results);
    if (results.size !== 1) throw new Error(`${workload.word} has results ${[...results].join()}`);
    add({ name: workload.name, unit: 's', isRate: false, ours, theirs });
    return Math.min(RATIO_LIMIT, theirs / ours);
  });
  return [
    `geometric mean of the first ${COMPUTING}: ${geometricMean(ratios.slice(0, COMPUTING)).toFixed(2)}`,
    `of all ${ratios.length}, each at most ${RATIO_LIMIT}: ${geometricMean(ratios).toFixed(2)}`,
    `least: ${Math.min(...ratios).toFixed(2)}`,
  ];
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Its place in `g`; QEMU answers `p` only when it has sent its description. */
const RSP = 7;

/** Rounds of the integer loop in `measureBreakpointPage`. */
export const BREAKPOINT_ROUNDS = 2_000_000;

/**
 * Seconds for the integer loop with a breakpoint on its page that it never reaches. The guest was
 * started with lcg=BREAKPOINT_ROUNDS; addresses are hexadecimal.
 */
export async function measureBreakpointPage(
  client: RspClient,
  loop: string,
  elsewhere: string,
): Promise<number> {
  await client.request('?');
  await client.request(`Z0,${loop},1`);
  await client.request('vCont;c');
  await client.request(`z0,${loop},1`);
  const registers = await client.request('g');
  const stack = littleEndian(registers.subarray(RSP * 16));
  const returnAddress = littleEndian(await client.request(`m${stack},8`));
  await client.request(`Z0,${elsewhere},1`);
  await client.request(`Z0,${returnAddress},1`);
  const started = performance.now();
  await client.request('vCont;c');
  return (performance.now() - started) / 1000;
}

/** A reply's first 8 bytes as a hexadecimal number. */
function littleEndian(reply: Buffer): string {
  return Buffer.from(reply.toString(), 'hex').readBigUInt64LE().toString(16);
}
