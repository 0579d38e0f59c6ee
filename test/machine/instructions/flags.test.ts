import { describe, expect, test } from 'vitest';
import { INSTRUCTIONS } from '../../../machine/instructions/index.ts';
import type { Flag } from '../../../machine/instructions/operations.ts';
import { formsOf, type Form } from './forms.ts';
import { initialState } from './initial-state.ts';
import type { Vector } from './vector-file.ts';
import { FLAG_BIT } from './undefined-flags.ts';
import { loadHardwareVectors } from './vector-store.ts';

const forms = new Map(formsOf(INSTRUCTIONS).map((form) => [form.name, form]));
const vectors = loadHardwareVectors().flatMap((file) => file.vectors);

function maskOf(flags: readonly Flag[] = []): bigint {
  return flags.reduce((mask, flag) => mask | FLAG_BIT[flag], 0n);
}

/** The arithmetic flags that the hardware changed although the definition does not say so. */
function unannounced(form: Form, { setup, after }: Vector): bigint {
  const before = initialState(setup.mode, setup.seed, setup.before.fields).get('rflags') ?? 0n;
  const flags = form.definition.flags;
  const announced = maskOf(flags?.writes) | maskOf(flags?.undefined);
  const all = maskOf(['CF', 'PF', 'AF', 'ZF', 'SF', 'OF']);
  return (before ^ (after.fields.get('rflags') ?? before)) & all & ~announced;
}

/** What the SDM's instruction pages leave undefined, always or, for shifts, for some counts. */
const UNDEFINED: Readonly<Record<string, string>> = {
  'and or xor test': 'AF',
  'mul imul': 'SF ZF AF PF',
  'div idiv': 'CF OF SF ZF AF PF',
  'rol ror rcl rcr': 'OF',
  'shl shr sar shld shrd': 'OF AF',
  'bt bts btr btc': 'OF SF AF PF',
  'bsf bsr': 'CF OF SF AF PF',
  'daa das': 'OF',
  'aaa aas': 'OF SF ZF PF',
  'aam aad': 'OF AF CF',
};

describe('the flags that a definition states', () => {
  test('are all that the hardware was seen to change', () => {
    const wrong = vectors.filter((vector) => {
      const form = forms.get(vector.form);
      return form && !vector.after.fields.has('exception') && unannounced(form, vector) !== 0n;
    });
    expect([...new Set(wrong.map(({ form }) => form))]).toEqual([]);
  });

  test('are undefined where the manual says so, and nowhere else', () => {
    const stated = Object.entries(UNDEFINED).flatMap(([mnemonics, flags]) =>
      mnemonics
        .split(' ')
        .map((mnemonic) => [mnemonic, flags.split(' ').sort().join(' ')] as const),
    );
    const manual = new Map(stated);
    for (const { mnemonic, flags } of INSTRUCTIONS) {
      const own = [...(flags?.undefined ?? [])].sort().join(' ');
      expect(`${mnemonic}: ${own}`).toBe(`${mnemonic}: ${manual.get(mnemonic) ?? ''}`);
    }
  });
});
