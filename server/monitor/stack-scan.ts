/**
 * Return addresses on a stack without frame pointers or unwind tables: every quadword that points
 * into executable memory is a candidate; whether a call instruction stands before it says how good
 * one. x86 instructions cannot be decoded backwards, so the forms of CALL are tried one by one
 * (Intel SDM 2A, "CALL": E8 rel32, FF /2).
 */
import type { MachineView } from '../../machine/index.ts';
import { fromLittleEndian, quadwordAt } from '../target/register-table.ts';

export type CallBefore =
  | { readonly kind: 'direct'; readonly target: bigint }
  /** Through a pointer in memory; `target` is what it holds now. */
  | { readonly kind: 'memory'; readonly pointer: bigint; readonly target: bigint }
  /** Through a register or computed operand: not known any more. */
  | { readonly kind: 'indirect' };

export interface ReturnCandidate {
  /** Bytes above the stack pointer. */
  readonly offset: number;
  readonly value: bigint;
  /** Absent: no call instruction stands before it. */
  readonly call?: CallBefore;
}

export interface StackScan {
  readonly machine: MachineView;
  readonly rsp: bigint;
  /** Exclusive end of the stack. */
  readonly end: bigint;
  /** Page tables to read through; absent: those in force. */
  readonly cr3?: bigint | undefined;
}

const LONGEST_CALL_BYTES = 8;
const E8_BYTES = 5;

/** The quadword at rsp, whatever it is, then every candidate above it, at most `most` in all. */
export function scanStack(scan: StackScan, most: number): ReturnCandidate[] {
  const { machine, rsp, end, cr3 } = scan;
  const stack = machine.readLinear(rsp, Number(end - rsp), cr3);
  const executable = executableRanges(machine, cr3);
  const candidates: ReturnCandidate[] = [];
  for (let offset = 0; offset + 8 <= stack.length && candidates.length < most; offset += 8) {
    const value = fromLittleEndian(stack.subarray(offset, offset + 8));
    const isCode = executable.some(([start, last]) => value > start && value <= last);
    if (offset > 0 && !isCode) continue;
    const call = isCode ? callBefore(machine, value, cr3) : undefined;
    candidates.push({ offset, value, ...(call === undefined ? {} : { call }) });
  }
  return candidates;
}

/** Executable linear memory as [start, end) pairs, neighbours merged. */
function executableRanges(machine: MachineView, cr3?: bigint): [bigint, bigint][] {
  const ranges: [bigint, bigint][] = [];
  for (const { linear, lengthBytes, isNoExecute } of machine.mappings(cr3)) {
    if (isNoExecute) continue;
    const last = ranges.at(-1);
    if (last?.[1] === linear) last[1] += BigInt(lengthBytes);
    else ranges.push([linear, linear + BigInt(lengthBytes)]);
  }
  return ranges;
}

/** The call instruction that ends at `returnAddress`, if its bytes can be one. */
export function callBefore(
  machine: MachineView,
  returnAddress: bigint,
  cr3?: bigint,
): CallBefore | undefined {
  const start = BigInt.asUintN(64, returnAddress - BigInt(LONGEST_CALL_BYTES));
  let code = machine.readLinear(start, LONGEST_CALL_BYTES, cr3);
  if (code.length < LONGEST_CALL_BYTES) {
    // The page before may be missing: try what a direct call needs.
    code = machine.readLinear(BigInt.asUintN(64, returnAddress - BigInt(E8_BYTES)), E8_BYTES, cr3);
    if (code.length < E8_BYTES) return undefined;
  }
  if (code[code.length - E8_BYTES] === 0xe8) {
    const distance = BigInt.asIntN(32, fromLittleEndian(code.subarray(-4)));
    return { kind: 'direct', target: BigInt.asUintN(64, returnAddress + distance) };
  }
  return indirectCallBefore(machine, code, returnAddress, cr3);
}

function indirectCallBefore(
  machine: MachineView,
  code: Uint8Array,
  returnAddress: bigint,
  cr3?: bigint,
): CallBefore | undefined {
  for (let length = 2; length <= code.length; length++) {
    const bytes = code.subarray(code.length - length);
    if (bytes[0] !== 0xff || ((bytes[1]! >> 3) & 7) !== 2) continue;
    if (indirectCallLength(bytes) !== length) continue;
    if (bytes[1] !== 0x15) return { kind: 'indirect' };
    const distance = BigInt.asIntN(32, fromLittleEndian(bytes.subarray(2)));
    const pointer = BigInt.asUintN(64, returnAddress + distance);
    return { kind: 'memory', pointer, target: quadwordAt(machine, pointer, cr3) };
  }
  return undefined;
}

/** Bytes of FF /2 from its opcode on, by ModRM and SIB (Intel SDM 2A §2.1.3). */
function indirectCallLength(bytes: Uint8Array): number {
  const modrm = bytes[1]!;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return 2;
  const hasSib = rm === 4;
  const sibBytes = hasSib ? 1 : 0;
  if (mod === 1) return 3 + sibBytes;
  if (mod === 2) return 6 + sibBytes;
  const isDisplacementOnly = rm === 5 || (hasSib && (bytes[2]! & 7) === 5);
  return 2 + sibBytes + (isDisplacementOnly ? 4 : 0);
}
