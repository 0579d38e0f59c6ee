/**
 * The server's own log of all forks since boot. Two witnesses: the CPU at the instruction boundary
 * where control reached the kernel's fork function (true), and the kernel's record of the same fork
 * (captured, stale, child), which may have been wrong, overwritten or a lie. The guest's ring wraps;
 * this log is filled at each fork, before the next record can overwrite an unread one.
 *
 * Pairing: a thread is in at most one fork at a time, so a record belongs to the oldest open
 * sighting of its parent thread; a record whose parent was not seen forking takes the oldest open
 * sighting there is, and the difference in the ids is then shown.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type { ForkEntryPoint, ForkRecord, KernelAwareness, RegisterValues } from './awareness.ts';
import { type MemoryReader, type Walk, runWalk } from './walk.ts';

/** What the CPU held when control reached the fork function. */
export interface ForkSighting {
  readonly kind: string;
  readonly icount: bigint;
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
}

type LoggedMachine = MachineView & Pick<MachineControl, 'addExecutionHook'>;

/** About 3 KiB an entry: the oldest are dropped beyond this. */
const MAXIMUM_ENTRIES = 16384;
/** A guest can give reasons for complaint without end. */
const MAXIMUM_COMPLAINTS = 20;

const SIGHTED_REGISTERS =
  'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs'.split(' ');

interface OpenEntry {
  number: number;
  sighting?: ForkSighting;
  record?: ForkRecord;
}

export class ForkLog {
  readonly #machine: LoggedMachine;
  readonly #kernel: KernelAwareness;
  readonly #removers: readonly (() => void)[];
  #entries: OpenEntry[] = [];
  #lastNumber = 0;
  /** Sightings whose record has not appeared, oldest first. */
  #open: OpenEntry[] = [];
  /** The sequence number of the next record to read. */
  #nextRecord = 0n;
  #complaints = new Set<string>();

  /** Starts to log: hooks the kernel's fork functions. `dispose` ends it. */
  constructor(machine: LoggedMachine, kernel: KernelAwareness) {
    this.#machine = machine;
    this.#kernel = kernel;
    this.#removers = kernel.forkEntryPoints.map((point) =>
      machine.addExecutionHook(point.address, (view) => this.#onFork(view, point)),
    );
  }

  /** Every fork that is kept, oldest first. */
  entries(): readonly ForkEntry[] {
    this.#readRecords();
    return this.#entries;
  }

  /** One line each about records that could not be believed. */
  get complaints(): readonly string[] {
    return [...this.#complaints];
  }

  /** How many forks there were; more than `entries()` when old ones were dropped. */
  get total(): number {
    return this.#lastNumber;
  }

  /** The machine was power-cycled: the next boot's forks count from 1. */
  clear(): void {
    this.#entries = [];
    this.#open = [];
    this.#lastNumber = 0;
    this.#nextRecord = 0n;
    this.#complaints = new Set();
  }

  dispose(): void {
    for (const remove of this.#removers) remove();
  }

  #onFork(view: MachineView, point: ForkEntryPoint): void {
    this.#readRecords();
    const thread = this.#walk(this.#kernel.currentThread());
    const registers = new Map(
      SIGHTED_REGISTERS.map((name) => [name, view.readRegister(name) ?? 0n] as const),
    );
    const quadword = view.readLinear(registers.get('rsp')!, 8);
    const returnAddress =
      quadword.length === 8
        ? new DataView(quadword.buffer, quadword.byteOffset).getBigUint64(0, true)
        : undefined;
    this.#sight({ kind: point.kind, icount: view.icount, thread, registers, returnAddress });
  }

  /**
   * An interrupt may be delivered after the hook and before the function's first instruction: then
   * control reaches it again with the same rsp, and the newer sighting is the true one.
   */
  #sight(sighting: ForkSighting): void {
    const tid = sighting.thread?.tid;
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

  /** Takes in the kernel's records that appeared since the last time. */
  #readRecords(): void {
    const total = this.#walk(this.#kernel.forkTotal());
    if (total === undefined || total === this.#nextRecord) return;
    if (total < this.#nextRecord) {
      this.#complain(`the kernel's count of forks went back to ${total}`);
      this.#nextRecord = total;
      return;
    }
    const kept = BigInt(this.#kernel.forkRecordsKept);
    const lost = total - this.#nextRecord - kept;
    if (lost > 0n) {
      this.#complain(
        `${lost} records from number ${this.#nextRecord} on are not in the kernel's ring`,
      );
      this.#nextRecord = total - kept;
    }
    const missing: bigint[] = [];
    for (; this.#nextRecord < total; this.#nextRecord++) {
      const record = this.#walk(this.#kernel.forkRecord(this.#nextRecord));
      if (record === undefined) missing.push(this.#nextRecord);
      else this.#addRecord(record);
    }
    const [first] = missing;
    if (first === undefined) return;
    this.#complain(
      `the kernel counted ${missing.length} forks from number ${first} on that its ring lacks`,
    );
  }

  #addRecord(record: ForkRecord): void {
    const open =
      this.#open.find((entry) => entry.sighting?.thread?.tid === record.parentTid) ?? this.#open[0];
    if (open === undefined) {
      this.#append({ record });
      return;
    }
    open.record = record;
    this.#open.splice(this.#open.indexOf(open), 1);
  }

  #walk<Result>(walk: Walk<Result>): Result {
    const read: MemoryReader = ({ address, lengthBytes, cr3 }) =>
      this.#machine.readLinear(address, lengthBytes, cr3);
    return runWalk(walk, read);
  }
}
