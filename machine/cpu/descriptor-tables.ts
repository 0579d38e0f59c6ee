/** LGDT and LIDT (Intel SDM 2A, "LGDT/LIDT"): CPL has been checked. */
import { fault, isFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';
import { isCanonical } from './handler-entry-64.ts';

/** Reads 16 bits of limit and 64, 32 or 24 bits of base, by operand width 64, 32 or 16. */
export function loadDescriptorTable(
  cpu: Cpu,
  table: 'gdtr' | 'idtr',
  linear: bigint,
  operandWidth: number,
): GuestFault | undefined {
  const { state, memory } = cpu;
  const { context } = memory.registers;
  const limit = memory.linear.read(linear, 2, context);
  if (isFault(limit)) return limit;
  const stored = memory.linear.read(linear + 2n, operandWidth === 64 ? 8 : 4, context);
  if (isFault(stored)) return stored;
  const base = operandWidth === 16 ? stored & 0xff_ffffn : stored;
  if (operandWidth === 64 && !isCanonical(base)) return fault(VECTOR.GP, 0);
  state[`${table}Base`] = base;
  state[`${table}Limit`] = Number(limit);
  return undefined;
}
