/**
 * One comparator of the HPET (IA-PC HPET 1.0a §2.3.8–2.3.9) as a function of the main counter: when they are
 * equal next, and what a periodic one has added to itself since somebody looked.
 */
export const TIMER_LEVEL = 0x2;
export const TIMER_ENABLED = 0x4;
export const TIMER_PERIODIC = 0x8;
/** The next write goes to the comparator, too, not only to the period. */
export const TIMER_SET_VALUE = 0x40;
export const TIMER_32_BIT = 0x100;

/** At power-on. */
export function powerOnTimer() {
  const allOnes = (1n << 64n) - 1n;
  return {
    /** The writable bits of its configuration. */
    configuration: 0,
    comparator: allOnes,
    /** What was written last: a periodic comparator grows by it. */
    period: 0n,
    /** The count up to which its matches are dealt with. */
    checked: allOnes,
  };
}

export type HpetTimer = ReturnType<typeof powerOnTimer>;

export function widthOf({ configuration }: HpetTimer): 32 | 64 {
  return (configuration & TIMER_32_BIT) === 0 ? 64 : 32;
}

/** Counts from `checked` on until counter and comparator are equal: at least 1. */
export function countsToMatch(timer: HpetTimer): bigint {
  const width = widthOf(timer);
  const counts = BigInt.asUintN(width, timer.comparator - timer.checked);
  return counts === 0n ? 1n << BigInt(width) : counts;
}

/** What the timer is when the counter has come to `counter`, and whether they were equal on the way. */
export function advanced(
  timer: HpetTimer,
  counter: bigint,
): { readonly comparator: bigint; readonly hasMatched: boolean } {
  const width = widthOf(timer);
  const beyond = BigInt.asUintN(64, counter - timer.checked) - countsToMatch(timer);
  const hasMatched = beyond >= 0n;
  const { comparator } = timer;
  const period = BigInt.asUintN(width, timer.period);
  const grows = hasMatched && (timer.configuration & TIMER_PERIODIC) !== 0 && period > 0n;
  if (!grows) return { comparator, hasMatched };
  const times = beyond / period + 1n;
  return { comparator: BigInt.asUintN(width, comparator + times * period), hasMatched };
}
