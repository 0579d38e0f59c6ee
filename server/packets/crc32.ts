/**
 * The CRC of `qCRC` (GDB manual, "Separate Debug Files" and xcrc32 of libiberty): polynomial
 * 0x04c11db7, most significant bit first, no final inversion.
 */
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let remainder = index << 24;
  for (let bit = 0; bit < 8; bit++) {
    remainder = remainder < 0 ? (remainder << 1) ^ 0x04c1_1db7 : remainder << 1;
  }
  return remainder;
});

/** Continues `crc` (0xffffffff at the start) over `bytes`; unsigned 32 bits. */
export function crc32(crc: number, bytes: Uint8Array): number {
  for (const byte of bytes) crc = (crc << 8) ^ TABLE[((crc >>> 24) ^ byte) & 0xff]!;
  return crc >>> 0;
}
