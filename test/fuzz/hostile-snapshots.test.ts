/**
 * Snapshot files that no program wrote, with digests that are right: reading one ends soon and costs
 * memory in proportion to the file, it is refused in one line, or it is a machine like another that runs
 * without harm to its host. `FUZZ_IMAGES=N` is the number of files, `FUZZ_SEED=N` draws others.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { deflateSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImageError, Machine, StateError, type StateValue } from '../../machine/index.ts';
import {
  decodeSnapshot,
  encodeSnapshot,
  type Snapshot,
} from '../../server/snapshots/snapshot-file.ts';
import { decodePlain, encodePlain } from '../../server/snapshots/plain-text.ts';
import { readFrame, writeFrame } from '../../server/snapshots/snapshot-sections.ts';
import { computedMs } from '../computed-ms.ts';
import { kernelMachine, KERNEL_PATH } from '../machine/small-guest.ts';

const RUNS = Number(process.env['FUZZ_IMAGES'] ?? 200);
const MIB = 2 ** 20;
const MEMORY = 16 * MIB;
const HEADER_BYTES = 64;
const INSTRUCTIONS = 60_000;

/** In the midst of the kernel's tests, with bytes that wait on the serial line. */
const MODULES = [
  { name: 'initrd', commandLine: 'root', content: Buffer.from('a module') },
  { name: 'empty', commandLine: '', content: new Uint8Array(0) },
];

function whole(): Snapshot {
  const machine = kernelMachine('test', { memoryBytes: MEMORY });
  machine.run({ budget: 3_000_000, skipIdle: true });
  machine.enterSerialInput(Buffer.from('typed'));
  machine.run({ budget: 10_000, skipIdle: true });
  const image = readFileSync(KERNEL_PATH);
  return {
    imageName: 'kernel.elf',
    commandLine: 'test',
    modules: MODULES,
    image,
    state: machine.save(),
  };
}

const SNAPSHOT = whole();
const FILE = encodeSnapshot(SNAPSHOT);
const FRAME = readFrame(FILE);
const CORE = decodePlain(Buffer.from(FRAME.sections.get('core')!).toString())!;

/** The header's length and digest made right again. */
function sealed(bytes: Uint8Array): Buffer {
  const file = Buffer.from(bytes);
  if (file.length < HEADER_BYTES) return file;
  file.writeBigUInt64LE(BigInt(file.length), 24);
  const hash = createHash('sha256').update(file.subarray(0, 32));
  hash.update(file.subarray(HEADER_BYTES)).digest().copy(file, 32);
  return file;
}

function withSection(name: string, content: Uint8Array): Uint8Array {
  const sections = new Map(FRAME.sections).set(name, content);
  return writeFrame({ ...FRAME, sections }, new Set(['ram']));
}

/** Undefined: it is refused, in one line. */
function machineOf(file: Uint8Array): Machine | undefined {
  try {
    const { state, image, imageName, commandLine, modules } = decodeSnapshot(file);
    const memoryBytes = state.core.memoryBytes;
    // The file may say 2 GiB, and is then given them; here it is not.
    if (memoryBytes > 4 * MEMORY) return undefined;
    return new Machine({
      state,
      image,
      imageName,
      commandLine,
      modules,
      memoryBytes,
      engine: 'step',
    });
  } catch (error) {
    const isRefusal = error instanceof ImageError || error instanceof StateError;
    if (!isRefusal) throw error;
    expect(error.message).toMatch(/^[^\n]{1,300}$/);
    return undefined;
  }
}

/** It runs, describes itself, is saved and boots again, soon and without an exception of the host's. */
function use(machine: Machine): void {
  const end = machine.icount + BigInt(INSTRUCTIONS);
  for (let slice = 0; slice < 20 && machine.icount < end; slice++) {
    const stop = machine.run({ budget: 10_000, skipIdle: true });
    if (stop.kind === 'triple-fault' || stop.kind === 'reset-request') break;
  }
  machine.describeDevices();
  machine.readFxsave();
  machine.save();
  machine.reset();
  machine.run({ budget: 1000, skipIdle: true });
}

function survive(file: Uint8Array): boolean {
  const start = computedMs();
  const machine = machineOf(file);
  if (machine !== undefined) use(machine);
  expect(computedMs() - start).toBeLessThan(10_000);
  return machine !== undefined;
}

type Path = readonly (string | number)[];

/** All places of a value, but of lists only the first three. */
function placesOf(value: StateValue, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries = isList(value)
    ? value.slice(0, 3).map((item, index) => [index, item] as const)
    : Object.entries(value);
  return [path, ...entries.flatMap(([key, item]) => placesOf(item, [...path, key]))];
}

function replaced(value: StateValue, [key, ...rest]: Path, by: StateValue): StateValue {
  if (key === undefined) return by;
  const at = (place: string | number, item: StateValue): StateValue =>
    String(place) === String(key) ? replaced(item, rest, by) : item;
  if (isList(value)) return value.map((item, index) => at(index, item));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, at(name, item)]));
}

function isList(value: StateValue): value is readonly StateValue[] {
  return Array.isArray(value);
}

const PLACES = placesOf(CORE);

const anyValue: fc.Arbitrary<StateValue> = fc.oneof(
  fc.constantFrom<StateValue[]>(
    0, 1, -1, 0.5, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 53, 1e300, null, true, false, '', 'x', [], {}, [0], 0n, 1n,
    -1n, 2n ** 32n, 2n ** 62n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 71n, 10n ** 39n, '__proto__',
  ), // prettier-ignore
  fc.nat(0xffff),
  fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
);

describe('a hostile snapshot', { timeout: 3_600_000 }, () => {
  it('that is none at all is a machine like that which was saved', () => {
    expect(sealed(FILE).equals(FILE)).toBe(true);
    expect(survive(FILE)).toBe(true);
    expect(PLACES.length).toBeGreaterThan(200);
  });

  it('with values that no machine has is refused or runs', () => {
    let accepted = 0;
    const change = fc.tuple(fc.constantFrom(...PLACES), anyValue);
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 3 }), (changes) => {
      let core: StateValue = CORE;
      for (const [place, value] of changes) {
        core = replaced(core, place, value);
      }
      if (survive(withSection('core', Buffer.from(encodePlain(core))))) accepted++;
    });
    fc.assert(property, { numRuns: RUNS });
    expect(accepted).toBeGreaterThan(RUNS / 50);
  });

  it('with other bytes in its frame or its memory is refused or runs', () => {
    const start = FILE.length - FRAME.sections.get('ram')!.length - 40;
    const at = fc.oneof(
      fc.nat(HEADER_BYTES + 200),
      fc.integer({ min: start, max: FILE.length - 1 }),
    );
    const change = fc.tuple(at, fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x10));
    const cut = fc.option(fc.nat(FILE.length));
    const property = fc.property(
      fc.array(change, { minLength: 1, maxLength: 5 }),
      cut,
      (changes, length) => {
        const file = Buffer.from(FILE);
        for (const [place, value] of changes) file[place] = value;
        survive(sealed(length === null ? file : file.subarray(0, length)));
      },
    );
    fc.assert(property, { numRuns: RUNS });
  });

  it('with bytes of chance for its sections is refused', () => {
    const property = fc.property(
      fc.constantFrom('core', 'origin', 'serial', 'image', 'ram'),
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.string().map((text) => Buffer.from(text)),
      ),
      (name, content) => {
        survive(withSection(name, content));
      },
    );
    fc.assert(property, { numRuns: RUNS });
  });

  it('nested a million deep, or a list of a million lists, is refused at once', () => {
    for (const text of ['['.repeat(1_000_000), '[[]'.padEnd(3_000_000, ',[]') + ']']) {
      expect(survive(withSection('core', Buffer.from(text)))).toBe(false);
    }
  });

  it('that unpacks to a gibibyte costs no more than is read of it', () => {
    const bomb = deflateSync(Buffer.alloc(64 * MIB));
    const header = Buffer.alloc(8 + 4);
    header.writeUInt32LE(1, 0);
    header.writeUInt32LE(bomb.length, 4);
    globalThis.gc?.();
    const before = process.memoryUsage().arrayBuffers;
    expect(survive(withSection('ram', Buffer.concat([header, bomb])))).toBe(false);
    const packed = Buffer.from(FILE);
    // The section `image` is said to be of 1 GiB.
    const image = packed.indexOf('image');
    packed.writeBigUInt64LE(BigInt(1024 * MIB), image + 24);
    expect(survive(sealed(packed))).toBe(false);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * MIB);
  });
});
