/**
 * The ELF section headers as Multiboot hands them over: a copy of the table in which the symbol and
 * string tables, loaded above the image, have their address; the others keep what the file says.
 */
import type { ElfImage } from './elf.ts';
import { SHT_STRTAB, SHT_SYMTAB, sectionContent } from './elf.ts';
import type { MemoryPlanner } from './memory-planner.ts';

export function placeSections(
  image: Uint8Array,
  elf: ElfImage,
  planner: MemoryPlanner,
): Uint8Array {
  // Not slice(): a Node Buffer, which a file is read into, would give a view of the image itself.
  const table = new Uint8Array(elf.sectionTable);
  const view = new DataView(table.buffer);
  elf.sections.forEach((section, index) => {
    const isSymbols = section.type === SHT_SYMTAB || section.type === SHT_STRTAB;
    if (!isSymbols || section.address !== 0n || section.lengthBytes === 0n) return;
    const address = planner.placeHigh(sectionContent(image, section), 'the symbol table');
    const row = index * elf.sectionHeaderBytes;
    if (elf.class === 64) view.setBigUint64(row + 16, BigInt(address), true);
    else view.setUint32(row + 12, address, true);
  });
  return table;
}
