/**
 * Cases for the fuzzer: single instructions as the generator makes them, sequences of them, and
 * instructions whose bytes are random.
 */
import type { Form } from '../forms.ts';
import { makeCaseBy } from '../generate/case-maker.ts';
import type { Random } from '../random.ts';
import type { Delta, Setup } from '../vector-file.ts';
import { PLACE } from '../world.ts';

/** Instructions that would not end, would call the host's kernel, or lead out of a sequence. */
const NOT_IN_SEQUENCES = new RegExp(
  `^(${[
    'j call ret loop int iret sys leave enter in$ ins$ out pop$ popf',
    'cmps movsxd arpl ver lsl lar l[defgs]s$ maskmov fx ldmxcsr rcp rsqrt',
  ]
    .join(' ')
    .replaceAll(' ', '|')})`,
);
const LONGEST = 15;

function mergeDeltas(deltas: readonly Delta[]): Delta {
  return {
    fields: new Map(deltas.flatMap(({ fields }) => [...fields])),
    memory: deltas.flatMap(({ memory }) => memory),
  };
}

/** Forms whose results are defined in all bits, so that what follows may build on them. */
export function sequenceForms(forms: readonly Form[]): Form[] {
  return forms.filter(({ definition }) => {
    const leftOpen = (definition.flags?.undefined ?? []).filter((flag) => flag !== 'AF');
    const isShift = /^(sh|ro|rc|sa)/.test(definition.mnemonic);
    const isTame = !NOT_IN_SEQUENCES.test(definition.mnemonic) || definition.mnemonic === 'mov';
    return isTame && !isShift && leftOpen.length === 0 && definition.privileged !== true;
  });
}

export function singleCase(forms: readonly Form[], random: Random): { form: Form; setup: Setup } {
  const form = random.pick(forms);
  return { form, setup: makeCaseBy(form, random) };
}

/** Up to twelve instructions one after another, with the registers that the last of them asks for. */
export function sequenceCase(forms: readonly Form[], random: Random): Setup {
  const wanted = 2 + random.below(11);
  const parts: Setup[] = [];
  while (parts.length < wanted) {
    const { setup } = singleCase(forms, random);
    if (setup.mode === (parts[0]?.mode ?? setup.mode)) parts.push(setup);
  }
  const first = parts[0] ?? singleCase(forms, random).setup;
  const code = Uint8Array.from(parts.flatMap((part) => [...part.code]));
  return { ...first, code, before: mergeDeltas(parts.map(({ before }) => before)) };
}

/** SYSCALL, SYSENTER and INT 0x80 would reach the host's kernel. */
function callsKernel(bytes: readonly number[]): boolean {
  return bytes.some((byte, index) => {
    const next = bytes[index + 1];
    return byte === 0xcd || (byte === 0x0f && (next === 0x05 || next === 0x34));
  });
}

const PREFIXES = [0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x2e, 0x36, 0x3e, 0x26, 0x64, 0x65] as const;

function randomBytes(random: Random, is64: boolean): number[] {
  const bytes: number[] = [];
  while (random.once(3)) bytes.push(random.pick(PREFIXES));
  if (is64 && random.once(3)) bytes.push(0x40 | random.below(16));
  if (random.once(3)) bytes.push(0x0f);
  while (bytes.length < LONGEST) bytes.push(random.below(256));
  return bytes;
}

/**
 * Two differences that no manual decides or that our machine makes knowingly: #SS(0) or #GP(0) when
 * a 16-byte operand is neither canonical nor aligned, and segment limits, which are not checked.
 */
export function isAccepted(setup: Setup, lines: readonly string[]): boolean {
  if (lines.join() === 'exception is d, not e') return true;
  return setup.mode === 'u32' && lines.some((line) => /^exception is [0f], not [de]$/.test(line));
}

/**
 * Where makers, or our machine knowingly, differ from this processor: what a fault leaves of ENTER's
 * pushes, which of several faults of RETF and FXRSTOR goes first, SHLD by more than 16 bits, REX.W of far pointers, repetition prefixes of
 * LOOPcc, F3 BSF where the host has TZCNT, MOVSXD of 16 bits, 66H of near branches, which operand of CMPS is read first, LOCK VERW, ports that world.ts
 * allows, and stores through CS outside 64-bit mode.
 */
export function isDisputed(form: Form, setup: Setup): boolean {
  const { mnemonic } = form.definition;
  const prefixes = setup.code.subarray(0, 6);
  if (
    /^(enter|loop.*|movsxd|retf|in|out|ins|outs|cmps|fxsave|fxrstor|maskmovdqu|verw)$/.test(
      mnemonic,
    )
  )
    return true;
  if (/^sh[lr]d$/.test(mnemonic) && prefixes.includes(0x66)) return true;
  if (form.encoding.operandSize64 === 'f64' && prefixes.includes(0x66)) return true;
  if (/^(l[fgs]s|call|jmp)$/.test(mnemonic)) return form.encoding.operands.length > 0;
  if (/^bs[fr]$/.test(mnemonic)) return prefixes.includes(0xf3);
  return setup.mode === 'u32' && prefixes.includes(0x2e);
}

/** Fifteen random bytes with prefixes and the 0F map favoured; most registers point at data. */
export function byteCase(random: Random): Setup {
  const mode = random.once(4) ? 'u32' : 'u64';
  let bytes: number[];
  do bytes = randomBytes(random, mode === 'u64');
  while (callsKernel(bytes));
  const fields = new Map<string, bigint>();
  for (const name of ['rax', 'rcx', 'rdx', 'rbx', 'rbp', 'rsi', 'rdi'])
    if (!random.once(3)) fields.set(name, BigInt(PLACE.integers + 0x400 + random.below(0x800)));
  if (random.once(3)) fields.set('rcx', BigInt(random.below(5)));
  const before = { fields, memory: [] };
  return { mode, seed: random.below(0x10000), code: Uint8Array.from(bytes), before };
}
