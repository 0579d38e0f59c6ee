/**
 * Frames a reply: `$`, the payload with `# $ } *` escaped, `#`, two checksum digits. gdb undoes
 * escapes only in binary replies and lldb in all; hex replies contain nothing to escape, so one rule
 * serves both. Runs are not compressed: on loopback that costs more than it saves.
 */
import { bytesToHex } from './hex.ts';

const SPECIAL = new Uint8Array(256);
for (const character of '#$}*') SPECIAL[character.charCodeAt(0)] = 1;
const ESCAPE = 0x7d;
const HEX_DIGITS = '0123456789abcdef';

/** The bytes to put on the wire, in one piece, so that one write sends one packet. */
export function encodePacket(payload: Uint8Array): Uint8Array {
  const { escapes, sum } = measure(payload);
  const frame = Buffer.allocUnsafe(payload.length + escapes + 4);
  if (escapes === 0) frame.set(payload, 1);
  close(frame, escapes === 0 ? sum : escapeInto(frame, payload));
  return frame;
}

/**
 * How many bytes need an escape, and the sum of all, modulo 256. Four at a time, since memory is read in
 * large pieces, and most of it is zero: 64 KiB took 0.7 ms byte by byte.
 */
function measure(payload: Uint8Array): { readonly escapes: number; readonly sum: number } {
  let escapes = 0;
  let sum = 0;
  const isAligned = payload.byteOffset % 4 === 0;
  const words = isAligned ? payload.length >>> 2 : 0;
  const view = new Uint32Array(payload.buffer, isAligned ? payload.byteOffset : 0, words);
  for (let index = 0; index < words; index++) {
    const word = view[index]!;
    if (word === 0) continue;
    const first = word & 255;
    const second = (word >>> 8) & 255;
    const third = (word >>> 16) & 255;
    const fourth = word >>> 24;
    sum = (sum + first + second + third + fourth) | 0;
    escapes += SPECIAL[first]! + SPECIAL[second]! + SPECIAL[third]! + SPECIAL[fourth]!;
  }
  for (let index = words * 4; index < payload.length; index++) {
    const byte = payload[index]!;
    sum += byte;
    escapes += SPECIAL[byte]!;
  }
  return { escapes, sum };
}

/** What the two hex digits of each byte add to a checksum. */
const HEX_SUM = Uint8Array.from({ length: 256 }, (_, byte) => {
  return HEX_DIGITS.charCodeAt(byte >> 4) + HEX_DIGITS.charCodeAt(byte & 15);
});

/** `encodePacket` of the bytes in hex, which contains nothing to escape: without the payload between. */
export function encodeHexPacket(bytes: Uint8Array): Uint8Array {
  let sum = 0;
  for (let index = 0; index < bytes.length; index++) sum += HEX_SUM[bytes[index]!]!;
  const frame = Buffer.allocUnsafe(2 * bytes.length + 4);
  frame.write(bytesToHex(bytes), 1, 'latin1');
  close(frame, sum);
  return frame;
}

/** Puts what surrounds a payload. */
function close(frame: Uint8Array, sum: number): void {
  const end = frame.length - 3;
  frame[0] = 0x24;
  frame[end] = 0x23;
  frame[end + 1] = HEX_DIGITS.charCodeAt((sum >> 4) & 15);
  frame[end + 2] = HEX_DIGITS.charCodeAt(sum & 15);
}

/** Result: the sum of the bytes written. */
function escapeInto(frame: Uint8Array, payload: Uint8Array): number {
  let at = 1;
  let sum = 0;
  for (let index = 0; index < payload.length; index++) {
    let byte = payload[index]!;
    if (SPECIAL[byte] === 1) {
      frame[at++] = ESCAPE;
      sum += ESCAPE;
      byte ^= 0x20;
    }
    frame[at++] = byte;
    sum += byte;
  }
  return sum;
}

/** How many bytes longer than itself `payload` is on the wire. */
export function countSpecial(payload: Uint8Array): number {
  return measure(payload).escapes;
}

/** How many bytes from the start of `payload` on need at most `limitBytes` on the wire. */
export function fittingLength(payload: Uint8Array, limitBytes: number): number {
  if (payload.length + countSpecial(payload) <= limitBytes) return payload.length;
  let size = 0;
  for (let index = 0; index < payload.length; index++) {
    size += 1 + SPECIAL[payload[index]!]!;
    if (size > limitBytes) return index;
  }
  return payload.length;
}
