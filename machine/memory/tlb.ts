/**
 * The translation look-aside buffer that generated code probes (state/layout.ts draws it): direct
 * mapped by linear page number, one table for reads and one for writes in each of three contexts.
 * An entry means that the access may go straight to RAM: permission is given, the dirty bit is
 * set, and neither decoded code nor a watchpoint wants to know of it. Entries are 4 KiB pieces of
 * whatever page maps them. Generated code fills it too (translation/tlb-miss.ts). Global pages are flushed with the rest, which only costs time.
 */
import { PAGE_SIZE } from '../addresses.ts';
import {
  RAM_BASE,
  TLB_BASE,
  TLB_CONTEXTS,
  TLB_EMPTY,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_FILLED_BASE,
  TLB_FILLED_COUNT,
  TLB_FILLED_LIMIT,
  TLB_WATCHED,
  TLB_WRITE_TABLE,
} from '../state/layout.ts';
import type { TlbContext } from './paging-registers.ts';
import type { SavedTlb, SavedTlbEntry } from './saved-translations.ts';

const EMPTY = Number(TLB_EMPTY);
const ENTRY_WORDS = TLB_ENTRY_BYTES / 4;
const TABLE_WORDS = TLB_WRITE_TABLE / 4;
const TABLES = TLB_CONTEXTS * 2;
const FIRST_WORD = TLB_BASE / 4;
const FILLED = TLB_FILLED_BASE / 4;
const FILLED_COUNT = TLB_FILLED_COUNT / 4;

/**
 * More regions at once are forgotten with everything else: a guest can map one large page everywhere and
 * run through it, which fills the same few slots again and again.
 */
export const MOST_REGIONS = 4096;

export class Tlb {
  private readonly words: Uint32Array;
  /** 2 MiB and 1 GiB regions (by number) in which pieces of large pages have been filled. */
  private readonly largeRegions = new Set<number>();
  private readonly hugeRegions = new Set<number>();

  constructor(words: Uint32Array) {
    this.words = words;
    for (let slot = 0; slot < TABLES * TLB_ENTRIES; slot++) {
      words[FIRST_WORD + slot * ENTRY_WORDS] = EMPTY;
    }
  }

  /** Lets accesses to the linear page go straight to the RAM frame at `physical`. */
  fill(
    context: TlbContext,
    isWrite: boolean,
    low: number,
    high: number,
    translation: { readonly frame: number; readonly pageBytes: number },
  ): void {
    if (this.largeRegions.size + this.hugeRegions.size >= MOST_REGIONS) this.flush();
    const slot = slotIndex(context, isWrite, low);
    if (this.words[slot] === EMPTY) {
      if (this.words[FILLED_COUNT] === TLB_FILLED_LIMIT) this.flush();
      this.words[FILLED + this.words[FILLED_COUNT]!] = slot;
      this.words[FILLED_COUNT]! += 1;
    }
    const page = (low & -PAGE_SIZE) >>> 0;
    this.words[slot] = page;
    this.words[slot + 1] = high;
    this.words[slot + 2] = RAM_BASE + translation.frame - page;
    if (translation.pageBytes > PAGE_SIZE) this.noteLarge(low, high, translation.pageBytes);
  }

  /** Host offset of a linear address, or -1 if it is not there. */
  lookUp(context: TlbContext, isWrite: boolean, low: number, high: number): number {
    const slot = slotIndex(context, isWrite, low);
    if (this.words[slot] !== (low & -PAGE_SIZE) >>> 0 || this.words[slot + 1] !== high) return -1;
    return (low + this.words[slot + 2]!) >>> 0;
  }

  /** While anything is watched, every miss goes to the slow path, which looks at the watchpoints. */
  setWatched(isWatched: boolean): void {
    this.words[TLB_WATCHED / 4] = isWatched ? 1 : 0;
    this.flush();
  }

  /** Forgets everything: MOV CR3, and whatever else changes many translations. */
  flush(): void {
    const count = this.words[FILLED_COUNT]!;
    for (let index = FILLED; index < FILLED + count; index++) {
      this.words[this.words[index]!] = EMPTY;
    }
    this.words[FILLED_COUNT] = 0;
    this.largeRegions.clear();
    this.hugeRegions.clear();
  }

  /** INVLPG: forgets the page that maps the address, whatever its size. */
  invalidatePage(low: number, high: number): void {
    const { largeRegions, hugeRegions } = this;
    const isLarge =
      (largeRegions.size > 0 && largeRegions.has(regionNumber(low, high, 21))) ||
      (hugeRegions.size > 0 && hugeRegions.has(regionNumber(low, high, 30)));
    if (isLarge) {
      this.flush();
      return;
    }
    const page = (low & -PAGE_SIZE) >>> 0;
    for (let table = 0; table < TABLES; table++) {
      const slot = FIRST_WORD + table * TABLE_WORDS + entryIndex(low) * ENTRY_WORDS;
      if (this.words[slot] === page && this.words[slot + 1] === high) this.words[slot] = EMPTY;
    }
  }

  /** Forgets every write permission to a RAM frame: it has become code. */
  removeWriteEntries(frame: number): void {
    const count = this.words[FILLED_COUNT]!;
    for (let index = FILLED; index < FILLED + count; index++) {
      const slot = this.words[index]!;
      const isWrite = Math.floor((slot - FIRST_WORD) / TABLE_WORDS) % 2 === 1;
      if (!isWrite || this.words[slot] === EMPTY) continue;
      const host = (this.words[slot]! + this.words[slot + 2]!) >>> 0;
      if (host === RAM_BASE + frame) this.words[slot] = EMPTY;
    }
  }

  /** All of it, as a snapshot holds it. */
  save(): SavedTlb {
    const filled = [...this.words.subarray(FILLED, FILLED + this.words[FILLED_COUNT]!)];
    const entries = [...new Set(filled)]
      .filter((slot) => this.words[slot] !== EMPTY)
      .map((slot): SavedTlbEntry => {
        const [page, high, addend] = [0, 1, 2].map((word) => this.words[slot + word]!);
        const frame = (page! + addend! - RAM_BASE) >>> 0;
        return [slotNumber(slot), page!, high!, frame];
      });
    const [large, huge] = [[...this.largeRegions], [...this.hugeRegions]];
    return { filled: filled.map(slotNumber), entries, large, huge };
  }

  /**
   * Puts back what `save` gave, after a flush, into a machine with `ramBytes` of RAM. Throws an Error
   * for entries that no walk can have filled.
   */
  load({ filled, entries, large, huge }: SavedTlb, ramBytes: number): void {
    if (filled.length > TLB_FILLED_LIMIT) throw new Error('tlb: too many slots are filled');
    const slots = new Set(filled);
    if (filled.some((slot) => slot >= TABLES * TLB_ENTRIES)) throw new Error('tlb: no such slot');
    filled.forEach((slot, index) => (this.words[FILLED + index] = slotWord(slot)));
    this.words[FILLED_COUNT] = filled.length;
    for (const [slot, page, high, frame] of entries) {
      const isInPlace = slots.has(slot) && slot % TLB_ENTRIES === entryIndex(page);
      const isInRam = frame % PAGE_SIZE === 0 && frame + PAGE_SIZE <= ramBytes;
      if (!isInPlace || page % PAGE_SIZE !== 0 || !isInRam) throw new Error('tlb: a wild entry');
      this.words.set([page, high, RAM_BASE + frame - page], slotWord(slot));
    }
    for (const region of large) this.largeRegions.add(region);
    for (const region of huge) this.hugeRegions.add(region);
  }

  private noteLarge(low: number, high: number, pageBytes: number): void {
    // A 4 MiB page is two 2 MiB regions; its 1 GiB region is a safe bound.
    if (pageBytes === 2 ** 21) this.largeRegions.add(regionNumber(low, high, 21));
    else this.hugeRegions.add(regionNumber(low, high, 30));
  }
}

function entryIndex(low: number): number {
  return (low >>> 12) % TLB_ENTRIES;
}

function slotIndex(context: TlbContext, isWrite: boolean, low: number): number {
  const table = context * 2 + (isWrite ? 1 : 0);
  return FIRST_WORD + table * TABLE_WORDS + entryIndex(low) * ENTRY_WORDS;
}

function slotNumber(word: number): number {
  return (word - FIRST_WORD) / ENTRY_WORDS;
}

function slotWord(slot: number): number {
  return FIRST_WORD + slot * ENTRY_WORDS;
}

function regionNumber(low: number, high: number, shift: number): number {
  return high * 2 ** (32 - shift) + (low >>> shift);
}
