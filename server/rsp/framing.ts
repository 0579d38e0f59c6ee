/**
 * Finds packets in a stream of bytes (GDB manual, "Overview" of the remote protocol). Fed byte by
 * byte or in any chunks; owns no socket and answers nothing: the session decides what an event means.
 *
 *     $ payload # c c      payload may contain `}` escapes (next byte ^ 0x20) and runs:
 *                          `X * n` stands for X and n − 29 more of it
 *     + - 0x03             between packets: ack, nack, break-in; 0x03 inside a packet is data
 *
 * Runs are expanded before escapes are undone, as gdb does it.
 */
import { hexDigit } from './hex.ts';

export type FramingEvent =
  | { readonly kind: 'packet'; readonly payload: Uint8Array }
  /** The checksum is wrong or is not one; `payload` is what arrived. */
  | { readonly kind: 'damaged'; readonly payload: Uint8Array }
  /** A whole packet that is longer than the limit; its payload is gone. */
  | { readonly kind: 'too-long' }
  | { readonly kind: 'ack' }
  | { readonly kind: 'nack' }
  | { readonly kind: 'interrupt' };

const DOLLAR = 0x24;
const HASH = 0x23;
const STAR = 0x2a;
const PLUS = 0x2b;
const MINUS = 0x2d;
const ESCAPE = 0x7d;
const BREAK_IN = 0x03;
/** A run's count character is its number of repetitions plus this. */
const RUN_BIAS = 29;
const SHORTEST_RUN = 3;

/** Where in the grammar the next byte stands. */
type Place = 'outside' | 'payload' | 'run' | 'checksum-high' | 'checksum-low';

export class PacketFraming {
  private readonly limitBytes: number;
  private place: Place = 'outside';
  private buffer = new Uint8Array(512);
  private length = 0;
  private isTooLong = false;
  private isDamaged = false;
  private sum = 0;
  private sentSum = 0;

  /** `limitBytes`: the longest payload before escapes are undone; `PacketSize` of `qSupported`. */
  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
  }

  /** What `chunk` completes, in order. Payloads are copies that the caller owns. */
  feed(chunk: Uint8Array): FramingEvent[] {
    const events: FramingEvent[] = [];
    for (const byte of chunk) {
      const event = this.next(byte);
      if (event !== undefined) events.push(event);
    }
    return events;
  }

  private next(byte: number): FramingEvent | undefined {
    switch (this.place) {
      case 'outside':
        return this.outside(byte);
      case 'payload':
        this.payload(byte);
        return undefined;
      case 'run':
        this.run(byte);
        return undefined;
      case 'checksum-high':
        this.checksumHigh(byte);
        return undefined;
      case 'checksum-low':
        return this.checksumLow(byte);
    }
  }

  private outside(byte: number): FramingEvent | undefined {
    switch (byte) {
      case DOLLAR:
        this.begin();
        return undefined;
      case PLUS:
        return { kind: 'ack' };
      case MINUS:
        return { kind: 'nack' };
      case BREAK_IN:
        return { kind: 'interrupt' };
      default:
        // Line noise: gdb's manual lets a stub skip to the next '$'.
        return undefined;
    }
  }

  private begin(): void {
    this.place = 'payload';
    this.length = 0;
    this.sum = 0;
    this.isTooLong = false;
    this.isDamaged = false;
  }

  private payload(byte: number): void {
    if (byte === HASH) {
      this.place = 'checksum-high';
    } else if (byte === DOLLAR) {
      // Always escaped inside a packet, so the rest of the previous one is lost: begin again, as gdb does.
      this.begin();
    } else {
      this.sum += byte;
      if (byte === STAR) this.place = 'run';
      else this.append(byte, 1);
    }
  }

  private run(byte: number): void {
    this.place = 'payload';
    const count = byte - RUN_BIAS;
    if (count < SHORTEST_RUN || count > 126 - RUN_BIAS || this.length === 0) {
      this.isDamaged = true;
      // A '#' or '$' that stands where a count should is the frame's own.
      if (byte === HASH || byte === DOLLAR) this.payload(byte);
      else this.sum += byte;
      return;
    }
    this.sum += byte;
    if (!this.isTooLong) this.append(this.buffer[this.length - 1]!, count);
  }

  private append(byte: number, count: number): void {
    if (this.length + count > this.limitBytes) this.isTooLong = true;
    if (this.isTooLong) return;
    if (this.length + count > this.buffer.length) this.grow(this.length + count);
    // `fill` of one byte would take longer than all the rest of it.
    if (count === 1) this.buffer[this.length] = byte;
    else this.buffer.fill(byte, this.length, this.length + count);
    this.length += count;
  }

  private grow(needed: number): void {
    const larger = new Uint8Array(
      Math.min(Math.max(needed, this.buffer.length * 2), this.limitBytes),
    );
    larger.set(this.buffer.subarray(0, this.length));
    this.buffer = larger;
  }

  private checksumHigh(byte: number): void {
    if (byte === DOLLAR) {
      this.begin();
      return;
    }
    const digit = hexDigit(byte);
    if (digit < 0) this.isDamaged = true;
    this.sentSum = digit << 4;
    this.place = 'checksum-low';
  }

  private checksumLow(byte: number): FramingEvent | undefined {
    if (byte === DOLLAR) {
      this.begin();
      return undefined;
    }
    this.place = 'outside';
    const digit = hexDigit(byte);
    if (digit < 0 || (this.sentSum | digit) !== (this.sum & 0xff)) this.isDamaged = true;
    if (this.isTooLong) return { kind: 'too-long' };
    const payload = unescape(this.buffer.subarray(0, this.length));
    return { kind: this.isDamaged ? 'damaged' : 'packet', payload };
  }
}

/** A copy with `}` escapes undone. An escape with nothing behind it stands for itself. */
function unescape(raw: Uint8Array): Uint8Array {
  const bytes = raw.slice();
  let length = bytes.indexOf(ESCAPE);
  if (length < 0) return bytes;
  for (let index = length; index < raw.length; index++) {
    const isEscape = raw[index] === ESCAPE && index + 1 < raw.length;
    bytes[length++] = isEscape ? raw[++index]! ^ 0x20 : raw[index]!;
  }
  return bytes.subarray(0, length);
}
