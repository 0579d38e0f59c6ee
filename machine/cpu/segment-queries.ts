/** LAR, LSL, VERR and VERW: looking at a descriptor without using it (Intel SDM 2A; 3A §5.10). */
import { isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { isNull, readDescriptor, requestedPrivilege, type Descriptor } from './descriptors.ts';
import {
  SEGMENT_CODE_OR_DATA,
  SEGMENT_READABLE,
  SYSTEM_TYPE,
  has,
  isCode,
  isConformingCode,
  isLongModeActive,
  isWritableData,
  privilegeLevel,
} from './segment-attributes.ts';

const LIMIT_TYPES: readonly number[] = [
  SYSTEM_TYPE.ldt,
  SYSTEM_TYPE.tssAvailable,
  SYSTEM_TYPE.tssBusy,
];
const LIMIT_TYPES_LEGACY: readonly number[] = [
  SYSTEM_TYPE.tss16Available,
  SYSTEM_TYPE.tss16Busy,
  ...LIMIT_TYPES,
];
const RIGHTS_TYPES: readonly number[] = [...LIMIT_TYPES, SYSTEM_TYPE.callGate];
const RIGHTS_TYPES_LEGACY: readonly number[] = [
  ...LIMIT_TYPES_LEGACY,
  SYSTEM_TYPE.callGate16,
  SYSTEM_TYPE.taskGate,
  SYSTEM_TYPE.callGate,
];

/** LAR: the access rights at bits 8–23, or undefined if ZF is to be 0. */
export function accessRights(cpu: Cpu, selector: number): number | undefined | GuestFault {
  const types = isLongModeActive(cpu.state) ? RIGHTS_TYPES : RIGHTS_TYPES_LEGACY;
  const descriptor = visibleDescriptor(cpu, selector, types);
  if (descriptor === undefined || isFault(descriptor)) return descriptor;
  return descriptor.high & 0x00f0_ff00;
}

/** LSL: the limit in bytes, or undefined. */
export function segmentLimit(cpu: Cpu, selector: number): number | undefined | GuestFault {
  const types = isLongModeActive(cpu.state) ? LIMIT_TYPES : LIMIT_TYPES_LEGACY;
  const descriptor = visibleDescriptor(cpu, selector, types);
  if (descriptor === undefined || isFault(descriptor)) return descriptor;
  return descriptor.limit;
}

/** VERR: may the segment be read at this CPL? */
export function isReadable(cpu: Cpu, selector: number): boolean | GuestFault {
  const descriptor = visibleDescriptor(cpu, selector, []);
  if (descriptor === undefined || isFault(descriptor)) return descriptor ?? false;
  return !isCode(descriptor.attributes) || has(descriptor.attributes, SEGMENT_READABLE);
}

/** VERW: may it be written? */
export function isWritable(cpu: Cpu, selector: number): boolean | GuestFault {
  const descriptor = visibleDescriptor(cpu, selector, []);
  if (descriptor === undefined || isFault(descriptor)) return descriptor ?? false;
  return isWritableData(descriptor.attributes);
}

/** The descriptor if it exists, is code, data or one of the system types, and CPL and RPL may see it. */
function visibleDescriptor(
  cpu: Cpu,
  selector: number,
  systemTypes: readonly number[],
): Descriptor | undefined | GuestFault {
  if (isNull(selector)) return undefined;
  const descriptor = readDescriptor(cpu, selector);
  if (isFault(descriptor)) return descriptor.vector === VECTOR.GP ? undefined : descriptor;
  const { attributes } = descriptor;
  const isSegment = has(attributes, SEGMENT_CODE_OR_DATA);
  if (!isSegment && !systemTypes.includes(attributes & 0xf)) return undefined;
  if (isConformingCode(attributes)) return descriptor;
  const weaker = Math.max(cpu.state.cpl, requestedPrivilege(selector));
  return weaker > privilegeLevel(attributes) ? undefined : descriptor;
}
