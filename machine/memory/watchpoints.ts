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

export class Watchpoints {
  private list: readonly Watch[] = [];
  /** The watches on each linear page, by page number. */
  private readonly pages = new Map<number, Watch[]>();

  get isEmpty(): boolean {
    return this.list.length === 0;
  }

  /** Adding the same watch twice is once, with the later predicate. */
  add(watch: Watch): void {
    this.replaceAll([...this.list.filter((other) => !isSame(other, watch)), watch]);
  }

  remove(watch: Watch): void {
    this.replaceAll(this.list.filter((other) => !isSame(other, watch)));
  }

  /** Puts the guest's watches, all of them, in place of those it had. */
  setGuestWatches(watches: readonly Watch[]): void {
    this.replaceAll([...this.list.filter(({ owner }) => owner === 'debugger'), ...watches]);
  }

  /** Must an access of this kind to the linear page take the slow path? */
  concernsPage(low: number, high: number, isWrite: boolean): boolean {
    if (this.isEmpty) return false;
    const watches = this.pages.get(pageNumber(low, high));
    return watches?.some(({ kind }) => isConcerned(kind, isWrite)) ?? false;
  }

  /** The watches that an access to `sizeBytes` bytes touches. */
  hits(low: number, high: number, sizeBytes: number, isWrite: boolean): readonly WatchHit[] {
    if (this.isEmpty) return [];
    const first = (BigInt(high) << 32n) | BigInt(low);
    const end = first + BigInt(sizeBytes);
    return this.list
      .filter((watch) => isConcerned(watch.kind, isWrite))
      .filter(({ linear, lengthBytes }) => linear < end && first < linear + BigInt(lengthBytes))
      .map(({ linear, kind, owner, predicate }) => ({
        address: linear > first ? linear : first,
        watch: kind,
        owner,
        ...(predicate === undefined ? {} : { predicate }),
      }));
  }

  private replaceAll(list: readonly Watch[]): void {
    this.list = list;
    this.pages.clear();
    for (const watch of list) {
      const last = watch.linear + BigInt(watch.lengthBytes) - 1n;
      for (let page = watch.linear >> 12n; page <= last >> 12n; page++) {
        const key = Number(page);
        this.pages.set(key, [...(this.pages.get(key) ?? []), watch]);
      }
    }
  }
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
