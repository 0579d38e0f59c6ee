/**
 * From linear to physical for an access of the guest: walk, permission check, accessed and dirty
 * bits, and the fault if there is one (Intel SDM 3A §4.6, 4.7).
 */
import {
  linearAddress,
  PAGE_SIZE,
  type LinearAddress,
  type PhysicalAddress,
} from '../addresses.ts';
import { fault, PAGE_FAULT, pageFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import { accessErrorBits, PageWalk, type AccessKind } from './page-walk.ts';
import type { PagingRegisters, TlbContext } from './paging-registers.ts';
import type { PhysicalMemory } from './physical-memory.ts';

export interface PageTranslation {
  readonly physical: PhysicalAddress;
  /** Size of the page that maps it: 4 KiB, 2 MiB, 4 MiB or 1 GiB. */
  readonly pageBytes: number;
}

export class Translator {
  /** Of the last translation that failed: the error code of its #PF. */
  errorCode = 0;
  readonly walk: PageWalk;
  private readonly registers: PagingRegisters;

  constructor(physical: PhysicalMemory, registers: PagingRegisters) {
    this.registers = registers;
    this.walk = new PageWalk(physical, registers);
  }

  /** The physical address, or -1 with `errorCode` set. The linear address must be canonical. */
  translate(low: number, high: number, access: AccessKind, context: TlbContext): number {
    const outcome = this.walk.find(low, high);
    const denial =
      outcome === 'mapped'
        ? this.walk.denial(access, context)
        : outcome === 'reserved'
          ? PAGE_FAULT.present | PAGE_FAULT.reserved
          : 0;
    if (denial !== 0 || outcome !== 'mapped') {
      this.errorCode = denial | accessErrorBits(this.registers, access, context);
      return -1;
    }
    this.walk.markUsed(access);
    return this.walk.frame + (low & (PAGE_SIZE - 1));
  }

  /** In long mode, bits 63–47 of a linear address must be equal (Intel SDM 1 §3.3.7.1). */
  isCanonical(high: number): boolean {
    const sign = (high | 0) >> 15;
    return sign === 0 || sign === -1 || !this.registers.isLongMode;
  }

  /** The high half of an address `carried` past a 4 GiB boundary: legacy mode wraps. */
  highAfterCarry(high: number): number {
    return this.registers.isLongMode ? (high + 1) >>> 0 : 0;
  }

  /** The same with a bigint and a fault as a value, for what is not hot. */
  walkPageTables(
    linear: LinearAddress,
    access: AccessKind,
    context: TlbContext,
  ): PageTranslation | GuestFault {
    const low = Number(linear & 0xffff_ffffn);
    const high = Number(linear >> 32n);
    if (!this.isCanonical(high)) return fault(VECTOR.GP, 0);
    const physical = this.translate(low, high, access, context);
    if (physical < 0) return pageFault(linearAddress(linear), this.errorCode);
    return { physical: physical as PhysicalAddress, pageBytes: this.walk.pageBytes };
  }
}
