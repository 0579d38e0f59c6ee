/**
 * Far JMP and CALL (Intel SDM 2A, "CALL", "JMP"; 3A §5.8). To code segments, and through call gates
 * without parameters. Task switches are left out: a TSS or task gate is noted and gives #GP.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import { callGate } from './call-gates.ts';
import type { Cpu } from './cpu.ts';
import {
  isNull,
  loadCode,
  markAccessed,
  readDescriptor,
  requestedPrivilege,
  selectorError,
  type Descriptor,
} from './descriptors.ts';
import { isCanonical } from './handler-entry-64.ts';
import {
  SEGMENT_BIG,
  SEGMENT_CODE_OR_DATA,
  SEGMENT_LONG,
  SEGMENT_PRESENT,
  has,
  isCode,
  isConformingCode,
  isLongModeActive,
  privilegeLevel,
} from './segment-attributes.ts';
import { currentStack, pushAll, setStackPointer, slotBytesOf } from './stack.ts';

export function farJump(cpu: Cpu, selector: number, offset: bigint): GuestFault | undefined {
  const target = readTarget(cpu, selector);
  if (isFault(target)) return target;
  if (!has(target.attributes, SEGMENT_CODE_OR_DATA)) return callGate(cpu, target, undefined);
  const failed = checkCode(cpu, target, offset) ?? markAccessed(cpu, target);
  if (failed !== undefined) return failed;
  loadCode(cpu, target, cpu.state.cpl);
  cpu.state.rip = offset;
  return undefined;
}

export function farCall(
  cpu: Cpu,
  selector: number,
  offset: bigint,
  operandWidth: number,
): GuestFault | undefined {
  const { state } = cpu;
  const target = readTarget(cpu, selector);
  if (isFault(target)) return target;
  const slotBytes = slotBytesOf(operandWidth);
  if (!has(target.attributes, SEGMENT_CODE_OR_DATA)) return callGate(cpu, target, slotBytes);
  const failed = checkCode(cpu, target, offset) ?? markAccessed(cpu, target);
  if (failed !== undefined) return failed;
  const stack = currentStack(cpu);
  const pointer = pushAll(cpu, stack, [BigInt(state.csSelector), state.rip], slotBytes);
  if (isFault(pointer)) return pointer;
  setStackPointer(cpu, pointer, stack.width);
  loadCode(cpu, target, state.cpl);
  state.rip = offset;
  return undefined;
}

function readTarget(cpu: Cpu, selector: number): Descriptor | GuestFault {
  if (isNull(selector)) return fault(VECTOR.GP, 0);
  return readDescriptor(cpu, selector);
}

/** May control go to the code segment at the present CPL, and is the offset in it? */
function checkCode(cpu: Cpu, code: Descriptor, offset: bigint): GuestFault | undefined {
  const { attributes, selector } = code;
  const { cpl } = cpu.state;
  const level = privilegeLevel(attributes);
  const isLevelRight = isConformingCode(attributes)
    ? level <= cpl
    : level === cpl && requestedPrivilege(selector) <= cpl;
  const isLong = isLongModeActive(cpu.state) && has(attributes, SEGMENT_LONG);
  const isAmbiguous = isLong && has(attributes, SEGMENT_BIG);
  if (!isCode(attributes) || !isLevelRight || isAmbiguous) {
    return fault(VECTOR.GP, selectorError(selector));
  }
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, selectorError(selector));
  const isReachable = isLong ? isCanonical(offset) : offset <= BigInt(code.limit);
  return isReachable ? undefined : fault(VECTOR.GP, 0);
}
