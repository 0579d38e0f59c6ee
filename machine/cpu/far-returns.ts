/** IRET and RETF (Intel SDM 2A, "IRET/IRETD/IRETQ" and "RET"; 3A §5.8.6, 6.12.1). */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { hasInstructionBreakpoints } from './debug-registers.ts';
import {
  dropPrivilegedSegments,
  isNull,
  loadCode,
  loadDescriptor,
  loadNull,
  markAccessed,
  readDescriptor,
  requestedPrivilege,
  selectorError,
  type Descriptor,
} from './descriptors.ts';
import { isCanonical } from './handler-entry-64.ts';
import {
  RFLAGS_ARITHMETIC,
  RFLAGS_AC,
  RFLAGS_DF,
  RFLAGS_ID,
  RFLAGS_IF,
  RFLAGS_IOPL,
  RFLAGS_NT,
  RFLAGS_RF,
  RFLAGS_TF,
  RFLAGS_VIF,
  RFLAGS_VIP,
  RFLAGS_VM,
  ioPrivilegeLevel,
  readRflags,
} from './rflags.ts';
import {
  SEGMENT_BIG,
  SEGMENT_LONG,
  SEGMENT_PRESENT,
  has,
  isCode,
  isConformingCode,
  isIn64BitMode,
  isLongModeActive,
  privilegeLevel,
} from './segment-attributes.ts';
import { checkStack } from './segment-loads.ts';
import { currentStack, peekAll, releaseStack, slotBytesOf, setStackPointer } from './stack.ts';

/** Where a return goes, checked: nothing of it can fault any more. */
interface ReturnTarget {
  readonly code: Descriptor;
  readonly rip: bigint;
  /** Of an outer level, or of any IRETQ; undefined if SS and RSP are kept. */
  readonly stack: ReturnStack | undefined;
}

interface ReturnStack {
  readonly selector: number;
  /** Undefined for a null selector. */
  readonly segment: Descriptor | undefined;
  readonly pointer: bigint;
}

/** IRET, IRETD, IRETQ by operand width. NMIs may come again even if it faults (Intel SDM 3C §25.3). */
export function interruptReturn(cpu: Cpu, operandWidth: number): GuestFault | undefined {
  const { state } = cpu;
  if (state.nmiBlocked !== 0) {
    state.nmiBlocked = 0;
    cpu.requestExit();
  }
  const isLong = isIn64BitMode(state);
  if ((readRflags(state) & RFLAGS_NT) !== 0) return nestedTaskReturn(cpu);
  const stack = currentStack(cpu);
  const slotBytes = slotBytesOf(operandWidth);
  const values = peekAll(cpu, stack, 3, slotBytes);
  if (isFault(values)) return values;
  const [rip = 0n, selector = 0n, flags = 0n] = values;
  if (!isLongModeActive(state) && state.cpl === 0 && (Number(flags) & RFLAGS_VM) !== 0) {
    cpu.noteOnce('IRET to virtual-8086 mode is not implemented: #UD');
    return fault(VECTOR.UD);
  }
  const target = returnTarget(cpu, Number(selector & 0xffffn), rip, isLong, () =>
    peekAll(cpu, stack, 2, slotBytes, 3 * slotBytes),
  );
  if (isFault(target)) return target;
  const previousLevel = state.cpl;
  const restored = restoredFlags(cpu, Number(flags & 0xffff_ffffn), operandWidth);
  if (target.stack === undefined) releaseStack(cpu, 3 * slotBytes);
  commit(cpu, target);
  cpu.setRflags(restored);
  if (state.cpl > previousLevel) dropPrivilegedSegments(cpu);
  return undefined;
}

/** RETF: `releaseBytes` are the parameters behind the return address. */
export function farReturn(
  cpu: Cpu,
  operandWidth: number,
  releaseBytes: number,
): GuestFault | undefined {
  const { state } = cpu;
  const stack = currentStack(cpu);
  const slotBytes = slotBytesOf(operandWidth);
  const values = peekAll(cpu, stack, 2, slotBytes);
  if (isFault(values)) return values;
  const [rip = 0n, selector = 0n] = values;
  const target = returnTarget(cpu, Number(selector & 0xffffn), rip, false, () =>
    peekAll(cpu, stack, 2, slotBytes, 2 * slotBytes + releaseBytes),
  );
  if (isFault(target)) return target;
  const previousLevel = state.cpl;
  if (target.stack === undefined) releaseStack(cpu, 2 * slotBytes + releaseBytes);
  commit(cpu, target);
  if (state.cpl > previousLevel) {
    releaseStack(cpu, releaseBytes);
    dropPrivilegedSegments(cpu);
  }
  return undefined;
}

/**
 * Checks CS and RIP and, if the stack changes, SS and RSP, which `readStack` fetches (top: the
 * pointer). `alwaysStack`: IRETQ takes them at any level.
 */
function returnTarget(
  cpu: Cpu,
  selector: number,
  rip: bigint,
  alwaysStack: boolean,
  readStack: () => readonly bigint[] | GuestFault,
): ReturnTarget | GuestFault {
  const code = returnCode(cpu, selector);
  if (isFault(code)) return code;
  const isLongTarget = isLongModeActive(cpu.state) && has(code.attributes, SEGMENT_LONG);
  const isReachable = isLongTarget ? isCanonical(rip) : rip <= BigInt(code.limit);
  const level = requestedPrivilege(selector);
  let stack: ReturnStack | undefined;
  if (alwaysStack || level > cpu.state.cpl) {
    const values = readStack();
    if (isFault(values)) return values;
    const [pointer = 0n, stackSelector = 0n] = values;
    const checked = returnStack(cpu, Number(stackSelector & 0xffffn), pointer, level, isLongTarget);
    if (isFault(checked)) return checked;
    stack = checked;
  }
  if (!isReachable) return fault(VECTOR.GP, 0);
  const failed =
    markAccessed(cpu, code) ??
    (stack?.segment === undefined ? undefined : markAccessed(cpu, stack.segment));
  return failed ?? { code, rip, stack };
}

function returnCode(cpu: Cpu, selector: number): Descriptor | GuestFault {
  if (isNull(selector)) return fault(VECTOR.GP, 0);
  const code = readDescriptor(cpu, selector);
  if (isFault(code)) return code;
  const { attributes } = code;
  const level = requestedPrivilege(selector);
  const own = privilegeLevel(attributes);
  const isLevelRight = isConformingCode(attributes) ? own <= level : own === level;
  const isAmbiguous =
    isLongModeActive(cpu.state) && has(attributes, SEGMENT_LONG) && has(attributes, SEGMENT_BIG);
  const isAllowed = isCode(attributes) && level >= cpu.state.cpl && isLevelRight && !isAmbiguous;
  if (!isAllowed) return fault(VECTOR.GP, selectorError(selector));
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, selectorError(selector));
  return code;
}

function returnStack(
  cpu: Cpu,
  selector: number,
  pointer: bigint,
  level: number,
  isLongTarget: boolean,
): ReturnStack | GuestFault {
  if (isNull(selector)) {
    const isAllowed = isLongTarget && level !== 3 && requestedPrivilege(selector) === level;
    return isAllowed ? { selector, segment: undefined, pointer } : fault(VECTOR.GP, 0);
  }
  const segment = readDescriptor(cpu, selector);
  if (isFault(segment)) return segment;
  return checkStack(level, segment) ?? { selector, segment, pointer };
}

function commit(cpu: Cpu, { code, rip, stack }: ReturnTarget): void {
  loadCode(cpu, code, requestedPrivilege(code.selector));
  cpu.state.rip = rip;
  if (stack === undefined) return;
  if (stack.segment === undefined) loadNull(cpu, 'ss', stack.selector);
  else loadDescriptor(cpu, 'ss', stack.segment);
  setStackPointer(cpu, stack.pointer, currentStack(cpu).width);
}

/** RFLAGS after IRET at the CPL before it: IOPL for CPL 0 only, IF if CPL ≤ IOPL. */
function restoredFlags(cpu: Cpu, popped: number, operandWidth: number): number {
  const { state } = cpu;
  let mask = RFLAGS_ARITHMETIC | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT;
  if (operandWidth !== 16) mask |= RFLAGS_AC | RFLAGS_ID;
  // RF only matters to instruction breakpoints, and only their check clears it again.
  if (operandWidth !== 16 && hasInstructionBreakpoints(state)) mask |= RFLAGS_RF;
  if (state.cpl <= ioPrivilegeLevel(state)) mask |= RFLAGS_IF;
  if (state.cpl === 0) mask |= RFLAGS_IOPL | (operandWidth === 16 ? 0 : RFLAGS_VIF | RFLAGS_VIP);
  return (readRflags(state) & ~mask) | (popped & mask);
}

function nestedTaskReturn(cpu: Cpu): GuestFault {
  if (isLongModeActive(cpu.state)) return fault(VECTOR.GP, 0);
  cpu.noteOnce('IRET with NT set, a return to a nested task, is not implemented: #UD');
  return fault(VECTOR.UD);
}
