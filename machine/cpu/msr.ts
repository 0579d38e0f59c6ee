/**
 * Model-specific registers (Intel SDM 4): those that exist, one object each. Any other is #GP(0) and
 * noted once by number.
 */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { U64Field } from '../state/fields.ts';
import { writeEfer } from './control-registers.ts';
import type { Cpu } from './cpu.ts';
import { isCanonical } from './handler-entry-64.ts';
import { readTsc, writeTsc } from './time-stamp.ts';

export interface ModelSpecificRegister {
  readonly number: number;
  /** As the SDM names it. */
  readonly name: string;
  read(cpu: Cpu): bigint;
  /** Absent if it is read-only. */
  write?(cpu: Cpu, value: bigint): GuestFault | undefined;
}

/** A register that is a field of the CPU state; `isValid` says which values it takes. */
function field(
  number: number,
  name: string,
  stateField: U64Field,
  isValid: (value: bigint) => boolean = () => true,
): ModelSpecificRegister {
  return {
    number,
    name,
    read: ({ state }) => state[stateField],
    write: ({ state }, value) => {
      if (!isValid(value)) return fault(VECTOR.GP, 0);
      state[stateField] = value;
      return undefined;
    },
  };
}

function constant(number: number, name: string, value: bigint): ModelSpecificRegister {
  return { number, name, read: () => value };
}

/** Memory types that a PAT entry may hold (Intel SDM 3A table 11-10): not 2 and 3. */
function isPat(value: bigint): boolean {
  for (let entry = 0n; entry < 8n; entry++) {
    const type = (value >> (entry * 8n)) & 0xffn;
    if (type > 7n || type === 2n || type === 3n) return false;
  }
  return true;
}

/** Type UC, WC, WT, WP or WB, and the two enables (Intel SDM 3A §11.11.2.1). */
function isMtrrDefault(value: bigint): boolean {
  return [0n, 1n, 4n, 5n, 6n].includes(value & ~0xc00n);
}

function isWord(value: bigint): boolean {
  return value >> 32n === 0n;
}

export const MODEL_SPECIFIC_REGISTERS: readonly ModelSpecificRegister[] = [
  { number: 0x10, name: 'IA32_TIME_STAMP_COUNTER', read: readTsc, write: writeTsc },
  {
    number: 0x1b,
    name: 'IA32_APIC_BASE',
    read: ({ state }) => state.apicBase,
    write: writeApicBase,
  },
  { ...constant(0x8b, 'IA32_BIOS_SIGN_ID', 0n), write: () => undefined },
  // No variable-range and no fixed-range MTRRs.
  constant(0xfe, 'IA32_MTRRCAP', 0n),
  field(0x174, 'IA32_SYSENTER_CS', 'sysenterCs'),
  field(0x175, 'IA32_SYSENTER_ESP', 'sysenterEsp', isCanonical),
  field(0x176, 'IA32_SYSENTER_EIP', 'sysenterEip', isCanonical),
  field(0x1a0, 'IA32_MISC_ENABLE', 'miscEnable'),
  field(0x277, 'IA32_PAT', 'pat', isPat),
  {
    number: 0x6e0,
    name: 'IA32_TSC_DEADLINE',
    read: ({ apic }) => apic?.tscDeadlineTimer.tscDeadline ?? 0n,
    write: writeTscDeadline,
  },
  field(0x2ff, 'IA32_MTRR_DEF_TYPE', 'mtrrDefType', isMtrrDefault),
  { number: 0xc000_0080, name: 'IA32_EFER', read: ({ state }) => state.efer, write: writeEfer },
  field(0xc000_0081, 'IA32_STAR', 'star'),
  field(0xc000_0082, 'IA32_LSTAR', 'lstar', isCanonical),
  field(0xc000_0083, 'IA32_CSTAR', 'cstar', isCanonical),
  field(0xc000_0084, 'IA32_FMASK', 'sfmask', isWord),
  field(0xc000_0100, 'IA32_FS_BASE', 'fsBase', isCanonical),
  field(0xc000_0101, 'IA32_GS_BASE', 'gsBase', isCanonical),
  field(0xc000_0102, 'IA32_KERNEL_GS_BASE', 'kernelGsBase', isCanonical),
  field(0xc000_0103, 'IA32_TSC_AUX', 'tscAux', isWord),
];

const BY_NUMBER = new Map(MODEL_SPECIFIC_REGISTERS.map((register) => [register.number, register]));

const APIC_GLOBAL_ENABLE = 1n << 11n;
/** Base, global enable, bootstrap processor; bit 10, x2APIC, is reserved here. */
const APIC_BASE_DEFINED = 0xff_ffff_f900n;
const APIC_BASE_ADDRESS = 0xff_ffff_f000n;

/** The APIC can be turned off; moving it is left out, noted, and has no effect. */
function writeApicBase(cpu: Cpu, value: bigint): GuestFault | undefined {
  const { state } = cpu;
  if ((value & ~APIC_BASE_DEFINED) !== 0n) return fault(VECTOR.GP, 0);
  if (((value ^ state.apicBase) & APIC_BASE_ADDRESS) !== 0n) {
    cpu.noteOnce('moving the local APIC is not implemented: it stays at its address');
  }
  const kept = state.apicBase & (APIC_BASE_ADDRESS | 0x100n);
  state.apicBase = kept | (value & APIC_GLOBAL_ENABLE);
  cpu.apic?.setGloballyEnabled((value & APIC_GLOBAL_ENABLE) !== 0n);
  return undefined;
}

function writeTscDeadline({ apic, state }: Cpu, value: bigint): GuestFault | undefined {
  const dueAt = BigInt.asIntN(64, value - state.tscOffset);
  apic?.tscDeadlineTimer.setTscDeadline(value, dueAt);
  return undefined;
}

/** RDMSR; CPL has been checked. */
export function readMsr(cpu: Cpu, number: number): bigint | GuestFault {
  return BY_NUMBER.get(number)?.read(cpu) ?? unknownMsr(cpu, number, 'read');
}

/** WRMSR; CPL has been checked. */
export function writeMsr(cpu: Cpu, number: number, value: bigint): GuestFault | undefined {
  const register = BY_NUMBER.get(number);
  if (register === undefined) return unknownMsr(cpu, number, 'write');
  if (register.write === undefined) return fault(VECTOR.GP, 0);
  cpu.requestExit();
  return register.write(cpu, value);
}

function unknownMsr(cpu: Cpu, number: number, access: 'read' | 'write'): GuestFault {
  cpu.noteOnce(`${access} of unknown MSR 0x${number.toString(16)}: #GP(0)`);
  return fault(VECTOR.GP, 0);
}
