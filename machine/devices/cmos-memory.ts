/**
 * What PC firmware leaves in the 128 bytes of CMOS memory (byte numbers as in the IBM AT technical
 * reference; 0x30 and up as QEMU and SeaBIOS use them). Time registers are not part of it.
 */
const KIB = 1024;
const MIB = 1024 * KIB;
const BASE_MEMORY_KIB = 640;

export function firmwareCmos(memoryBytes: number): number[] {
  const bytes = new Array<number>(128).fill(0);
  const put16 = (index: number, value: number): void => {
    bytes[index] = value & 0xff;
    bytes[index + 1] = value >> 8;
  };
  bytes[0x14] = 0x02; // equipment: an FPU, no floppy, no display adapter
  put16(0x15, BASE_MEMORY_KIB);
  const extendedKib = Math.min(Math.max(memoryBytes / KIB - 1024, 0), 0xffff);
  put16(0x17, extendedKib);
  put16(0x30, extendedKib);
  put16(0x34, Math.min(Math.max(memoryBytes - 16 * MIB, 0) / (64 * KIB), 0xffff)); // above 16 MiB
  const checksum = bytes.slice(0x10, 0x2e).reduce((sum, byte) => sum + byte, 0);
  bytes[0x2e] = checksum >> 8;
  bytes[0x2f] = checksum & 0xff;
  return bytes;
}
