/** XGETBV and XSETBV (Intel SDM 2): #UD without CR4.OSXSAVE, which this CPU does not have. */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';

export function extendedControlRegister(): GuestFault {
  return fault(VECTOR.UD);
}
