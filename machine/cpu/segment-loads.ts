/**
 * Loading ES SS DS FS GS, LDTR and TR (Intel SDM 2A, "MOV", "LLDT", "LTR"; SDM 3A §5.6, 5.7). CS is
 * loaded by far transfers only.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { SegmentRegister } from '../instructions/operand.ts';
import type { Cpu } from './cpu.ts';
import {
  isNull,
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
import {
  SEGMENT_CODE_OR_DATA,
  SEGMENT_PRESENT,
  SEGMENT_READABLE,
  SYSTEM_TYPE,
  has,
  isCode,
  isConformingCode,
  isIn64BitMode,
  isLongModeActive,
  isWritableData,
  privilegeLevel,
} from './segment-attributes.ts';

/**
 * MOV, POP, LDS …: checks everything, then calls `beforeLoad` and loads. `name` is not CS. POP moves
 * the stack pointer in `beforeLoad`: nothing can fault any more, and SS still has its old width.
 */
export function loadSegment(
  cpu: Cpu,
  name: SegmentRegister,
  selector: number,
  beforeLoad: () => void = () => undefined,
): GuestFault | undefined {
  if (isNull(selector)) {
    if (name === 'ss' && !mayLoadNullStack(cpu, selector)) return fault(VECTOR.GP, 0);
    beforeLoad();
    loadNull(cpu, name, selector);
    return undefined;
  }
  const descriptor = readDescriptor(cpu, selector);
  if (isFault(descriptor)) return descriptor;
  const { cpl } = cpu.state;
  const refused = name === 'ss' ? checkStack(cpl, descriptor) : checkData(cpl, descriptor);
  const failed = refused ?? markAccessed(cpu, descriptor);
  if (failed !== undefined) return failed;
  beforeLoad();
  loadDescriptor(cpu, name, descriptor);
  return undefined;
}

/** Only 64-bit code below CPL 3 may have no stack segment. */
function mayLoadNullStack(cpu: Cpu, selector: number): boolean {
  const { cpl } = cpu.state;
  return isIn64BitMode(cpu.state) && cpl !== 3 && requestedPrivilege(selector) === cpl;
}

/** What SS may hold at a privilege level. Also for the returns, which check against the new one. */
export function checkStack(
  cpl: number,
  { selector, attributes }: Descriptor,
): GuestFault | undefined {
  const isRight = requestedPrivilege(selector) === cpl && privilegeLevel(attributes) === cpl;
  if (!isRight || !isWritableData(attributes)) return fault(VECTOR.GP, selectorError(selector));
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.SS, selectorError(selector));
  return undefined;
}

function checkData(cpl: number, { selector, attributes }: Descriptor): GuestFault | undefined {
  const error = selectorError(selector);
  const isReadable = !isCode(attributes) || has(attributes, SEGMENT_READABLE);
  if (!has(attributes, SEGMENT_CODE_OR_DATA) || !isReadable) return fault(VECTOR.GP, error);
  const weaker = Math.max(cpl, requestedPrivilege(selector));
  if (!isConformingCode(attributes) && weaker > privilegeLevel(attributes)) {
    return fault(VECTOR.GP, error);
  }
  return has(attributes, SEGMENT_PRESENT) ? undefined : fault(VECTOR.NP, error);
}

/** LLDT: CPL has been checked. */
export function loadLocalTable(cpu: Cpu, selector: number): GuestFault | undefined {
  if (isNull(selector)) {
    setSystemSegment(cpu, 'ldtr', selector, 0n, undefined);
    return undefined;
  }
  const found = readSystemSegment(cpu, selector, [SYSTEM_TYPE.ldt]);
  if (isFault(found)) return found;
  setSystemSegment(cpu, 'ldtr', selector, found.base, found.descriptor);
  return undefined;
}

/** LTR: marks the TSS busy in memory. */
export function loadTaskRegister(cpu: Cpu, selector: number): GuestFault | undefined {
  if (isNull(selector)) return fault(VECTOR.GP, 0);
  const types: number[] = [SYSTEM_TYPE.tssAvailable];
  if (!isLongModeActive(cpu.state)) types.push(SYSTEM_TYPE.tss16Available);
  const found = readSystemSegment(cpu, selector, types);
  if (isFault(found)) return found;
  const { descriptor, base } = found;
  const busy = { ...descriptor, attributes: descriptor.attributes | 2 };
  const access = BigInt(busy.attributes & 0xff);
  const context = cpu.memory.registers.implicitContext;
  const failed = cpu.memory.linear.write(descriptor.address + 5n, 1, access, context);
  if (failed !== undefined) return failed;
  setSystemSegment(cpu, 'tr', selector, base, busy);
  return undefined;
}

/** Reads an LDT or TSS descriptor, which must be in the GDT; 16 bytes in IA-32e mode. */
function readSystemSegment(
  cpu: Cpu,
  selector: number,
  types: readonly number[],
): { readonly descriptor: Descriptor; readonly base: bigint } | GuestFault {
  const error = selectorError(selector);
  if ((selector & 4) !== 0) return fault(VECTOR.GP, error);
  const descriptor = readDescriptor(cpu, selector);
  if (isFault(descriptor)) return descriptor;
  if (!types.includes(descriptor.attributes & 0x1f)) return fault(VECTOR.GP, error);
  if (!has(descriptor.attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, error);
  if (!isLongModeActive(cpu.state)) return { descriptor, base: BigInt(descriptor.base) };
  if ((selector & 0xfff8) + 15 > cpu.state.gdtrLimit) return fault(VECTOR.GP, error);
  const upper = readUpperHalf(cpu, descriptor);
  if (isFault(upper)) return upper;
  const base = (BigInt(upper.base) << 32n) | BigInt(descriptor.base);
  if (upper.reserved !== 0 || !isCanonical(base)) return fault(VECTOR.GP, error);
  return { descriptor, base };
}

function setSystemSegment(
  cpu: Cpu,
  name: 'ldtr' | 'tr',
  selector: number,
  base: bigint,
  descriptor: Descriptor | undefined,
): void {
  const { state } = cpu;
  state[`${name}Selector`] = selector;
  state[`${name}Base`] = base;
  state[`${name}Limit`] = descriptor?.limit ?? 0;
  state[`${name}Attributes`] = descriptor?.attributes ?? 0;
}
