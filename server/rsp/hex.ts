/**
 * Hexadecimal as the protocol writes it: two lower-case digits a byte; upper case is understood.
 */

/** The value of an ASCII hex digit, 0–15, or −1. */
export function hexDigit(character: number): number {
  if (character >= 0x30 && character <= 0x39) return character - 0x30;
  const lower = character | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Of each byte. */
const PAIRS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));
/** So many bytes are quicker one by one than by a call into the host's library. */
const FEW_BYTES = 16;

export function bytesToHex(bytes: Uint8Array): string {
  if (bytes.length <= FEW_BYTES) {
    let text = '';
    for (let index = 0; index < bytes.length; index++) text += PAIRS[bytes[index]!]!;
    return text;
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** UTF-8, two hex digits a byte. */
export function textToHex(text: string): string {
  return Buffer.from(text, 'utf8').toString('hex');
}

/** An address in target byte order (least significant byte first). */
export function addressBytes(address: bigint, pointerBytes: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, address), true);
  return bytes.slice(0, pointerBytes);
}
