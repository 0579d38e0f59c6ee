/**
 * Seeded operands for floating-point tests: bit patterns of all classes, with the boundaries of
 * each class much more often than chance would bring them.
 */

/** A generator of 32-bit numbers (xorshift32); the seed must not be 0. */
export function randomWords(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** `width` random bits. */
export function randomBits(random: () => number, width: number): bigint {
  let bits = 0n;
  for (let filled = 0; filled < width; filled += 32) bits = (bits << 32n) | BigInt(random());
  return BigInt.asUintN(width, bits);
}

interface Layout {
  readonly fraction: bigint;
  readonly exponentMaximum: number;
  readonly bias: number;
}

const LAYOUT = {
  32: { fraction: 23n, exponentMaximum: 255, bias: 127 },
  64: { fraction: 52n, exponentMaximum: 2047, bias: 1023 },
} satisfies Record<32 | 64, Layout>;

/** Where singles end, as exponents of doubles: the largest, the smallest normal, the smallest. */
const SINGLE_LIMITS = [127, 128, -126, -127, -149, -150];

/** Exponents where something changes: denormals, one, integer and single limits, NaNs. */
function boundaryExponent(random: () => number, layout: Layout): number {
  const { bias, exponentMaximum, fraction } = layout;
  const limits = [0, 1, 2, bias, bias + 31, bias + 63, bias - Number(fraction)];
  const narrow = fraction === 52n ? SINGLE_LIMITS.map((exponent) => bias + exponent) : [];
  const all = [...limits, ...narrow, exponentMaximum - 1, exponentMaximum];
  const moved = all[random() % all.length]! + [0, 0, 0, 1, -1][random() % 5]!;
  return Math.min(Math.max(moved, 0), exponentMaximum);
}

/** About half of the bits: products of two such numbers just fit or just do not. */
export function halfFraction(random: () => number, fraction: bigint): bigint {
  const low = fraction / 2n + BigInt(random() % 2);
  const bits = randomBits(random, Number(fraction));
  return ((bits >> low) << low) | (1n << low);
}

function someFraction(random: () => number, { fraction }: Layout): bigint {
  const bits = randomBits(random, Number(fraction));
  const top = (1n << fraction) - 1n;
  const choices = [0n, 0n, 1n, top, top >> 1n, 1n << (fraction - 1n), bits, bits, bits];
  const sparse = bits & (top << (fraction - BigInt(1 + (random() % 12)))) & top;
  const half = halfFraction(random, fraction);
  return [...choices, sparse, sparse, half][random() % (choices.length + 3)]!;
}

/** Positive numbers at the limits of integers and of singles, with their neighbours. */
const LIMITS: Record<32 | 64, readonly bigint[]> = {
  32: [0x4f00_0000n, 0x4eff_ffffn, 0x4f00_0001n, 0x5f00_0000n, 0x5eff_ffffn, 0x5f00_0001n],
  64: [
    // 2^31: itself, less a half and less one, and the neighbours beyond its negative
    0x41e0_0000_0000_0000n, 0x41df_ffff_ffe0_0000n, 0x41df_ffff_ffdf_ffffn, 0x41df_ffff_ffc0_0000n,
    0x41e0_0000_0010_0000n, 0x41e0_0000_0010_0001n,
    0x43e0_0000_0000_0000n, 0x43df_ffff_ffff_ffffn, 0x43e0_0000_0000_0001n,
    // the largest single, the tie above it, and around the smallest normal single
    0x47ef_ffff_e000_0000n, 0x47ef_ffff_f000_0000n, 0x47ef_ffff_efff_ffffn,
    0x3810_0000_0000_0000n, 0x380f_ffff_ffff_ffffn, 0x380f_ffff_f000_0000n, 0x380f_ffff_efff_ffffn,
  ],
}; // prettier-ignore

/** One number of `width` bits, as its bits. */
export function randomFloat(random: () => number, width: 32 | 64): bigint {
  const layout = LAYOUT[width];
  const sign = BigInt(random() & 1) << BigInt(width - 1);
  const limits = LIMITS[width];
  if (random() % 5 === 0) return limits[random() % limits.length]! | sign;
  const kind = random() % 4;
  const near = layout.bias - 8 + (random() % 16);
  const exponents = [
    boundaryExponent(random, layout),
    near,
    random() % (layout.exponentMaximum + 1),
  ];
  const exponent = BigInt(exponents[kind % 3]!);
  return sign | (exponent << layout.fraction) | someFraction(random, layout);
}

/** An operand near another one: the same, its negative, or a few units away. */
export function neighbour(random: () => number, bits: bigint, width: 32 | 64): bigint {
  const sign = BigInt(random() & 1) << BigInt(width - 1);
  const moved = bits + BigInt((random() % 5) - 2);
  return BigInt.asUintN(width, moved) ^ sign;
}

/**
 * A partner for a normal number, so that their product or quotient lies where the smallest normal
 * number, the smallest denormal or overflow is, within a few units.
 */
export function boundaryPartner(random: () => number, bits: bigint, width: 32 | 64): bigint {
  const { fraction, bias, exponentMaximum } = LAYOUT[width];
  const exponent = Number((bits >> fraction) & BigInt(exponentMaximum)) - bias;
  const lowest = 1 - bias;
  const targets = [
    lowest,
    lowest - 1,
    lowest - Number(fraction),
    lowest - Number(fraction) - 1,
    bias,
  ];
  const target = targets[random() % targets.length]!;
  const wanted = (random() % 2 === 0 ? target - exponent : exponent - target) + bias;
  const field = BigInt(Math.min(Math.max(wanted, 1), exponentMaximum - 1));
  return (field << fraction) | roundFraction(random, fraction);
}

/** The fraction of a number at or next to a power of two. */
export function roundFraction(random: () => number, fraction: bigint): bigint {
  const top = (1n << fraction) - 1n;
  return [0n, 0n, 1n, top, top, top - 1n][random() % 6]!;
}
