/** SYSCALL, SYSRET, SYSENTER and SYSEXIT: flat segments without descriptor tables (Intel SDM 2B, 3A §5.8.7). */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { isSingleStepping } from './debug-registers.ts';
import { setSegment } from './descriptors.ts';
import { isCanonical } from './handler-entry-64.ts';
import {
  RFLAGS_DEFINED,
  RFLAGS_FIXED,
  RFLAGS_IF,
  RFLAGS_RF,
  RFLAGS_VM,
  readRflags,
} from './rflags.ts';
import {
  FLAT_LIMIT,
  flatCode,
  flatData,
  isIn64BitMode,
  isLongModeActive,
} from './segment-attributes.ts';

const EFER_SCE = 1n;

/** A single step follows if TF is set afterwards: the mask may clear it. */
export function syscall(cpu: Cpu): GuestFault | undefined {
  const { state } = cpu;
  if ((state.efer & EFER_SCE) === 0n || !isIn64BitMode(state)) return fault(VECTOR.UD);
  const flags = readRflags(state);
  const selector = Number((state.star >> 32n) & 0xfffcn);
  state.rcx = state.rip;
  state.r11 = BigInt(flags & ~RFLAGS_RF);
  state.rip = state.lstar;
  cpu.setRflags(flags & ~Number(state.sfmask & 0xffff_ffffn) & ~RFLAGS_RF);
  cpu.singleStepTrap = isSingleStepping(state);
  loadFlat(cpu, selector, selector + 8, 0, true);
  return undefined;
}

/**
 * CPL 0 has been checked by SYSRET's definition; `operandWidth` 64 returns to 64-bit code. If it sets
 * TF, a single step follows at once, before the first instruction it returns to (Linux, entry_64.S).
 */
export function sysret(cpu: Cpu, operandWidth: number): GuestFault | undefined {
  const { state } = cpu;
  if ((state.efer & EFER_SCE) === 0n || !isIn64BitMode(state)) return fault(VECTOR.UD);
  const isLong = operandWidth === 64;
  if (isLong && !isCanonical(state.rcx)) return fault(VECTOR.GP, 0);
  const base = Number((state.star >> 48n) & 0xffffn);
  state.rip = isLong ? state.rcx : BigInt.asUintN(32, state.rcx);
  const restored = Number(state.r11 & 0xffff_ffffn) & RFLAGS_DEFINED & ~(RFLAGS_RF | RFLAGS_VM);
  cpu.setRflags(restored | RFLAGS_FIXED);
  cpu.singleStepTrap = isSingleStepping(state);
  loadFlat(cpu, base + (isLong ? 16 : 0), base + 8, 3, isLong);
  return undefined;
}

export function sysenter(cpu: Cpu): GuestFault | undefined {
  const { state } = cpu;
  const selector = Number(state.sysenterCs & 0xfffcn);
  if (selector === 0) return fault(VECTOR.GP, 0);
  const isLong = isLongModeActive(state);
  cpu.setRflags(readRflags(state) & ~(RFLAGS_VM | RFLAGS_IF));
  state.rsp = isLong ? state.sysenterEsp : BigInt.asUintN(32, state.sysenterEsp);
  state.rip = isLong ? state.sysenterEip : BigInt.asUintN(32, state.sysenterEip);
  loadFlat(cpu, selector, selector + 8, 0, isLong);
  return undefined;
}

export function sysexit(cpu: Cpu, operandWidth: number): GuestFault | undefined {
  const { state } = cpu;
  const selector = Number(state.sysenterCs & 0xfffcn);
  if (selector === 0) return fault(VECTOR.GP, 0);
  const isLong = operandWidth === 64;
  if (isLong && !(isCanonical(state.rdx) && isCanonical(state.rcx))) return fault(VECTOR.GP, 0);
  state.rsp = isLong ? state.rcx : BigInt.asUintN(32, state.rcx);
  state.rip = isLong ? state.rdx : BigInt.asUintN(32, state.rdx);
  const code = selector + (isLong ? 32 : 16);
  loadFlat(cpu, code, code + 8, 3, isLong);
  return undefined;
}

function loadFlat(cpu: Cpu, code: number, stack: number, level: number, isLong: boolean): void {
  setSegment(cpu, 'cs', {
    selector: (code & 0xfffc) | level,
    base: 0,
    limit: FLAT_LIMIT,
    attributes: flatCode(level, isLong),
  });
  setSegment(cpu, 'ss', {
    selector: (stack & 0xfffc) | level,
    base: 0,
    limit: FLAT_LIMIT,
    attributes: flatData(level),
  });
  cpu.setPrivilegeLevel(level);
}
