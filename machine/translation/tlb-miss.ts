/**
 * What generated code calls when its TLB probe misses, in WebAssembly: the walk of an ordinary access
 * through ordinary tables, the accessed and dirty bits, the TLB entry, or the fault of a page that is
 * not present. Whatever is not ordinary (other paging modes, large pages, other faults, devices, code
 * pages, watchpoints, split and aligned accesses) goes to memory/slow-path.ts, which does all of it and gives the same results; leaving
 * WebAssembly for a walk took three times as long.
 */
import { PAGE_SIZE } from '../addresses.ts';
import { SLOW_ACCESS_SIGNATURE } from '../codegen/emitter.ts';
import { PAGE_FAULT, VECTOR } from '../guest-fault.ts';
import {
  ENTRY_ACCESSED,
  ENTRY_DIRTY,
  ENTRY_HIGH_NO_EXECUTE,
  ENTRY_LARGE,
  ENTRY_PRESENT,
  ENTRY_USER,
  ENTRY_WRITABLE,
} from '../memory/paging-format.ts';
import { EFER_LMA, EFER_NXE } from '../memory/paging-registers.ts';
import { SLOW_ACCESS } from '../memory/slow-path.ts';
import { fieldOffset } from '../state/fields.ts';
import {
  CODE_MAP_BASE,
  RAM_BASE,
  TLB_BASE,
  TLB_CONTEXT,
  TLB_CONTEXT_BYTES,
  TLB_EMPTY,
  TLB_ENTRIES,
  TLB_FILLED_BASE,
  TLB_FILLED_COUNT,
  TLB_FILLED_LIMIT,
  TLB_WATCHED,
  TLB_WRITE_TABLE,
} from '../state/layout.ts';
import type { FunctionBuilder, Label, Local } from '../wasm/function-builder.ts';

/** Bits 63–47 in the high half of a linear address. */
const SIGN_SHIFT = 15;
const FRAME_MASK = -PAGE_SIZE;
/** Index × 8 of a linear address into the tables of the four levels, from its two halves. */
const TABLE_OFFSET_MASK = 0xff8;

export interface TlbMissOptions {
  readonly isWrite: boolean;
  /** Index of slowRead or slowWrite of the host. */
  readonly slow: number;
  /** Bytes of guest RAM: below 4 GiB. */
  readonly ramBytes: number;
}

/** (linear low, linear high, size and flags) → host offset, or −1 with the fault in the state. */
export function emitTlbMiss(builder: FunctionBuilder, options: TlbMissOptions): void {
  const emitter = new TlbMissEmitter(builder, options);
  builder.block((giveUp) => emitter.emit(giveUp));
  for (const parameter of builder.parameters) builder.get(parameter);
  builder.returnCall(options.slow, SLOW_ACCESS_SIGNATURE);
}

class TlbMissEmitter {
  private readonly b: FunctionBuilder;
  private readonly isWrite: boolean;
  private readonly ramBytes: number;
  private readonly low: Local;
  private readonly high: Local;
  private readonly flags: Local;
  /** Physical address of the table of the level, then of the frame. */
  private readonly table: Local;
  private readonly entry: Local;
  /** Host offset of the entry, without RAM_BASE. */
  private readonly place: Local;
  /** The bits that all entries have. */
  private readonly common: Local;
  private readonly context: Local;
  private readonly slot: Local;

  constructor(builder: FunctionBuilder, { isWrite, ramBytes }: TlbMissOptions) {
    this.b = builder;
    this.isWrite = isWrite;
    this.ramBytes = ramBytes;
    [this.low, this.high, this.flags] = builder.parameters as [Local, Local, Local];
    this.table = builder.local('i32');
    this.entry = builder.local('i32');
    this.place = builder.local('i32');
    this.common = builder.local('i32');
    this.context = builder.local('i32');
    this.slot = builder.local('i32');
  }

  emit(giveUp: Label): void {
    this.requireOrdinaryState(giveUp);
    this.requireOrdinaryAddress(giveUp);
    this.b.i32(-1);
    this.b.set(this.common);
    this.descend(giveUp, { shift: 4, isHigh: true });
    this.descend(giveUp, { shift: 27 });
    this.descend(giveUp, { shift: 18 });
    this.descend(giveUp, { shift: 9, isLeaf: true });
    this.requirePermission(giveUp);
    this.requirePlainMemory(giveUp);
    this.fill(giveUp);
    this.markLeaf();
    this.giveHostOffset();
  }

  /** Four-level paging with its tables below 4 GiB, and nothing watched. */
  private requireOrdinaryState(giveUp: Label): void {
    const { b } = this;
    b.i32(0);
    b.memory('i32.load', fieldOffset('cr0'));
    b.i32(0);
    b.emit('i32.ge_s'); // CR0.PG is the sign
    b.branchIf(giveUp);
    this.testField('efer', EFER_LMA);
    b.emit('i32.eqz');
    b.branchIf(giveUp);
    b.i32(0);
    b.memory('i32.load', fieldOffset('cr3') + 4);
    b.i32(0);
    b.memory('i32.load', TLB_WATCHED);
    b.emit('i32.or');
    b.branchIf(giveUp);
    b.i32(0);
    b.memory('i32.load', fieldOffset('cr3'));
    b.i32(FRAME_MASK);
    b.emit('i32.and');
    b.set(this.table);
  }

  /** Canonical, within a page, of no demanded alignment. */
  private requireOrdinaryAddress(giveUp: Label): void {
    const { b } = this;
    b.get(this.high);
    b.i32(SIGN_SHIFT);
    b.emit('i32.shr_s');
    b.i32(1);
    b.emit('i32.add');
    b.i32(1);
    b.emit('i32.gt_u');
    b.branchIf(giveUp);
    b.get(this.flags);
    b.i32(SLOW_ACCESS.aligned);
    b.emit('i32.and');
    b.branchIf(giveUp);
    this.pageOffset();
    b.get(this.flags);
    b.i32(SLOW_ACCESS.sizeMask);
    b.emit('i32.and');
    b.emit('i32.add');
    b.i32(PAGE_SIZE);
    b.emit('i32.gt_u');
    b.branchIf(giveUp);
  }

  /** Reads the entry of one level; `shift` brings its index × 8 to bit 3. */
  private descend(
    giveUp: Label,
    {
      shift,
      isHigh = false,
      isLeaf = false,
    }: { shift: number; isHigh?: boolean; isLeaf?: boolean },
  ): void {
    const { b } = this;
    this.requireRam(giveUp);
    b.get(this.table);
    b.get(isHigh ? this.high : this.low);
    b.i32(shift);
    b.emit('i32.shr_u');
    if (shift > 20) {
      // The index has bits of both halves.
      b.get(this.high);
      b.i32(32 - shift);
      b.emit('i32.shl');
      b.emit('i32.or');
    }
    b.i32(TABLE_OFFSET_MASK);
    b.emit('i32.and');
    b.emit('i32.add');
    b.tee(this.place);
    b.memory('i32.load', RAM_BASE);
    b.tee(this.entry);
    b.i32(ENTRY_PRESENT);
    b.emit('i32.and');
    b.emit('i32.eqz');
    b.when(() => this.leaveNotPresent());
    if (!isLeaf) {
      b.get(this.entry);
      b.i32(ENTRY_LARGE);
      b.emit('i32.and');
      b.branchIf(giveUp);
    }
    this.requirePlainHighHalf(giveUp);
    b.get(this.entry);
    b.i32(FRAME_MASK);
    b.emit('i32.and');
    b.set(this.table);
    // Of the leaf, only the permissions: its accessed bit is set below.
    b.get(this.common);
    b.get(this.entry);
    if (isLeaf) {
      b.i32(ENTRY_ACCESSED);
      b.emit('i32.or');
    }
    b.emit('i32.and');
    b.set(this.common);
  }

  /** #PF with P = 0 (Intel SDM 3A §4.7). */
  private leaveNotPresent(): void {
    const { b } = this;
    const store = (field: string, value: () => void, offset = 0): void => {
      b.i32(0);
      value();
      b.memory('i32.store', fieldOffset(field) + offset);
    };
    store('faultVector', () => b.i32(VECTOR.PF));
    store('faultHasErrorCode', () => b.i32(1));
    store('faultErrorCode', () => {
      b.i32(0);
      b.memory('i32.load', fieldOffset('tlbContext'));
      b.i32(TLB_CONTEXT.user * TLB_CONTEXT_BYTES);
      b.emit('i32.eq');
      b.i32(Math.log2(PAGE_FAULT.user));
      b.emit('i32.shl');
      b.i32(this.isWrite ? PAGE_FAULT.write : 0);
      b.emit('i32.or');
    });
    store('faultAddress', () => b.get(this.low));
    store('faultAddress', () => b.get(this.high), 4);
    b.i32(-1);
    b.return();
  }

  /** At most NX, and that only where it is no reserved bit. */
  private requirePlainHighHalf(giveUp: Label): void {
    const { b } = this;
    b.get(this.place);
    b.memory('i32.load', RAM_BASE + 4);
    b.when(() => {
      b.get(this.place);
      b.memory('i32.load', RAM_BASE + 4);
      b.i32(ENTRY_HIGH_NO_EXECUTE);
      b.emit('i32.ne');
      b.branchIf(giveUp);
      this.testField('efer', EFER_NXE);
      b.emit('i32.eqz');
      b.branchIf(giveUp);
    });
  }

  /** Intel SDM 3A §4.6.1; without CR0.WP's leave for supervisors to write what is read-only. */
  private requirePermission(giveUp: Label): void {
    const { b } = this;
    const needed = ENTRY_ACCESSED | (this.isWrite ? ENTRY_WRITABLE : 0);
    b.get(this.common);
    b.i32(needed);
    b.emit('i32.and');
    b.i32(needed);
    b.emit('i32.ne');
    b.branchIf(giveUp);
    b.i32(0);
    b.memory('i32.load', fieldOffset('tlbContext'));
    b.tee(this.context);
    b.i32(TLB_CONTEXT.supervisorUserAccess * TLB_CONTEXT_BYTES);
    b.emit('i32.ne');
    b.when(() => {
      // User code needs the bit, a supervisor under SMAP must not find it.
      b.get(this.common);
      b.i32(ENTRY_USER);
      b.emit('i32.and');
      b.emit('i32.eqz');
      b.get(this.context);
      b.emit('i32.eqz');
      b.emit('i32.eq');
      b.branchIf(giveUp);
    });
  }

  /** RAM, and for a write no page with decoded code. */
  private requirePlainMemory(giveUp: Label): void {
    const { b } = this;
    this.requireRam(giveUp);
    if (!this.isWrite) return;
    b.get(this.table);
    b.i32(15);
    b.emit('i32.shr_u');
    b.memory('i32.load8_u', CODE_MAP_BASE);
    b.get(this.table);
    b.i32(12);
    b.emit('i32.shr_u');
    b.i32(7);
    b.emit('i32.and');
    b.emit('i32.shr_u');
    b.i32(1);
    b.emit('i32.and');
    b.branchIf(giveUp);
  }

  /** As memory/tlb.ts fills it. */
  private fill(giveUp: Label): void {
    const { b } = this;
    const table = TLB_BASE + (this.isWrite ? TLB_WRITE_TABLE : 0);
    const count = b.local('i32');
    b.get(this.low);
    b.i32(8);
    b.emit('i32.shr_u');
    b.i32((TLB_ENTRIES - 1) << 4);
    b.emit('i32.and');
    b.get(this.context);
    b.emit('i32.add');
    b.tee(this.slot);
    b.memory('i32.load', table);
    b.i32(Number(TLB_EMPTY));
    b.emit('i32.eq');
    b.when(() => this.noteFilled(giveUp, count, table));
    b.get(this.slot);
    b.get(this.low);
    b.i32(FRAME_MASK);
    b.emit('i32.and');
    b.memory('i32.store', table);
    b.get(this.slot);
    b.get(this.high);
    b.memory('i32.store', table + 4);
    b.get(this.slot);
    b.get(this.table);
    b.i32(RAM_BASE);
    b.emit('i32.add');
    b.get(this.low);
    b.i32(FRAME_MASK);
    b.emit('i32.and');
    b.emit('i32.sub');
    b.memory('i32.store', table + 8);
  }

  private noteFilled(giveUp: Label, count: Local, table: number): void {
    const { b } = this;
    b.i32(0);
    b.memory('i32.load', TLB_FILLED_COUNT);
    b.tee(count);
    b.i32(TLB_FILLED_LIMIT);
    b.emit('i32.ge_u');
    b.branchIf(giveUp);
    b.get(count);
    b.i32(2);
    b.emit('i32.shl');
    b.get(this.slot);
    b.i32(table);
    b.emit('i32.add');
    b.i32(2);
    b.emit('i32.shr_u');
    b.memory('i32.store', TLB_FILLED_BASE);
    b.i32(0);
    b.get(count);
    b.i32(1);
    b.emit('i32.add');
    b.memory('i32.store', TLB_FILLED_COUNT);
  }

  /** Sets the leaf's accessed bit and, for a write, its dirty bit (Intel SDM 3A §4.8). */
  private markLeaf(): void {
    const { b } = this;
    const wanted = ENTRY_ACCESSED | (this.isWrite ? ENTRY_DIRTY : 0);
    b.get(this.entry);
    b.i32(wanted);
    b.emit('i32.and');
    b.i32(wanted);
    b.emit('i32.ne');
    b.when(() => {
      b.get(this.place);
      b.get(this.entry);
      b.i32(wanted);
      b.emit('i32.or');
      b.memory('i32.store', RAM_BASE);
    });
  }

  private giveHostOffset(): void {
    const { b } = this;
    b.get(this.table);
    this.pageOffset();
    b.emit('i32.add');
    b.i32(RAM_BASE);
    b.emit('i32.add');
    b.return();
  }

  private requireRam(giveUp: Label): void {
    this.b.get(this.table);
    this.b.i32(this.ramBytes);
    this.b.emit('i32.ge_u');
    this.b.branchIf(giveUp);
  }

  private pageOffset(): void {
    this.b.get(this.low);
    this.b.i32(PAGE_SIZE - 1);
    this.b.emit('i32.and');
  }

  private testField(name: string, mask: number): void {
    this.b.i32(0);
    this.b.memory('i32.load', fieldOffset(name));
    this.b.i32(mask);
    this.b.emit('i32.and');
  }
}
