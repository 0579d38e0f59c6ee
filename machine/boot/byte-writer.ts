/** Builds the little-endian structures that boot protocols hand over. */
export class ByteWriter {
  readonly #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  u8(...values: readonly number[]): this {
    return this.bytes(Uint8Array.from(values));
  }

  u16(...values: readonly number[]): this {
    return this.bytes(new Uint8Array(Uint16Array.from(values).buffer));
  }

  u32(...values: readonly number[]): this {
    return this.bytes(new Uint8Array(Uint32Array.from(values).buffer));
  }

  /** Values up to 2^53. */
  u64(...values: readonly number[]): this {
    return this.bytes(new Uint8Array(BigUint64Array.from(values, BigInt).buffer));
  }

  /** Borrows `content` until `build`. */
  bytes(content: Uint8Array): this {
    this.#chunks.push(content);
    this.#length += content.length;
    return this;
  }

  /** Characters of 7 bits, without a NUL. */
  ascii(...texts: readonly string[]): this {
    return this.bytes(new TextEncoder().encode(texts.join('')));
  }

  /** UTF-8 with a NUL behind it. */
  text(value: string): this {
    return this.bytes(nulTerminated(value));
  }

  /** Fills with zeros up to a multiple of `alignment`. */
  align(alignment: number): this {
    const excess = this.#length % alignment;
    return excess === 0 ? this : this.bytes(new Uint8Array(alignment - excess));
  }

  build(): Uint8Array {
    const result = new Uint8Array(this.#length);
    let offset = 0;
    for (const chunk of this.#chunks) {
      result.set(chunk, offset);
      offset += chunk.length;
    }
    return result;
  }
}

export function nulTerminated(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`);
}
