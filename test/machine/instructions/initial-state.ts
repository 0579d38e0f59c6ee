/**
 * The state before a case: fixed by mode and seed, then whatever the case overrides. Vectors store
 * only mode, seed and overrides.
 */
import { GENERAL_REGISTER_NAMES } from '../../../machine/state/fields.ts';
import { HARDWARE_FIELDS, XMM_FIELDS, type HardwareState } from './hardware-fields.ts';
import { Random } from './random.ts';
import { PLACE, SELECTOR, STACK_POINTER, START } from './world.ts';

/** Privilege (kernel or user) and code width: 64-bit mode, else compatibility mode. */
export const MODES = ['k64', 'u64', 'k32', 'u32', 'k16'] as const;
export type Mode = (typeof MODES)[number];

const CODE: Record<Mode, readonly [selector: number, attributes: number]> = {
  k64: [SELECTOR.kernelCode, 0xa09b],
  u64: [SELECTOR.userCode, 0xa0fb],
  k32: [SELECTOR.kernelCode32, 0xc09b],
  u32: [SELECTOR.userCode32, 0xc0fb],
  k16: [SELECTOR.kernelCode16, 0x809b],
};

const FIXED: Readonly<Record<string, bigint>> = {
  rip: BigInt(START),
  trSelector: BigInt(SELECTOR.tss),
  trBase: BigInt(PLACE.tss),
  trLimit: 0x87n,
  trAttributes: 0x8bn,
  gdtrBase: BigInt(PLACE.gdt),
  gdtrLimit: 0xffn,
  idtrBase: BigInt(PLACE.idt),
  idtrLimit: 0xfffn,
  // PE, MP, ET, NE, WP, AM, PG.
  cr0: 0x8005_0033n,
  cr3: BigInt(PLACE.pageTables),
  // PAE, PGE, OSFXSR, OSXMMEXCPT.
  cr4: 0x6a0n,
  // SCE, LME, LMA, NXE.
  efer: 0xd01n,
  star: 0x0023_0010_0000_4130n,
  lstar: BigInt(PLACE.handlers + 0x100),
  cstar: BigInt(PLACE.handlers + 0x110),
  sfmask: 0x4_7700n,
  kernelGsBase: 0x3_1000n,
  sysenterCs: BigInt(SELECTOR.kernelCode),
  sysenterEsp: BigInt(PLACE.kernelStackTop),
  sysenterEip: BigInt(PLACE.handlers + 0x120),
  tscAux: 0x1234n,
  xcr0: 1n,
  dr6: 0xffff_0ff0n,
  dr7: 0x400n,
  tscOffset: 0x12_3456_789an,
};

/** Registers that only hand-written vectors look at: FIXED's, and these. */
const SYSTEM_FIELDS = [
  ...Object.keys(FIXED),
  ...['es', 'cs', 'ss', 'ds', 'fs', 'gs'].flatMap((name) => [`${name}Limit`, `${name}Attributes`]),
  ...['ldtrSelector', 'ldtrBase', 'ldtrLimit', 'ldtrAttributes', 'cpl'],
  ...['cr8', 'dr0', 'dr1', 'dr2', 'dr3', 'pat'],
];

/** Every field of an initial state. */
export const ALL_FIELDS: readonly string[] = [...new Set([...HARDWARE_FIELDS, ...SYSTEM_FIELDS])];

function setSegments(state: HardwareState, mode: Mode): void {
  const [selector, attributes] = CODE[mode];
  const isUser = mode.startsWith('u');
  const data = BigInt(isUser ? SELECTOR.userData : SELECTOR.kernelData);
  for (const name of ['es', 'ss', 'ds', 'fs', 'gs']) {
    state.set(`${name}Selector`, data);
    state.set(`${name}Limit`, 0xffff_ffffn);
    state.set(`${name}Attributes`, isUser ? 0xc0f3n : 0xc093n);
  }
  state.set('csSelector', BigInt(selector));
  state.set('cpl', BigInt(selector & 3));
  state.set('csLimit', 0xffff_ffffn);
  state.set('csAttributes', BigInt(attributes));
  state.set('fsBase', 0x3_0010n);
  state.set('gsBase', 0x3_0020n);
}

/** CF, PF, AF, ZF, SF, OF at random; IF and bit 1 set. */
function randomFlags(random: Random): bigint {
  return (random.bits() & 0x8d5n) | 0x202n;
}

function setVectors(state: HardwareState, random: Random): void {
  const kind = random.pick(['integer', 'float32Pair', 'float64'] as const);
  for (const name of XMM_FIELDS) state.set(name, random[kind]());
}

/** Every field of HARDWARE_FIELDS and the system registers. `overrides` come last. */
export function initialState(
  mode: Mode,
  seed: number,
  overrides: ReadonlyMap<string, bigint>,
): HardwareState {
  const state: HardwareState = new Map(ALL_FIELDS.map((name) => [name, 0n]));
  for (const [name, value] of Object.entries(FIXED)) state.set(name, value);
  const random = new Random(BigInt(seed));
  setSegments(state, mode);
  const registers = mode.endsWith('64') ? 16 : 8;
  for (const name of GENERAL_REGISTER_NAMES.slice(0, registers)) {
    const value = random.integer();
    state.set(name, registers === 16 ? value : value & 0xffff_ffffn);
  }
  state.set('rsp', BigInt(STACK_POINTER));
  state.set('rflags', randomFlags(random));
  state.set('mxcsr', 0x1f80n);
  setVectors(state, random);
  for (const [name, value] of overrides) {
    if (!state.has(name)) throw new Error(`no field ${name} to override`);
    state.set(name, value);
  }
  return state;
}
