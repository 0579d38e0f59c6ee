/**
 * The differential fuzzer: the host's processor and our machine side by side, for as long as is asked.
 *
 *     EXOSCOPE_FUZZ_SECONDS=300 [EXOSCOPE_FUZZ_SEED=7] npx vitest run test/machine/instructions/fuzz
 *
 * It prints the first disagreements as vectors, ready to be stored, and fails if there were any.
 */
import { describe, expect, test } from 'vitest';
import { decode } from '../../../../machine/decoder/decoder.ts';
import type { ExecutionMode } from '../../../../machine/instructions/execution-mode.ts';
import { INSTRUCTIONS } from '../../../../machine/instructions/index.ts';
import { differences } from '../compare.ts';
import { EmulatedCpu } from '../emulated-cpu.ts';
import { formsOf, type Form } from '../forms.ts';
import { deltaOf, isComparable } from '../generate/generator.ts';
import { Hardware, hasHardware } from '../generate/hardware.ts';
import { NOT_ON_HARDWARE } from '../not-on-hardware.ts';
import { Random } from '../random.ts';
import { writeVectors, type Setup, type Vector } from '../vector-file.ts';
import { START } from '../world.ts';
import {
  byteCase,
  isAccepted,
  isDisputed,
  sequenceCase,
  sequenceForms,
  singleCase,
} from './fuzz-cases.ts';

const seconds = Number(process.env['EXOSCOPE_FUZZ_SECONDS'] ?? 0);
const seed = BigInt(process.env['EXOSCOPE_FUZZ_SEED'] ?? 1);
const BATCH = 500;
const SHOWN = 40;

const forms = formsOf(INSTRUCTIONS).filter(
  ({ definition }) => !NOT_ON_HARDWARE.has(definition.mnemonic),
);
const calm = sequenceForms(forms);
const byName = new Map(forms.map((form) => [form.name, form]));

interface FuzzCase {
  readonly form: Form;
  readonly setup: Setup;
}

function modeOf(setup: Setup): ExecutionMode {
  const width = setup.mode === 'u64' ? 64 : 32;
  const machine = { longMode: true, cpl: 3, sse: 'enabled', x87: 'enabled' } as const;
  return { ...machine, codeWidth: width, stackWidth: width };
}

/** Random bytes cut to the instruction that they are for our decoder; undefined if they are none. */
function cutBytes(setup: Setup): FuzzCase | undefined {
  const decoded = decode(setup.code, BigInt(START), modeOf(setup));
  if (decoded.kind !== 'instruction') return undefined;
  const { definition, encoding } = decoded;
  const form = byName.get(`${definition.mnemonic} | ${definition.encodings[encoding] ?? ''}`);
  const code = setup.code.subarray(0, decoded.lengthBytes);
  const cut = { ...setup, code };
  return form && !isDisputed(form, cut) ? { form, setup: cut } : undefined;
}

/** Runs cases on both until time is up; the first disagreements as text. */
function fuzz(next: (random: Random) => FuzzCase | undefined): string[] {
  const [hardware, cpu, random] = [new Hardware(), new EmulatedCpu(), new Random(seed)];
  const found: string[] = [];
  const end = Date.now() + (seconds * 1000) / 3;
  let count = 0;
  while (Date.now() < end && found.length < SHOWN) {
    const cases = Array.from({ length: BATCH }, () => next(random)).filter((item) => !!item);
    const results = hardware.run(cases.map(({ setup }) => setup));
    for (const [index, { form, setup }] of cases.entries()) {
      const result = results[index];
      if (!result || !isComparable(result)) continue;
      count++;
      const after = deltaOf(setup, result);
      const vector: Vector = { form: form.name, source: 'hardware', setup, after };
      const lines = differences(form, vector, cpu.run(setup));
      if (lines.length > 0 && !isAccepted(setup, lines))
        found.push(`${writeVectors([vector])}${lines.join('\n')}`);
    }
  }
  hardware.dispose();
  process.stderr.write(`${count} cases, ${found.length} disagreements\n${found.join('\n')}\n`);
  return found;
}

describe.runIf(seconds > 0 && hasHardware())('our machine and the processor agree on', () => {
  const timeout = seconds * 1000 + 60_000;

  test('single instructions', { timeout }, () => {
    expect(fuzz((random) => singleCase(forms, random))).toEqual([]);
  });

  test('sequences of instructions', { timeout }, () => {
    const form = byName.get('nop | 90');
    const next = (random: Random): FuzzCase => ({
      form: form ?? singleCase(calm, random).form,
      setup: sequenceCase(calm, random),
    });
    expect(fuzz(next)).toEqual([]);
  });

  test('random bytes', { timeout }, () => {
    expect(fuzz((random) => cutBytes(byteCase(random)))).toEqual([]);
  });
});
