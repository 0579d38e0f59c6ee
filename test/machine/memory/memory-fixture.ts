/** A guest memory without a machine around it, and page tables to fill it with. */
import { GuestMemory } from '../../../machine/memory/guest-memory.ts';
import { cpuStateOver, type CpuState } from '../../../machine/state/fields.ts';
import { RAM_BASE } from '../../../machine/state/layout.ts';

export const MIB = 1024 * 1024;
export const RAM_BYTES = 4 * MIB;

export const PRESENT = 1n;
export const WRITABLE = 2n;
export const USER = 4n;
export const ACCESSED = 0x20n;
export const DIRTY = 0x40n;
export const LARGE = 0x80n;
export const NO_EXECUTE = 1n << 63n;

export const CR0_PE = 1n;
export const CR0_WP = 1n << 16n;
export const CR0_PG = 1n << 31n;
export const CR4_PSE = 1n << 4n;
export const CR4_PAE = 1n << 5n;
export const CR4_SMEP = 1n << 20n;
export const CR4_SMAP = 1n << 21n;
export const EFER_LME = 1n << 8n;
export const EFER_LMA = 1n << 10n;
export const EFER_NXE = 1n << 11n;
export const RFLAGS_AC = 1n << 18n;

export interface MemoryFixture {
  readonly wasm: WebAssembly.Memory;
  readonly state: CpuState;
  readonly memory: GuestMemory;
  readonly notes: string[];
  /** Quadword or doubleword of RAM. */
  readonly read64: (physical: number) => bigint;
  readonly write64: (physical: number, value: bigint) => void;
  readonly write32: (physical: number, value: number) => void;
  /** The quadword at a host offset that slowRead or slowWrite gave. */
  readonly host: DataView;
}

export function makeMemory(): MemoryFixture {
  const pages = (RAM_BASE + RAM_BYTES) / 65536;
  const wasm = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const state = cpuStateOver(wasm);
  const notes: string[] = [];
  const memory = new GuestMemory({
    memory: wasm,
    state,
    ramBytes: RAM_BYTES,
    note: (text) => notes.push(text),
  });
  state.rflagsSystem = 2n;
  state.cr0 = CR0_PE;
  const ram = new DataView(wasm.buffer, RAM_BASE);
  return {
    wasm,
    state,
    memory,
    notes,
    read64: (physical) => ram.getBigUint64(physical, true),
    write64: (physical, value) => ram.setBigUint64(physical, value, true),
    write32: (physical, value) => ram.setUint32(physical, value, true),
    host: new DataView(wasm.buffer),
  };
}

const TOP_TABLE = 0x10_0000;

/** Tables of 4-level paging from 1 MiB on. Upper levels allow everything unless told otherwise. */
export class FourLevelTables {
  private next = TOP_TABLE + 4096;
  private readonly fixture: MemoryFixture;

  constructor(fixture: MemoryFixture) {
    this.fixture = fixture;
    const { state, memory } = fixture;
    state.cr0 |= CR0_PG | CR0_WP;
    state.cr4 |= CR4_PAE;
    state.efer |= EFER_LME | EFER_LMA | EFER_NXE;
    state.cr3 = BigInt(TOP_TABLE);
    memory.updateTlbContext();
  }

  /** Maps with a leaf at level 1 (4 KiB), 2 (2 MiB) or 3 (1 GiB); returns the leaf's address. */
  map(linear: bigint, physical: bigint, flags: bigint, leafLevel = 1): number {
    let table = TOP_TABLE;
    for (let level = 4; level > leafLevel; level--) {
      const entry = entryAddress(table, linear, level);
      if ((this.fixture.read64(entry) & PRESENT) === 0n) {
        this.fixture.write64(entry, BigInt(this.next) | PRESENT | WRITABLE | USER);
        this.next += 4096;
      }
      table = Number(this.fixture.read64(entry) & 0xf_ffff_ffff_f000n);
    }
    const leaf = entryAddress(table, linear, leafLevel);
    this.fixture.write64(leaf, physical | flags | (leafLevel > 1 ? LARGE : 0n));
    return leaf;
  }

  /** Addresses of the entries on the way to a linear address, top first. */
  path(linear: bigint, leafLevel = 1): number[] {
    const entries: number[] = [];
    let table = TOP_TABLE;
    for (let level = 4; level >= leafLevel; level--) {
      const entry = entryAddress(table, linear, level);
      entries.push(entry);
      table = Number(this.fixture.read64(entry) & 0xf_ffff_ffff_f000n);
    }
    return entries;
  }
}

function entryAddress(table: number, linear: bigint, level: number): number {
  return table + Number((linear >> BigInt(3 + 9 * level)) & 0x1ffn) * 8;
}

export function low(linear: bigint): number {
  return Number(linear & 0xffff_ffffn);
}

export function high(linear: bigint): number {
  return Number(linear >> 32n);
}
