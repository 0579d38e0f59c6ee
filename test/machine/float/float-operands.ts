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

/** Exponents where something changes: denormals, one, integer limits, the largest, NaNs. */
function boundaryExponent(
  random: () => number,
  { bias, exponentMaximum, fraction }: Layout,
): number {
  const limits = [
    0,
    1,
    2,
    bias,
    bias + 31,
    bias + 63,
    bias - Number(fraction),
    exponentMaximum - 1,
  ];
  const limit = [...limits, exponentMaximum][random() % (limits.length + 1)]!;
  const moved = limit + [0, 0, 0, 1, -1][random() % 5]!;
  return Math.min(Math.max(moved, 0), exponentMaximum);
}

function someFraction(random: () => number, { fraction }: Layout): bigint {
  const bits = randomBits(random, Number(fraction));
  const top = (1n << fraction) - 1n;
  const choices = [0n, 0n, 1n, top, top >> 1n, 1n << (fraction - 1n), bits, bits, bits];
  const sparse = bits & (top << (fraction - BigInt(1 + (random() % 12)))) & top;
  return [...choices, sparse, sparse][random() % (choices.length + 2)]!;
}

/** One number of `width` bits, as its bits. */
export function randomFloat(random: () => number, width: 32 | 64): bigint {
  const layout = LAYOUT[width];
  const kind = random() % 4;
  const near = layout.bias - 8 + (random() % 16);
  const exponents = [
    boundaryExponent(random, layout),
    near,
    random() % (layout.exponentMaximum + 1),
  ];
  const exponent = BigInt(exponents[kind % 3]!);
  const sign = BigInt(random() & 1);
  const bits = (sign << BigInt(width - 1)) | (exponent << layout.fraction);
  return bits | someFraction(random, layout);
}

/** An operand near another one: the same, its negative, or a few units away. */
export function neighbour(random: () => number, bits: bigint, width: 32 | 64): bigint {
  const sign = BigInt(random() & 1) << BigInt(width - 1);
  const moved = bits + BigInt((random() % 5) - 2);
  return BigInt.asUintN(width, moved) ^ sign;
}
