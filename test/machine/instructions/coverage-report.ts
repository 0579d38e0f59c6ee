/**
 * Which defined forms have vectors, by opcode group, as the text of report.txt. The generator writes
 * it; a test says when it is out of date.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Form } from './forms.ts';
import { NOT_ON_HARDWARE } from './not-on-hardware.ts';
import { groupOf, type VectorFile } from './vector-store.ts';

const FILE = join(import.meta.dirname, 'report.txt');

export interface Coverage {
  readonly forms: readonly Form[];
  /** Vectors by form name. */
  readonly hardware: ReadonlyMap<string, number>;
  readonly manual: ReadonlyMap<string, number>;
}

function countByForm(files: readonly VectorFile[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { form } of files.flatMap(({ vectors }) => vectors))
    counts.set(form, (counts.get(form) ?? 0) + 1);
  return counts;
}

export function coverageOf(
  forms: readonly Form[],
  hardware: readonly VectorFile[],
  manual: readonly VectorFile[],
): Coverage {
  return { forms, hardware: countByForm(hardware), manual: countByForm(manual) };
}

/** Defined, but neither run on the hardware nor described by hand. */
export function formsWithoutVectors({ forms, hardware, manual }: Coverage): string[] {
  return forms.map(({ name }) => name).filter((name) => !hardware.has(name) && !manual.has(name));
}

function sum(counts: ReadonlyMap<string, number>, forms: readonly Form[]): number {
  return forms.reduce((total, { name }) => total + (counts.get(name) ?? 0), 0);
}

function line(label: string, forms: readonly Form[], coverage: Coverage): string {
  const cells = [forms.length, sum(coverage.hardware, forms), sum(coverage.manual, forms)];
  return label.padEnd(14) + cells.map((cell) => String(cell).padStart(10)).join('');
}

export function reportText(coverage: Coverage): string {
  const { forms, hardware } = coverage;
  const groups = [...new Set(forms.map(groupOf))].sort();
  const byHandOnly = forms.filter(({ name }) => !hardware.has(name));
  const missing = formsWithoutVectors(coverage);
  return [
    'Instruction forms and their vectors. hardware: what an x86-64 processor did in a user process;',
    'by hand: written from the manual, for CPL 0 and for what such a process cannot show.',
    '',
    'opcode group       forms  hardware   by hand',
    ...groups.map((group) =>
      line(
        group,
        forms.filter((form) => groupOf(form) === group),
        coverage,
      ),
    ),
    line('all', forms, coverage),
    '',
    'By hand only, and why:',
    ...byHandOnly.map(
      ({ name, definition }) => `  ${name}: ${NOT_ON_HARDWARE.get(definition.mnemonic) ?? '?'}`,
    ),
    '',
    `Defined forms without vectors: ${missing.length === 0 ? 'none' : missing.join(', ')}`,
    '',
  ].join('\n');
}

export function readReport(): string {
  return readFileSync(FILE, 'utf8');
}

export function writeReport(coverage: Coverage): void {
  writeFileSync(FILE, reportText(coverage));
}
