/** Says what a file is that no boot protocol takes, and what to do about it. */
import { isElf } from './elf.ts';

interface KnownKind {
  readonly text: string;
  readonly isMatch: (image: Uint8Array) => boolean;
}

const WANTED =
  'give an ELF kernel with a Multiboot 1, Multiboot 2 or PVH header, or a Linux bzImage';

/** In this order: a PE file may be a boot sector as well. */
const KINDS: readonly KnownKind[] = [
  { text: `the file is empty; ${WANTED}`, isMatch: (image) => image.length === 0 },
  {
    text: `an ELF file without a Multiboot 1, Multiboot 2 or PVH header; add one within its first 8 KiB`,
    isMatch: isElf,
  },
  compressed('gzip', [0x1f, 0x8b]),
  compressed('xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a]),
  compressed('bzip2', [0x42, 0x5a, 0x68]),
  compressed('zstd', [0x28, 0xb5, 0x2f, 0xfd]),
  compressed('lz4', [0x04, 0x22, 0x4d, 0x18]),
  compressed('zip', [0x50, 0x4b, 0x03, 0x04]),
  { text: `a PE (EFI or Windows) file; ${WANTED}`, isMatch: (image) => hasText(image, 0, 'MZ') },
  {
    text: `a Mach-O file; ${WANTED}`,
    isMatch: (image) =>
      hasBytes(image, 0, [0xcf, 0xfa, 0xed, 0xfe]) || hasBytes(image, 0, [0xce, 0xfa, 0xed, 0xfe]),
  },
  {
    text: `an archive (ar); give the linked kernel, not the library`,
    isMatch: (image) => hasText(image, 0, '!<arch>'),
  },
  {
    text: `an a.out file without a Multiboot header; ${WANTED}`,
    isMatch: (image) =>
      image.length >= 32 && [0x07, 0x08, 0x0b].includes(image[0]!) && image[1] === 1,
  },
  {
    text: 'a CD image; give the kernel file in it, for example boot/kernel.elf',
    isMatch: (image) => hasText(image, 0x8001, 'CD001'),
  },
  { text: `a script; ${WANTED}`, isMatch: (image) => hasText(image, 0, '#!') },
  {
    text: `a boot sector or disk image, and there is no BIOS to start it; ${WANTED}`,
    isMatch: (image) => hasBytes(image, 510, [0x55, 0xaa]),
  },
];

/** One line without the file's name. */
export function describeUnbootable(image: Uint8Array): string {
  const kind = KINDS.find(({ isMatch }) => isMatch(image));
  return kind?.text ?? `not a kernel image of a known kind; ${WANTED}`;
}

function compressed(format: string, signature: readonly number[]): KnownKind {
  return {
    text: `compressed with ${format}; decompress it first`,
    isMatch: (image) => hasBytes(image, 0, signature),
  };
}

function hasText(image: Uint8Array, offset: number, text: string): boolean {
  return hasBytes(image, offset, new TextEncoder().encode(text));
}

function hasBytes(image: Uint8Array, offset: number, bytes: ArrayLike<number>): boolean {
  return Array.from(bytes).every((byte, index) => image[offset + index] === byte);
}
