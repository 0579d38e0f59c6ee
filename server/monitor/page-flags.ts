/**
 * The bits of a page-table entry as letters, in QEMU's order (Intel SDM 3A tables 4-15 to 4-20).
 */
const FLAGS: readonly (readonly [string, bigint])[] = [
  ['X', 63n],
  ['G', 8n],
  ['P', 7n],
  ['D', 6n],
  ['A', 5n],
  ['C', 4n],
  ['T', 3n],
  ['U', 2n],
  ['W', 1n],
];

/** Bit 7 means "large page" only where the entry is not that of a 4 KiB page, where it is PAT. */
export function pageFlagLetters(entry: bigint, isLarge: boolean): string {
  return FLAGS.map(([letter, bit]) => {
    const isSet = ((entry >> bit) & 1n) === 1n;
    return isSet && (letter !== 'P' || isLarge) ? letter : '-';
  }).join('');
}
