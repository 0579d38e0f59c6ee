/**
 * Where instructions are fetched from: a page's translation holds from its first fetch until CR3, the
 * paging bits or INVLPG take it away, whatever the engine has decoded, forgotten or compiled meanwhile.
 * So the accessed bits that fetches set, and what a guest executes that has changed a mapping without
 * INVLPG, do not depend on the engine, and a snapshot can hold it.
 */
import { PAGE_SHIFT } from '../addresses.ts';
import type { SavedFetchTlb } from './saved-translations.ts';

const SUPERVISOR = 0;
const USER = 1;
type Table = typeof SUPERVISOR | typeof USER;

/** More pages at once are forgotten together: a guest can map one frame everywhere and run through it. */
export const MOST_FETCH_ENTRIES = 4096;

const MOST_PHYSICAL = 2 ** 52;
const LARGE_PAGE = 2 ** 21;
const LARGE_SHIFT = 21;
/** A power of two. */
const MARKS = 1024;
const PAGES_IN_LARGE = 2 ** 9;
const PAGES_IN_HUGE = 2 ** 18;
const PAGES_IN_4_GIB = 2 ** 20;

export class FetchTlb {
  /** Linear page number → physical address of the frame. */
  private readonly tables: readonly [Map<number, number>, Map<number, number>] = [
    new Map(),
    new Map(),
  ];
  /** Numbers of 2 MiB and 1 GiB pieces in which there are pieces of large pages. */
  private readonly large = new Set<number>();
  private readonly huge = new Set<number>();
  /**
   * By the low bits of the page's number and of its 2 MiB: 0 where there is nothing. Kernels INVLPG at
   * each page that they take away, which is hardly ever code (400,000 page faults: 20 % of their time).
   */
  private readonly marks = new Uint8Array(MARKS);
  private readonly largeMarks = new Uint8Array(MARKS);

  /** The frame that holds the page, or undefined: it has to be walked to. */
  find(cpl: number, low: number, high: number): number | undefined {
    return this.tables[tableOf(cpl)].get(pageNumber(low, high));
  }

  get isFull(): boolean {
    return this.tables[SUPERVISOR].size + this.tables[USER].size >= MOST_FETCH_ENTRIES;
  }

  add(cpl: number, low: number, high: number, frame: number, pageBytes: number): void {
    const page = pageNumber(low, high);
    this.tables[tableOf(cpl)].set(page, frame);
    this.mark(low);
    if (pageBytes === LARGE_PAGE) this.large.add(Math.floor(page / PAGES_IN_LARGE));
    // A page of 4 MiB is two of 2 MiB; its GiB is a safe bound.
    else if (pageBytes > LARGE_PAGE) this.huge.add(Math.floor(page / PAGES_IN_HUGE));
  }

  flush(): void {
    const { tables, large, huge } = this;
    if (tables[SUPERVISOR].size + tables[USER].size + large.size + huge.size === 0) return;
    for (const table of tables) table.clear();
    this.marks.fill(0);
    this.largeMarks.fill(0);
    large.clear();
    huge.clear();
  }

  /** INVLPG: forgets the page that maps the address, whatever its size. */
  invalidatePage(low: number, high: number): void {
    const isMarked = this.marks[(low >>> PAGE_SHIFT) % MARKS] !== 0;
    const isLargeMarked = this.largeMarks[(low >>> LARGE_SHIFT) % MARKS] !== 0;
    if (!isMarked && !isLargeMarked && this.huge.size === 0) return;
    const page = pageNumber(low, high);
    for (const table of this.tables) table.delete(page);
    this.invalidateRegion(this.large, page, PAGES_IN_LARGE);
    this.invalidateRegion(this.huge, page, PAGES_IN_HUGE);
  }

  get hasHuge(): boolean {
    return this.huge.size > 0;
  }

  save(): SavedFetchTlb {
    const [supervisor, user] = this.tables.map((table) => [...table]);
    return {
      supervisor: supervisor ?? [],
      user: user ?? [],
      large: [...this.large],
      huge: [...this.huge],
    };
  }

  /** After a flush. Throws an Error for what is no frame, and for more than there can be. */
  load({ supervisor, user, large, huge }: SavedFetchTlb): void {
    for (const [index, entries] of [supervisor, user].entries()) {
      for (const [page, frame] of entries) {
        const isFrame = frame % 2 ** PAGE_SHIFT === 0 && frame < MOST_PHYSICAL;
        if (!isFrame || this.isFull) throw new Error('tlb: a wild entry for instructions');
        this.tables[index as Table].set(page, frame);
        this.mark(((page % PAGES_IN_4_GIB) << PAGE_SHIFT) >>> 0);
      }
    }
    for (const region of large) this.large.add(region);
    for (const region of huge) this.huge.add(region);
  }

  private mark(low: number): void {
    this.marks[(low >>> PAGE_SHIFT) % MARKS] = 1;
    this.largeMarks[(low >>> LARGE_SHIFT) % MARKS] = 1;
  }

  private invalidateRegion(regions: Set<number>, page: number, pages: number): void {
    if (regions.size === 0 || !regions.delete(Math.floor(page / pages))) return;
    const first = page - (page % pages);
    for (const table of this.tables) {
      for (const key of table.keys()) {
        if (key >= first && key < first + pages) table.delete(key);
      }
    }
  }
}

function tableOf(cpl: number): Table {
  return cpl === 3 ? USER : SUPERVISOR;
}

function pageNumber(low: number, high: number): number {
  return high * 2 ** (32 - PAGE_SHIFT) + (low >>> PAGE_SHIFT);
}
