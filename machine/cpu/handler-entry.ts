/**
 * Entering a handler through the IDT: what 64-bit and 32-bit delivery share (Intel SDM 3A §6.12, 6.14,
 * and "INT n" in SDM 2A). A failed entry has changed nothing but accessed bits in descriptors.
 */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { isNull, readDescriptor, selectorError, type Descriptor } from './descriptors.ts';
import { RFLAGS_IF, RFLAGS_NT, RFLAGS_RF, RFLAGS_TF, RFLAGS_VM, readRflags } from './rflags.ts';
import {
  SEGMENT_PRESENT,
  has,
  isCode,
  isConformingCode,
  privilegeLevel,
} from './segment-attributes.ts';

export interface HandlerEvent {
  readonly vector: number;
  readonly errorCode: number | undefined;
  /** INT n, INT3 and INTO: the gate's DPL is checked, and error codes say "internal". */
  readonly isSoftware: boolean;
  /** What is pushed as the return address: an offset in CS. */
  readonly returnRip: bigint;
  /** The pushed RFLAGS have RF set: the instruction is to be tried again (§17.3.1.1). */
  readonly resumes: boolean;
}

/** Bit 0 of an error code: the event did not come from an INT instruction. */
export function externalBit(event: HandlerEvent): number {
  return event.isSoftware ? 0 : 1;
}

/** The error code that names an IDT entry. */
export function gateError(event: HandlerEvent): number {
  return event.vector * 8 + 2 + externalBit(event);
}

/** RFLAGS as they are pushed. */
export function pushedRflags(cpu: Cpu, event: HandlerEvent): bigint {
  return BigInt(readRflags(cpu.state) | (event.resumes ? RFLAGS_RF : 0));
}

/** Checks a gate's DPL and P. */
export function checkGate(
  cpu: Cpu,
  event: HandlerEvent,
  attributes: number,
): GuestFault | undefined {
  if (event.isSoftware && privilegeLevel(attributes) < cpu.state.cpl) {
    return fault(VECTOR.GP, event.vector * 8 + 2);
  }
  if (!has(attributes, SEGMENT_PRESENT)) return fault(VECTOR.NP, gateError(event));
  return undefined;
}

/** Reads and checks the code segment that a gate names. */
export function gateCode(cpu: Cpu, event: HandlerEvent, selector: number): Descriptor | GuestFault {
  const external = externalBit(event);
  if (isNull(selector)) return fault(VECTOR.GP, external);
  const code = readDescriptor(cpu, selector, VECTOR.GP, external);
  if (isFault(code)) return code;
  const error = selectorError(selector, external);
  if (!isCode(code.attributes) || privilegeLevel(code.attributes) > cpu.state.cpl) {
    return fault(VECTOR.GP, error);
  }
  return has(code.attributes, SEGMENT_PRESENT) ? code : fault(VECTOR.NP, error);
}

/** The privilege level of a handler: that of its segment, or the present one if it conforms. */
export function handlerLevel(cpu: Cpu, code: Descriptor): number {
  return isConformingCode(code.attributes) ? cpu.state.cpl : privilegeLevel(code.attributes);
}

/** Clears the flags that a handler starts without; an interrupt gate also clears IF. */
export function clearEntryFlags(cpu: Cpu, isInterruptGate: boolean): void {
  const cleared = RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | (isInterruptGate ? RFLAGS_IF : 0);
  const { state } = cpu;
  state.rflagsSystem = BigInt.asUintN(64, state.rflagsSystem & ~BigInt(cleared));
}
