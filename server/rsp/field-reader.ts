/**
 * Reads a packet's fields from left to right. Every method either consumes what it promises or
 * throws `MalformedPacket` with the position, so a handler never sees NaN or half a field.
 */
import { hexDigit } from './hex.ts';
import { MalformedPacket } from './malformed-packet.ts';
import type { IdNumber, ThreadId } from './thread-id.ts';

/** More digits than any address has, and few enough that a bigint stays small. */
const MAX_HEX_DIGITS = 16;
/** Process and thread numbers fit gdb's `long`; 31 bits are plenty and stay small integers. */
const MAX_ID = 0x7fff_ffff;

export class FieldReader {
  private readonly bytes: Uint8Array;
  private at: number;

  /** The reader borrows `bytes`, which must not change while it is used. */
  constructor(bytes: Uint8Array, start = 0) {
    this.bytes = bytes;
    this.at = start;
  }

  /** Offset of the next unread byte. */
  get position(): number {
    return this.at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  /** One to sixteen hex digits: an address or another 64-bit value. */
  hex(): bigint {
    const start = this.at;
    let value = 0n;
    for (let digit = this.peekDigit(); digit >= 0; digit = this.peekDigit()) {
      // At once: a number that fills the packet would take seconds to put together.
      if (this.at - start === MAX_HEX_DIGITS) this.fail('more than 64 bits', start);
      value = (value << 4n) | BigInt(digit);
      this.at++;
    }
    if (this.at === start) this.fail('hex digits expected');
    return value;
  }

  /** A hex number that JavaScript holds exactly; at most `limit`. */
  length(limit = Number.MAX_SAFE_INTEGER): number {
    const start = this.at;
    const value = this.hex();
    if (value > BigInt(limit)) this.fail(`more than ${limit}`, start);
    return Number(value);
  }

  /** A process or thread number, or −1 for all, or 0 for any. */
  private idNumber(): IdNumber {
    if (this.accepts('-')) {
      this.expect('1');
      return 'all';
    }
    const value = this.length(MAX_ID);
    return value === 0 ? 'any' : value;
  }

  /** `TID`, `pPID` or `pPID.TID`. */
  threadId(): ThreadId {
    if (!this.accepts('p')) return { thread: this.idNumber() };
    const process = this.idNumber();
    const thread = this.accepts('.') ? this.idNumber() : 'all';
    return { process, thread };
  }

  /** Consumes `text` if it comes next. */
  accepts(text: string): boolean {
    for (let index = 0; index < text.length; index++) {
      if (this.bytes[this.at + index] !== text.charCodeAt(index)) return false;
    }
    this.at += text.length;
    return true;
  }

  expect(text: string): void {
    if (!this.accepts(text)) this.fail(`'${text}' expected`);
  }

  /** Everything up to the first of `delimiters` (not consumed) or the end, as Latin-1 text. */
  textUntil(delimiters: string): string {
    const start = this.at;
    while (!this.isAtEnd && !delimiters.includes(String.fromCharCode(this.bytes[this.at]!))) {
      this.at++;
    }
    return Buffer.from(this.bytes.subarray(start, this.at)).toString('latin1');
  }

  /** Pairs of hex digits as long as they last; an odd digit is an error. */
  hexBytes(): Uint8Array {
    const start = this.at;
    while (this.peekDigit() >= 0) this.at++;
    if ((this.at - start) % 2 !== 0) this.fail('even number of hex digits expected', start);
    return new Uint8Array(
      Buffer.from(Buffer.from(this.bytes.subarray(start, this.at)).toString('latin1'), 'hex'),
    );
  }

  /** UTF-8 text written as hex. */
  hexText(): string {
    return Buffer.from(this.hexBytes()).toString('utf8');
  }

  /** The unread bytes, borrowed from the packet. */
  rest(): Uint8Array {
    const rest = this.bytes.subarray(this.at);
    this.at = this.bytes.length;
    return rest;
  }

  /** Nothing may follow. */
  end(): void {
    if (!this.isAtEnd) this.fail('end of packet expected');
  }

  fail(message: string, position = this.at): never {
    throw new MalformedPacket(message, position);
  }

  private peekDigit(): number {
    return hexDigit(this.bytes[this.at] ?? 0);
  }
}
