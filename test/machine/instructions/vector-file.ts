/**
 * Vectors as they are stored: one text file per opcode group, a headline for each form, below it one
 * line per case. Only what cannot be made from the seed is written.
 *
 *     = add | 01 /r Ev,Gv                         mnemonic | encoding
 *     u64 12f 4801d8 rax=3,m30010=00ff > rflags=246,rip=20803
 *     │   │   │      │                   └ all that differs afterwards
 *     │   │   │      └ overrides of the seeded state; m: bytes at a physical address; - if none
 *     │   │   └ the instruction
 *     │   └ seed, hexadecimal
 *     └ mode
 *
 * A line that begins with `!` instead of a mode is a case that was written by hand from the manual.
 */
import type { Mode } from './initial-state.ts';

export interface MemoryBytes {
  readonly address: number;
  readonly bytes: Uint8Array;
}

/** Fields by name, and pieces of memory. */
export interface Delta {
  readonly fields: ReadonlyMap<string, bigint>;
  readonly memory: readonly MemoryBytes[];
}

/** What a case begins with. */
export interface Setup {
  readonly mode: Mode;
  readonly seed: number;
  readonly code: Uint8Array;
  readonly before: Delta;
}

export interface Vector {
  /** `mnemonic | encoding`. */
  readonly form: string;
  readonly source: 'hardware' | 'manual';
  readonly setup: Setup;
  readonly after: Delta;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function deltaText(delta: Delta): string {
  const fields = [...delta.fields].map(([name, value]) => `${name}=${value.toString(16)}`);
  const memory = delta.memory.map(({ address, bytes }) => `m${address.toString(16)}=${hex(bytes)}`);
  return [...fields, ...memory].join(',') || '-';
}

function parseDelta(text: string): Delta {
  const fields = new Map<string, bigint>();
  const memory: MemoryBytes[] = [];
  for (const item of text === '-' ? [] : text.split(',')) {
    const [name, value] = item.split('=');
    if (name === undefined || value === undefined) throw new Error(`bad item ${item}`);
    if (/^m[0-9a-f]+$/.test(name))
      memory.push({ address: parseInt(name.slice(1), 16), bytes: Buffer.from(value, 'hex') });
    else fields.set(name, BigInt(`0x${value}`));
  }
  return { fields, memory };
}

function vectorLine(vector: Vector): string {
  const { mode, seed, code, before } = vector.setup;
  const mark = vector.source === 'manual' ? '!' : '';
  const head = `${mark}${mode} ${seed.toString(16)} ${hex(code)}`;
  return `${head} ${deltaText(before)} > ${deltaText(vector.after)}`;
}

/** The text of a file; vectors of one form must stand together. */
export function writeVectors(vectors: readonly Vector[]): string {
  let text = '';
  let form = '';
  for (const vector of vectors) {
    if (vector.form !== form) text += `= ${vector.form}\n`;
    form = vector.form;
    text += `${vectorLine(vector)}\n`;
  }
  return text;
}

function parseLine(form: string, line: string): Vector {
  const source = line.startsWith('!') ? 'manual' : 'hardware';
  const [mode, seed, code, before, arrow, after] = line.replace(/^!/, '').split(' ');
  if (arrow !== '>' || before === undefined || after === undefined || code === undefined)
    throw new Error(`bad vector ${line}`);
  const setup: Setup = {
    mode: mode as Mode,
    seed: parseInt(seed ?? '', 16),
    code: Buffer.from(code, 'hex'),
    before: parseDelta(before),
  };
  return { form, source, setup, after: parseDelta(after) };
}

/** The vectors of one file; throws on a line that is none. Lines with `#` are comments. */
export function parseVectors(text: string): Vector[] {
  const vectors: Vector[] = [];
  let form = '';
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    if (line.startsWith('= ')) form = line.slice(2);
    else vectors.push(parseLine(form, line));
  }
  return vectors;
}
