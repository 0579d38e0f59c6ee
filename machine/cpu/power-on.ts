/**
 * The CPU as a boot loader hands it over: 32-bit protected mode, flat segments, paging and interrupts
 * off (Multiboot 0.6.96 §3.2, Multiboot 2 §3.3, Xen's PVH entry point). There is no GDT and no IDT:
 * the hidden parts of the segment registers are as if a loader's GDT had been there.
 */
import { STATE_FIELDS } from '../state/fields.ts';
import type { Cpu } from './cpu.ts';
import { DR6_RESET, DR7_RESET } from './debug-registers.ts';
import { setSegment } from './descriptors.ts';
import { MXCSR_RESET, resetX87 } from './fxsave.ts';
import { writeRflags } from './rflags.ts';
import {
  FLAT_LIMIT,
  SEGMENT_PRESENT,
  SYSTEM_TYPE,
  flatCode,
  flatData,
} from './segment-attributes.ts';

const CODE_SELECTOR = 0x08;
const DATA_SELECTOR = 0x10;
/** PE and ET. */
const CR0_AT_BOOT = 0x11n;
/** PVH asks for an active 32-bit TSS of this limit at address 0. */
const TSS_LIMIT = 0x67;
/** IA32_PAT after reset (Intel SDM 3A table 11-12). */
const PAT_RESET = 0x0007_0406_0007_0406n;
/** At FEE0_0000h, enabled, bootstrap processor. */
const APIC_BASE_RESET = 0xfee0_0900n;
/** MTRRs enabled, everything write-back. */
const MTRR_DEF_TYPE_RESET = 0xc06n;
/** Fast string operations. */
const MISC_ENABLE_RESET = 1n;

/** Sets every field of the CPU state; the caller then sets rip, eax and ebx. RAM is left alone. */
export function powerOn(cpu: Cpu): void {
  const { state } = cpu;
  clearState(cpu);
  const flat = { base: 0n, limit: FLAT_LIMIT };
  setSegment(cpu, 'cs', { ...flat, selector: CODE_SELECTOR, attributes: flatCode(0, false) });
  for (const name of ['es', 'ss', 'ds', 'fs', 'gs'] as const) {
    setSegment(cpu, name, { ...flat, selector: DATA_SELECTOR, attributes: flatData(0) });
  }
  state.trLimit = TSS_LIMIT;
  state.trAttributes = SYSTEM_TYPE.tssBusy | SEGMENT_PRESENT;
  writeRflags(state, 0);
  state.cr0 = CR0_AT_BOOT;
  state.dr6 = DR6_RESET;
  state.dr7 = DR7_RESET;
  state.pat = PAT_RESET;
  state.apicBase = APIC_BASE_RESET;
  state.mtrrDefType = MTRR_DEF_TYPE_RESET;
  state.miscEnable = MISC_ENABLE_RESET;
  state.mxcsr = MXCSR_RESET;
  resetX87(state);
  cpu.powerOn();
}

/** Everything 0, but for the map generation: code decoded before must stay recognisably old. */
function clearState({ state }: Cpu): void {
  const generation = state.mapGeneration;
  const last = STATE_FIELDS.at(-1)!;
  state.words.fill(0, 0, (last.offset + last.lengthBytes) / 4);
  state.mapGeneration = generation;
}
