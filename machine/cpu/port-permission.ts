/** Who may use I/O ports: IOPL, and the TSS's I/O permission bit map (Intel SDM 1 §19.5). */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { ioPrivilegeLevel } from './rflags.ts';

/** Offset of the I/O map base in a TSS, 32-bit or 64-bit. */
const IO_MAP_BASE = 102;

/** #GP(0) unless all `widthBits / 8` ports from `port` on may be used. */
export function checkPorts(cpu: Cpu, port: number, widthBits: number): GuestFault | undefined {
  if (cpu.state.cpl <= ioPrivilegeLevel(cpu.state)) return undefined;
  const map = readMap(cpu, port);
  if (isFault(map)) return map;
  const mask = ((1 << (widthBits / 8)) - 1) << (port & 7);
  return (map & mask) === 0 ? undefined : fault(VECTOR.GP, 0);
}

/** The 16 bits of the map that hold the port's bit; bits beyond the TSS's limit are a fault. */
function readMap(cpu: Cpu, port: number): number | GuestFault {
  const { state, memory } = cpu;
  const context = memory.registers.implicitContext;
  // Only a 32-bit (or 64-bit) TSS has a map: type 9 or 11.
  if ((state.trAttributes & 8) === 0 || IO_MAP_BASE + 1 > state.trLimit) return fault(VECTOR.GP, 0);
  const base = memory.linear.read(state.trBase + BigInt(IO_MAP_BASE), 2, context);
  if (isFault(base)) return base;
  const offset = Number(base) + (port >>> 3);
  // The CPU always reads two bytes, which is why a map ends with a byte of ones.
  if (offset + 1 > state.trLimit) return fault(VECTOR.GP, 0);
  const bits = memory.linear.read(state.trBase + BigInt(offset), 2, context);
  return isFault(bits) ? bits : Number(bits);
}
