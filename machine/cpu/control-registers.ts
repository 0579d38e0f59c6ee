/**
 * Writing CR0, CR2, CR3, CR4, CR8 and EFER (Intel SDM 3A §2.5, 9.8.5; SDM 2B, "MOV—Move to/from
 * Control Registers"). Real mode is left out: clearing CR0.PE is noted and gives #UD.
 */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import { PHYSICAL_ADDRESS_BITS } from '../memory/paging-format.ts';
import type { Cpu } from './cpu.ts';
import { SEGMENT_LONG, has, isIn64BitMode, isLongModeActive } from './segment-attributes.ts';

export const CR0_PE = 1n << 0n;
export const CR0_EM = 1n << 2n;
export const CR0_TS = 1n << 3n;
const CR0_ET = 1n << 4n;
const CR0_WP = 1n << 16n;
const CR0_NW = 1n << 29n;
const CR0_CD = 1n << 30n;
export const CR0_PG = 1n << 31n;
/** PE MP EM TS ET NE WP AM NW CD PG; the others are ignored when written. */
const CR0_DEFINED = 0xe005_003fn;

const CR4_TSD = 1n << 2n;
const CR4_DE = 1n << 3n;
const CR4_PSE = 1n << 4n;
export const CR4_PAE = 1n << 5n;
const CR4_PGE = 1n << 7n;
const CR4_PCE = 1n << 8n;
const CR4_OSFXSR = 1n << 9n;
const CR4_OSXMMEXCPT = 1n << 10n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;
/** What CPUID announces; any other bit is #GP(0). */
const CR4_SUPPORTED =
  CR4_TSD |
  CR4_DE |
  CR4_PSE |
  CR4_PAE |
  CR4_PGE |
  CR4_PCE |
  CR4_OSFXSR |
  CR4_OSXMMEXCPT |
  CR4_SMEP |
  CR4_SMAP;
const CR4_PAGING = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP;

const EFER_SCE = 1n << 0n;
const EFER_LME = 1n << 8n;
const EFER_LMA = 1n << 10n;
const EFER_NXE = 1n << 11n;

const ABOVE_PHYSICAL = ~((1n << BigInt(PHYSICAL_ADDRESS_BITS)) - 1n);

/** MOV to CR0, 2, 3, 4 and 8; another number is #UD. CPL has been checked. */
export function writeControlRegister(
  cpu: Cpu,
  number: number,
  value: bigint,
): GuestFault | undefined {
  switch (number) {
    case 0:
      return writeCr0(cpu, value);
    case 2:
      cpu.state.cr2 = value;
      return undefined;
    case 3:
      return writeCr3(cpu, value);
    case 4:
      return writeCr4(cpu, value);
    case 8:
      return writeCr8(cpu, value);
    default:
      return fault(VECTOR.UD);
  }
}

/** CR8: bits 7–4 of the local APIC's task priority (Intel SDM 3A §11.8.6). */
export function readCr8(cpu: Cpu): bigint {
  return cpu.apic === undefined ? cpu.state.cr8 : BigInt(cpu.apic.taskPriority >> 4);
}

/** CLTS: SSE instructions work again. */
export function clearTaskSwitched(cpu: Cpu): void {
  cpu.state.cr0 &= ~CR0_TS;
  cpu.requestExit();
}

/** LMSW: MP, EM and TS; PE can be set and not cleared. */
export function loadMachineStatus(cpu: Cpu, value: bigint): GuestFault | undefined {
  const { cr0 } = cpu.state;
  const kept = cr0 & ~0xen;
  return writeCr0(cpu, kept | (value & 0xfn));
}

function writeCr0(cpu: Cpu, value: bigint): GuestFault | undefined {
  const { state } = cpu;
  const next = (value & CR0_DEFINED) | CR0_ET;
  const isContradiction =
    value >> 32n !== 0n ||
    (has64(next, CR0_PG) && !has64(next, CR0_PE)) ||
    (has64(next, CR0_NW) && !has64(next, CR0_CD));
  if (isContradiction) return fault(VECTOR.GP, 0);
  if (!has64(next, CR0_PE)) {
    cpu.noteOnce('real mode is not implemented: clearing CR0.PE gives #UD');
    return fault(VECTOR.UD);
  }
  const isToggled = ((state.cr0 ^ next) & CR0_PG) !== 0n;
  if (isToggled && !mayTogglePaging(cpu)) return fault(VECTOR.GP, 0);
  const isMappingChange = ((state.cr0 ^ next) & (CR0_PG | CR0_WP)) !== 0n;
  state.cr0 = next;
  if (isToggled && has64(next, CR0_PG) && has64(state.efer, EFER_LME)) state.efer |= EFER_LMA;
  if (!has64(next, CR0_PG)) state.efer &= ~EFER_LMA;
  if (isMappingChange) cpu.mappingChanged();
  cpu.requestExit();
  return undefined;
}

/** Long mode is entered with PAE and a 32-bit CS and left from compatibility mode. */
function mayTogglePaging({ state }: Cpu): boolean {
  if (has64(state.cr0, CR0_PG)) return !isIn64BitMode(state);
  if (!has64(state.efer, EFER_LME)) return true;
  return has64(state.cr4, CR4_PAE) && !has(state.csAttributes, SEGMENT_LONG);
}

function writeCr3(cpu: Cpu, value: bigint): GuestFault | undefined {
  const isLong = isLongModeActive(cpu.state);
  if (isLong && (value & ABOVE_PHYSICAL) !== 0n) return fault(VECTOR.GP, 0);
  cpu.state.cr3 = isLong ? value : BigInt.asUintN(32, value);
  cpu.mappingChanged();
  return undefined;
}

function writeCr4(cpu: Cpu, value: bigint): GuestFault | undefined {
  const { state } = cpu;
  const leavesPae = isLongModeActive(state) && !has64(value, CR4_PAE);
  if ((value & ~CR4_SUPPORTED) !== 0n || leavesPae) return fault(VECTOR.GP, 0);
  const isMappingChange = ((state.cr4 ^ value) & CR4_PAGING) !== 0n;
  state.cr4 = value;
  if (isMappingChange) cpu.mappingChanged();
  cpu.requestExit();
  return undefined;
}

function writeCr8(cpu: Cpu, value: bigint): GuestFault | undefined {
  if (value > 15n) return fault(VECTOR.GP, 0);
  cpu.state.cr8 = value;
  if (cpu.apic !== undefined) cpu.apic.taskPriority = Number(value) << 4;
  cpu.requestExit();
  return undefined;
}

/** WRMSR to IA32_EFER: LMA is the CPU's own, LME stays as it is while paging is on. */
export function writeEfer(cpu: Cpu, value: bigint): GuestFault | undefined {
  const { state } = cpu;
  const isUnknown = (value & ~(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE)) !== 0n;
  const changesLme = ((state.efer ^ value) & EFER_LME) !== 0n;
  if (isUnknown || (changesLme && has64(state.cr0, CR0_PG))) return fault(VECTOR.GP, 0);
  const changesNxe = ((state.efer ^ value) & EFER_NXE) !== 0n;
  state.efer = (value & ~EFER_LMA) | (state.efer & EFER_LMA);
  if (changesNxe) cpu.mappingChanged();
  cpu.requestExit();
  return undefined;
}

function has64(value: bigint, bit: bigint): boolean {
  return (value & bit) !== 0n;
}
