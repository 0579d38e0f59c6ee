/**
 * The chance that cases are made from: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom
 * number generators", 2014), and values as instructions find interesting: many near the ends of the
 * 8-, 16-, 32- and 64-bit ranges. Vectors store seeds, so what a seed gives must never change.
 */
const MASK = 0xffff_ffff_ffff_ffffn;

const BOUNDARIES = [
  0n, 1n, 2n, 0x7fn, 0x80n, 0xffn, 0x100n, 0x7fffn, 0x8000n, 0xffffn, 0x1_0000n, 0x7fff_ffffn,
  0x8000_0000n, 0xffff_ffffn, 0x1_0000_0000n, 0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n,
  MASK, MASK - 1n, 0xffff_ffff_8000_0000n, 0xffff_ffff_ffff_ff80n, 0x8080_8080_8080_8080n,
  0x7fff_8000_7fff_8000n, 0x0123_4567_89ab_cdefn,
] as const; // prettier-ignore

/** Zeros, ones, ends of the range, denormals, infinities, quiet and signalling NaNs, integers' ends. */
const FLOATS32 = [
  0x0000_0000, 0x8000_0000, 0x3f80_0000, 0xbf80_0000, 0x3f00_0000, 0x3fc0_0000, 0x4020_0000,
  0x7f7f_ffff, 0xff7f_ffff, 0x0080_0000, 0x0000_0001, 0x807f_ffff, 0x7f80_0000, 0xff80_0000,
  0x7fc0_0000, 0xffc0_1234, 0x7f80_0001, 0xffa0_5678, 0x4f00_0000, 0xcf00_0000, 0x4eff_ffff,
  0x5f00_0000, 0xdf00_0000, 0x4b7f_ffff, 0x3eaa_aaab,
] as const; // prettier-ignore

const FLOATS64 = [
  0n, 1n << 63n, 0x3ff0_0000_0000_0000n, 0xbff0_0000_0000_0000n, 0x3fe0_0000_0000_0000n,
  0x3ff8_0000_0000_0000n, 0x4004_0000_0000_0000n, 0x7fef_ffff_ffff_ffffn, 0xffef_ffff_ffff_ffffn,
  0x0010_0000_0000_0000n, 1n, 0x800f_ffff_ffff_ffffn, 0x7ff0_0000_0000_0000n,
  0xfff0_0000_0000_0000n, 0x7ff8_0000_0000_0000n, 0xfff8_0000_0000_1234n, 0x7ff0_0000_0000_0001n,
  0xfff4_0000_5678_0000n, 0x41e0_0000_0000_0000n, 0xc1e0_0000_0000_0000n, 0x41df_ffff_ffc0_0000n,
  0xc1e0_0000_0020_0000n, 0x43e0_0000_0000_0000n, 0xc3e0_0000_0000_0000n, 0x43df_ffff_ffff_ffffn,
  0x3810_0000_0000_0000n, 0x36a0_0000_0000_0000n, 0x47ef_ffff_f000_0000n, 0x3fd5_5555_5555_5555n,
] as const; // prettier-ignore

export class Random {
  private state: bigint;

  /** The same seed (64 bits) gives the same values in the same order. */
  constructor(seed: bigint) {
    this.state = seed & MASK;
  }

  /** 64 uniform bits. */
  bits(): bigint {
    this.state = (this.state + 0x9e37_79b9_7f4a_7c15n) & MASK;
    let mixed = this.state;
    mixed = ((mixed ^ (mixed >> 30n)) * 0xbf58_476d_1ce4_e5b9n) & MASK;
    mixed = ((mixed ^ (mixed >> 27n)) * 0x94d0_49bb_1331_11ebn) & MASK;
    return mixed ^ (mixed >> 31n);
  }

  /** 0 ≤ result < bound; bound at most 2^31. */
  below(bound: number): number {
    return Number(this.bits() % BigInt(bound));
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to pick from');
    return item;
  }

  /** True once in `times`. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  /** 64 bits: a third boundaries, a sixth below 72 (counts, bit numbers), half uniform. */
  integer(): bigint {
    const kind = this.below(6);
    if (kind < 2) return this.pick(BOUNDARIES);
    return kind === 2 ? BigInt(this.below(72)) : this.bits();
  }

  /** A binary32 as its bits: a third special, a third of ordinary size, a third any bits. */
  float32(): bigint {
    const kind = this.below(3);
    if (kind === 0) return BigInt(this.pick(FLOATS32));
    const bits = this.bits() & 0xffff_ffffn;
    if (kind === 1) return bits;
    return (bits & 0x807f_ffffn) | (BigInt(110 + this.below(40)) << 23n);
  }

  float32Pair(): bigint {
    return this.float32() | (this.float32() << 32n);
  }

  /** A binary64 as its bits, of the same mixture. */
  float64(): bigint {
    const kind = this.below(3);
    if (kind === 0) return this.pick(FLOATS64);
    const bits = this.bits();
    if (kind === 1) return bits;
    return (bits & 0x800f_ffff_ffff_ffffn) | (BigInt(990 + this.below(70)) << 52n);
  }
}
