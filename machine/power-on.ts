/**
 * The CPU as a boot loader leaves it: 32-bit protected mode, flat segments, paging and interrupts
 * off (Multiboot 1 §3.2, Multiboot 2 §3.3, PVH, Linux). The rest is as after RESET (Intel SDM 3A §9.1.1).
 */
import type { BootPlan } from './boot/boot-protocol.ts';
import { STATE_FIELDS, type CpuState } from './state/fields.ts';

const CODE_SELECTOR = 0x10;
const DATA_SELECTOR = 0x18;
/** Present, DPL 0, code/data, 4 GiB in 4 KiB units, 32 bits; execute/read and read/write, accessed. */
const CODE_ATTRIBUTES = 0xc09b;
const DATA_ATTRIBUTES = 0xc093;
/** Present, 32-bit TSS, busy; as after RESET. */
const TASK_ATTRIBUTES = 0x008b;
const LDT_ATTRIBUTES = 0x0082;

const CR0_PE = 1n << 0n;
const CR0_ET = 1n << 4n;

export function powerOn(state: CpuState, plan: BootPlan): void {
  clearState(state);
  for (const name of ['es', 'ss', 'ds', 'fs', 'gs'] as const) {
    state[`${name}Selector`] = DATA_SELECTOR;
    state[`${name}Limit`] = 0xffff_ffff;
    state[`${name}Attributes`] = DATA_ATTRIBUTES;
  }
  state.csSelector = CODE_SELECTOR;
  state.csLimit = 0xffff_ffff;
  state.csAttributes = CODE_ATTRIBUTES;
  state.trLimit = 0xffff;
  state.trAttributes = TASK_ATTRIBUTES;
  state.ldtrLimit = 0xffff;
  state.ldtrAttributes = LDT_ATTRIBUTES;
  state.gdtrLimit = 0xffff;
  state.cr0 = CR0_PE | CR0_ET;
  state.rflagsSystem = 2n;
  state.flagZero = 1n;
  state.flagSign = 1n;
  state.dr6 = 0xffff_0ff0n;
  state.dr7 = 0x400n;
  state.mxcsr = 0x1f80;
  state.x87Area[0] = 0x40; // FCW = 0040H after RESET
  state.xcr0 = 1n;
  state.apicBase = 0xfee0_0900n; // enabled, bootstrap processor
  state.pat = 0x0007_0406_0007_0406n;
  state.miscEnable = 1n;
  // No boundary is inhibited until STI says so.
  state.shadowIcount = 0xffff_ffff_ffff_ffffn;
  state.rip = BigInt(plan.entry);
  state.rax = BigInt(plan.registers.eax);
  state.rbx = BigInt(plan.registers.ebx);
  state.rsi = BigInt(plan.registers.esi ?? 0);
}

/** All fields 0; the code that linear addresses meant is forgotten. */
export function clearState(state: CpuState): void {
  const last = STATE_FIELDS[STATE_FIELDS.length - 1];
  if (last === undefined) return;
  const generation = state.mapGeneration;
  state.words.fill(0, 0, Math.ceil((last.offset + last.lengthBytes) / 4));
  state.mapGeneration = generation + 1;
}
