/** Skeleton: the signatures that the engines are written against. */
import type { PhysicalAddress } from '../addresses.ts';
import type { GuestFault } from '../guest-fault.ts';
import type { CpuState } from '../state/fields.ts';
import type { WatchKind } from '../stop-reason.ts';

export interface GuestMemoryOptions {
  readonly memory: WebAssembly.Memory;
  readonly state: CpuState;
  readonly ramBytes: number;
  readonly note: (text: string) => void;
}

/** Bits of `sizeAndFlags` of slowRead and slowWrite. */
export const SLOW_ACCESS = {
  sizeMask: 0xff,
  /** #SS(0) instead of #GP(0) for a non-canonical address. */
  stackSegment: 0x100,
  /** #GP(0) unless the address is a multiple of the size. */
  aligned: 0x200,
  /** slowWrite only: the present contents will be read first, also those of a device. */
  modify: 0x400,
} as const;

export type CodeWriteListener = (physicalPage: number, offset: number, lengthBytes: number) => void;

export interface WatchHit {
  /** The first watched byte that was touched. */
  readonly address: bigint;
  readonly watch: WatchKind;
}

export declare class GuestMemory {
  constructor(options: GuestMemoryOptions);
  /** Host offset, or -1 with the fault in state.faultVector and its companions. */
  slowRead(linearLow: number, linearHigh: number, sizeAndFlags: number): number;
  slowWrite(linearLow: number, linearHigh: number, sizeAndFlags: number): number;
  /** After the instruction retired. */
  commitPending(): void;
  /** After the instruction faulted. */
  discardPending(): void;
  takeWatchHit(): WatchHit | undefined;
  /** The physical address of an instruction byte. */
  fetchTranslate(linear: bigint): PhysicalAddress | GuestFault;
  /** Physical page numbers (address >> 12). */
  markCodePage(physicalPage: number): void;
  unmarkCodePage(physicalPage: number): void;
  onCodeWrite(listener: CodeWriteListener): void;
  flushTlb(): void;
  updateTlbContext(): void;
  isRam(physical: PhysicalAddress, lengthBytes: number): boolean;
}
