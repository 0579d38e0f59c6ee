/** Entering a handler in IA-32e mode: 16-byte gates, IST, 64-bit frames (Intel SDM 3A §6.14). */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { loadCode, loadNull, markAccessed, selectorError } from './descriptors.ts';
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
import { SEGMENT_BIG, SEGMENT_LONG, SYSTEM_TYPE, has } from './segment-attributes.ts';
import { flatStack, pushAll } from './stack.ts';

interface Gate {
  readonly selector: number;
  readonly offset: bigint;
  readonly attributes: number;
  /** 0 for none, or 1–7. */
  readonly stackTable: number;
  readonly isInterrupt: boolean;
}

/** Offsets in a 64-bit TSS (Intel SDM 3A figure 7-11). */
const TSS_RSP0 = 4;
const TSS_IST1 = 36;

export function enterHandler64(cpu: Cpu, event: HandlerEvent): GuestFault | undefined {
  const { state, memory } = cpu;
  const gate = readGate(cpu, event);
  if (isFault(gate)) return gate;
  const code = gateCode(cpu, event, gate.selector);
  if (isFault(code)) return code;
  if (!has(code.attributes, SEGMENT_LONG) || has(code.attributes, SEGMENT_BIG)) {
    return fault(VECTOR.GP, selectorError(gate.selector, externalBit(event)));
  }
  const level = handlerLevel(cpu, code);
  const pointer = handlerStack(cpu, event, gate, level);
  if (isFault(pointer)) return pointer;
  if (!isCanonical(gate.offset)) return fault(VECTOR.GP, externalBit(event));
  const frame = [
    BigInt(state.ssSelector),
    state.rsp,
    pushedRflags(cpu, event),
    BigInt(state.csSelector),
    event.returnRip,
  ];
  if (event.errorCode !== undefined) frame.push(BigInt(event.errorCode));
  const stack = flatStack(pointer & ~15n, memory.registers.contextAt(level));
  const failed = markAccessed(cpu, code);
  if (failed !== undefined) return failed;
  const rsp = pushAll(cpu, stack, frame, 8, externalBit(event));
  if (isFault(rsp)) return rsp;
  if (level !== state.cpl) loadNull(cpu, 'ss', level);
  state.rsp = rsp;
  loadCode(cpu, code, level);
  clearEntryFlags(cpu, gate.isInterrupt);
  state.rip = gate.offset;
  return undefined;
}

function readGate(cpu: Cpu, event: HandlerEvent): Gate | GuestFault {
  const { state, memory } = cpu;
  const offset = event.vector * 16;
  if (offset + 15 > state.idtrLimit) return fault(VECTOR.GP, gateError(event));
  const address = state.idtrBase + BigInt(offset);
  const context = memory.registers.implicitContext;
  const first = memory.linear.read(address, 8, context);
  if (isFault(first)) return first;
  const second = memory.linear.read(address + 8n, 8, context);
  if (isFault(second)) return second;
  const low = Number(first & 0xffff_ffffn);
  const high = Number(first >> 32n);
  const attributes = (high >>> 8) & 0xff;
  const type = attributes & 0x1f;
  if (type !== SYSTEM_TYPE.interruptGate && type !== SYSTEM_TYPE.trapGate) {
    return fault(VECTOR.GP, gateError(event));
  }
  const lowOffset = BigInt(((high & 0xffff_0000) | (low & 0xffff)) >>> 0);
  return (
    checkGate(cpu, event, attributes) ?? {
      selector: low >>> 16,
      offset: ((second & 0xffff_ffffn) << 32n) | lowOffset,
      attributes,
      stackTable: high & 7,
      isInterrupt: type === SYSTEM_TYPE.interruptGate,
    }
  );
}

/** The stack pointer that the handler starts with: IST, the TSS's for its level, or the present. */
function handlerStack(
  cpu: Cpu,
  event: HandlerEvent,
  gate: Gate,
  level: number,
): bigint | GuestFault {
  const { state, memory } = cpu;
  if (gate.stackTable === 0 && level === state.cpl) return state.rsp;
  const offset =
    gate.stackTable === 0 ? TSS_RSP0 + 8 * level : TSS_IST1 + 8 * (gate.stackTable - 1);
  if (offset + 7 > state.trLimit) {
    return fault(VECTOR.TS, selectorError(state.trSelector, externalBit(event)));
  }
  const address = state.trBase + BigInt(offset);
  const pointer = memory.linear.read(address, 8, memory.registers.implicitContext);
  if (isFault(pointer)) return pointer;
  return isCanonical(pointer) ? pointer : fault(VECTOR.SS, externalBit(event));
}

/** Bits 63–47 are equal (Intel SDM 1 §3.3.7.1). */
export function isCanonical(address: bigint): boolean {
  return BigInt.asUintN(64, BigInt.asIntN(48, address)) === address;
}
