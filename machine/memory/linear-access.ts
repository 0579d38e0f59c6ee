/**
 * Linear memory as the operations in machine/cpu/ see it: stacks, descriptor tables, FXSAVE areas.
 * A faulting access changes nothing. Values are little-endian.
 */
import { PAGE_SHIFT, PAGE_SIZE, type PhysicalAddress } from '../addresses.ts';
import { fault, pageFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import { RAM_BASE } from '../state/layout.ts';
import type { TlbContext } from './paging-registers.ts';
import type { SlowPathParts } from './slow-path.ts';

/** Which fault a non-canonical address gives: #GP(0), or #SS(0) for the stack. */
export type AccessSegment = 'data' | 'stack';

/** Part of an access: as much as lies in one page. */
interface Piece {
  readonly physical: PhysicalAddress;
  readonly lengthBytes: number;
}

export class LinearAccess {
  private readonly parts: SlowPathParts;
  private readonly view: DataView;
  private readonly bytes: Uint8Array;
  private readonly buffer = new Uint8Array(8);
  private readonly bufferView = new DataView(this.buffer.buffer);

  constructor(memory: WebAssembly.Memory, parts: SlowPathParts) {
    this.parts = parts;
    this.view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
  }

  /** Reads 1, 2, 4 or 8 bytes, zero-extended. */
  read(
    linear: bigint,
    lengthBytes: 1 | 2 | 4 | 8,
    context: TlbContext,
    segment: AccessSegment = 'data',
  ): bigint | GuestFault {
    const host = this.directHost(linear, lengthBytes, context, false);
    if (host >= 0) return getValue(this.view, host, lengthBytes);
    // readBytes looks again, which costs little beside what brings us here: devices, faults, splits.
    const failed = this.readBytes(linear, this.buffer.subarray(0, lengthBytes), context, segment);
    return failed ?? getValue(this.bufferView, 0, lengthBytes);
  }

  /** Writes the low 1, 2, 4 or 8 bytes of a value. */
  write(
    linear: bigint,
    lengthBytes: 1 | 2 | 4 | 8,
    value: bigint,
    context: TlbContext,
    segment: AccessSegment = 'data',
  ): GuestFault | undefined {
    const host = this.directHost(linear, lengthBytes, context, true);
    if (host >= 0) {
      setValue(this.view, host, lengthBytes, value);
      return undefined;
    }
    setValue(this.bufferView, 0, lengthBytes, value);
    return this.writeBytes(linear, this.buffer.subarray(0, lengthBytes), context, segment);
  }

  /** Fills `target`. */
  readBytes(
    linear: bigint,
    target: Uint8Array,
    context: TlbContext,
    segment: AccessSegment = 'data',
  ): GuestFault | undefined {
    const host = this.directHost(linear, target.length, context, false);
    if (host >= 0) {
      target.set(this.bytes.subarray(host, host + target.length));
      return undefined;
    }
    const pieces = this.translate(linear, target.length, context, segment, false);
    if ('kind' in pieces) return pieces;
    this.noteWatched(linear, target.length, false);
    let done = 0;
    for (const { physical, lengthBytes } of pieces) {
      this.parts.physical.read(physical, target.subarray(done, done + lengthBytes));
      done += lengthBytes;
    }
    return undefined;
  }

  /** Stores all of `source`, or nothing if any of it faults. */
  writeBytes(
    linear: bigint,
    source: Uint8Array,
    context: TlbContext,
    segment: AccessSegment = 'data',
  ): GuestFault | undefined {
    const host = this.directHost(linear, source.length, context, true);
    if (host >= 0) {
      this.bytes.set(source, host);
      return undefined;
    }
    const pieces = this.translate(linear, source.length, context, segment, true);
    if ('kind' in pieces) return pieces;
    this.noteWatched(linear, source.length, true);
    let done = 0;
    for (const { physical, lengthBytes } of pieces) {
      this.parts.physical.write(physical, source.subarray(done, done + lengthBytes));
      this.noteWritten(physical, lengthBytes);
      done += lengthBytes;
    }
    return undefined;
  }

  /** Proves that writing `lengthBytes` bytes will not fault. */
  probeWrite(
    linear: bigint,
    lengthBytes: number,
    context: TlbContext,
    segment: AccessSegment = 'data',
  ): GuestFault | undefined {
    const pieces = this.translate(linear, lengthBytes, context, segment, true);
    return 'kind' in pieces ? pieces : undefined;
  }

  /** The host offset if the TLB knows the page and the access lies in it, else -1. */
  private directHost(
    linear: bigint,
    lengthBytes: number,
    context: TlbContext,
    isWrite: boolean,
  ): number {
    const low = Number(linear & 0xffff_ffffn);
    if ((low & (PAGE_SIZE - 1)) + lengthBytes > PAGE_SIZE) return -1;
    const { isLongMode } = this.parts.registers;
    const high = isLongMode ? Number((linear >> 32n) & 0xffff_ffffn) : 0;
    const known = this.parts.tlb.lookUp(context, isWrite, low, high);
    return known >= 0 ? known : this.fillAndLookUp(low, high, context, isWrite);
  }

  /** A miss fills the TLB where generated code could use the entry too. */
  private fillAndLookUp(low: number, high: number, context: TlbContext, isWrite: boolean): number {
    const { translator, watchpoints, physical, codePages, tlb } = this.parts;
    if (!translator.isCanonical(high)) return -1;
    const address = translator.translate(low, high, isWrite ? 'write' : 'read', context);
    if (address < 0 || !physical.isRam(address, 1)) return -1;
    if (watchpoints.concernsPage(low, high, isWrite)) return -1;
    if (isWrite && codePages.isCode(address >>> PAGE_SHIFT)) return -1;
    tlb.fill(context, isWrite, low, high, translator.walk);
    return RAM_BASE + address;
  }

  private translate(
    linear: bigint,
    lengthBytes: number,
    context: TlbContext,
    segment: AccessSegment,
    isWrite: boolean,
  ): readonly Piece[] | GuestFault {
    const { translator, registers } = this.parts;
    const pieces: Piece[] = [];
    for (let done = 0; done < lengthBytes;) {
      const address = BigInt.asUintN(registers.isLongMode ? 64 : 32, linear + BigInt(done));
      const low = Number(address & 0xffff_ffffn);
      const high = Number(address >> 32n);
      if (!translator.isCanonical(high)) {
        return fault(segment === 'stack' ? VECTOR.SS : VECTOR.GP, 0);
      }
      const physical = translator.translate(low, high, isWrite ? 'write' : 'read', context);
      if (physical < 0) return pageFault(address, translator.errorCode);
      const inPage = Math.min(lengthBytes - done, PAGE_SIZE - (low & (PAGE_SIZE - 1)));
      pieces.push({ physical: physical as PhysicalAddress, lengthBytes: inPage });
      done += inPage;
    }
    return pieces;
  }

  private noteWatched(linear: bigint, lengthBytes: number, isWrite: boolean): void {
    const { watchpoints, pending, state } = this.parts;
    if (watchpoints.isEmpty) return;
    const high = Number((linear >> 32n) & 0xffff_ffffn);
    const low = Number(linear & 0xffff_ffffn);
    const hits = watchpoints.hits(low, high, lengthBytes, isWrite);
    if (hits.length === 0) return;
    pending.watchHits(hits);
    state.exitRequest = 1;
  }

  private noteWritten(physical: PhysicalAddress, lengthBytes: number): void {
    const { codePages, pending, state } = this.parts;
    const page = Math.floor(physical / PAGE_SIZE);
    if (!codePages.isCode(page)) return;
    pending.codeWrite(page, physical % PAGE_SIZE, lengthBytes);
    state.exitRequest = 1;
  }
}

function getValue(view: DataView, offset: number, lengthBytes: 1 | 2 | 4 | 8): bigint {
  switch (lengthBytes) {
    case 1:
      return BigInt(view.getUint8(offset));
    case 2:
      return BigInt(view.getUint16(offset, true));
    case 4:
      return BigInt(view.getUint32(offset, true));
    case 8:
      return view.getBigUint64(offset, true);
  }
}

function setValue(view: DataView, offset: number, lengthBytes: 1 | 2 | 4 | 8, value: bigint): void {
  switch (lengthBytes) {
    case 1:
      view.setUint8(offset, Number(value & 0xffn));
      return;
    case 2:
      view.setUint16(offset, Number(value & 0xffffn), true);
      return;
    case 4:
      view.setUint32(offset, Number(value & 0xffff_ffffn), true);
      return;
    case 8:
      view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  }
}
