/**
 * What generated code calls when its TLB probe misses: translation, and every access that is not
 * simply a load or store of RAM within a page. Returns the host offset where the caller then reads
 * or writes; for accesses that cross a page or go to a device that is a slot of scratch. Called at
 * every TLB miss, hence no bigint on the way of an ordinary miss.
 *
 * Left out: alignment checking by CR0.AM and RFLAGS.AC (#AC), which no kernel in sight turns on.
 */
import { PAGE_SHIFT, PAGE_SIZE, type PhysicalAddress } from '../addresses.ts';
import { PAGE_FAULT, VECTOR } from '../guest-fault.ts';
import type { CpuState } from '../state/fields.ts';
import { RAM_BASE } from '../state/layout.ts';
import type { CodePages } from './code-pages.ts';
import type { PagingRegisters } from './paging-registers.ts';
import type { PendingEffects } from './pending-effects.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { Tlb } from './tlb.ts';
import type { Translator } from './translator.ts';
import type { Watchpoints } from './watchpoints.ts';

/** Bits of the `sizeAndFlags` of slowRead and slowWrite. */
export const SLOW_ACCESS = {
  /** Bytes: 1, 2, 4, 8 or 16. */
  sizeMask: 0xff,
  /** #SS(0) instead of #GP(0) for a non-canonical address. */
  stackSegment: 0x100,
  /** #GP(0) unless the address is a multiple of the size. */
  aligned: 0x200,
  /** slowWrite: the present contents will be read, so a device must be read as well. */
  modify: 0x400,
} as const;

const FAULT = -1;

export interface SlowPathParts {
  readonly state: CpuState;
  readonly physical: PhysicalMemory;
  readonly registers: PagingRegisters;
  readonly translator: Translator;
  readonly tlb: Tlb;
  readonly codePages: CodePages;
  readonly watchpoints: Watchpoints;
  readonly pending: PendingEffects;
}

export class SlowPath {
  private readonly parts: SlowPathParts;

  constructor(parts: SlowPathParts) {
    this.parts = parts;
  }

  /** Host offset from which to read `size` bytes, or -1 with the fault in the CPU state. */
  slowRead(linearLow: number, linearHigh: number, sizeAndFlags: number): number {
    const low = linearLow >>> 0;
    const high = linearHigh >>> 0;
    const size = sizeAndFlags & SLOW_ACCESS.sizeMask;
    if (!this.isAddressable(low, high, sizeAndFlags)) return FAULT;
    const { registers, watchpoints, physical, tlb, translator } = this.parts;
    const first = this.translate(low, high, false);
    if (first === FAULT) return FAULT;
    const isSplit = (low & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
    if (isSplit) return this.readSplit(low, high, size, first);
    if (!watchpoints.isEmpty) this.noteWatched(low, high, size, false);
    if (!physical.isRam(first, size)) return this.readDevice(first, size);
    if (!watchpoints.concernsPage(low, high, false)) {
      tlb.fill(registers.context, false, low, high, translator.walk);
    }
    return RAM_BASE + first;
  }

  /** Host offset to which to write `size` bytes, or -1; what is left to do comes at commit. */
  slowWrite(linearLow: number, linearHigh: number, sizeAndFlags: number): number {
    const low = linearLow >>> 0;
    const high = linearHigh >>> 0;
    const size = sizeAndFlags & SLOW_ACCESS.sizeMask;
    if (!this.isAddressable(low, high, sizeAndFlags)) return FAULT;
    const first = this.translate(low, high, true);
    if (first === FAULT) return FAULT;
    const isSplit = (low & (PAGE_SIZE - 1)) + size > PAGE_SIZE;
    if (isSplit) return this.writeSplit(low, high, first, sizeAndFlags);
    const { registers, watchpoints, physical, tlb, translator, codePages } = this.parts;
    if (!watchpoints.isEmpty) this.noteWatched(low, high, size, true);
    if (!physical.isRam(first, size)) return this.writeDevice(first, sizeAndFlags);
    if (codePages.isCode(first >>> PAGE_SHIFT)) this.noteCodeWrite(first, size);
    else if (!watchpoints.concernsPage(low, high, true)) {
      tlb.fill(registers.context, true, low, high, translator.walk);
    }
    return RAM_BASE + first;
  }

  private translate(low: number, high: number, isWrite: boolean): number {
    const { translator, registers } = this.parts;
    const access = isWrite ? 'write' : 'read';
    const physical = translator.translate(low, high, access, registers.context);
    if (physical < 0) this.recordPageFault(low, high, translator.errorCode);
    return physical;
  }

  /** Translates the second page of a split access: its address in the page is 0. */
  private translateNext(low: number, high: number, isWrite: boolean): number {
    const nextLow = ((low | (PAGE_SIZE - 1)) + 1) >>> 0;
    const nextHigh = nextLow === 0 ? this.parts.translator.highAfterCarry(high) : high;
    return this.translate(nextLow, nextHigh, isWrite);
  }

  private readSplit(low: number, high: number, size: number, first: number): number {
    const second = this.translateNext(low, high, false);
    if (second === FAULT) return FAULT;
    this.noteWatched(low, high, size, false);
    const { bytes, host } = this.parts.pending.takeSlot();
    const firstBytes = PAGE_SIZE - (first % PAGE_SIZE);
    this.readPhysical(first, bytes.subarray(0, firstBytes));
    this.readPhysical(second, bytes.subarray(firstBytes, size));
    return host;
  }

  private writeSplit(low: number, high: number, first: number, flags: number): number {
    const size = flags & SLOW_ACCESS.sizeMask;
    const second = this.translateNext(low, high, true);
    if (second === FAULT) return FAULT;
    this.noteWatched(low, high, size, true);
    const { slot, bytes, host } = this.parts.pending.takeSlot();
    const firstBytes = PAGE_SIZE - (first % PAGE_SIZE);
    this.prepareStore(slot, bytes.subarray(0, firstBytes), first, flags);
    this.prepareStore(slot, bytes.subarray(firstBytes, size), second, flags);
    return host;
  }

  private readDevice(first: number, size: number): number {
    const { bytes, host } = this.parts.pending.takeSlot();
    this.readPhysical(first, bytes.subarray(0, size));
    return host;
  }

  private writeDevice(first: number, flags: number): number {
    const { slot, bytes, host } = this.parts.pending.takeSlot();
    this.prepareStore(slot, bytes.subarray(0, flags & SLOW_ACCESS.sizeMask), first, flags);
    return host;
  }

  private prepareStore(slot: number, scratch: Uint8Array, physical: number, flags: number): void {
    const isRam = this.parts.physical.isRam(physical, scratch.length);
    if (isRam || (flags & SLOW_ACCESS.modify) !== 0) this.readPhysical(physical, scratch);
    this.parts.pending.store(slot, scratch, physical as PhysicalAddress);
    this.parts.state.exitRequest = 1;
  }

  private readPhysical(physical: number, target: Uint8Array): void {
    this.parts.physical.read(physical as PhysicalAddress, target);
  }

  private noteCodeWrite(physical: number, size: number): void {
    this.parts.pending.codeWrite(physical >>> PAGE_SHIFT, physical % PAGE_SIZE, size);
    this.parts.state.exitRequest = 1;
  }

  private noteWatched(low: number, high: number, size: number, isWrite: boolean): void {
    const hits = this.parts.watchpoints.hits(low, high, size, isWrite);
    if (hits.length === 0) return;
    this.parts.pending.watchHits(hits);
    this.parts.state.exitRequest = 1;
  }

  /** Checks what depends on the address alone, of all bytes: that comes before any translation. */
  private isAddressable(low: number, high: number, flags: number): boolean {
    const size = flags & SLOW_ACCESS.sizeMask;
    const isAligned = (flags & SLOW_ACCESS.aligned) === 0 || low % size === 0;
    const { translator } = this.parts;
    const lastHigh = low + size > 2 ** 32 ? translator.highAfterCarry(high) : high;
    if (!translator.isCanonical(high) || !translator.isCanonical(lastHigh)) {
      this.recordFault((flags & SLOW_ACCESS.stackSegment) === 0 ? VECTOR.GP : VECTOR.SS, 0);
      return false;
    }
    if (!isAligned) this.recordFault(VECTOR.GP, 0);
    return isAligned;
  }

  private recordPageFault(low: number, high: number, errorCode: number): void {
    this.recordFault(VECTOR.PF, errorCode & (PAGE_FAULT.instruction * 2 - 1));
    this.parts.state.faultAddress = (BigInt(high) << 32n) | BigInt(low);
  }

  private recordFault(vector: number, errorCode: number): void {
    const { state } = this.parts;
    state.faultVector = vector;
    state.faultErrorCode = errorCode;
    state.faultHasErrorCode = 1;
  }
}
