/**
 * Call gates (Intel SDM 3A §5.8.3–5.8.5). Gates that copy parameters from stack to stack (legacy mode,
 * count above 0, more privilege) and 16-bit gates are left out: noted, #GP.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import {
  isNull,
  loadCode,
  loadDescriptor,
  loadNull,
  markAccessed,
  readDescriptor,
  readUpperHalf,
  requestedPrivilege,
  selectorError,
  type Descriptor,
} from './descriptors.ts';
import { isCanonical } from './handler-entry-64.ts';
import { privilegedStack } from './handler-entry-32.ts';
import {
  SEGMENT_BIG,
  SEGMENT_LONG,
  SEGMENT_PRESENT,
  SYSTEM_TYPE,
  has,
  isCode,
  isConformingCode,
  isLongModeActive,
  privilegeLevel,
} from './segment-attributes.ts';
import {
  currentStack,
  flatStack,
  pushAll,
  setStackPointer,
  type SlotBytes,
  type Stack,
} from './stack.ts';

interface GateTarget {
  readonly code: Descriptor;
  readonly offset: bigint;
}

/** Goes through a gate: a jump if `slotBytes` is undefined, else a call. */
export function callGate(
  cpu: Cpu,
  gate: Descriptor,
  slotBytes: SlotBytes | undefined,
): GuestFault | undefined {
  const isLong = isLongModeActive(cpu.state);
  const error = selectorError(gate.selector);
  if ((gate.attributes & 0x1f) !== SYSTEM_TYPE.callGate) {
    if (!isLong) cpu.noteOnce('far transfer to a task or 16-bit gate is not implemented: #GP');
    return fault(VECTOR.GP, error);
  }
  const level = privilegeLevel(gate.attributes);
  const isReachable = level >= cpu.state.cpl && level >= requestedPrivilege(gate.selector);
  if (!isReachable) return fault(VECTOR.GP, error);
  if (!has(gate.attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, error);
  const target = gateTarget(cpu, gate, slotBytes !== undefined);
  if (isFault(target)) return target;
  return slotBytes === undefined ? enter(cpu, target) : call(cpu, gate, target);
}

function gateTarget(cpu: Cpu, gate: Descriptor, isCall: boolean): GateTarget | GuestFault {
  const isLong = isLongModeActive(cpu.state);
  const low = BigInt(((gate.high & 0xffff_0000) | (gate.low & 0xffff)) >>> 0);
  const upper = isLong ? readUpperHalf(cpu, gate) : { base: 0, reserved: 0 };
  if (isFault(upper)) return upper;
  if (upper.reserved !== 0) return fault(VECTOR.GP, selectorError(gate.selector));
  const offset = (BigInt(upper.base) << 32n) | low;
  const selector = gate.low >>> 16;
  if (isNull(selector)) return fault(VECTOR.GP, 0);
  const code = readDescriptor(cpu, selector);
  if (isFault(code)) return code;
  const { attributes } = code;
  const isWide = has(attributes, SEGMENT_LONG) && !has(attributes, SEGMENT_BIG);
  const own = privilegeLevel(attributes);
  const isLevelRight =
    isCall || isConformingCode(attributes) ? own <= cpu.state.cpl : own === cpu.state.cpl;
  if (!isCode(attributes) || !isLevelRight || (isLong && !isWide)) {
    return fault(VECTOR.GP, selectorError(selector));
  }
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, selectorError(selector));
  const isReachable = isLong ? isCanonical(offset) : offset <= BigInt(code.limit);
  return isReachable ? { code, offset } : fault(VECTOR.GP, 0);
}

function enter(cpu: Cpu, { code, offset }: GateTarget): GuestFault | undefined {
  const failed = markAccessed(cpu, code);
  if (failed !== undefined) return failed;
  loadCode(cpu, code, cpu.state.cpl);
  cpu.state.rip = offset;
  return undefined;
}

function call(cpu: Cpu, gate: Descriptor, { code, offset }: GateTarget): GuestFault | undefined {
  const { state } = cpu;
  const isConforming = isConformingCode(code.attributes);
  const level = isConforming ? state.cpl : privilegeLevel(code.attributes);
  const isInner = level < state.cpl;
  const isLong = isLongModeActive(state);
  if (isInner && !isLong && (gate.high & 0x1f) !== 0) {
    cpu.noteOnce('call gates with parameters are not implemented: #GP');
    return fault(VECTOR.GP, selectorError(gate.selector));
  }
  const inner = isInner ? innerStack(cpu, level, isLong) : undefined;
  if (isFault(inner)) return inner;
  const values = isInner ? [BigInt(state.ssSelector), state.rsp] : [];
  values.push(BigInt(state.csSelector), state.rip);
  const stack = inner?.stack ?? currentStack(cpu);
  const failed =
    markAccessed(cpu, code) ??
    (inner?.segment === undefined ? undefined : markAccessed(cpu, inner.segment));
  if (failed !== undefined) return failed;
  const pointer = pushAll(cpu, stack, values, isLong ? 8 : 4);
  if (isFault(pointer)) return pointer;
  if (inner?.segment !== undefined) loadDescriptor(cpu, 'ss', inner.segment);
  else if (isInner) loadNull(cpu, 'ss', level);
  setStackPointer(cpu, pointer, stack.width);
  loadCode(cpu, code, level);
  state.rip = offset;
  return undefined;
}

function innerStack(
  cpu: Cpu,
  level: number,
  isLong: boolean,
): { readonly segment: Descriptor | undefined; readonly stack: Stack } | GuestFault {
  if (!isLong) return privilegedStack(cpu, level, 0);
  const { state, memory } = cpu;
  const offset = 4 + 8 * level;
  if (offset + 7 > state.trLimit) return fault(VECTOR.TS, selectorError(state.trSelector));
  const { implicitContext } = memory.registers;
  const pointer = memory.linear.read(state.trBase + BigInt(offset), 8, implicitContext);
  if (isFault(pointer)) return pointer;
  if (!isCanonical(pointer)) return fault(VECTOR.SS, 0);
  const stack = flatStack(pointer, memory.registers.contextAt(level));
  return { segment: undefined, stack };
}
