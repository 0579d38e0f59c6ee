/**
 * The headers of DWARF's units (DWARF 5, section 7.5.1), for what they say of the code: how long its addresses
 * are. Never throws. Left out: compressed sections, the 64-bit form, units of the types' own sections.
 */
import type { ElfFile } from './elf-file.ts';

/** Lengths from here on are of the 64-bit form. */
const FIRST_ESCAPE = 0xffff_fff0;
const HEADER_BYTES = 11;

/** Each size of addresses that a unit of .debug_info has, 4 or 8; empty: there is none. */
export function addressBytesOfUnits(elf: ElfFile): ReadonlySet<number> {
  const sizes = new Set<number>();
  const content = elf.sections.find(({ name }) => name === '.debug_info')?.content;
  if (content === undefined) return sizes;
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  for (let at = 0; at + HEADER_BYTES <= view.byteLength;) {
    const lengthBytes = view.getUint32(at, true);
    const version = view.getUint16(at + 4, true);
    if (lengthBytes >= FIRST_ESCAPE || version < 2 || version > 5) break;
    // Version 5 has it before the offset of the abbreviations.
    const size = view.getUint8(at + (version === 5 ? 7 : 10));
    if (size !== 4 && size !== 8) break;
    sizes.add(size);
    at += 4 + lengthBytes;
  }
  return sizes;
}
