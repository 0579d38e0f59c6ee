/**
 * Entering a handler in 32-bit protected mode: 8-byte gates (Intel SDM 3A §6.12). Task gates and
 * virtual-8086 mode are left out: a task gate is noted and gives #GP.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import {
  isNull,
  loadCode,
  loadDescriptor,
  markAccessed,
  readDescriptor,
  requestedPrivilege,
  selectorError,
  type Descriptor,
} from './descriptors.ts';
import {
  checkGate,
  clearEntryFlags,
  externalBit,
  gateCode,
  gateError,
  handlerLevel,
  pushedRflags,
  type HandlerEvent,
} from './handler-entry.ts';
import {
  SEGMENT_BIG,
  SEGMENT_EXPAND_DOWN,
  SEGMENT_PRESENT,
  SYSTEM_TYPE,
  has,
  isWritableData,
  privilegeLevel,
} from './segment-attributes.ts';
import { currentStack, pushAll, setStackPointer, type SlotBytes, type Stack } from './stack.ts';

interface Gate {
  readonly selector: number;
  readonly offset: bigint;
  readonly isInterrupt: boolean;
  readonly slotBytes: SlotBytes;
}

interface NewStack {
  readonly segment: Descriptor;
  readonly stack: Stack;
}

export function enterHandler32(cpu: Cpu, event: HandlerEvent): GuestFault | undefined {
  const { state } = cpu;
  const gate = readGate(cpu, event);
  if (isFault(gate)) return gate;
  const code = gateCode(cpu, event, gate.selector);
  if (isFault(code)) return code;
  const level = handlerLevel(cpu, code);
  if (gate.offset > BigInt(code.limit)) return fault(VECTOR.GP, externalBit(event));
  const inner = level === state.cpl ? undefined : privilegedStack(cpu, level, externalBit(event));
  if (isFault(inner)) return inner;
  const frame = inner === undefined ? [] : [BigInt(state.ssSelector), state.rsp];
  frame.push(pushedRflags(cpu, event), BigInt(state.csSelector), event.returnRip);
  if (event.errorCode !== undefined) frame.push(BigInt(event.errorCode));
  const stack = inner?.stack ?? currentStack(cpu);
  const failed = markAccessed(cpu, code) ?? (inner && markAccessed(cpu, inner.segment));
  if (failed !== undefined) return failed;
  const pointer = pushAll(cpu, stack, frame, gate.slotBytes, externalBit(event));
  if (isFault(pointer)) return pointer;
  if (inner !== undefined) loadDescriptor(cpu, 'ss', inner.segment);
  setStackPointer(cpu, pointer, stack.width);
  loadCode(cpu, code, level);
  clearEntryFlags(cpu, gate.isInterrupt);
  state.rip = gate.offset;
  return undefined;
}

function readGate(cpu: Cpu, event: HandlerEvent): Gate | GuestFault {
  const { state, memory } = cpu;
  const offset = event.vector * 8;
  if (offset + 7 > state.idtrLimit) return fault(VECTOR.GP, gateError(event));
  const address = state.idtrBase + BigInt(offset);
  const raw = memory.linear.read(address, 8, memory.registers.implicitContext);
  if (isFault(raw)) return raw;
  const low = Number(raw & 0xffff_ffffn);
  const high = Number(raw >> 32n);
  const attributes = (high >>> 8) & 0xff;
  const type = attributes & 0x1f;
  if (type === SYSTEM_TYPE.taskGate) {
    cpu.noteOnce(`task gates are not implemented: vector ${event.vector} gives #GP`);
  }
  const is32 = type === SYSTEM_TYPE.interruptGate || type === SYSTEM_TYPE.trapGate;
  const is16 = type === SYSTEM_TYPE.interruptGate16 || type === SYSTEM_TYPE.trapGate16;
  if (!is32 && !is16) return fault(VECTOR.GP, gateError(event));
  const upper = is32 ? high & 0xffff_0000 : 0;
  return (
    checkGate(cpu, event, attributes) ?? {
      selector: low >>> 16,
      offset: BigInt((upper | (low & 0xffff)) >>> 0),
      isInterrupt: (type & 1) === 0,
      slotBytes: is32 ? 4 : 2,
    }
  );
}

/**
 * SS and ESP of a more privileged level, from the TSS, with all that is checked about them. Also
 * for call gates. `external` is bit 0 of the error codes.
 */
export function privilegedStack(cpu: Cpu, level: number, external: number): NewStack | GuestFault {
  const entry = readStackEntry(cpu, level, external);
  if (isFault(entry)) return entry;
  const { selector, pointer } = entry;
  if (isNull(selector)) return fault(VECTOR.TS, external);
  const segment = readDescriptor(cpu, selector, VECTOR.TS, external);
  if (isFault(segment)) return segment;
  const { attributes } = segment;
  const isRight = requestedPrivilege(selector) === level && privilegeLevel(attributes) === level;
  const error = selectorError(selector, external);
  if (!isRight || !isWritableData(attributes)) return fault(VECTOR.TS, error);
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.SS, error);
  const width = has(attributes, SEGMENT_BIG) ? 32 : 16;
  const stack: Stack = {
    base: BigInt(segment.base),
    pointer: BigInt.asUintN(width, pointer),
    width,
    limit: has(attributes, SEGMENT_EXPAND_DOWN) ? undefined : segment.limit,
    context: cpu.memory.registers.contextAt(level),
  };
  return { segment, stack };
}

/** SSn:ESPn of a 32-bit TSS, or SSn:SPn of a 16-bit one (Intel SDM 3A figures 7-2, 7-10). */
function readStackEntry(
  cpu: Cpu,
  level: number,
  external: number,
): { readonly selector: number; readonly pointer: bigint } | GuestFault {
  const { state, memory } = cpu;
  const is32 = (state.trAttributes & 8) !== 0;
  const offset = is32 ? 4 + level * 8 : 2 + level * 4;
  if (offset + (is32 ? 5 : 3) > state.trLimit) {
    return fault(VECTOR.TS, selectorError(state.trSelector, external));
  }
  const context = memory.registers.implicitContext;
  const address = state.trBase + BigInt(offset);
  const pointer = memory.linear.read(address, is32 ? 4 : 2, context);
  if (isFault(pointer)) return pointer;
  const selector = memory.linear.read(address + (is32 ? 4n : 2n), 2, context);
  return isFault(selector) ? selector : { selector: Number(selector), pointer };
}
