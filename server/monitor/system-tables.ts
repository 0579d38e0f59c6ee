/**
 * The IDT, GDT and TSS as the CPU would read them now, without faults (Intel SDM 3A §3.4.5, 6.11,
 * 6.14, 7.2, 7.7). What cannot be read is undefined, never guessed.
 */
import type { MachineView } from '../../machine/index.ts';
import { fromLittleEndian } from '../target/register-table.ts';

const EFER_LMA = 1n << 10n;

export interface Gate {
  readonly vector: number;
  /** Linear address of the entry. */
  readonly address: bigint;
  /** The entry as it stands in memory; all zero where nobody has filled it. */
  readonly isEmpty: boolean;
  /** As the CPU uses it; anything but these three is #GP. */
  readonly type: 'interrupt' | 'trap' | 'task' | number;
  readonly selector: number;
  readonly offset: bigint;
  readonly level: number;
  readonly isPresent: boolean;
  /** Interrupt-stack-table number 1–7, or 0. */
  readonly stackTable: number;
}

export interface SegmentDescriptor {
  readonly selector: number;
  readonly address: bigint;
  readonly isEmpty: boolean;
  /** S = 1. */
  readonly isCodeOrData: boolean;
  /** The type field, 4 bits. */
  readonly type: number;
  readonly level: number;
  readonly isPresent: boolean;
  readonly isLong: boolean;
  readonly isBig: boolean;
  readonly base: bigint;
  /** In bytes minus one. */
  readonly limit: number;
  /** 16 for a system descriptor in IA-32e mode, else 8. */
  readonly lengthBytes: number;
}

export function isLongMode(machine: MachineView): boolean {
  return (register(machine, 'efer') & EFER_LMA) !== 0n;
}

/** 'outside': beyond the IDT's limit; 'unreadable': its page is not mapped to RAM. */
export function readGate(machine: MachineView, vector: number): Gate | 'outside' | 'unreadable' {
  const isLong = isLongMode(machine);
  const size = isLong ? 16 : 8;
  const limit = Number(register(machine, 'idtr_limit'));
  if (vector * size + size - 1 > limit) return 'outside';
  const place = register(machine, 'idtr_base') + BigInt(vector * size);
  const bytes = machine.readLinear(place, size);
  return bytes.length < size ? 'unreadable' : parseGate(bytes, vector, place, isLong);
}

function parseGate(bytes: Uint8Array, vector: number, address: bigint, isLong: boolean): Gate {
  const attributes = bytes[5]!;
  const low =
    fromLittleEndian(bytes.subarray(0, 2)) | (fromLittleEndian(bytes.subarray(6, 8)) << 16n);
  const offset = isLong ? low | (fromLittleEndian(bytes.subarray(8, 12)) << 32n) : low;
  const type = attributes & 0x1f;
  const types: Readonly<Record<number, Gate['type']>> = { 14: 'interrupt', 15: 'trap' };
  return {
    vector,
    address,
    isEmpty: bytes.every((byte) => byte === 0),
    type: types[type] ?? (type === 5 && !isLong ? 'task' : type),
    selector: Number(fromLittleEndian(bytes.subarray(2, 4))),
    offset,
    level: (attributes >> 5) & 3,
    isPresent: (attributes & 0x80) !== 0,
    stackTable: isLong ? bytes[4]! & 7 : 0,
  };
}

/** The descriptor that a selector names, in the GDT or the LDT. */
export function readDescriptor(
  machine: MachineView,
  selector: number,
): SegmentDescriptor | 'outside' | 'unreadable' {
  const table = (selector & 4) === 0 ? 'gdtr' : 'ldtr';
  const offset = selector & 0xfff8;
  if (offset + 7 > Number(register(machine, `${table}_limit`))) return 'outside';
  const place = register(machine, `${table}_base`) + BigInt(offset);
  const bytes = machine.readLinear(place, 16);
  if (bytes.length < 8) return 'unreadable';
  return parseDescriptor(bytes, selector, place, isLongMode(machine));
}

function parseDescriptor(
  bytes: Uint8Array,
  selector: number,
  address: bigint,
  isLong: boolean,
): SegmentDescriptor {
  const access = bytes[5]!;
  const flags = bytes[6]!;
  const isCodeOrData = (access & 0x10) !== 0;
  const isEmpty = bytes.subarray(0, 8).every((byte) => byte === 0);
  const isWide = isLong && !isCodeOrData && !isEmpty && bytes.length === 16;
  const low = fromLittleEndian(bytes.subarray(2, 5)) | (BigInt(bytes[7]!) << 24n);
  const limit = Number(fromLittleEndian(bytes.subarray(0, 2))) | ((flags & 15) << 16);
  return {
    selector,
    address,
    isEmpty,
    isCodeOrData,
    type: access & 15,
    level: (access >> 5) & 3,
    isPresent: (access & 0x80) !== 0,
    isLong: (flags & 0x20) !== 0,
    isBig: (flags & 0x40) !== 0,
    base: isWide ? low | (fromLittleEndian(bytes.subarray(8, 12)) << 32n) : low,
    limit: (flags & 0x80) === 0 ? limit : ((limit << 12) | 0xfff) >>> 0,
    lengthBytes: isWide ? 16 : 8,
  };
}

const DATA_TYPES = ['read-only', 'writable', 'read-only, expands down', 'writable, expands down'];
const CODE_TYPES = ['execute-only', 'readable', 'execute-only, conforming', 'readable, conforming'];
/** Types of system descriptors; those of IA-32e mode have the same numbers (SDM 3A table 3-2). */
const SYSTEM_TYPES: Readonly<Record<number, string>> = {
  1: '16-bit TSS, available',
  2: 'LDT',
  3: '16-bit TSS, busy',
  4: '16-bit call gate',
  5: 'task gate',
  6: '16-bit interrupt gate',
  7: '16-bit trap gate',
  9: 'TSS, available',
  11: 'TSS, busy',
  12: 'call gate',
  14: 'interrupt gate',
  15: 'trap gate',
};

/** `64-bit code, readable`, `data, writable`, `TSS, busy`. */
export function descriptorType(descriptor: SegmentDescriptor): string {
  const { type, isCodeOrData, isLong, isBig } = descriptor;
  if (!isCodeOrData) return SYSTEM_TYPES[type] ?? `reserved system type ${type}`;
  if ((type & 8) === 0) return `data, ${DATA_TYPES[(type >> 1) & 3]}`;
  const width = isLong ? (isBig ? 'L and D set' : '64-bit') : isBig ? '32-bit' : '16-bit';
  return `${width} code, ${CODE_TYPES[(type >> 1) & 3]}`;
}

/** Offsets in a 64-bit TSS (SDM 3A figure 7-11) and a 32-bit one (figure 7-2). */
const TSS64 = { stack: 4, stride: 8, interruptStack: 36, portMap: 102 } as const;
const TSS32 = { stack: 4, stride: 8, portMap: 102 } as const;

/** RSPn or ESPn of the present TSS; undefined beyond its limit or where it cannot be read. */
export function stackOfLevel(machine: MachineView, level: number): bigint | undefined {
  const bytes = isLongMode(machine) ? 8 : 4;
  const { stack, stride } = isLongMode(machine) ? TSS64 : TSS32;
  return tssField(machine, stack + stride * level, bytes);
}

/** IST1–IST7 of a 64-bit TSS. */
export function interruptStack(machine: MachineView, number: number): bigint | undefined {
  return tssField(machine, TSS64.interruptStack + 8 * (number - 1), 8);
}

/** Offset of the I/O permission bitmap. */
export function portMapOffset(machine: MachineView): bigint | undefined {
  return tssField(machine, TSS64.portMap, 2);
}

function tssField(machine: MachineView, offset: number, lengthBytes: number): bigint | undefined {
  if (offset + lengthBytes - 1 > Number(register(machine, 'tr_limit'))) return undefined;
  const bytes = machine.readLinear(register(machine, 'tr_base') + BigInt(offset), lengthBytes);
  return bytes.length < lengthBytes ? undefined : fromLittleEndian(bytes);
}

export function register(machine: MachineView, name: string): bigint {
  return machine.readRegister(name) ?? 0n;
}
