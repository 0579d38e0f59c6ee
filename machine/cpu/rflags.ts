/**
 * RFLAGS (Intel SDM 1 §3.4.3): put together from, and taken apart into, the forms in which
 * state/fields.ts keeps it. All defined flags lie in the low 32 bits, so RFLAGS is a number here.
 */
import { WORD, type CpuState } from '../state/fields.ts';

export const RFLAGS_CF = 1 << 0;
export const RFLAGS_FIXED = 1 << 1;
export const RFLAGS_PF = 1 << 2;
export const RFLAGS_AF = 1 << 4;
export const RFLAGS_ZF = 1 << 6;
export const RFLAGS_SF = 1 << 7;
export const RFLAGS_TF = 1 << 8;
export const RFLAGS_IF = 1 << 9;
export const RFLAGS_DF = 1 << 10;
export const RFLAGS_OF = 1 << 11;
export const RFLAGS_IOPL = 3 << 12;
export const RFLAGS_NT = 1 << 14;
export const RFLAGS_RF = 1 << 16;
export const RFLAGS_VM = 1 << 17;
export const RFLAGS_AC = 1 << 18;
export const RFLAGS_VIF = 1 << 19;
export const RFLAGS_VIP = 1 << 20;
export const RFLAGS_ID = 1 << 21;

export const RFLAGS_ARITHMETIC =
  RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF;

/** All flags that exist, apart from the fixed bit. */
export const RFLAGS_DEFINED =
  RFLAGS_ARITHMETIC |
  RFLAGS_TF |
  RFLAGS_IF |
  RFLAGS_DF |
  RFLAGS_IOPL |
  RFLAGS_NT |
  RFLAGS_RF |
  RFLAGS_VM |
  RFLAGS_AC |
  RFLAGS_VIF |
  RFLAGS_VIP |
  RFLAGS_ID;

/** RFLAGS as PUSHF and a debugger see it (without PUSHF's clearing of RF and VM). */
export function readRflags({ words }: CpuState): number {
  const carryHigh = words[WORD.flagCarry + 1]!;
  let value = words[WORD.rflagsSystem]!;
  if ((carryHigh & 0x8000_0000) !== 0) value |= RFLAGS_CF;
  if (((carryHigh ^ (carryHigh << 1)) & 0x8000_0000) !== 0) value |= RFLAGS_OF;
  if ((words[WORD.flagCarry]! & 8) !== 0) value |= RFLAGS_AF;
  if (words[WORD.flagZero] === 0 && words[WORD.flagZero + 1] === 0) value |= RFLAGS_ZF;
  if ((words[WORD.flagSign + 1]! & 0x8000_0000) !== 0) value |= RFLAGS_SF;
  if (hasEvenParity(words[WORD.flagSign]!)) value |= RFLAGS_PF;
  return value >>> 0;
}

/**
 * Replaces all of RFLAGS; undefined bits are dropped. AC decides the TLB context, so whoever
 * changes it calls `updateTlbContext`.
 */
export function writeRflags({ words }: CpuState, value: number): void {
  words[WORD.rflagsSystem] = (value & RFLAGS_DEFINED & ~RFLAGS_ARITHMETIC) | RFLAGS_FIXED;
  words[WORD.rflagsSystem + 1] = 0;
  words[WORD.flagZero] = (value & RFLAGS_ZF) === 0 ? 1 : 0;
  words[WORD.flagZero + 1] = 0;
  words[WORD.flagSign] = (value & RFLAGS_PF) === 0 ? 1 : 0;
  words[WORD.flagSign + 1] = (value & RFLAGS_SF) === 0 ? 0 : 0x8000_0000;
  const carry = value & RFLAGS_CF;
  const overflow = (value & RFLAGS_OF) === 0 ? 0 : 1;
  words[WORD.flagCarry] = (value & RFLAGS_AF) === 0 ? 0 : 8;
  words[WORD.flagCarry + 1] = (carry << 31) | ((carry ^ overflow) << 30);
}

/** IOPL, 0–3. */
export function ioPrivilegeLevel({ words }: CpuState): number {
  return (words[WORD.rflagsSystem]! & RFLAGS_IOPL) >>> 12;
}

function hasEvenParity(value: number): boolean {
  const folded = value ^ (value >>> 4);
  // 0x6996 holds the parity of each of the 16 values of four bits.
  return ((0x6996 >>> (folded & 15)) & 1) === 0;
}
