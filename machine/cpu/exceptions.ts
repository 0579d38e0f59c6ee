/** Skeleton: the signatures that the machine loop is written against. */
import type { GuestFault } from '../guest-fault.ts';
import type { TripleFaultReport } from '../stop-reason.ts';
import type { Cpu } from './cpu.ts';

/**
 * Delivers an exception that an instruction raised. `rip` is what is pushed: the faulting
 * instruction's offset for a fault, the next one's for a trap (#DB of a single step).
 */
export declare function deliverException(
  cpu: Cpu,
  raised: GuestFault,
  rip: bigint,
): TripleFaultReport | undefined;

/** Delivers an external interrupt or an NMI at the boundary before state.rip. */
export declare function deliverInterrupt(
  cpu: Cpu,
  vector: number,
  kind: 'external' | 'nmi',
): TripleFaultReport | undefined;
