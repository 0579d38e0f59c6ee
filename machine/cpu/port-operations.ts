/** IN, OUT and one element of INS and OUTS (Intel SDM 2A; SDM 1 §19). */
import type { PortWidth } from '../devices/device.ts';
import { isFault, type GuestFault } from '../guest-fault.ts';
import type { SegmentRegister } from '../instructions/operand.ts';
import type { Cpu } from './cpu.ts';
import { checkPorts } from './port-permission.ts';
import { RFLAGS_DF } from './rflags.ts';
import { isIn64BitMode } from './segment-attributes.ts';

export function portIn(cpu: Cpu, port: number, width: PortWidth): number | GuestFault {
  const failed = checkPorts(cpu, port, width);
  if (failed !== undefined) return failed;
  return cpu.ports.read(port, width);
}

export function portOut(
  cpu: Cpu,
  port: number,
  value: number,
  width: PortWidth,
): GuestFault | undefined {
  const failed = checkPorts(cpu, port, width);
  if (failed !== undefined) return failed;
  cpu.ports.write(port, value, width);
  return undefined;
}

/** One element from the port DX to ES:rDI. The memory is proved writable before the port is read. */
export function stringIn(cpu: Cpu, width: PortWidth, addressWidth: number): GuestFault | undefined {
  const { state, memory } = cpu;
  const port = Number(state.rdx & 0xffffn);
  const linear = stringAddress(cpu, 'es', state.rdi, addressWidth);
  const { context } = memory.registers;
  const failed =
    checkPorts(cpu, port, width) ?? memory.linear.probeWrite(linear, width / 8, context);
  if (failed !== undefined) return failed;
  const value = portIn(cpu, port, width);
  if (isFault(value)) return value;
  memory.linear.write(linear, bytesOf(width), BigInt(value), context);
  state.rdi = advance(cpu, state.rdi, width, addressWidth);
  return undefined;
}

/** One element from `segment`:rSI to the port DX. */
export function stringOut(
  cpu: Cpu,
  width: PortWidth,
  addressWidth: number,
  segment: SegmentRegister,
): GuestFault | undefined {
  const { state, memory } = cpu;
  const port = Number(state.rdx & 0xffffn);
  const failed = checkPorts(cpu, port, width);
  if (failed !== undefined) return failed;
  const linear = stringAddress(cpu, segment, state.rsi, addressWidth);
  const value = memory.linear.read(linear, bytesOf(width), memory.registers.context);
  if (isFault(value)) return value;
  const refused = portOut(cpu, port, Number(value), width);
  if (refused === undefined) state.rsi = advance(cpu, state.rsi, width, addressWidth);
  return refused;
}

function bytesOf(width: PortWidth): 1 | 2 | 4 {
  return width === 8 ? 1 : width === 16 ? 2 : 4;
}

function stringAddress(
  cpu: Cpu,
  segment: SegmentRegister,
  pointer: bigint,
  addressWidth: number,
): bigint {
  const offset = BigInt.asUintN(addressWidth, pointer);
  const is64 = isIn64BitMode(cpu.state);
  const hasBase = !is64 || segment === 'fs' || segment === 'gs';
  const linear = hasBase ? cpu.state[`${segment}Base`] + offset : offset;
  return BigInt.asUintN(is64 ? 64 : 32, linear);
}

/** The pointer one element further in the direction of DF; a 32-bit one clears the upper half. */
function advance(cpu: Cpu, pointer: bigint, width: PortWidth, addressWidth: number): bigint {
  const isDown = (cpu.state.rflagsSystem & BigInt(RFLAGS_DF)) !== 0n;
  const step = BigInt(isDown ? -width / 8 : width / 8);
  const next = BigInt.asUintN(addressWidth, pointer + step);
  return addressWidth === 16 ? (pointer & ~0xffffn) | next : next;
}
