/** POPF, CLI and STI: what each privilege level may change (Intel SDM 2B, "POPF", "CLI", "STI"). */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import {
  RFLAGS_AC,
  RFLAGS_ARITHMETIC,
  RFLAGS_DF,
  RFLAGS_ID,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VIF,
  RFLAGS_VIP,
  ioPrivilegeLevel,
  readRflags,
} from './rflags.ts';

/** Never faults: what may not change stays as it is. RF is cleared, VM stays. */
export function popFlags(cpu: Cpu, popped: number, width: number): void {
  const { state } = cpu;
  let mask = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
  if (width !== 16) mask |= RFLAGS_AC | RFLAGS_ID;
  if (state.cpl <= ioPrivilegeLevel(state)) mask |= RFLAGS_IF;
  if (state.cpl === 0) mask |= RFLAGS_IOPL;
  const cleared = width === 16 ? 0 : RFLAGS_RF | (state.cpl === 0 ? RFLAGS_VIF | RFLAGS_VIP : 0);
  cpu.setRflags((readRflags(state) & ~(mask | cleared)) | (popped & mask));
}

export function clearInterruptFlag(cpu: Cpu): GuestFault | undefined {
  const { state } = cpu;
  if (state.cpl > ioPrivilegeLevel(state)) return fault(VECTOR.GP, 0);
  state.rflagsSystem &= ~BigInt(RFLAGS_IF);
  return undefined;
}

/** If IF was 0, interrupts stay inhibited until the next instruction has retired. */
export function setInterruptFlag(cpu: Cpu): GuestFault | undefined {
  const { state } = cpu;
  if (state.cpl > ioPrivilegeLevel(state)) return fault(VECTOR.GP, 0);
  if ((state.rflagsSystem & BigInt(RFLAGS_IF)) !== 0n) return undefined;
  state.rflagsSystem |= BigInt(RFLAGS_IF);
  inhibitInterrupts(cpu);
  if (cpu.interrupts.hasInterrupt()) cpu.requestExit();
  return undefined;
}

/** No interrupt between this instruction and the next (Intel SDM 3A §6.8.3). */
function inhibitInterrupts({ state }: Cpu): void {
  state.shadowIcount = state.icount + 1n;
}

/** Nor a #DB, unless the next instruction itself raises it. */
export function inhibitTraps(cpu: Cpu): void {
  inhibitInterrupts(cpu);
  cpu.state.trapShadow = 1;
}
