/**
 * Stacks as interrupt delivery, far transfers and IRET use them: several values at once, written or
 * read completely before anything else changes (Intel SDM 1 §6.2, 3A §6.12, 6.14).
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { TlbContext } from '../memory/paging-registers.ts';
import type { Cpu } from './cpu.ts';
import { SEGMENT_BIG, SEGMENT_EXPAND_DOWN, has, isIn64BitMode } from './segment-attributes.ts';

export type StackWidth = 16 | 32 | 64;
export type SlotBytes = 2 | 4 | 8;

export interface Stack {
  /** Of the segment; 0 in 64-bit mode. */
  readonly base: bigint;
  readonly pointer: bigint;
  readonly width: StackWidth;
  /** Undefined where no limit is checked (64-bit mode, expand-down segments). */
  readonly limit: number | undefined;
  readonly context: TlbContext;
}

/** The stack in force. */
export function currentStack(cpu: Cpu): Stack {
  const { state, memory } = cpu;
  const context = memory.registers.context;
  if (isIn64BitMode(state)) return flatStack(state.rsp, context);
  const width = has(state.ssAttributes, SEGMENT_BIG) ? 32 : 16;
  const hasLimit = !has(state.ssAttributes, SEGMENT_EXPAND_DOWN);
  return {
    base: state.ssBase,
    pointer: BigInt.asUintN(width, state.rsp),
    width,
    limit: hasLimit ? state.ssLimit : undefined,
    context,
  };
}

/** A stack of 64-bit mode. */
export function flatStack(pointer: bigint, context: TlbContext): Stack {
  return { base: 0n, pointer, width: 64, limit: undefined, context };
}

/** The stack pointer after `values` have been pushed, the first value first; all or nothing. */
export function pushAll(
  cpu: Cpu,
  stack: Stack,
  values: readonly bigint[],
  slotBytes: SlotBytes,
  externalBit = 0,
): bigint | GuestFault {
  const bytes = new Uint8Array(values.length * slotBytes);
  const view = new DataView(bytes.buffer);
  values.forEach((value, index) =>
    putSlot(view, (values.length - 1 - index) * slotBytes, slotBytes, value),
  );
  const pointer = BigInt.asUintN(stack.width, stack.pointer - BigInt(bytes.length));
  if (isOutside(stack, pointer, bytes.length)) return fault(VECTOR.SS, externalBit);
  const linear = stackLinear(stack, pointer);
  const failed = cpu.memory.linear.writeBytes(linear, bytes, stack.context, 'stack');
  if (failed?.vector === VECTOR.SS) return fault(VECTOR.SS, externalBit);
  return failed ?? pointer;
}

/** `count` values from the top of the stack plus `skipBytes`, the top one first. Nothing moves. */
export function peekAll(
  cpu: Cpu,
  stack: Stack,
  count: number,
  slotBytes: SlotBytes,
  skipBytes = 0,
): readonly bigint[] | GuestFault {
  const values: bigint[] = [];
  for (let index = 0; index < count; index++) {
    const offset = BigInt(skipBytes + index * slotBytes);
    const pointer = BigInt.asUintN(stack.width, stack.pointer + offset);
    if (isOutside(stack, pointer, slotBytes)) return fault(VECTOR.SS, 0);
    const linear = stackLinear(stack, pointer);
    const value = cpu.memory.linear.read(linear, slotBytes, stack.context, 'stack');
    if (isFault(value)) return value;
    values.push(value);
  }
  return values;
}

/** Sets the stack pointer, of which a narrow stack only changes its part. */
export function setStackPointer(cpu: Cpu, pointer: bigint, width: StackWidth): void {
  const { state } = cpu;
  state.rsp = width === 16 ? (state.rsp & ~0xffffn) | (pointer & 0xffffn) : pointer;
}

/** Releases bytes from the stack in force. */
export function releaseStack(cpu: Cpu, bytes: number): void {
  const { pointer, width } = currentStack(cpu);
  setStackPointer(cpu, BigInt.asUintN(width, pointer + BigInt(bytes)), width);
}

/** Operand widths of 16, 32 and 64 bits as bytes. */
export function slotBytesOf(width: number): SlotBytes {
  return width === 64 ? 8 : width === 32 ? 4 : 2;
}

function stackLinear(stack: Stack, pointer: bigint): bigint {
  return stack.width === 64 ? pointer : BigInt.asUintN(32, stack.base + pointer);
}

function isOutside(stack: Stack, pointer: bigint, lengthBytes: number): boolean {
  return stack.limit !== undefined && pointer + BigInt(lengthBytes - 1) > BigInt(stack.limit);
}

function putSlot(view: DataView, offset: number, slotBytes: SlotBytes, value: bigint): void {
  if (slotBytes === 8) view.setBigUint64(offset, BigInt.asUintN(64, value), true);
  else if (slotBytes === 4) view.setUint32(offset, Number(BigInt.asUintN(32, value)), true);
  else view.setUint16(offset, Number(BigInt.asUintN(16, value)), true);
}
