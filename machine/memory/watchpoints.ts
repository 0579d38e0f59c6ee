/**
 * Which linear bytes are watched: by the debugger, and by the guest's own DR0–DR3. A watched page
 * has no TLB entry for the accesses that matter, so unwatched pages pay nothing. Accesses to the
 * watched bytes are hits whether or not they change anything, as on hardware (Intel SDM 3B §17.2).
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { StopPredicate } from '../machine-interface.ts';
import type { WatchKind } from '../stop-reason.ts';

export interface Watch {
  readonly linear: bigint;
  readonly lengthBytes: number;
  readonly kind: WatchKind;
  /** The debugger, or the number of the guest's debug register. */
  readonly owner: 'debugger' | 0 | 1 | 2 | 3;
  /** Whether a hit is to stop; absent: it is. Not part of what makes two watches the same. */
  readonly predicate?: StopPredicate;
}

export interface WatchHit {
  /** The first watched byte that was touched. */
  readonly address: bigint;
  readonly watch: WatchKind;
  readonly owner: Watch['owner'];
  readonly predicate?: StopPredicate;
}

/** As much of a watch as lies on one page: offsets from `start` to `end` − 1. */
interface Piece {
  readonly watch: Watch;
  readonly page: number;
  readonly start: number;
  readonly end: number;
}

/**
 * The pieces of each page are in the order in which the watches were added. An access looks at those
 * of its own pages only, and a change touches only the pages of the watch: a debugger may set
 * thousands, and a guest may fault, or move its debug registers, at every instruction.
 */
export class Watchpoints {
  private readonly pages = new Map<number, Piece[]>();
  private guestWatches: readonly Watch[] = [];
  private count = 0;

  get isEmpty(): boolean {
    return this.count === 0;
  }

  /** Does the debugger watch anything? */
  get hasDebuggers(): boolean {
    return this.count > this.guestWatches.length;
  }

  /** Adding the same watch twice is once, with the later predicate. */
  add(watch: Watch): void {
    this.remove(watch);
    const added = piecesOf(watch);
    if (added.length > 0) this.count++;
    for (const piece of added) {
      const pieces = this.pages.get(piece.page);
      if (pieces === undefined) this.pages.set(piece.page, [piece]);
      else pieces.push(piece);
    }
  }

  remove(watch: Watch): void {
    const removed = piecesOf(watch).filter(({ page }) => this.removeFrom(page, watch));
    if (removed.length > 0) this.count--;
  }

  /** Puts the guest's watches, all of them, in place of those it had. */
  setGuestWatches(watches: readonly Watch[]): void {
    for (const watch of this.guestWatches) this.remove(watch);
    for (const watch of watches) this.add(watch);
    this.guestWatches = watches;
  }

  /** Must an access of this kind to the linear page take the slow path? */
  concernsPage(low: number, high: number, isWrite: boolean): boolean {
    if (this.isEmpty) return false;
    const pieces = this.pages.get(pageNumber(low, high));
    return pieces?.some(({ watch }) => isConcerned(watch.kind, isWrite)) ?? false;
  }

  /**
   * The watches that an access to `sizeBytes` bytes touches. After one of the debugger's that stops
   * in any case its others are left out, as nobody would ask them any more.
   */
  hits(low: number, high: number, sizeBytes: number, isWrite: boolean): readonly WatchHit[] {
    if (this.isEmpty) return [];
    const hits: WatchHit[] = [];
    let page = pageNumber(low, high);
    let start = low & (PAGE_SIZE - 1);
    for (let left = sizeBytes; left > 0; page++, start = 0) {
      const end = Math.min(PAGE_SIZE, start + left);
      const touched = (this.pages.get(page) ?? []).filter(
        (piece) => piece.start < end && start < piece.end && isConcerned(piece.watch.kind, isWrite),
      );
      // What began on a page before has been hit there.
      addHits(hits, left === sizeBytes ? touched : touched.filter(isBeginning), start);
      left -= end - start;
    }
    return hits;
  }

  private removeFrom(page: number, watch: Watch): boolean {
    const pieces = this.pages.get(page) ?? [];
    const at = pieces.findIndex((piece) => isSame(piece.watch, watch));
    if (at < 0) return false;
    pieces.splice(at, 1);
    if (pieces.length === 0) this.pages.delete(page);
    return true;
  }
}

function piecesOf(watch: Watch): readonly Piece[] {
  const pieces: Piece[] = [];
  let page = Number(watch.linear >> 12n);
  let start = Number(watch.linear & 0xfffn);
  for (let left = watch.lengthBytes; left > 0; page++, start = 0) {
    const end = Math.min(PAGE_SIZE, start + left);
    pieces.push({ watch, page, start, end });
    left -= end - start;
  }
  return pieces;
}

function isBeginning({ watch, page }: Piece): boolean {
  return Number(watch.linear >> 12n) === page;
}

/** Adds what an access that begins at an offset of their page touches. */
function addHits(hits: WatchHit[], touched: readonly Piece[], start: number): void {
  let isDecided = hits.some(isCertain);
  for (const piece of touched) {
    if (isDecided && piece.watch.owner === 'debugger') continue;
    const { kind, owner, predicate } = piece.watch;
    const address = (BigInt(piece.page) << 12n) | BigInt(Math.max(start, piece.start));
    hits.push({ address, watch: kind, owner, ...(predicate === undefined ? {} : { predicate }) });
    isDecided ||= isCertain(piece.watch);
  }
}

/** Whether the debugger stops for it without being asked. */
function isCertain({ owner, predicate }: Pick<Watch, 'owner' | 'predicate'>): boolean {
  return owner === 'debugger' && predicate === undefined;
}

function isConcerned(kind: WatchKind, isWrite: boolean): boolean {
  return kind === 'access' || (kind === 'write') === isWrite;
}

function isSame(left: Watch, right: Watch): boolean {
  return (
    left.linear === right.linear &&
    left.lengthBytes === right.lengthBytes &&
    left.kind === right.kind &&
    left.owner === right.owner
  );
}

function pageNumber(low: number, high: number): number {
  return high * (2 ** 32 / PAGE_SIZE) + (low >>> 12);
}
