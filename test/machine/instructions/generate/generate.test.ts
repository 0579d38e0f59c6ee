/**
 * Not a test but the generator's switch: with EXOSCOPE_GENERATE=1 it replaces the stored vectors by
 * what this host's processor does.
 *
 *     EXOSCOPE_GENERATE=1 npx vitest run test/machine/instructions/generate
 */
import { expect, test } from 'vitest';
import { INSTRUCTIONS } from '../../../../machine/instructions/index.ts';
import { coverageOf, writeReport } from '../coverage-report.ts';
import { formsOf } from '../forms.ts';
import { loadHardwareVectors, loadManualVectors, storeHardwareVectors } from '../vector-store.ts';
import { generateVectors } from './generator.ts';
import { Hardware, hasHardware } from './hardware.ts';

const isWanted = process.env['EXOSCOPE_GENERATE'] === '1';

test.runIf(isWanted)('the stored vectors are made anew on this processor', () => {
  expect(hasHardware()).toBe(true);
  const hardware = new Hardware();
  const vectors = generateVectors(INSTRUCTIONS, hardware);
  hardware.dispose();
  const forms = formsOf(INSTRUCTIONS);
  storeHardwareVectors(forms, vectors);
  writeReport(coverageOf(forms, loadHardwareVectors(), loadManualVectors()));
  expect(vectors.length).toBeGreaterThan(3000);
});
