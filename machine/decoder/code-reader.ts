/**
 * Reads an instruction's bytes. Beyond the end it reads zeros and remembers: whether bytes were
 * missing is asked once, at the end of decoding.
 */

/** The longest instruction (Intel SDM 2A §2.3.11); one byte more is #GP(0). */
export const LONGEST_INSTRUCTION = 15;

export class CodeReader {
  /** Bytes taken so far, including those that were not there. */
  position = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isTooLong(): boolean {
    return this.position > LONGEST_INSTRUCTION;
  }

  /** A byte was missing, of those that an instruction may have. */
  get isTruncated(): boolean {
    const given = this.bytes.length;
    return this.position > given && given < LONGEST_INSTRUCTION;
  }

  byte(): number {
    return this.bytes[this.position++] ?? 0;
  }

  signedByte(): number {
    return (this.byte() << 24) >> 24;
  }

  word(): number {
    return this.byte() | (this.byte() << 8);
  }

  signedWord(): number {
    return (this.word() << 16) >> 16;
  }

  signedDoubleword(): number {
    return this.word() | (this.word() << 16);
  }

  quadword(): bigint {
    const low = BigInt(this.signedDoubleword() >>> 0);
    return low | (BigInt(this.signedDoubleword() >>> 0) << 32n);
  }

  /** 8, 16 or 32 bits sign-extended, or 64 bits. */
  signed(width: 8 | 16 | 32 | 64): bigint {
    if (width === 8) return BigInt(this.signedByte());
    if (width === 16) return BigInt(this.signedWord());
    return width === 32 ? BigInt(this.signedDoubleword()) : BigInt.asIntN(64, this.quadword());
  }
}
