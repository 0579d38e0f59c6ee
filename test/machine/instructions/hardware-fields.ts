/**
 * The processor state that a case begins and ends with, in the order in which generate/harness.c
 * reads and writes it. Names are those of machine/state/fields.ts; what that has no field for
 * (rflags, the halves of xmm registers) is named here.
 */
import { GENERAL_REGISTER_NAMES } from '../../../machine/state/fields.ts';

export const XMM_FIELDS: readonly string[] = Array.from({ length: 16 }, (_, register) => [
  `xmm${register}`,
  `xmm${register}h`,
]).flat();

const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;

/**
 * `exception` is vector + 1, or 0 when the instruction was completed; error code and cr2 go with it.
 * After an exception the registers are those that its stack frame shows.
 */
export const HARDWARE_FIELDS: readonly string[] = [
  ...GENERAL_REGISTER_NAMES,
  ...['rip', 'rflags'],
  ...SEGMENTS.map((name) => `${name}Selector`),
  ...['fsBase', 'gsBase', 'exception', 'errorCode', 'cr2', 'mxcsr'],
  ...XMM_FIELDS,
];

/** Field name → value, at most 64 bits. */
export type HardwareState = Map<string, bigint>;
