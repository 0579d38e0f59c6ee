/**
 * Drives generate/harness.c: compiles it, sends cases, receives what the processor did. Needs gcc
 * on x86-64 Linux.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HARDWARE_FIELDS, type HardwareState } from '../hardware-fields.ts';
import { initialState } from '../initial-state.ts';
import type { MemoryBytes, Setup } from '../vector-file.ts';
import { PLACE, SHARED_END, START, worldImage } from '../world.ts';

const SHARED_IMAGE = worldImage().subarray(PLACE.code, SHARED_END);

const STATUS = ['ended', 'endless'] as const;

export interface HardwareResult {
  readonly status: (typeof STATUS)[number];
  readonly state: HardwareState;
  /** Physical addresses, ascending. */
  readonly memory: readonly MemoryBytes[];
}

/** True where the generator and the fuzzer can run. */
export function hasHardware(): boolean {
  if (process.arch !== 'x64' || process.platform !== 'linux') return false;
  return spawnSync('gcc', ['--version'], { stdio: 'ignore' }).status === 0;
}

/** What is patched into memory before the case: its overrides and the instruction. */
export function patchesOf(setup: Setup, start: number = START): readonly MemoryBytes[] {
  return [...setup.before.memory, { address: start, bytes: setup.code }];
}

/** Physical address of the instruction; linear addresses of code are physical ones. */
export function startOf(setup: Setup): number {
  return Number(setup.before.fields.get('rip') ?? BigInt(START));
}

function words(...values: (bigint | number)[]): Buffer {
  const buffer = Buffer.alloc(values.length * 8);
  values.forEach((value, index) => buffer.writeBigUInt64LE(BigInt(value), index * 8));
  return buffer;
}

function encodeCase(setup: Setup): Buffer {
  const state = initialState(setup.mode, setup.seed, setup.before.fields);
  const patches = patchesOf(setup, startOf(setup));
  const parts = [
    words(...HARDWARE_FIELDS.map((name) => state.get(name) ?? 0n)),
    words(patches.length),
  ];
  for (const { address, bytes } of patches) {
    const padded = Buffer.alloc((bytes.length + 7) & ~7);
    padded.set(bytes);
    parts.push(words(address, bytes.length), padded);
  }
  return Buffer.concat(parts);
}

class ResultReader {
  private at = 0;
  private readonly output: Buffer;

  constructor(output: Buffer) {
    this.output = output;
  }

  private word(): bigint {
    const value = this.output.readBigUInt64LE(this.at);
    this.at += 8;
    return value;
  }

  private change(): MemoryBytes {
    const address = Number(this.word());
    const length = Number(this.word());
    const bytes = this.output.subarray(this.at, this.at + length);
    this.at += (length + 7) & ~7;
    return { address, bytes };
  }

  result(): HardwareResult {
    const status = STATUS[Number(this.word())];
    if (status === undefined) throw new Error('the harness answered nonsense');
    const state = new Map(HARDWARE_FIELDS.map((name) => [name, this.word()]));
    const memory = Array.from({ length: Number(this.word()) }, () => this.change());
    return { status, state, memory };
  }
}

/** The host's processor as a bench for cases. */
export class Hardware {
  private readonly folder: string;
  private readonly program: string;

  /** Compiles the harness into a temporary folder; throws where gcc fails. */
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), 'exoscope-harness-'));
    this.program = join(this.folder, 'harness');
    const source = join(import.meta.dirname, 'harness.c');
    execFileSync('gcc', ['-O2', '-fno-stack-protector', '-o', this.program, source]);
  }

  /** Runs the cases one after another, each from a fresh image; one result per case. */
  run(setups: readonly Setup[]): HardwareResult[] {
    const input = Buffer.concat([SHARED_IMAGE, ...setups.map(encodeCase)]);
    const child = spawnSync(this.program, { input, maxBuffer: 1 << 30 });
    if (child.status !== 0)
      throw new Error(
        `harness ended with ${child.signal ?? child.status}: ${child.stderr.toString()}`,
      );
    const reader = new ResultReader(child.stdout);
    return setups.map(() => reader.result());
  }

  dispose(): void {
    rmSync(this.folder, { recursive: true });
  }
}
