import { beforeAll, describe, expect, test } from 'vitest';
import { INSTRUCTIONS } from '../../../machine/instructions/index.ts';
import { differences } from './compare.ts';
import { EmulatedCpu } from './emulated-cpu.ts';
import { formsOf } from './forms.ts';
import { writeVectors, type Vector } from './vector-file.ts';
import { loadHardwareVectors, loadManualVectors } from './vector-store.ts';

const forms = new Map(formsOf(INSTRUCTIONS).map((form) => [form.name, form]));
let cpu: EmulatedCpu;
beforeAll(() => (cpu = new EmulatedCpu()));

/** The vectors that our machine does not agree with, each with what is different. */
function disagreements(vectors: readonly Vector[]): string[] {
  return vectors.flatMap((vector) => {
    const form = forms.get(vector.form);
    if (!form) return [`${vector.form} is no form; generate the vectors anew`];
    const found = differences(form, vector, cpu.run(vector.setup));
    return found.length === 0 ? [] : [`${writeVectors([vector])}${found.join('\n')}`];
  });
}

describe('the step engine does what the hardware did', () => {
  test.each(loadHardwareVectors())('in opcode group $name', ({ vectors }) => {
    expect(disagreements(vectors)).toEqual([]);
  });
});

describe('the step engine does what the manual says', () => {
  test.each(loadManualVectors())('of $name', ({ vectors }) => {
    expect(disagreements(vectors)).toEqual([]);
  });
});
