/**
 * A fault of the guest, as a value: it is returned, never thrown (Intel SDM 3A §6.15).
 */
export interface GuestFault {
  readonly kind: 'fault';
  /** Exception vector, 0–31. */
  readonly vector: number;
  /** The error code that the exception pushes; absent for vectors without one. */
  readonly errorCode?: number;
  /** The faulting linear address, for #PF only; goes to CR2. */
  readonly address?: bigint;
}

/** Exception vectors by the names of Intel SDM 3A table 6-1. */
export const VECTOR = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  XM: 19,
} as const;

/** Error-code bits of #PF (Intel SDM 3A §4.7). */
export const PAGE_FAULT = {
  present: 1,
  write: 2,
  user: 4,
  reserved: 8,
  instruction: 16,
} as const;

export function fault(vector: number, errorCode?: number): GuestFault {
  return errorCode === undefined ? { kind: 'fault', vector } : { kind: 'fault', vector, errorCode };
}

export function pageFault(address: bigint, errorCode: number): GuestFault {
  return { kind: 'fault', vector: VECTOR.PF, errorCode, address };
}

export function isFault(value: unknown): value is GuestFault {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'fault';
}
