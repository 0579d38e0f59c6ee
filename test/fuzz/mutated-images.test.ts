/**
 * Images of every boot protocol in which fields have been changed that are lengths, offsets, counts and
 * addresses, with modules and command lines of any size: each is refused in one line, or is a machine
 * that runs, soon and in memory that follows from its size. `FUZZ_IMAGES=100000` is the long run,
 * `FUZZ_SEED=N` draws others.
 */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImageError, Machine, type BootModule } from '../../machine/index.ts';
import { planBoot } from '../../machine/boot/loader.ts';
import { change, EXAMPLES, seal, type Example } from './image-fields.ts';
import { costOf, readWhole } from './read-whole.ts';

const RUNS = Math.ceil(Number(process.env['FUZZ_IMAGES'] ?? 640) / EXAMPLES.length);
const MIB = 1 << 20;
const MEMORY = 16 * MIB;
const MOST_MS = 2000;
const MOST_BYTES = 128 * MIB;
/** One machine in so many that are booted is run. */
const MACHINES = 20;
const INSTRUCTIONS = 5000;

interface Request {
  readonly image: Uint8Array;
  readonly commandLine: string;
  readonly modules: readonly BootModule[];
}

/** A value, and whether it is added to what is there. */
interface Mutation {
  readonly field: number;
  readonly value: bigint;
  readonly isAdded: boolean;
}

function mutationsOf({ image, fields }: Example): fc.Arbitrary<readonly Mutation[]> {
  const length = BigInt(image.length);
  const evil = [
    0n, 1n, 3n, 4n, 7n, 8n, 0xffn, 0x100n, 0xfffn, 0x1000n, 0x7fffn, 0xffffn, 0x1_0000n, 0xf_ffffn, 0x10_0000n, 0x10_0020n,
    0x100_0000n, 0xff_ffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_fff0n, 0xffff_ffffn, 1n << 32n, (1n << 53n) + 1n,
    (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, (1n << 64n) - 0x1000n, length, length - 1n, length + 1n,
  ]; // prettier-ignore
  const set = fc.constantFrom(...evil).map((value) => ({ value, isAdded: false }));
  const add = fc
    .integer({ min: -9, max: 9 })
    .map((value) => ({ value: BigInt(value), isAdded: true }));
  const mutation = fc
    .tuple(fc.nat(fields.length - 1), fc.oneof(set, add))
    .map(([field, rest]) => ({ field, ...rest }));
  return fc.array(mutation, { minLength: 0, maxLength: 4 });
}

const sizes = fc.constantFrom(0, 1, 3, 4095, 4096, 4097, MIB, MEMORY - MIB, MEMORY, 2 * MEMORY);
const texts = fc
  .constantFrom(0, 1, 255, 256, 2047, 2048, 4096, 65_536, MIB)
  .map((length) => 'c'.repeat(length));
const modules = fc.oneof(
  fc.constant([]),
  fc.array(
    fc.record({
      name: fc.string(),
      commandLine: texts,
      content: sizes.map((size) => new Uint8Array(size)),
    }),
    { maxLength: 3 },
  ),
  fc.nat(3000).map((count) =>
    Array.from({ length: count }, () => ({
      name: 'm',
      commandLine: '',
      content: new Uint8Array(1),
    })),
  ),
);

function mutated({ image, fields }: Example, mutations: readonly Mutation[]): Uint8Array {
  const copy = image.slice();
  for (const { field, value, isAdded } of mutations) {
    const place = fields[field]!;
    let before = 0n;
    for (let index = place.bytes - 1; index >= 0; index--) {
      before = (before << 8n) | BigInt(copy[place.at + index] ?? 0);
    }
    change(copy, place, isAdded ? before + value : value);
  }
  seal(copy);
  return copy;
}

/** Undefined: it is refused, in one line. */
function planned(request: Request): number | undefined {
  try {
    const { writes } = planBoot({ ...request, imageName: 'x', memoryBytes: MEMORY });
    return writes.reduce((sum, { bytes }) => sum + bytes.length, 0);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    expect(error.message).toMatch(/^x: [^\n]{1,400}$/);
    return undefined;
  }
}

function run(request: Request): void {
  const machine = new Machine({ ...request, imageName: 'x', memoryBytes: MEMORY, engine: 'step' });
  for (let slice = 0; slice < 5; slice++) machine.run({ budget: INSTRUCTIONS / 5, skipIdle: true });
  expect(machine.icount).toBeLessThanOrEqual(BigInt(INSTRUCTIONS));
}

/** Of this process, in V8's heap and outside; the kernel says it of Linux only. */
function residentPeak(): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'latin1'));
  return Number(line?.[1] ?? 0) * 1024;
}

describe('an image with changed fields', { timeout: 36_000_000 }, () => {
  it.each(EXAMPLES.map((example) => [example.name, example] as const))(
    'is refused in one line or runs, at no great cost: %s',
    (_, example) => {
      let [booted, refused] = [0, 0];
      const before = residentPeak();
      const requests = fc.tuple(mutationsOf(example), texts, modules);
      const property = fc.property(requests, ([mutations, commandLine, given]) => {
        const image = mutated(example, mutations);
        const request = { image, commandLine, modules: given };
        const { ms, heapBytes } = costOf(() => {
          readWhole(image);
          const bytes = planned(request);
          expect(bytes ?? 0).toBeLessThanOrEqual(MEMORY);
          if (bytes === undefined) refused++;
          else if (booted++ % MACHINES === 0) run(request);
        });
        expect(ms).toBeLessThan(MOST_MS);
        expect(heapBytes).toBeLessThan(MOST_BYTES);
      });
      fc.assert(property, { numRuns: RUNS });
      expect(booted).toBeGreaterThan(RUNS / 50);
      expect(refused).toBeGreaterThan(RUNS / 50);
      if (process.env['FUZZ_VERBOSE'] !== undefined) {
        process.stderr.write(`${example.name}: ${booted} boot, ${refused} are refused, `);
        process.stderr.write(`${Math.round((residentPeak() - before) / MIB)} MiB more at most\n`);
      }
    },
  );
});
