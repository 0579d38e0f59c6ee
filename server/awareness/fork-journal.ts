/**
 * The book of all forks since boot, kept by whoever can stop the CPU or look into it. Two witnesses: the
 * CPU at the instruction boundary where control reached the kernel's fork function (true), and the
 * kernel's record of the same fork (captured, stale, child), which may have been wrong, overwritten or
 * a lie. The guest's ring wraps: it is to be read at each fork, before the next record overwrites one.
 *
 * Pairing: a thread is in at most one fork at a time, so a record belongs to the oldest open
 * sighting of its parent thread; a record whose parent was not seen forking takes the oldest open
 * sighting there is, and the difference in the ids is then shown.
 *
 * While nobody watches the CPU (a stub, which must stop for it) there are records alone.
 */
import type { ForkRecord, KernelAwareness, RegisterValues } from './awareness.ts';
import { readU64, type Walk } from './walk.ts';

/** What the CPU held when control reached the fork function. */
export interface ForkSighting {
  readonly kind: string;
  /** Absent: the machine does not count. */
  readonly icount?: bigint;
  /** The thread on the CPU; undefined when the kernel had none that could be read. */
  readonly thread: { readonly tid: number; readonly pid: number } | undefined;
  /** All general registers, rip, rflags and cs. */
  readonly registers: RegisterValues;
  /** The quadword at rsp; undefined when rsp pointed to nothing. */
  readonly returnAddress: bigint | undefined;
}

export interface ForkEntry {
  /** From 1 since boot, in the order in which the server learned of them. */
  readonly number: number;
  /** Absent: the kernel recorded a fork, but the CPU never reached its fork function. */
  readonly sighting?: ForkSighting;
  /** Absent: not recorded (yet), or the record was overwritten before it could be read. */
  readonly record?: ForkRecord;
  /** Nobody watched the CPU at the time: that there is no sighting says nothing. */
  readonly isUnwatched?: true;
}

/** The log of forks as those see it who only read it. */
export interface Forks {
  /** Every fork that is kept, oldest first. */
  entries(): readonly ForkEntry[];
  /** How many forks there were; more than `entries()` when old ones were dropped. */
  readonly total: number;
  /** One line each about records that could not be believed. */
  readonly complaints: readonly string[];
}

/** About 3 KiB an entry: the oldest are dropped beyond this. */
const MAXIMUM_ENTRIES = 16384;
/** A guest can give reasons for complaint without end. */
const MAXIMUM_COMPLAINTS = 20;
/** A count of forks that is believed. */
const MOST_FORKS = 999_999_999n;

export const SIGHTED_REGISTERS =
  'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs'.split(' ');

interface OpenEntry {
  number: number;
  sighting?: ForkSighting;
  record?: ForkRecord;
  isUnwatched?: true;
}

export class ForkJournal implements Forks {
  readonly #kernel: KernelAwareness;
  #isWatched: boolean;
  /** Threads that were there when the watch began: one may have been inside a fork already. */
  #perhapsForking = new Set<number>();
  #entries: OpenEntry[] = [];
  #lastNumber = 0;
  /** Sightings whose record has not appeared, oldest first. */
  #open: OpenEntry[] = [];
  /** The sequence number of the next record to read. */
  #nextRecord = 0n;
  #complaints = new Set<string>();

  /** `isWatched`: from the first instruction on, every fork is told by `sight`. */
  constructor(kernel: KernelAwareness, isWatched: boolean) {
    this.#kernel = kernel;
    this.#isWatched = isWatched;
  }

  entries(): readonly ForkEntry[] {
    return this.#entries;
  }

  get complaints(): readonly string[] {
    return [...this.#complaints];
  }

  get total(): number {
    return this.#lastNumber;
  }

  /** From now on every fork is told by `sight`, or none is. */
  *watch(isWatched: boolean): Walk<void> {
    yield* this.readRecords();
    this.#isWatched = isWatched;
    // Their records may come with a later fork of the same thread, which nobody saw.
    this.#open = [];
    this.#perhapsForking = new Set();
    if (!isWatched) return;
    const { items } = yield* this.#kernel.threads();
    this.#perhapsForking = new Set(items.map(({ tid }) => tid));
  }

  /** The machine was power-cycled: the next boot's forks count from 1. */
  clear(): void {
    this.#entries = [];
    this.#open = [];
    this.#perhapsForking = new Set();
    this.#lastNumber = 0;
    this.#nextRecord = 0n;
    this.#complaints = new Set();
  }

  /** All that is in the book now: calling it puts that back, with the guest's memory as it is now. */
  remember(): () => void {
    const entries = this.#entries.map((entry) => ({ ...entry }));
    const open = this.#open.map((entry) => this.#entries.indexOf(entry));
    const [perhapsForking, lastNumber] = [[...this.#perhapsForking], this.#lastNumber];
    const [nextRecord, complaints] = [this.#nextRecord, [...this.#complaints]];
    return () => {
      this.#entries = entries.map((entry) => ({ ...entry }));
      this.#open = open.flatMap((index) => this.#entries[index] ?? []);
      this.#perhapsForking = new Set(perhapsForking);
      this.#lastNumber = lastNumber;
      this.#nextRecord = nextRecord;
      this.#complaints = new Set(complaints);
    };
  }

  /**
   * The kernel is again as it was at `icount`: forks that were seen from there on, and records that it
   * wrote, will come again.
   */
  *goBack(icount: bigint): Walk<void> {
    const total = (yield* this.#kernel.forkTotal()) ?? 0n;
    const kept = this.#entries.filter(({ sighting, record }) => {
      return sighting === undefined
        ? (record?.sequence ?? 0n) < total
        : (sighting.icount ?? 0n) < icount;
    });
    this.#lastNumber -= this.#entries.length - kept.length;
    this.#entries = kept;
    for (const entry of kept) {
      if (entry.record !== undefined && entry.record.sequence >= total) delete entry.record;
    }
    this.#open = kept.filter(({ record }) => record === undefined);
    if (this.#nextRecord > total) this.#nextRecord = total;
  }

  /** Control has reached a fork function; `registers` are those of `SIGHTED_REGISTERS`. */
  *sight(seen: Pick<ForkSighting, 'kind' | 'icount' | 'registers'>): Walk<void> {
    yield* this.readRecords();
    const thread = yield* this.#kernel.currentThread();
    const returnAddress = yield* readU64(seen.registers.get('rsp') ?? 0n);
    this.#sight({ ...seen, thread, returnAddress });
  }

  /** Takes in the kernel's records that appeared since the last time. */
  *readRecords(): Walk<void> {
    const total = yield* this.#kernel.forkTotal();
    if (total === undefined || total === this.#nextRecord) return;
    if (total < this.#nextRecord) {
      this.#complain(`the kernel's count of forks went back to ${total}`);
      this.#nextRecord = total;
      return;
    }
    this.#skipLost(total);
    const missing: bigint[] = [];
    for (; this.#nextRecord < total; this.#nextRecord++) {
      const record = yield* this.#kernel.forkRecord(this.#nextRecord);
      if (record === undefined) missing.push(this.#nextRecord);
      else this.#addRecord(record);
    }
    const [first] = missing;
    if (first === undefined) return;
    this.#complain(
      `the kernel counted ${missing.length} forks from number ${first} on that its ring lacks`,
    );
  }

  #skipLost(total: bigint): void {
    const kept = BigInt(this.#kernel.forkRecordsKept);
    const lost = total - this.#nextRecord - kept;
    if (lost <= 0n) return;
    // Those that come later keep the numbers that they would have had.
    if (!this.#isWatched && total <= MOST_FORKS) this.#lastNumber += Number(lost);
    else {
      this.#complain(
        `${lost} records from number ${this.#nextRecord} on are not in the kernel's ring`,
      );
    }
    this.#nextRecord = total - kept;
  }

  /**
   * An interrupt may be delivered after the hook and before the function's first instruction: then
   * control reaches it again with the same rsp, and the newer sighting is the true one.
   */
  #sight(sighting: ForkSighting): void {
    const tid = sighting.thread?.tid;
    this.#perhapsForking.delete(tid ?? -1);
    const open = this.#open.find((entry) => entry.sighting?.thread?.tid === tid);
    const isSameCall = open?.sighting?.registers.get('rsp') === sighting.registers.get('rsp');
    if (open !== undefined && isSameCall) {
      open.sighting = sighting;
      return;
    }
    // A thread that forks again was never recorded the first time: that fork failed.
    if (open !== undefined) this.#open.splice(this.#open.indexOf(open), 1);
    const entry = this.#append({ sighting });
    this.#open.push(entry);
  }

  #complain(complaint: string): void {
    if (this.#complaints.size < MAXIMUM_COMPLAINTS) this.#complaints.add(complaint);
    else this.#complaints.add('and more of the like');
  }

  #append(content: Omit<OpenEntry, 'number'>): OpenEntry {
    const entry = { number: ++this.#lastNumber, ...content };
    this.#entries.push(entry);
    if (this.#entries.length > MAXIMUM_ENTRIES) {
      const dropped = this.#entries.shift();
      this.#open = this.#open.filter((open) => open !== dropped);
    }
    return entry;
  }

  #addRecord(record: ForkRecord): void {
    const { parentTid } = record;
    const mayBeUnseen = !this.#isWatched || this.#perhapsForking.delete(parentTid);
    const open =
      this.#open.find((entry) => entry.sighting?.thread?.tid === parentTid) ??
      (mayBeUnseen ? undefined : this.#open[0]);
    if (open === undefined) {
      this.#append(mayBeUnseen ? { record, isUnwatched: true } : { record });
      return;
    }
    open.record = record;
    this.#open.splice(this.#open.indexOf(open), 1);
  }
}
