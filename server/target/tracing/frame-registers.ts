/** Which registers the R action of a tracepoint asks for (GDB manual, "Tracepoint Packets"). */
import { FIRST_REGISTER_BEYOND_G, REGISTERS } from '../register-table.ts';

const GUEST_PID = REGISTERS.findIndex(({ name }) => name === 'guest_pid');

/** Bits of an R action's mask that ask for registers beyond `g`. */
export const EXTRA_MASK = -1n << BigInt(FIRST_REGISTER_BEYOND_G);
/** Finding out the process walks the kernel's lists: only for who wants to know it. */
export const PID_MASK = 1n << BigInt(GUEST_PID);
/** `guest_pid` of a frame that was not asked for it. */
export const NO_PID = 0xffff_ffff;

export function isPid(number: number): boolean {
  return number === GUEST_PID;
}
