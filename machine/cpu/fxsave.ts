/**
 * FXSAVE, FXRSTOR and MXCSR (Intel SDM 1 §10.5, SDM 2A "FXSAVE", table 3-43). The x87 part is kept as bytes: what FXRSTOR
 * brought is what FXSAVE stores, and FNINIT resets it.
 *
 *     0 FCW  2 FSW  4 FTW  6 FOP  8 FIP  16 FDP  24 MXCSR  28 MXCSR_MASK  32 ST0–ST7  160 XMM0–XMM15
 */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { CpuState } from '../state/fields.ts';
import { CR0_EM, CR0_TS } from './control-registers.ts';
import type { Cpu } from './cpu.ts';
import { isIn64BitMode } from './segment-attributes.ts';

export const FXSAVE_BYTES = 512;
export const MXCSR_MASK = 0xffff;
export const MXCSR_RESET = 0x1f80;

const MXCSR_OFFSET = 24;
const MXCSR_MASK_OFFSET = 28;
const XMM_OFFSET = 160;
/** FCW with all exceptions masked, 64-bit precision. */
const FCW_RESET = 0x037f;

/** The image that FXSAVE stores in 64-bit mode; the debugger shows it in every mode. */
export function fxsaveImage(state: CpuState, vectorRegisters = 16): Uint8Array {
  const image = new Uint8Array(FXSAVE_BYTES);
  const view = new DataView(image.buffer);
  image.set(state.x87Area);
  view.setUint32(MXCSR_OFFSET, state.mxcsr, true);
  view.setUint32(MXCSR_MASK_OFFSET, MXCSR_MASK, true);
  image.set(state.xmmArea.subarray(0, vectorRegisters * 16), XMM_OFFSET);
  return image;
}

export function fxsave(cpu: Cpu, linear: bigint): GuestFault | undefined {
  const { state, memory } = cpu;
  const refused = refusal(cpu, linear);
  if (refused !== undefined) return refused;
  const image = fxsaveImage(state, vectorRegisterCount(state));
  // Bytes 464–511 are the program's own and stay.
  const stored = image.subarray(0, XMM_OFFSET + vectorRegisterCount(state) * 16);
  return memory.linear.writeBytes(linear, stored, memory.registers.context);
}

export function fxrstor(cpu: Cpu, linear: bigint): GuestFault | undefined {
  const { state, memory } = cpu;
  const refused = refusal(cpu, linear);
  if (refused !== undefined) return refused;
  const image = new Uint8Array(FXSAVE_BYTES);
  const failed = memory.linear.readBytes(linear, image, memory.registers.context);
  if (failed !== undefined) return failed;
  const mxcsr = new DataView(image.buffer).getUint32(MXCSR_OFFSET, true);
  const invalid = loadMxcsr(state, mxcsr);
  if (invalid !== undefined) return invalid;
  state.x87Area.set(image.subarray(0, state.x87Area.length));
  for (let register = 0; register < vectorRegisterCount(state); register++) {
    const offset = XMM_OFFSET + register * 16;
    state.xmm(register).set(image.subarray(offset, offset + 16));
  }
  return undefined;
}

/** LDMXCSR: #GP(0) for a reserved bit. */
export function loadMxcsr(state: CpuState, value: number): GuestFault | undefined {
  if ((value & ~MXCSR_MASK) !== 0) return fault(VECTOR.GP, 0);
  state.mxcsr = value;
  return undefined;
}

/** FNINIT. */
export function resetX87(state: CpuState): void {
  state.x87Area.fill(0);
  writeX87Word(state, 0, FCW_RESET);
}

export function readX87Word({ x87Area }: CpuState, offset: number): number {
  return x87Area[offset]! | (x87Area[offset + 1]! << 8);
}

export function writeX87Word({ x87Area }: CpuState, offset: number, value: number): void {
  x87Area[offset] = value & 0xff;
  x87Area[offset + 1] = (value >>> 8) & 0xff;
}

/** 16 registers in 64-bit mode, else 8. */
function vectorRegisterCount(state: CpuState): number {
  return isIn64BitMode(state) ? 16 : 8;
}

function refusal({ state }: Cpu, linear: bigint): GuestFault | undefined {
  if ((state.cr0 & (CR0_EM | CR0_TS)) !== 0n) return fault(VECTOR.NM);
  return linear % 16n === 0n ? undefined : fault(VECTOR.GP, 0);
}
