/** The time-stamp counter (Intel SDM 3B §17.17): one count per virtual tick, invariant. */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { Cpu } from './cpu.ts';

const CR4_TSD = 1n << 2n;

/** The TSC as RDMSR reads it. */
export function readTsc({ clock, state }: Cpu): bigint {
  return BigInt.asUintN(64, clock.now() + state.tscOffset);
}

export function writeTsc({ clock, state }: Cpu, value: bigint): GuestFault | undefined {
  state.tscOffset = BigInt.asUintN(64, value - clock.now());
  return undefined;
}

/** RDTSC and RDTSCP: forbidden above CPL 0 by CR4.TSD. */
export function readTimeStamp(cpu: Cpu): bigint | GuestFault {
  const isForbidden = (cpu.state.cr4 & CR4_TSD) !== 0n && cpu.state.cpl > 0;
  return isForbidden ? fault(VECTOR.GP, 0) : readTsc(cpu);
}
