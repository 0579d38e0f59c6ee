/**
 * Where vectors are kept: `vectors/`, one file per opcode group (opcode map and high digit of the
 * opcode) from the hardware, and `manual/`, written by hand.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Form } from './forms.ts';
import { parseVectors, writeVectors, type Vector } from './vector-file.ts';

const HARDWARE_FOLDER = join(import.meta.dirname, 'vectors');
const MANUAL_FOLDER = join(import.meta.dirname, 'manual');

export interface VectorFile {
  readonly name: string;
  readonly vectors: readonly Vector[];
  readonly lengthBytes: number;
}

/** `primary-8`, `0F-a`, `0F38-0`. */
export function groupOf(form: Form): string {
  return `${form.encoding.map}-${(form.encoding.opcode >> 4).toString(16)}`;
}

function loadFolder(folder: string): VectorFile[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.txt'));
  return names.sort().map((file) => {
    const text = readFileSync(join(folder, file), 'utf8');
    const vectors = parseVectors(text);
    return { name: file.slice(0, -4), vectors, lengthBytes: Buffer.byteLength(text) };
  });
}

export function loadHardwareVectors(): VectorFile[] {
  return loadFolder(HARDWARE_FOLDER);
}

export function loadManualVectors(): VectorFile[] {
  return loadFolder(MANUAL_FOLDER);
}

/** Replaces the hardware's vectors. */
export function storeHardwareVectors(forms: readonly Form[], vectors: readonly Vector[]): void {
  const groups = new Map(forms.map((form) => [form.name, groupOf(form)]));
  for (const group of new Set(groups.values())) {
    const members = vectors.filter(({ form }) => groups.get(form) === group);
    if (members.length > 0)
      writeFileSync(join(HARDWARE_FOLDER, `${group}.txt`), writeVectors(members));
  }
}
