/**
 * From the exceptions of an operation's lanes to MXCSR and to #XM (Intel SDM 1 §11.5.2–11.5.4).
 */
import { fault, VECTOR, type GuestFault } from '../../guest-fault.ts';
import type { CpuState } from '../../state/fields.ts';
import { PRE_COMPUTATION_FLAGS, unmaskedFlags } from './mxcsr.ts';

/** CR4.OSXMMEXCPT: without it an unmasked exception is #UD (Intel SDM 3A §2.5). */
const CR4_OSXMMEXCPT = 1n << 10n;

/**
 * Records `flags`, those of all lanes together, in MXCSR. If one is unmasked it is a fault, and the
 * destination must not be written. An unmasked exception that is found before the computation keeps
 * every lane from being computed, so that the later ones are not recorded.
 */
export function recordFloatExceptions(state: CpuState, flags: number): GuestFault | undefined {
  const unmasked = unmaskedFlags(state.mxcsr);
  const early = flags & PRE_COMPUTATION_FLAGS;
  const recorded = (early & unmasked) !== 0 ? early : flags;
  state.mxcsr |= recorded;
  if ((recorded & unmasked) === 0) return undefined;
  return fault((state.cr4 & CR4_OSXMMEXCPT) !== 0n ? VECTOR.XM : VECTOR.UD);
}
