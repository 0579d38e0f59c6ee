/**
 * Which flags an instruction leaves undefined in a given case, and may therefore differ from the
 * hardware's. A definition says it once for all cases; for shifts and rotations it depends on the
 * count (Intel SDM 2B, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD), and this table says how.
 */
import type { Flag } from '../../../machine/instructions/operations.ts';
import type { Form } from './forms.ts';
import { initialState } from './initial-state.ts';
import type { Setup } from './vector-file.ts';

export const FLAG_BIT: Readonly<Record<Flag, bigint>> = {
  CF: 1n,
  PF: 4n,
  AF: 16n,
  ZF: 64n,
  SF: 128n,
  OF: 2048n,
};

interface Shift {
  /** Already cut to five or six bits. */
  readonly count: number;
  readonly width: number;
}

type Rule = (shift: Shift) => readonly Flag[];

const rotation: Rule = ({ count }) => (count > 1 ? ['OF'] : []);

const shift: Rule = ({ count, width }) => {
  if (count === 0) return [];
  if (count === 1) return ['AF'];
  return count >= width ? ['AF', 'OF', 'CF'] : ['AF', 'OF'];
};

const signedShift: Rule = ({ count }) => (count === 0 ? [] : count === 1 ? ['AF'] : ['AF', 'OF']);

const RULES: Readonly<Record<string, Rule>> = {
  rol: rotation,
  ror: rotation,
  rcl: rotation,
  rcr: rotation,
  shl: shift,
  sal: shift,
  shr: shift,
  shld: shift,
  shrd: shift,
  sar: signedShift,
};

/** Operand width from the prefixes alone: shifts have byte forms and operand-size forms. */
function widthOf(setup: Setup, isByte: boolean): number {
  if (isByte) return 8;
  let width = 32;
  for (const byte of setup.code) {
    if (byte === 0x66) width = 16;
    if (byte >= 0x48 && byte < 0x50 && setup.mode.endsWith('64')) return 64;
    if (![0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65].includes(byte)) break;
  }
  return width;
}

function shiftOf(form: Form, setup: Setup): Shift {
  const last = form.encoding.operands.at(-1);
  const first = form.encoding.operands[0];
  const width = widthOf(setup, first?.kind === 'coded' && first.size === 'b');
  const mask = width === 64 ? 63 : 31;
  if (last?.kind === 'coded') return { count: (setup.code.at(-1) ?? 0) & mask, width };
  if (last?.name !== 'CL') return { count: 1, width };
  const rcx = initialState(setup.mode, setup.seed, setup.before.fields).get('rcx') ?? 0n;
  return { count: Number(rcx & BigInt(mask)), width };
}

/** The RFLAGS bits that the manual leaves undefined in this case. */
export function undefinedFlags(form: Form, setup: Setup): bigint {
  const rule = RULES[form.definition.mnemonic];
  const flags = rule ? rule(shiftOf(form, setup)) : (form.definition.flags?.undefined ?? []);
  return flags.reduce((mask, flag) => mask | FLAG_BIT[flag], 0n);
}
