/**
 * The frames of a trace in one array, a ring when it is circular: the collector writes hundreds of
 * thousands a second, so a frame is bytes and nothing else. The array grows with what is in it, up
 * to its limit.
 *
 *     frame    0 size, u32     4 tracepoint, u32     8 pc, u64     16 icount, u64     24 blocks
 *     block    R  registers, as `g` has them         E  registers beyond `g`
 *              M  address u64, length u16, bytes     V  variable u32, value u64
 *
 * R, M and V are those of gdb's trace files (GDB manual, "Trace File Format"); E and the header are
 * our own and never leave (trace-file.ts). No frame is split: the one that does not fit at the end
 * of the array moves to its front.
 *
 *     straight   first ──frames──▸ end                       seam undefined
 *     wrapped    0 ──newer──▸ end     first ──older──▸ seam
 */
export const FRAME = { size: 0, tracepoint: 4, pc: 8, icount: 16, blocks: 24 } as const;
export const BLOCK = { registers: 0x52, extra: 0x45, memory: 0x4d, variable: 0x56 } as const;

const FIRST_BYTES = 1 << 20;

/** Frames as they were: see `TraceBuffer.save`. */
export interface SavedFrames {
  readonly bytes: Uint8Array;
  readonly places: {
    readonly first: number;
    readonly seam: number | undefined;
    readonly end: number;
  };
  readonly count: number;
  readonly created: number;
}

export class TraceBuffer {
  /** Whether the oldest frames make room for new ones. */
  isCircular = false;
  #limit: number;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #first = 0;
  #seam: number | undefined;
  #end = 0;
  /** The frame being written, and where its next block goes. */
  #open = 0;
  #at = 0;
  #count = 0;
  #created = 0;
  /** The frame that was last looked at: the next one is mostly wanted then. */
  #known: { readonly number: number; readonly offset: number } | undefined;

  /** `limitBytes`: how large it may grow. */
  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  /** All frames and the open one lie in here; another array after each `room`. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  get view(): DataView {
    return this.#view;
  }

  get count(): number {
    return this.#count;
  }

  get created(): number {
    return this.#created;
  }

  get limitBytes(): number {
    return this.#limit;
  }

  get freeBytes(): number {
    const used =
      this.#seam === undefined ? this.#end - this.#first : this.#seam - this.#first + this.#end;
    return this.#limit - used;
  }

  /** Bytes of the frame being written. */
  get openBytes(): number {
    return this.#at - this.#open;
  }

  /** Forgets all frames and gives their memory back. */
  clear(limitBytes = this.#limit): void {
    this.#limit = limitBytes;
    this.#bytes = new Uint8Array(0);
    this.#view = new DataView(this.#bytes.buffer);
    this.#rewind();
    this.#created = 0;
  }

  /** A copy of all frames; between two frames. */
  save(): SavedFrames {
    const places = { first: this.#first, seam: this.#seam, end: this.#end };
    const bytes = this.#bytes.slice(0, Math.max(this.#end, this.#seam ?? 0));
    return { bytes, places, count: this.#count, created: this.#created };
  }

  /** Has these frames instead of its own; they must have fitted into its limit. */
  restore({ bytes, places, count, created }: SavedFrames): void {
    this.clear();
    this.#bytes = bytes.slice();
    this.#view = new DataView(this.#bytes.buffer);
    this.#first = places.first;
    this.#seam = places.seam;
    this.#end = places.end;
    this.#count = count;
    this.#created = created;
  }

  /** Opens a frame; false: the buffer is full. */
  begin(tracepoint: number, pc: bigint, icount: bigint): boolean {
    this.#known = undefined;
    this.#open = this.#end;
    this.#at = this.#end;
    const offset = this.room(FRAME.blocks);
    if (offset < 0) return false;
    const view = this.#view;
    view.setUint32(offset + FRAME.tracepoint, tracepoint, true);
    view.setBigUint64(offset + FRAME.pc, pc, true);
    view.setBigUint64(offset + FRAME.icount, icount, true);
    return true;
  }

  /** Room for a block in the open frame: its offset, or −1 when the buffer is full. */
  room(lengthBytes: number): number {
    if (!this.#reserve(lengthBytes)) return -1;
    const offset = this.#at;
    this.#at += lengthBytes;
    return offset;
  }

  /** Gives back the end of the last room. */
  giveBack(lengthBytes: number): void {
    this.#at -= lengthBytes;
  }

  /** Closes the frame; its size in bytes. */
  finish(): number {
    const size = this.#at - this.#open;
    this.#view.setUint32(this.#open, size, true);
    if (this.#count === 0) this.#first = this.#open;
    this.#end = this.#at;
    this.#count++;
    this.#created++;
    return size;
  }

  /** Takes the open frame back. */
  abandon(): void {
    if (this.#count === 0) this.#rewind();
    else this.#end = this.#at = this.#open;
  }

  /** Where frame `number` begins, 0 the oldest; undefined: no such frame. */
  offsetOf(number: number): number | undefined {
    if (number < 0 || number >= this.#count) return undefined;
    const isAfter = this.#known !== undefined && this.#known.number <= number;
    let { number: at, offset } = isAfter ? this.#known! : { number: 0, offset: this.#first };
    for (; at < number; at++) offset = this.#next(offset);
    this.#known = { number, offset };
    return offset;
  }

  sizeAt(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  #rewind(): void {
    this.#first = this.#end = this.#open = this.#at = this.#count = 0;
    this.#seam = undefined;
    this.#known = undefined;
  }

  #next(offset: number): number {
    const next = offset + this.sizeAt(offset);
    return next === this.#seam ? 0 : next;
  }

  #reserve(lengthBytes: number): boolean {
    while (this.#seam !== undefined) {
      if (this.#at + lengthBytes <= this.#first) return true;
      if (!this.isCircular) return false;
      this.#evict();
    }
    const needed = this.#at + lengthBytes;
    if (needed <= this.#bytes.length || this.#grow(needed)) return true;
    return this.isCircular && this.#moveToFront(lengthBytes);
  }

  #evict(): void {
    this.#first += this.sizeAt(this.#first);
    this.#count--;
    if (this.#first !== this.#seam) return;
    this.#first = 0;
    this.#seam = undefined;
  }

  #grow(neededBytes: number): boolean {
    if (neededBytes > this.#limit) return false;
    const doubled = Math.max(FIRST_BYTES, 2 * this.#bytes.length, neededBytes);
    const bytes = new Uint8Array(Math.min(this.#limit, doubled));
    bytes.set(this.#bytes);
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    return true;
  }

  /** The open frame goes on at the front of the array, where the oldest frames make room. */
  #moveToFront(lengthBytes: number): boolean {
    const written = this.#at - this.#open;
    const needed = written + lengthBytes;
    if (needed > this.#limit) return false;
    while (this.#count > 0 && this.#first < needed) this.#evict();
    this.#bytes.copyWithin(0, this.#open, this.#at);
    if (this.#count === 0) this.#first = 0;
    else this.#seam = this.#open;
    this.#open = 0;
    this.#at = written;
    return this.#count > 0 || needed <= this.#bytes.length || this.#grow(needed);
  }
}
