/** Which registers the R action of a tracepoint asks for (GDB manual, "Tracepoint Packets"). */
import type { RegisterSet } from '../register-set.ts';

/** Bits of an R action's mask that ask for registers beyond `g`. */
export function extraMask({ general }: RegisterSet): bigint {
  return -1n << BigInt(general.length);
}

/** Finding out the process walks the kernel's lists: only for who wants to know it. */
export function pidMask(set: RegisterSet): bigint {
  return 1n << BigInt(set.numberOf('guest_pid'));
}

/** `guest_pid` of a frame that was not asked for it. */
export const NO_PID = 0xffff_ffff;
