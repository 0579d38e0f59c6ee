/** A set of interrupt vectors as the local APIC keeps it: 256 bits in eight 32-bit words. */
/** The highest vector of a 256-bit register; undefined when all bits are 0. */
export function highestBit(words: readonly number[]): number | undefined {
  for (let index = 7; index >= 0; index--) {
    const word = words[index] ?? 0;
    if (word !== 0) return 32 * index + 31 - Math.clz32(word);
  }
  return undefined;
}

export function setBit(words: number[], vector: number): void {
  words[vector >> 5] = ((words[vector >> 5] ?? 0) | (1 << (vector & 31))) >>> 0;
}

export function clearBit(words: number[], vector: number): void {
  words[vector >> 5] = ((words[vector >> 5] ?? 0) & ~(1 << (vector & 31))) >>> 0;
}

export function hasBit(words: readonly number[], vector: number): boolean {
  return ((words[vector >> 5] ?? 0) & (1 << (vector & 31))) !== 0;
}
