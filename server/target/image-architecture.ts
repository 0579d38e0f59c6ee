/**
 * What debuggers are to take the machine for, by the files that they are likely to have: gdb and lldb take a
 * machine of their own file's architecture only, and none of them says which that is. It is decided once, by
 * the files and not by the CPU's mode: a kernel of 64 bits begins in 32, debuggers are there before, and
 * conditions and trace frames, which have registers by number, outlive a connection.
 */
import { addressBytesOfUnits } from '../symbols/dwarf-units.ts';
import { type ElfFile, SEGMENT_TYPE } from '../symbols/elf-file.ts';
import type { SymbolFile } from '../symbols/symbol-file.ts';
import type { Architecture } from './register-set.ts';

const EM_386 = 3;
/** `mov ecx, EFER`: whoever goes to long mode writes that register (Intel SDM 3A §9.8.5). */
const EFER_INTO_ECX = Buffer.of(0xb9, 0x80, 0x00, 0x00, 0xc0);

/** What lldb calls them. */
export const TRIPLES: Readonly<Record<Architecture, string>> = {
  'x86-64': 'x86_64-unknown-none-elf',
  i386: 'i386-unknown-none-elf',
};

/** As the first ELF file of the user's symbols is, else the image, else an x86-64. */
export function architectureOf(
  image: ElfFile | undefined,
  symbolFiles: readonly SymbolFile[],
): Architecture {
  const elf = symbolFiles.find((file) => file.elf !== undefined)?.elf ?? image;
  return elf?.machine === EM_386 && !isMadeOf64Bits(elf) ? 'i386' : 'x86-64';
}

/**
 * A 64-bit kernel in an i386 file (objcopy -O elf32-i386: loaders of Multiboot 1 take no other), whose
 * debugger has the file from before. DWARF knows how long an address is. Without, its way to long mode is
 * in there.
 */
function isMadeOf64Bits(elf: ElfFile): boolean {
  const sizes = addressBytesOfUnits(elf);
  if (sizes.size > 0) return sizes.has(8);
  return elf.segments.some(
    ({ type, content: { buffer, byteOffset, length } }) =>
      type === SEGMENT_TYPE.load && Buffer.from(buffer, byteOffset, length).includes(EFER_INTO_ECX),
  );
}
