/**
 * Frames a reply: `$`, the payload with `# $ } *` escaped, `#`, two checksum digits. gdb undoes
 * escapes only in binary replies and lldb in all; hex replies contain nothing to escape, so one rule
 * serves both. Runs are not compressed: on loopback that costs more than it saves.
 */
const SPECIAL = new Uint8Array(256);
for (const character of '#$}*') SPECIAL[character.charCodeAt(0)] = 1;
const ESCAPE = 0x7d;

/** The bytes to put on the wire, in one piece, so that one write sends one packet. */
export function encodePacket(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(payload.length + countSpecial(payload) + 4);
  let at = 0;
  let sum = 0;
  frame[at++] = 0x24;
  for (let byte of payload) {
    if (SPECIAL[byte] === 1) {
      frame[at++] = ESCAPE;
      sum += ESCAPE;
      byte ^= 0x20;
    }
    frame[at++] = byte;
    sum += byte;
  }
  const digits = (sum & 0xff).toString(16).padStart(2, '0');
  frame[at++] = 0x23;
  frame[at++] = digits.charCodeAt(0);
  frame[at] = digits.charCodeAt(1);
  return frame;
}

/** How many bytes longer than itself `payload` is on the wire. */
export function countSpecial(payload: Uint8Array): number {
  let count = 0;
  for (const byte of payload) count += SPECIAL[byte]!;
  return count;
}

/** How many bytes from the start of `payload` on need at most `limitBytes` on the wire. */
export function fittingLength(payload: Uint8Array, limitBytes: number): number {
  let size = 0;
  for (let index = 0; index < payload.length; index++) {
    size += 1 + SPECIAL[payload[index]!]!;
    if (size > limitBytes) return index;
  }
  return payload.length;
}
