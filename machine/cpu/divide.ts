/** DIV and IDIV of 128 by 64 bits, when the dividend does not fit 64 (Intel SDM 2A, "DIV", "IDIV"). */
import { fault, VECTOR, type GuestFault } from '../guest-fault.ts';

export interface Division {
  /** 64 bits, zero-extended. */
  readonly quotient: bigint;
  readonly remainder: bigint;
}

const QUADWORD = 64;

/** #DE for a zero divisor or a quotient of more than 64 bits. */
export function divideUnsigned(low: bigint, high: bigint, divisor: bigint): Division | GuestFault {
  if (divisor === 0n) return fault(VECTOR.DE);
  const dividend = (high << 64n) | low;
  const quotient = dividend / divisor;
  if (quotient >> 64n !== 0n) return fault(VECTOR.DE);
  return { quotient, remainder: dividend % divisor };
}

/** Rounds towards zero; the remainder has the dividend's sign. */
export function divideSigned(low: bigint, high: bigint, divisor: bigint): Division | GuestFault {
  const by = BigInt.asIntN(QUADWORD, divisor);
  if (by === 0n) return fault(VECTOR.DE);
  const dividend = BigInt.asIntN(2 * QUADWORD, (high << 64n) | low);
  const quotient = dividend / by;
  if (BigInt.asIntN(QUADWORD, quotient) !== quotient) return fault(VECTOR.DE);
  return {
    quotient: BigInt.asUintN(QUADWORD, quotient),
    remainder: BigInt.asUintN(QUADWORD, dividend % by),
  };
}
