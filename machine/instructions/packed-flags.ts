/** The flags as one number, as PUSHF, LAHF and the ways into the kernel want them. */
import type { Flag, Operations, Value } from './operations.ts';

/** Bit numbers of the arithmetic flags (Intel SDM 1 figure 3-8). */
export const FLAG_BITS: readonly (readonly [Flag, number])[] = [
  ['CF', 0],
  ['PF', 2],
  ['AF', 4],
  ['ZF', 6],
  ['SF', 7],
  ['OF', 11],
];

/** `others` with these flags at their places; the rest of those places is 0 in `others`. */
export function packed(o: Operations, flags: typeof FLAG_BITS, others: Value): Value {
  const { width } = others;
  return flags.reduce(
    (word, [flag, bit]) =>
      o.or(word, o.shiftLeft(o.fromCondition(o.flag(flag), width), o.constant(bit, 8))),
    others,
  );
}

/** All of RFLAGS, 64 bits. */
export function rflags(o: Operations): Value {
  return packed(o, FLAG_BITS, o.readField('rflagsSystem'));
}
