/**
 * The guest's own debug registers (Intel SDM 3B §17.2): access rules, and what they ask to be watched.
 * Data watches work through the TLB's slow path; instruction breakpoints are asked about by the machine's
 * loop. I/O breakpoints (CR4.DE, R/W = 10) are left out: they never fire.
 */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Watch } from '../memory/watchpoints.ts';
import type { CpuState } from '../state/fields.ts';
import type { Cpu } from './cpu.ts';
import { RFLAGS_RF, RFLAGS_TF } from './rflags.ts';

const CR4_DE = 1n << 3n;
export const DR6_BD = 1n << 13n;
export const DR6_BS = 1n << 14n;
/** Bits of DR6 that read as ones (no RTM, no bus-lock detection). */
const DR6_ONES = 0xffff_0ff0n;
/** B0–B3. */
const DR6_BREAKPOINTS = 0xfn;
const DR6_WRITABLE = 0xe00fn;
const DR7_GD = 1n << 13n;
/** Bit 10 reads as one; 11, 12, 14 and 15 as zero. */
const DR7_ONES = 0x400n;
const DR7_WRITABLE = 0xffff_23ffn;

export const DR6_RESET = DR6_ONES;
export const DR7_RESET = DR7_ONES;

const SLOTS = [0, 1, 2, 3] as const;
type Slot = (typeof SLOTS)[number];

/** MOV from DR0–7; CPL has been checked. */
export function readDebugRegister(cpu: Cpu, number: number): bigint | GuestFault {
  const slot = accessibleRegister(cpu, number);
  if (typeof slot !== 'number') return slot;
  switch (slot) {
    case 6:
      return cpu.state.dr6;
    case 7:
      return cpu.state.dr7;
    default:
      return cpu.state[`dr${slot as Slot}`];
  }
}

/** MOV to DR0–7: bits 63–32 of DR6 and DR7 must be 0. */
export function writeDebugRegister(
  cpu: Cpu,
  number: number,
  value: bigint,
): GuestFault | undefined {
  const { state } = cpu;
  const slot = accessibleRegister(cpu, number);
  if (typeof slot !== 'number') return slot;
  if (slot >= 6 && value >> 32n !== 0n) return fault(VECTOR.GP, 0);
  if (slot === 6) state.dr6 = (value & DR6_WRITABLE) | DR6_ONES;
  else if (slot === 7) state.dr7 = (value & DR7_WRITABLE) | DR7_ONES;
  else state[`dr${slot as Slot}`] = value;
  updateGuestWatches(cpu);
  cpu.requestExit();
  return undefined;
}

/** DR4 and DR5 are aliases of DR6 and DR7 unless CR4.DE is set; DR7.GD makes any access #DB. */
function accessibleRegister(cpu: Cpu, number: number): number | GuestFault {
  const { state } = cpu;
  const isAlias = number === 4 || number === 5;
  if (number > 7 || (isAlias && (state.cr4 & CR4_DE) !== 0n)) return fault(VECTOR.UD);
  if ((state.dr7 & DR7_GD) !== 0n) return raiseDebugException(state, DR6_BD);
  return isAlias ? number + 2 : number;
}

/**
 * Sets DR6 for a #DB and clears DR7.GD, as its delivery does; gives the fault to deliver. B0–B3 say what
 * made this #DB; the other bits stay until software clears them (Intel SDM 3B §18.2.3, KVM and Bochs).
 */
export function raiseDebugException(state: CpuState, bits: bigint): GuestFault {
  state.dr6 = (state.dr6 & ~DR6_BREAKPOINTS) | bits;
  state.dr7 &= ~DR7_GD;
  return fault(VECTOR.DB);
}

/**
 * The #DB trap that is due after an instruction has retired: a single step (`wasStepping`: RFLAGS.TF was
 * set before the instruction) and data breakpoints, both in one; or undefined. After MOV SS the single
 * step is lost, and what its operand has hit waits for the next instruction (Intel SDM 3A §6.8.3).
 */
export function takeDebugTrap(cpu: Cpu, wasStepping: boolean): GuestFault | undefined {
  const { state } = cpu;
  if (isTrapShadow(state)) return undefined;
  state.trapShadow = 0;
  const isStep = cpu.singleStepTrap ?? wasStepping;
  const bits = (isStep ? DR6_BS : 0n) | takeDataHits(cpu);
  return bits === 0n ? undefined : raiseDebugException(state, bits);
}

/** Between MOV SS or POP SS and the next instruction. */
export function isTrapShadow({ trapShadow, icount, shadowIcount }: CpuState): boolean {
  return trapShadow !== 0 && icount === shadowIcount;
}

/** The instruction in the shadow has faulted: what waited is lost. */
export function endTrapShadow(cpu: Cpu): void {
  if (cpu.state.trapShadow === 0) return;
  cpu.state.trapShadow = 0;
  cpu.memory.takeGuestWatchHits();
}

/** INT1 is a #DB by itself: it tells of what waited in the shadow of MOV SS. */
export function joinWaitingTraps(cpu: Cpu): void {
  const bits = takeDataHits(cpu);
  if (bits !== 0n) raiseDebugException(cpu.state, bits);
}

/** B0–B3 of the data breakpoints that were hit since the last call. */
function takeDataHits({ memory }: Cpu): bigint {
  let bits = 0n;
  for (const { owner } of memory.takeGuestWatchHits()) {
    if (owner !== 'debugger') bits |= 1n << BigInt(owner);
  }
  return bits;
}

/** RFLAGS.TF: the next instruction is to be followed by #DB. */
export function isSingleStepping({ rflagsSystem }: CpuState): boolean {
  return (rflagsSystem & BigInt(RFLAGS_TF)) !== 0n;
}

/** True if DR7 enables an instruction breakpoint. */
export function hasInstructionBreakpoints({ dr7 }: CpuState): boolean {
  return (
    (dr7 & 0xffn) !== 0n && SLOTS.some((slot) => isEnabled(dr7, slot) && kind(dr7, slot) === 0)
  );
}

/** Where DR0–DR3 ask for #DB before the instruction. */
export function instructionBreakpoints(state: CpuState): readonly bigint[] {
  if (!hasInstructionBreakpoints(state)) return [];
  return SLOTS.filter((slot) => isEnabled(state.dr7, slot) && kind(state.dr7, slot) === 0).map(
    (slot) => state[`dr${slot}`],
  );
}

/**
 * The #DB fault of an instruction breakpoint at a linear address, or undefined. RF suppresses it for
 * one instruction and is cleared by asking; so does MOV SS before it.
 */
export function instructionBreakpoint(cpu: Cpu, linear: bigint): GuestFault | undefined {
  const { state } = cpu;
  if (isTrapShadow(state)) return undefined;
  const isResuming = (state.rflagsSystem & BigInt(RFLAGS_RF)) !== 0n;
  if (isResuming) {
    state.rflagsSystem &= ~BigInt(RFLAGS_RF);
    return undefined;
  }
  let bits = 0n;
  for (const slot of SLOTS) {
    const isHere = state[`dr${slot}`] === linear && kind(state.dr7, slot) === 0;
    if (isHere && isEnabled(state.dr7, slot)) bits |= 1n << BigInt(slot);
  }
  return bits === 0n ? undefined : raiseDebugException(state, bits);
}

/** Makes the memory watch what DR0–DR3 and DR7 say; also after they were changed from outside. */
export function updateGuestWatches(cpu: Cpu): void {
  const { state, memory } = cpu;
  const watches: Watch[] = [];
  for (const slot of SLOTS) {
    const access = kind(state.dr7, slot);
    if (!isEnabled(state.dr7, slot) || (access !== 1 && access !== 3)) continue;
    const lengthBytes = [1, 2, 8, 4][Number((state.dr7 >> BigInt(18 + slot * 4)) & 3n)] ?? 1;
    watches.push({
      linear: state[`dr${slot}`] & ~BigInt(lengthBytes - 1),
      lengthBytes,
      kind: access === 1 ? 'write' : 'access',
      owner: slot,
    });
  }
  memory.setGuestWatches(watches);
}

function isEnabled(dr7: bigint, slot: Slot): boolean {
  return ((dr7 >> BigInt(slot * 2)) & 3n) !== 0n;
}

/** R/Wn: 0 instruction, 1 write, 2 I/O, 3 read or write. */
function kind(dr7: bigint, slot: Slot): number {
  return Number((dr7 >> BigInt(16 + slot * 4)) & 3n);
}
