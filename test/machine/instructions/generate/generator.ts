/**
 * Makes the stored vectors: cases of every form, run on the host's processor. Started by
 * generate.test.ts.
 */
import type { InstructionDefinition } from '../../../../machine/instructions/definition.ts';
import { formsOf, type Form } from '../forms.ts';
import { HARDWARE_FIELDS } from '../hardware-fields.ts';
import { initialState } from '../initial-state.ts';
import { NOT_ON_HARDWARE } from '../not-on-hardware.ts';
import type { Delta, Setup, Vector } from '../vector-file.ts';
import { PLACE, WORLD_BYTES } from '../world.ts';
import { makeCase } from './case-maker.ts';
import type { Hardware, HardwareResult } from './hardware.ts';

/** What the result has that the state before had not. rip is always in it. */
export function deltaOf(setup: Setup, result: HardwareResult): Delta {
  const before = initialState(setup.mode, setup.seed, setup.before.fields);
  const fields = new Map<string, bigint>();
  for (const name of HARDWARE_FIELDS) {
    const value = result.state.get(name) ?? 0n;
    if (name === 'rip' || value !== before.get(name)) fields.set(name, value);
  }
  return { fields, memory: result.memory };
}

/** More where there is more to vary: widths, memory operands, repetition, floating point. */
function caseCount(form: Form): number {
  const { definition, encoding } = form;
  const hasWidths = encoding.operands.some(
    (operand) => operand.kind === 'coded' && 'vzy'.includes(operand.size.at(-1) ?? '-'),
  );
  const isFloat = definition.sse === true && /(ps|pd|ss|sd)$/.test(definition.mnemonic);
  const extras = [hasWidths, encoding.mod === 'any', definition.repeat !== undefined, isFloat];
  return 8 + extras.filter(Boolean).length * 5;
}

const PAGE_FAULT = 15n;
const UPPER_HALF = 1n << 47n;

/**
 * Pages that only world.ts has, and Linux maps nothing at; and the upper half, where Linux tells
 * programs of a protection violation whatever it was.
 */
function touchesPrivatePages(result: HardwareResult): boolean {
  const address = result.state.get('cr2') ?? 0n;
  const isPrivate = address < BigInt(PLACE.code) || address >= BigInt(PLACE.supervisor);
  const isInWorld = address >= BigInt(PLACE.gdt) && address < BigInt(WORLD_BYTES) && isPrivate;
  return result.state.get('exception') === PAGE_FAULT && (isInWorld || address >= UPPER_HALF);
}

/** False where the case tells nothing: it did not end, or met what only one of the two has. */
export function isComparable(result: HardwareResult): boolean {
  return result.status === 'ended' && !touchesPrivatePages(result);
}

/** Vectors of all definitions that the hardware can run, form after form. */
export function generateVectors(
  definitions: readonly InstructionDefinition[],
  hardware: Hardware,
): Vector[] {
  const forms = formsOf(definitions).filter(
    ({ definition }) => !NOT_ON_HARDWARE.has(definition.mnemonic),
  );
  const cases = forms.flatMap((form) =>
    Array.from({ length: caseCount(form) }, (_, number) => ({
      form,
      setup: makeCase(form, number),
    })),
  );
  const results = hardware.run(cases.map(({ setup }) => setup));
  return cases.flatMap(({ form, setup }, index) => {
    const result = results[index];
    if (!result || !isComparable(result)) return [];
    const after = deltaOf(setup, result);
    return [{ form: form.name, source: 'hardware' as const, setup, after }];
  });
}
