/**
 * Where frames are put together. A new buffer for each reply of 64 KiB keeps the garbage collector busy
 * with more than half of the time that a bulk read takes (npm run bench).
 */

/** Gives room for one frame at a time. */
export interface FrameSpace {
  /** `lengthBytes` bytes, whatever is in them. */
  take(lengthBytes: number): Buffer;
  /** What was taken last is still in use. */
  keep(): void;
}

/** Each frame is its receiver's for good. */
export const NEW_SPACE: FrameSpace = {
  take: (lengthBytes) => Buffer.allocUnsafe(lengthBytes),
  keep: () => undefined,
};

/** Nearly all replies; a connection that reads little takes little. */
const SMALLEST_BYTES = 0x1000;
/** More than the largest packet of a server of ours; larger ones are not kept. */
const LARGEST_KEPT_BYTES = 0x4_0000;

/** The same memory for one frame after the other. */
export class ReusedSpace implements FrameSpace {
  #bytes = Buffer.alloc(0);

  /** Good until the next call, if `keep` is not called before. */
  take(lengthBytes: number): Buffer {
    if (lengthBytes > LARGEST_KEPT_BYTES) return Buffer.allocUnsafe(lengthBytes);
    if (this.#bytes.length < lengthBytes) {
      const doubled = Math.min(2 * this.#bytes.length, LARGEST_KEPT_BYTES);
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(SMALLEST_BYTES, doubled, lengthBytes));
    }
    return this.#bytes.subarray(0, lengthBytes);
  }

  keep(): void {
    this.#bytes = Buffer.alloc(0);
  }
}
