/**
 * Decoded code: from a physical page and the linear page it is seen at to records, decoded when
 * control first comes there, forgotten when the bytes change.
 */
import { PAGE_SIZE } from '../addresses.ts';
import { VECTOR } from '../guest-fault.ts';
import { decode } from '../decoder/decoder.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import { CodePage } from './code-page.ts';
import { PSEUDO_HANDLER } from './core-module.ts';
import type { HandlerSource } from './handler-source.ts';
import { RECORD_BYTES, type RecordArena } from './record.ts';

/** Instructions decoded in one go; a run ends earlier at a page's end or an unconditional branch. */
const RUN_LIMIT = 64;
const LONGEST_INSTRUCTION = 15;
const LARGE_REGION_SHIFT = 22;

/** Where code is to be decoded. */
export interface CodeLocation {
  /** Offset in CS, and the linear address that it is. */
  readonly rip: bigint;
  readonly linear: bigint;
  readonly physicalPage: number;
  readonly modeKey: number;
  readonly mode: ExecutionMode;
}

/** Hears of what concerns code that was made from decoded pages. */
export interface CodeCacheListener {
  /** The page's bytes have changed. */
  dropped(page: CodePage): void;
  /** An address of the page has its first breakpoint: code that does not look there has to go. */
  stopAdded(page: CodePage): void;
  /** All pages are gone. */
  cleared(): void;
}

/** A guest can move its debug registers as often as it likes. */
const MOST_FORMER_BREAKPOINTS = 4096;

export interface CodeCacheParts {
  readonly arena: RecordArena;
  readonly handlers: HandlerSource;
  /** Bytes of a physical page; undefined where there is no RAM. */
  readonly pageBytes: (physicalPage: number) => Uint8Array | undefined;
  readonly markCodePage: (physicalPage: number) => void;
}

export class CodeCache {
  private readonly arena: RecordArena;
  private readonly handlers: HandlerSource;
  private readonly parts: CodeCacheParts;
  private readonly byPhysical = new Map<number, CodePage[]>();
  private readonly byLinear = new Map<bigint, CodePage[]>();
  /** Which bytes of a physical page have been decoded: writes elsewhere change no code. */
  private readonly decodedBytes = new Map<number, Uint8Array>();
  private readonly breakpoints = new Set<bigint>();
  /** 4 MiB regions of linear addresses, by number, that have had code. */
  private readonly largeRegions = new Set<number>();
  private readonly everBreakpoints = new Set<bigint>();
  private listener: CodeCacheListener | undefined;
  /** Records with a breakpoint → the handler that they would have. */
  private readonly displaced = new Map<number, number>();

  constructor(parts: CodeCacheParts) {
    this.parts = parts;
    this.arena = parts.arena;
    this.handlers = parts.handlers;
  }

  /** The record at a location if it is decoded and lies within its page. */
  find(location: CodeLocation): number | undefined {
    return this.pageOf(location)?.records.get(offsetOf(location.linear));
  }

  /** The physical page of the rest of a record's instruction, if it crosses a page. */
  crossingOf(location: CodeLocation, record: number): number | undefined {
    return this.pageOf(location)?.crossing.get(record);
  }

  /** The decoded page at a location, if there is one. */
  pageAt(location: CodeLocation): CodePage | undefined {
    return this.pageOf(location);
  }

  /** Bytes of a page that holds code. */
  bytesOf(page: CodePage): Uint8Array {
    const bytes = this.parts.pageBytes(page.physicalPage);
    if (bytes === undefined) throw new Error('code lies in RAM only');
    return bytes;
  }

  /** Gives a record another handler, now or when the breakpoint on it goes. */
  setHandler(record: number, handler: number): void {
    if (this.displaced.has(record)) this.displaced.set(record, handler);
    else this.arena.setHandler(record, handler);
  }

  /** True if a breakpoint stands on the address or has stood there. */
  hasBeenStoppedAt(linear: bigint): boolean {
    return this.everBreakpoints.has(linear);
  }

  /** Tells of pages whose code is to be forgotten, or is to stop at one more place. */
  listen(listener: CodeCacheListener): void {
    this.listener = listener;
  }

  /** True if a run can be decoded without forgetting everything first. */
  hasRoom(): boolean {
    if (this.handlers.isFull) return false;
    if (this.everBreakpoints.size - this.breakpoints.size > MOST_FORMER_BREAKPOINTS) return false;
    return this.arena.hasRoom(RUN_LIMIT + 2);
  }

  /**
   * Decodes from a location on. `nextPage` gives the physical page that follows in linear memory,
   * for an instruction that crosses over; it is asked for the first instruction only.
   */
  decodeRun(location: CodeLocation, nextPhysicalPage: number | undefined): number {
    const page = this.pageOf(location) ?? this.addPage(location);
    const bytes = this.parts.pageBytes(location.physicalPage);
    if (bytes === undefined) throw new Error('code is decoded from RAM only');
    const first =
      nextPhysicalPage === undefined
        ? this.decodeWithinPage(page, location, bytes)
        : this.decodeAcrossPages(page, location, bytes, nextPhysicalPage);
    this.handlers.compile();
    return first;
  }

  /** True when the instruction at the location needs bytes of the next page. */
  crossesPage(location: CodeLocation): boolean {
    const bytes = this.parts.pageBytes(location.physicalPage);
    if (bytes === undefined) return false;
    const window = bytes.subarray(offsetOf(location.linear));
    if (window.length >= LONGEST_INSTRUCTION) return false;
    return decode(window, location.rip, location.mode).kind === 'truncated';
  }

  addBreakpoint(linear: bigint): void {
    if (this.breakpoints.has(linear)) return;
    this.breakpoints.add(linear);
    if (!this.everBreakpoints.has(linear)) this.addStop(linear);
    for (const record of this.recordsAt(linear)) {
      this.displaced.set(record, this.arena.handler(record));
      this.arena.setHandler(record, PSEUDO_HANDLER.breakpoint);
    }
  }

  removeBreakpoint(linear: bigint): void {
    this.breakpoints.delete(linear);
    for (const record of this.recordsAt(linear)) {
      const handler = this.displaced.get(record);
      if (handler !== undefined) this.arena.setHandler(record, handler);
      this.displaced.delete(record);
    }
  }

  /** Is there code in a page of up to 4 MiB that has this linear address? */
  hasCodeNear(linearLow: number, linearHigh: number): boolean {
    return this.largeRegions.has(linearHigh * 1024 + (linearLow >>> LARGE_REGION_SHIFT));
  }

  /** The bytes of a physical page have changed. */
  invalidate(physicalPage: number, offset: number, lengthBytes: number): void {
    const decoded = this.decodedBytes.get(physicalPage);
    if (decoded?.subarray(offset, offset + lengthBytes).includes(1) !== true) return;
    this.decodedBytes.delete(physicalPage);
    for (const page of this.byPhysical.get(physicalPage) ?? []) this.dropPage(page);
    this.byPhysical.delete(physicalPage);
  }

  /** Forgets all code. */
  clear(): void {
    this.listener?.cleared();
    this.arena.clear();
    this.byPhysical.clear();
    this.byLinear.clear();
    this.decodedBytes.clear();
    this.displaced.clear();
    this.largeRegions.clear();
    this.everBreakpoints.clear();
    for (const linear of this.breakpoints) this.everBreakpoints.add(linear);
    this.handlers.clear();
  }

  private addStop(linear: bigint): void {
    this.everBreakpoints.add(linear);
    for (const page of this.byLinear.get(linear >> 12n) ?? []) {
      if (page.records.has(offsetOf(linear))) this.listener?.stopAdded(page);
    }
  }

  private pageOf(location: CodeLocation): CodePage | undefined {
    const linearPage = location.linear >> 12n;
    return this.byPhysical
      .get(location.physicalPage)
      ?.find((page) => page.linearPage === linearPage && page.modeKey === location.modeKey);
  }

  private addPage(location: CodeLocation): CodePage {
    const page = new CodePage(location.linear >> 12n, location.physicalPage, location.modeKey);
    this.register(page, page.physicalPage);
    // Its last instruction may go on in the next page.
    for (const linear of [page.linearPage, page.linearPage + 1n]) {
      this.largeRegions.add(Number((linear << 12n) >> BigInt(LARGE_REGION_SHIFT)));
    }
    const sameLinear = this.byLinear.get(page.linearPage);
    if (sameLinear === undefined) this.byLinear.set(page.linearPage, [page]);
    else sameLinear.push(page);
    return page;
  }

  private register(page: CodePage, physicalPage: number): void {
    const pages = this.byPhysical.get(physicalPage);
    if (pages === undefined) this.byPhysical.set(physicalPage, [page]);
    else if (!pages.includes(page)) pages.push(page);
    this.parts.markCodePage(physicalPage);
  }

  private dropPage(page: CodePage): void {
    this.listener?.dropped(page);
    for (const { first, count } of page.runs) {
      for (let index = 0; index < count; index++) {
        const record = first + index * RECORD_BYTES;
        this.arena.setHandler(record, PSEUDO_HANDLER.invalid);
        this.displaced.delete(record);
      }
    }
    for (const physicalPage of new Set(page.crossing.values())) {
      const others = this.byPhysical.get(physicalPage)?.filter((other) => other !== page);
      if (others !== undefined) this.byPhysical.set(physicalPage, others);
    }
    const own = this.byPhysical.get(page.physicalPage)?.filter((other) => other !== page);
    if (own !== undefined) this.byPhysical.set(page.physicalPage, own);
    const sameLinear = this.byLinear.get(page.linearPage)?.filter((other) => other !== page);
    if (sameLinear !== undefined) this.byLinear.set(page.linearPage, sameLinear);
  }

  private decodeWithinPage(page: CodePage, location: CodeLocation, bytes: Uint8Array): number {
    const first = this.arena.nextRecord;
    let count = 0;
    let { rip } = location;
    let offset = offsetOf(location.linear);
    let isOpen = true;
    while (isOpen && count < RUN_LIMIT && offset < PAGE_SIZE) {
      const known = page.records.get(offset);
      if (known !== undefined && !page.crossing.has(known)) {
        const record = this.arena.appendPseudo(PSEUDO_HANDLER.goto, 0n, rip);
        this.arena.setLink(record, known);
        isOpen = false;
        count++;
        break;
      }
      const decoded = decode(
        bytes.subarray(offset, offset + LONGEST_INSTRUCTION),
        rip,
        location.mode,
      );
      if (decoded.kind === 'truncated') break;
      this.markDecoded(location.physicalPage, offset, decoded.lengthBytes);
      count++;
      if (decoded.kind === 'undefined') {
        this.enter(page, location, offset, this.appendRaise(decoded.vector, rip));
        isOpen = false;
      } else {
        const handler = this.handlers.handlerFor(decoded);
        const record = this.arena.append(handler.index, decoded, this.after(decoded));
        this.enter(page, location, offset, record);
        this.link(page, location, decoded, record);
        isOpen = handler.goesOn;
        rip = this.after(decoded);
        offset += decoded.lengthBytes;
      }
    }
    if (isOpen) {
      this.arena.appendPseudo(PSEUDO_HANDLER.fallThrough, 0n, rip);
      count++;
    }
    page.runs.push({ first, count });
    return first;
  }

  /** One instruction in a run of its own, made anew whenever the second page has changed. */
  private decodeAcrossPages(
    page: CodePage,
    location: CodeLocation,
    bytes: Uint8Array,
    nextPhysicalPage: number,
  ): number {
    const offset = offsetOf(location.linear);
    const head = bytes.subarray(offset);
    const joined = new Uint8Array(LONGEST_INSTRUCTION);
    joined.set(head);
    const tail = this.parts.pageBytes(nextPhysicalPage);
    // Where there is no RAM all bits read as one.
    joined.fill(0xff, head.length);
    if (tail !== undefined)
      joined.set(tail.subarray(0, LONGEST_INSTRUCTION - head.length), head.length);
    const decoded = decode(joined, location.rip, location.mode);
    let record: number;
    let count = 1;
    if (decoded.kind === 'instruction') {
      const { index } = this.handlers.handlerFor(decoded);
      record = this.arena.append(index, decoded, this.after(decoded));
      this.arena.appendPseudo(PSEUDO_HANDLER.fallThrough, 0n, this.after(decoded));
      count = 2;
    } else {
      const vector = decoded.kind === 'undefined' ? decoded.vector : VECTOR.UD;
      record = this.appendRaise(vector, location.rip);
    }
    this.enter(page, location, offset, record);
    page.crossing.set(record, nextPhysicalPage);
    page.runs.push({ first: record, count });
    this.register(page, nextPhysicalPage);
    this.markDecoded(location.physicalPage, offset, head.length);
    this.markDecoded(nextPhysicalPage, 0, LONGEST_INSTRUCTION - head.length);
    return record;
  }

  private appendRaise(vector: number, rip: bigint): number {
    return this.arena.appendPseudo(PSEUDO_HANDLER.raise, raiseArgument(vector), rip);
  }

  private after(decoded: DecodedInstruction): bigint {
    const next = decoded.address + BigInt(decoded.lengthBytes);
    return decoded.mode.codeWidth === 64 ? BigInt.asUintN(64, next) : BigInt.asUintN(32, next);
  }

  /** Makes a record findable, with its breakpoint if it has one. */
  private enter(page: CodePage, location: CodeLocation, offset: number, record: number): void {
    page.records.set(offset, record);
    const linear = (location.linear & ~0xfffn) | BigInt(offset);
    if (this.breakpoints.has(linear)) {
      this.displaced.set(record, this.arena.handler(record));
      this.arena.setHandler(record, PSEUDO_HANDLER.breakpoint);
    }
    for (const branch of page.openLinks.get(offset) ?? []) this.arena.setLink(branch, record);
    page.openLinks.delete(offset);
  }

  /** Connects a branch with its target when both are on one page. */
  private link(
    page: CodePage,
    location: CodeLocation,
    decoded: DecodedInstruction,
    record: number,
  ): void {
    const operand = decoded.operands.find(({ kind }) => kind === 'relative');
    if (operand?.kind !== 'relative') return;
    const distance = operand.target - location.rip;
    const target = location.linear + distance;
    if (target >> 12n !== page.linearPage) return;
    const offset = offsetOf(target);
    const known = page.records.get(offset);
    if (known !== undefined) {
      if (!page.crossing.has(known)) this.arena.setLink(record, known);
      return;
    }
    const open = page.openLinks.get(offset);
    if (open === undefined) page.openLinks.set(offset, [record]);
    else open.push(record);
  }

  private markDecoded(physicalPage: number, offset: number, lengthBytes: number): void {
    let decoded = this.decodedBytes.get(physicalPage);
    if (decoded === undefined) {
      decoded = new Uint8Array(PAGE_SIZE);
      this.decodedBytes.set(physicalPage, decoded);
    }
    decoded.fill(1, offset, offset + lengthBytes);
  }

  private recordsAt(linear: bigint): number[] {
    const pages = this.byLinear.get(linear >> 12n) ?? [];
    return pages.flatMap((page) => page.records.get(offsetOf(linear)) ?? []);
  }
}

function offsetOf(linear: bigint): number {
  return Number(linear & 0xfffn);
}

/** The immediate of a `raise` record: vector, error code from bit 8, bit 32 if there is one. */
function raiseArgument(vector: number): bigint {
  return vector === VECTOR.GP ? BigInt(vector) | (1n << 32n) : BigInt(vector);
}
