/**
 * The three kinds of address, branded so that they cannot be exchanged by accident
 * (Intel SDM 3A §3.1, §4.5).
 */
declare const kind: unique symbol;

/** A linear (virtual) address: 64 bits, after segmentation and before paging. */
export type LinearAddress = bigint & { readonly [kind]: 'linear' };

/** A physical address: at most 52 bits, so a JavaScript number holds it exactly. */
export type PhysicalAddress = number & { readonly [kind]: 'physical' };

/** A byte offset into the machine's WebAssembly memory (`state/layout.ts` draws it). */
export type HostOffset = number & { readonly [kind]: 'host' };

/** Wraps to 64 bits, as address arithmetic on the CPU does. */
export function linearAddress(value: bigint): LinearAddress {
  return BigInt.asUintN(64, value) as LinearAddress;
}

/** Cuts to the 52 bits that an x86-64 physical address can have. */
export function physicalAddress(value: bigint): PhysicalAddress {
  return Number(value & 0xf_ffff_ffff_ffffn) as PhysicalAddress;
}

export const PAGE_SIZE = 4096;
export const PAGE_SHIFT = 12;
