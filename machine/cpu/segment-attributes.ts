/**
 * The bits of a descriptor's second half as state/fields.ts keeps them (Intel SDM 3A §3.4.5): type in
 * 0–3, S 4, DPL 5–6, P 7, AVL 12, L 13, D/B 14, G 15. Bits 8–11 belong to the limit and are 0.
 */
import { WORD, type CpuState } from '../state/fields.ts';

const EFER_LMA = 1 << 10;

export const ATTRIBUTES_MASK = 0xf0ff;
export const SEGMENT_ACCESSED = 1;
/** Writable data, or readable code. */
export const SEGMENT_WRITABLE = 2;
export const SEGMENT_READABLE = 2;
/** Conforming code, or data that expands down. */
export const SEGMENT_CONFORMING = 4;
export const SEGMENT_EXPAND_DOWN = 4;
export const SEGMENT_CODE = 8;
/** S: code or data, not a system descriptor. */
export const SEGMENT_CODE_OR_DATA = 0x10;
export const SEGMENT_PRESENT = 0x80;
export const SEGMENT_LONG = 0x2000;
/** D for code, B for stacks: 32 bits. */
export const SEGMENT_BIG = 0x4000;
export const SEGMENT_GRANULAR = 0x8000;

/** Types of system descriptors (Intel SDM 3A table 3-2). */
export const SYSTEM_TYPE = {
  tss16Available: 1,
  ldt: 2,
  tss16Busy: 3,
  callGate16: 4,
  taskGate: 5,
  interruptGate16: 6,
  trapGate16: 7,
  tssAvailable: 9,
  tssBusy: 11,
  callGate: 12,
  interruptGate: 14,
  trapGate: 15,
} as const;

export function privilegeLevel(attributes: number): number {
  return (attributes >>> 5) & 3;
}

export function has(attributes: number, bits: number): boolean {
  return (attributes & bits) === bits;
}

export function isCode(attributes: number): boolean {
  return has(attributes, SEGMENT_CODE_OR_DATA | SEGMENT_CODE);
}

export function isConformingCode(attributes: number): boolean {
  return has(attributes, SEGMENT_CODE_OR_DATA | SEGMENT_CODE | SEGMENT_CONFORMING);
}

export function isWritableData(attributes: number): boolean {
  return has(attributes, SEGMENT_CODE_OR_DATA | SEGMENT_WRITABLE) && !isCode(attributes);
}

/** Present, S = 1 and accessed: code that may be executed and read, data that may be written. */
const FLAT =
  SEGMENT_ACCESSED | SEGMENT_WRITABLE | SEGMENT_CODE_OR_DATA | SEGMENT_PRESENT | SEGMENT_GRANULAR;

/** What SYSCALL, SYSENTER and their returns load without looking at a descriptor table. */
export function flatCode(cpl: number, isLong: boolean): number {
  return FLAT | SEGMENT_CODE | (isLong ? SEGMENT_LONG : SEGMENT_BIG) | (cpl << 5);
}

export function flatData(cpl: number): number {
  return FLAT | SEGMENT_BIG | (cpl << 5);
}

/** The limit, in bytes minus one, of a flat segment. */
export const FLAT_LIMIT = 0xffff_ffff;

/** 64-bit mode: IA-32e mode is active and the code segment is long. */
export function isIn64BitMode(state: CpuState): boolean {
  return isLongModeActive(state) && has(state.csAttributes, SEGMENT_LONG);
}

export function isLongModeActive({ words }: CpuState): boolean {
  return (words[WORD.efer]! & EFER_LMA) !== 0;
}
