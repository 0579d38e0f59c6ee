/** The last bytes that COM1 has sent, for `monitor serial`. */
export class SerialHistory {
  private readonly ring: Uint8Array;
  private total = 0;

  constructor(capacityBytes: number) {
    this.ring = new Uint8Array(capacityBytes);
  }

  append(byte: number): void {
    this.ring[this.total % this.ring.length] = byte;
    this.total += 1;
  }

  clear(): void {
    this.total = 0;
  }

  /** Oldest first; a copy. */
  bytes(): Uint8Array {
    if (this.total <= this.ring.length) return this.ring.slice(0, this.total);
    const start = this.total % this.ring.length;
    const result = new Uint8Array(this.ring.length);
    result.set(this.ring.subarray(start), 0);
    result.set(this.ring.subarray(0, start), this.ring.length - start);
    return result;
  }
}
