/**
 * The walk through the page tables (Intel SDM 3A §4.3–4.8): what is found, whether an access may use
 * it, and the accessed and dirty bits. A PageWalk is reused, and addresses come in halves, because a
 * walk happens at every TLB miss: with bigints and a fresh record it took several times as long, and
 * with physical addresses, which need 40 bits, half as long again as with frame numbers.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../addresses.ts';
import { PAGE_FAULT } from '../guest-fault.ts';
import { TLB_CONTEXT } from '../state/layout.ts';
import {
  ENTRY_ACCESSED,
  ENTRY_DIRTY,
  ENTRY_HIGH_NO_EXECUTE,
  ENTRY_LARGE,
  ENTRY_PRESENT,
  ENTRY_USER,
  ENTRY_WRITABLE,
  PAGING_LEVELS,
  entryFrame,
  entryOffset,
  topFrame,
  topOffset,
  type PagingLevel,
} from './paging-format.ts';
import type { PagingRegisters, TlbContext } from './paging-registers.ts';
import type { PhysicalMemory } from './physical-memory.ts';

export type WalkOutcome = 'mapped' | 'absent' | 'reserved';

export type AccessKind = 'read' | 'write' | 'execute';

const FRAME_WORDS = PAGE_SIZE / 4;
/** The word of an entry that is not in RAM. */
const NOWHERE = -1;

export class PageWalk {
  /** What the last `find` came to: the 4 KiB frame, and the size of the page that maps it. */
  frame = 0;
  pageBytes = PAGE_SIZE;
  isWritable = true;
  isUser = true;
  isNoExecute = false;
  /** The entries on the way, top first. */
  private readonly entryWords = new Int32Array(4);
  private readonly entryLows = new Int32Array(4);
  /** The bits that all of them have, as far as they have permissions. */
  private commonLow = 0;
  private levels: readonly PagingLevel[] = [];
  private depth = 0;
  private readonly physical: PhysicalMemory;
  private readonly registers: PagingRegisters;

  constructor(physical: PhysicalMemory, registers: PagingRegisters) {
    this.physical = physical;
    this.registers = registers;
  }

  /** Walks without changing anything. `cr3` is the table to begin at, by default the present one. */
  find(low: number, high: number, cr3 = this.registers.cr3): WalkOutcome {
    this.isWritable = true;
    this.isUser = true;
    this.isNoExecute = false;
    this.depth = 0;
    this.commonLow = -1;
    const mode = this.registers.mode;
    if (mode === 'off') return this.findUnpaged(low);
    this.levels = PAGING_LEVELS[mode];
    const { words } = this.physical;
    let frame = topFrame(mode, cr3);
    let offset = topOffset(mode, cr3);
    for (const level of this.levels) {
      // Memory that is not there reads as all ones.
      const isRam = frame < this.physical.frames;
      const word = isRam
        ? frame * FRAME_WORDS + entryOffset(low, high, level, offset) / 4
        : NOWHERE;
      const entryLow = isRam ? words[word]! | 0 : -1;
      const entryHigh = level.entryBytes === 4 ? 0 : isRam ? words[word + 1]! | 0 : -1;
      if ((entryLow & ENTRY_PRESENT) === 0) return 'absent';
      const isLarge = this.isLarge(level, entryLow);
      if (this.hasReserved(level, isLarge, entryLow, entryHigh)) return 'reserved';
      this.enter(level, word, entryLow, entryHigh);
      const leafBytes = isLarge || level.isLast ? level.leafBytes : 0;
      frame = entryFrame(entryLow, entryHigh, leafBytes, level.entryBytes);
      offset = 0;
      if (leafBytes === 0) continue;
      this.pageBytes = leafBytes;
      this.frame = (frame + ((low & (leafBytes - 1)) >>> PAGE_SHIFT)) * PAGE_SIZE;
      break;
    }
    return 'mapped';
  }

  /**
   * May the page that `find` found be used so? 0 if yes, else the bits of #PF's error code that say
   * why not, without the bits that describe the access.
   */
  denial(access: AccessKind, context: TlbContext): number {
    if (this.depth === 0) return 0;
    if (context === TLB_CONTEXT.user) {
      if (!this.isUser) return PAGE_FAULT.present;
      if (access === 'write' && !this.isWritable) return PAGE_FAULT.present;
    } else {
      const isSmapViolation = this.isUser && context === TLB_CONTEXT.supervisor;
      if (access !== 'execute' && isSmapViolation) return PAGE_FAULT.present;
      if (access === 'execute' && this.isUser && this.registers.isSmep) return PAGE_FAULT.present;
      if (access === 'write' && !this.isWritable && this.registers.isWriteProtected) {
        return PAGE_FAULT.present;
      }
    }
    return access === 'execute' && this.isNoExecute ? PAGE_FAULT.present : 0;
  }

  /** Sets the accessed bits on the way and, for a write, the dirty bit of the leaf (§4.8). */
  markUsed(access: AccessKind): void {
    if (this.depth === 0) return;
    const leaf = this.entryLows[this.depth - 1]!;
    const isMarked = (this.commonLow & ENTRY_ACCESSED) !== 0;
    if (isMarked && (access !== 'write' || (leaf & ENTRY_DIRTY) !== 0)) return;
    for (let index = 0; index < this.depth; index++) {
      if (!this.levels[index]!.hasPermissions) continue;
      const isDirtied = access === 'write' && index === this.depth - 1;
      const wanted = isDirtied ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
      const word = this.entryWords[index]!;
      if (word !== NOWHERE) this.physical.words[word]! |= wanted;
    }
  }

  private findUnpaged(low: number): WalkOutcome {
    this.frame = (low & -PAGE_SIZE) >>> 0;
    this.pageBytes = PAGE_SIZE;
    return 'mapped';
  }

  /** Notes an entry on the way and narrows what the page allows. */
  private enter(level: PagingLevel, word: number, low: number, high: number): void {
    this.entryWords[this.depth] = word;
    this.entryLows[this.depth] = low;
    this.depth++;
    if (!level.hasPermissions) return;
    this.commonLow &= low;
    if ((low & ENTRY_WRITABLE) === 0) this.isWritable = false;
    if ((low & ENTRY_USER) === 0) this.isUser = false;
    if ((high & ENTRY_HIGH_NO_EXECUTE) !== 0) this.isNoExecute = true;
  }

  private isLarge(level: PagingLevel, entryLow: number): boolean {
    if (level.isLast || level.leafBytes === 0 || (entryLow & ENTRY_LARGE) === 0) return false;
    return level.entryBytes === 8 || this.registers.hasLargePages;
  }

  private hasReserved(level: PagingLevel, isLarge: boolean, low: number, high: number): boolean {
    if ((high & level.reservedHigh) !== 0) return true;
    if ((high & ENTRY_HIGH_NO_EXECUTE) !== 0 && !this.registers.isNoExecuteEnabled) return true;
    return (low & (isLarge ? level.reservedLarge : level.reservedLow)) !== 0;
  }
}

/** The bits of #PF's error code that describe the access (Intel SDM 3A §4.7). */
export function accessErrorBits(
  registers: PagingRegisters,
  access: AccessKind,
  context: TlbContext,
): number {
  const user = context === TLB_CONTEXT.user ? PAGE_FAULT.user : 0;
  if (access === 'write') return PAGE_FAULT.write | user;
  if (access === 'read') return user;
  const mode = registers.mode;
  const tellsFetch =
    registers.isSmep || (registers.isNoExecuteEnabled && (mode === 'pae' || mode === '4-level'));
  return (tellsFetch ? PAGE_FAULT.instruction : 0) | user;
}
