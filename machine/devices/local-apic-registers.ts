/**
 * Register offsets and bits of the local APIC (Intel SDM 3A table 11-1 and the figures of chapter
 * 11, whose names these are).
 */
export const ID = 0x020;
export const VERSION = 0x030;
export const TPR = 0x080;
export const APR = 0x090;
export const PPR = 0x0a0;
export const EOI = 0x0b0;
export const LDR = 0x0d0;
export const DFR = 0x0e0;
export const SVR = 0x0f0;
export const ISR = 0x100;
export const TMR = 0x180;
export const IRR = 0x200;
export const BITMAPS_END = 0x280;
export const ESR = 0x280;
export const ICR_LOW = 0x300;
export const ICR_HIGH = 0x310;
export const LVT_TIMER = 0x320;
export const LVT_THERMAL = 0x330;
export const LVT_PERFORMANCE = 0x340;
export const LVT_LINT0 = 0x350;
export const LVT_LINT1 = 0x360;
export const LVT_ERROR = 0x370;
export const INITIAL_COUNT = 0x380;
export const CURRENT_COUNT = 0x390;
export const DIVIDE_CONFIGURATION = 0x3e0;

/** Version 0x14, six LVT entries: what QEMU and Pentium 4 report. */
export const VERSION_VALUE = 0x0005_0014;
export const SVR_ENABLED = 0x100;
export const SVR_WRITABLE = 0x3ff;

export const LVT_MASKED = 0x1_0000;
export const LVT_LEVEL = 0x8000;
export const LVT_REMOTE_IRR = 0x4000;
/** Writable bits of each entry (SDM figure 11-8). */
export const LVT_WRITABLE: { readonly [offset: number]: number } = {
  [LVT_TIMER]: 0x7_00ff,
  [LVT_THERMAL]: 0x1_07ff,
  [LVT_PERFORMANCE]: 0x1_07ff,
  [LVT_LINT0]: 0x1_a7ff,
  [LVT_LINT1]: 0x1_a7ff,
  [LVT_ERROR]: 0x1_00ff,
};
export const LVT_OFFSETS = Object.keys(LVT_WRITABLE).map(Number);

/** Delivery modes, bits 10–8 of an LVT entry and of the ICR. */
export const DELIVERY_FIXED = 0;
export const DELIVERY_LOWEST_PRIORITY = 1;
export const DELIVERY_NMI = 4;
export const DELIVERY_EXTINT = 7;

export const ICR_WRITABLE = 0x000c_cfff;
export const ICR_LOGICAL = 0x800;
export const SHORTHAND_NONE = 0;
export const SHORTHAND_OTHERS = 3;

export const ESR_SEND_ILLEGAL_VECTOR = 0x20;
export const ESR_RECEIVED_ILLEGAL_VECTOR = 0x40;
export const ESR_ILLEGAL_REGISTER = 0x80;
export const FIRST_LEGAL_VECTOR = 16;

/** The place of an LVT entry among the six. */
export function lvtIndex(offset: number): number {
  return (offset - LVT_TIMER) >> 4;
}

/** Bits 10–8 of an LVT entry or of the ICR. */
export function deliveryMode(entry: number): number {
  return (entry >> 8) & 7;
}
