/**
 * Selectors and descriptors (Intel SDM 3A §3.4, 3.5): reading them from the GDT and the LDT, and
 * putting them into segment registers once they have been checked.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import { SEGMENT_REGISTERS, type SegmentRegister } from '../instructions/operand.ts';
import { WORD } from '../state/fields.ts';
import type { Cpu } from './cpu.ts';
import {
  ATTRIBUTES_MASK,
  SEGMENT_ACCESSED,
  SEGMENT_GRANULAR,
  SEGMENT_LONG,
  has,
  isConformingCode,
  isLongModeActive,
  privilegeLevel,
} from './segment-attributes.ts';

export interface Descriptor {
  readonly selector: number;
  /** Linear address of its first byte. */
  readonly address: bigint;
  /** Bits 31–0 and 63–32, as they are in memory. */
  readonly low: number;
  readonly high: number;
  /** segment-attributes.ts has the bits. */
  readonly attributes: number;
  readonly base: number;
  /** In bytes minus one, granularity applied. */
  readonly limit: number;
}

/** A selector with RPL 0–3 and index 0 of the GDT. */
export function isNull(selector: number): boolean {
  return (selector & 0xfffc) === 0;
}

export function requestedPrivilege(selector: number): number {
  return selector & 3;
}

/** The error code that names a selector (Intel SDM 3A §6.13): without its RPL. */
export function selectorError(selector: number, externalBit = 0): number {
  return (selector & 0xfffc) | externalBit;
}

/**
 * Reads the descriptor that a selector names. Outside its table it is `vector` (#GP, or #TS for what
 * comes from a TSS) with the selector.
 */
export function readDescriptor(
  cpu: Cpu,
  selector: number,
  vector: number = VECTOR.GP,
  externalBit = 0,
): Descriptor | GuestFault {
  const { state } = cpu;
  const isLocal = (selector & 4) !== 0;
  const offset = selector & 0xfff8;
  const isMissing = isLocal && isNull(state.ldtrSelector);
  if (isMissing || offset + 7 > (isLocal ? state.ldtrLimit : state.gdtrLimit)) {
    return fault(vector, selectorError(selector, externalBit));
  }
  const address = (isLocal ? state.ldtrBase : state.gdtrBase) + BigInt(offset);
  const raw = cpu.memory.linear.read(address, 8, cpu.memory.registers.implicitContext);
  if (isFault(raw)) return raw;
  return parse(selector, address, Number(raw & 0xffff_ffffn), Number(raw >> 32n));
}

function parse(selector: number, address: bigint, low: number, high: number): Descriptor {
  const attributes = (high >>> 8) & ATTRIBUTES_MASK;
  const limit = (high & 0x000f_0000) | (low & 0xffff);
  return {
    selector,
    address,
    low,
    high,
    attributes,
    base: ((high & 0xff00_0000) | ((high & 0xff) << 16) | (low >>> 16)) >>> 0,
    limit: has(attributes, SEGMENT_GRANULAR) ? ((limit << 12) | 0xfff) >>> 0 : limit,
  };
}

/** The upper 32 bits of the base of a 16-byte system descriptor, and its type-must-be-zero field. */
export function readUpperHalf(
  cpu: Cpu,
  { address }: Descriptor,
): { readonly base: number; readonly reserved: number } | GuestFault {
  const raw = cpu.memory.linear.read(address + 8n, 8, cpu.memory.registers.implicitContext);
  if (isFault(raw)) return raw;
  return { base: Number(raw & 0xffff_ffffn), reserved: Number((raw >> 40n) & 0x1fn) };
}

/** Sets the accessed bit in memory, unless it is set. May fault, so it comes before any change. */
export function markAccessed(cpu: Cpu, descriptor: Descriptor): GuestFault | undefined {
  if (has(descriptor.attributes, SEGMENT_ACCESSED)) return undefined;
  const type = BigInt(((descriptor.high >>> 8) & 0xff) | SEGMENT_ACCESSED);
  const context = cpu.memory.registers.implicitContext;
  return cpu.memory.linear.write(descriptor.address + 5n, 1, type, context);
}

/** What a segment register holds, the hidden part included. */
export interface SegmentContents {
  readonly selector: number;
  /** 32 bits: only MSRs give FS and GS a longer one. */
  readonly base: number;
  readonly limit: number;
  readonly attributes: number;
}

/*
 * Where the parts lie in `state.words`. Field names put together from the segment's name made strings
 * at each load and took most of the time of SYSCALL and IRET.
 */
const SEGMENT_WORDS = {
  es: words(WORD.esSelector, WORD.esBase, WORD.esLimit, WORD.esAttributes),
  cs: words(WORD.csSelector, WORD.csBase, WORD.csLimit, WORD.csAttributes),
  ss: words(WORD.ssSelector, WORD.ssBase, WORD.ssLimit, WORD.ssAttributes),
  ds: words(WORD.dsSelector, WORD.dsBase, WORD.dsLimit, WORD.dsAttributes),
  fs: words(WORD.fsSelector, WORD.fsBase, WORD.fsLimit, WORD.fsAttributes),
  gs: words(WORD.gsSelector, WORD.gsBase, WORD.gsLimit, WORD.gsAttributes),
};

function words(selector: number, base: number, limit: number, attributes: number): SegmentContents {
  return { selector, base, limit, attributes };
}

export function setSegment(cpu: Cpu, name: SegmentRegister, contents: SegmentContents): void {
  const { words } = cpu.state;
  const index = SEGMENT_WORDS[name];
  words[index.selector] = contents.selector;
  words[index.base] = contents.base;
  words[index.base + 1] = 0;
  words[index.limit] = contents.limit;
  words[index.attributes] = contents.attributes;
}

/** Puts a checked descriptor into a data segment register. */
export function loadDescriptor(cpu: Cpu, name: SegmentRegister, descriptor: Descriptor): void {
  setSegment(cpu, name, {
    selector: descriptor.selector,
    base: descriptor.base,
    limit: descriptor.limit,
    attributes: descriptor.attributes | SEGMENT_ACCESSED,
  });
}

/** A null selector in a data segment register: unusable outside 64-bit mode. */
export function loadNull(cpu: Cpu, name: SegmentRegister, selector: number): void {
  setSegment(cpu, name, { selector, base: 0, limit: 0, attributes: 0 });
}

/** Puts a checked code descriptor into CS and makes `cpl` the privilege level. */
export function loadCode(cpu: Cpu, descriptor: Descriptor, cpl: number): void {
  const isLong = isLongModeActive(cpu.state) && has(descriptor.attributes, SEGMENT_LONG);
  setSegment(cpu, 'cs', {
    selector: (descriptor.selector & 0xfffc) | cpl,
    base: isLong ? 0 : descriptor.base,
    limit: descriptor.limit,
    attributes: descriptor.attributes | SEGMENT_ACCESSED,
  });
  cpu.setPrivilegeLevel(cpl);
}

/** The segment register of number 0–5. */
export function segmentName(number: number): SegmentRegister {
  const name = SEGMENT_REGISTERS[number];
  if (name === undefined) throw new Error(`no segment register ${number}`);
  return name;
}

/**
 * After a return to less privileged code: data segments that it may not use become null
 * (Intel SDM 2A, "IRET/RET", RETURN-TO-OUTER-PRIVILEGE-LEVEL). Only the selector is written there: FS
 * and GS keep their bases.
 */
export function dropPrivilegedSegments(cpu: Cpu): void {
  const { words, cpl } = cpu.state;
  for (const name of DATA_SEGMENTS) {
    const index = SEGMENT_WORDS[name];
    const attributes = words[index.attributes]!;
    const isTooPrivileged = privilegeLevel(attributes) < cpl && !isConformingCode(attributes);
    if (!isTooPrivileged || isNull(words[index.selector]!)) continue;
    words[index.selector] = 0;
    words[index.limit] = 0;
    words[index.attributes] = 0;
  }
}

const DATA_SEGMENTS = ['es', 'ds', 'fs', 'gs'] as const;
