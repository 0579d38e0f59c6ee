/**
 * Memory as a debugger sees it: through page tables, the present or another process's, without
 * permission checks, faults, accessed bits or device side effects. Only RAM can be read or written.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../addresses.ts';
import type { MappingWalkEnd, PageMapping } from '../machine-interface.ts';
import type { CodePages } from './code-pages.ts';
import { pageMappings } from './page-mappings.ts';
import { PageWalk } from './page-walk.ts';
import type { PagingRegisters } from './paging-registers.ts';
import type { PhysicalMemory } from './physical-memory.ts';

export class DebugAccess {
  private readonly physical: PhysicalMemory;
  private readonly registers: PagingRegisters;
  private readonly codePages: CodePages;
  private readonly walk: PageWalk;
  private readonly view: DataView;

  constructor(physical: PhysicalMemory, registers: PagingRegisters, codePages: CodePages) {
    this.physical = physical;
    this.registers = registers;
    this.codePages = codePages;
    this.walk = new PageWalk(physical, registers);
    this.view = new DataView(physical.ram.buffer, physical.ram.byteOffset, physical.ramBytes);
  }

  /** The physical address, or undefined where nothing is mapped or the address is not canonical. */
  translate(linear: bigint, cr3?: bigint): bigint | undefined {
    const physical = this.find(linear, cr3);
    return physical < 0 ? undefined : BigInt(physical);
  }

  /** As many bytes from `linear` on as are mapped to RAM, up to `lengthBytes`. A copy, in `into`. */
  readLinear(
    linear: bigint,
    lengthBytes: number,
    cr3?: bigint,
    into: Uint8Array = new Uint8Array(lengthBytes),
  ): Uint8Array {
    const done = this.forEachPiece(linear, lengthBytes, cr3, (physical, from, to) =>
      into.set(this.physical.ram.subarray(physical, physical + to - from), from),
    );
    return done === into.length ? into : into.subarray(0, done);
  }

  /** The same into `into` from `offset` on; how many bytes came. Makes no garbage within a page. */
  copyLinear(linear: bigint, lengthBytes: number, into: Uint8Array, offset: number): number {
    const physical = this.find(linear, undefined);
    if (physical < 0) return 0;
    if ((physical % PAGE_SIZE) + lengthBytes <= PAGE_SIZE) {
      if (!this.physical.isRam(physical, lengthBytes)) return 0;
      const { ram } = this.physical;
      for (let index = 0; index < lengthBytes; index++)
        into[offset + index] = ram[physical + index]!;
      return lengthBytes;
    }
    return this.forEachPiece(linear, lengthBytes, undefined, (from, start, end) =>
      into.set(this.physical.ram.subarray(from, from + end - start), offset + start),
    );
  }

  /** A little-endian number, or undefined where it is not all mapped to RAM. Makes no copy. */
  readInteger(linear: bigint, lengthBytes: 1 | 2 | 4 | 8): bigint | undefined {
    const physical = this.find(linear, undefined);
    if (physical < 0) return undefined;
    if ((physical % PAGE_SIZE) + lengthBytes > PAGE_SIZE)
      return this.readCrossing(linear, lengthBytes);
    if (!this.physical.isRam(physical, lengthBytes)) return undefined;
    const { view } = this;
    if (lengthBytes === 8) return view.getBigUint64(physical, true);
    if (lengthBytes === 4) return BigInt(view.getUint32(physical, true));
    return BigInt(lengthBytes === 2 ? view.getUint16(physical, true) : view.getUint8(physical));
  }

  /** Writes as many bytes as are mapped to RAM and says how many. Decoded code hears of it. */
  writeLinear(linear: bigint, bytes: Uint8Array, cr3?: bigint): number {
    return this.forEachPiece(linear, bytes.length, cr3, (physical, from, to) =>
      this.store(physical, bytes.subarray(from, to)),
    );
  }

  /** RAM; shorter than asked at its end. A copy. */
  readPhysical(physical: bigint, lengthBytes: number): Uint8Array {
    if (physical < 0n || physical >= BigInt(this.physical.ramBytes)) return new Uint8Array(0);
    return this.physical.ram.slice(Number(physical), Number(physical) + lengthBytes);
  }

  writePhysical(physical: bigint, bytes: Uint8Array): number {
    if (physical < 0n || physical >= BigInt(this.physical.ramBytes)) return 0;
    const address = Number(physical);
    const length = Math.min(bytes.length, this.physical.ramBytes - address);
    for (let done = 0; done < length;) {
      const end = Math.min(length, done + PAGE_SIZE - ((address + done) % PAGE_SIZE));
      this.store(address + done, bytes.subarray(done, end));
      done = end;
    }
    return length;
  }

  /** All mappings below `cr3`, one per leaf entry, in ascending order. */
  mappings(cr3?: bigint): Iterable<PageMapping, MappingWalkEnd> {
    const table = cr3 === undefined ? this.registers.cr3 : tableNumber(cr3);
    return pageMappings(this.physical, this.registers, table);
  }

  private readCrossing(linear: bigint, lengthBytes: number): bigint | undefined {
    const bytes = this.readLinear(linear, lengthBytes);
    if (bytes.length < lengthBytes) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  private find(linear: bigint, cr3: bigint | undefined): number {
    const low = Number(linear & 0xffff_ffffn);
    const high = Number((linear >> 32n) & 0xffff_ffffn);
    const sign = (high | 0) >> 15;
    if (this.registers.isLongMode ? sign !== 0 && sign !== -1 : high !== 0) return -1;
    const table = cr3 === undefined ? this.registers.cr3 : tableNumber(cr3);
    if (this.walk.find(low, high, table) !== 'mapped') return -1;
    return this.walk.frame + (low & (PAGE_SIZE - 1));
  }

  /** Calls `visit(physical, from, to)` for each page's part of a range; returns how far it came. */
  private forEachPiece(
    linear: bigint,
    lengthBytes: number,
    cr3: bigint | undefined,
    visit: (physical: number, from: number, to: number) => void,
  ): number {
    let done = 0;
    while (done < lengthBytes) {
      const address = BigInt.asUintN(64, linear + BigInt(done));
      const physical = this.find(address, cr3);
      if (physical < 0) break;
      const end = Math.min(lengthBytes, done + PAGE_SIZE - (physical % PAGE_SIZE));
      if (!this.physical.isRam(physical, end - done)) break;
      visit(physical, done, end);
      done = end;
    }
    return done;
  }

  private store(physical: number, bytes: Uint8Array): void {
    this.physical.ram.set(bytes, physical);
    this.codePages.written(physical >>> PAGE_SHIFT, physical % PAGE_SIZE, bytes.length);
  }
}

function tableNumber(cr3: bigint): number {
  return Number(cr3 & 0xf_ffff_ffff_ffffn);
}
