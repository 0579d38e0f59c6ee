import { describe, expect, test } from 'vitest';
import { INSTRUCTIONS } from '../../../machine/instructions/index.ts';
import { coverageOf, formsWithoutVectors, readReport, reportText } from './coverage-report.ts';
import { formsOf } from './forms.ts';
import { NOT_ON_HARDWARE } from './not-on-hardware.ts';
import { groupOf, loadHardwareVectors, loadManualVectors } from './vector-store.ts';

const forms = formsOf(INSTRUCTIONS);
const hardware = loadHardwareVectors();
const manual = loadManualVectors();
const onHardware = new Set(hardware.flatMap(({ vectors }) => vectors.map(({ form }) => form)));
const byHand = new Set(manual.flatMap(({ vectors }) => vectors.map(({ form }) => form)));

const coverage = coverageOf(forms, hardware, manual);

describe('the vectors', () => {
  test('leave no defined form out', () => {
    expect(formsWithoutVectors(coverage)).toEqual([]);
  });

  test('are those that the report lists', () => {
    expect(readReport()).toBe(reportText(coverage));
  });

  test('come from the hardware but for the instructions that the table excepts', () => {
    const excepted = forms
      .filter(({ name }) => !onHardware.has(name))
      .map(({ definition }) => definition.mnemonic);
    expect(excepted.filter((mnemonic) => !NOT_ON_HARDWARE.has(mnemonic))).toEqual([]);
  });

  test('show at least 300 forms on the hardware, in every opcode group', () => {
    expect(onHardware.size).toBeGreaterThanOrEqual(300);
    const groups = new Set(forms.filter(({ name }) => onHardware.has(name)).map(groupOf));
    expect(groups).toEqual(new Set(forms.map(groupOf)));
  });

  test('show flags, memory and faults of every kind that a program can raise', () => {
    const all = hardware.flatMap(({ vectors }) => vectors);
    const exceptions = new Set(all.map(({ after }) => after.fields.get('exception')));
    for (const vector of [0, 3, 4, 5, 6, 12, 13, 14, 19])
      expect(exceptions).toContain(BigInt(vector + 1));
    expect(all.filter(({ after }) => after.fields.has('rflags')).length).toBeGreaterThan(500);
    expect(all.filter(({ after }) => after.memory.length > 0).length).toBeGreaterThan(300);
  });

  test('are small', () => {
    const bytes = [...hardware, ...manual].reduce((sum, file) => sum + file.lengthBytes, 0);
    expect(bytes).toBeLessThan(1_500_000);
  });

  test('belong to forms that exist', () => {
    const names = new Set(forms.map(({ name }) => name));
    expect([...onHardware, ...byHand].filter((name) => !names.has(name))).toEqual([]);
  });
});
