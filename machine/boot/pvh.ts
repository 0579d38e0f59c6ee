/**
 * PVH (Xen, docs/misc/pvh.pandoc and public/arch-x86/hvm/start_info.h): an ELF note gives the
 * physical 32-bit entry, EBX points to hvm_start_info, version 1, with a memory map.
 */
import { RSDP_ADDRESS } from './acpi/acpi-tables.ts';
import type { BootPlan, BootRequest } from './boot-protocol.ts';
import { ByteWriter } from './byte-writer.ts';
import type { ElfImage } from './elf.ts';
import { findNote } from './elf.ts';
import { loadElfImage } from './loaded-image.ts';
import { pcMemoryMap } from './memory-map.ts';
import { MemoryPlanner } from './memory-planner.ts';
import { refuseImage } from './refuse-image.ts';

const XEN_ELFNOTE_PHYS32_ENTRY = 18;
const HVM_START_MAGIC = 0x336e_c578;
const START_INFO_VERSION = 1;

/** The descriptor of the entry note, if the kernel has one; borrowed. */
export function findPvhNote(image: Uint8Array, elf: ElfImage): Uint8Array | undefined {
  return findNote(image, elf, 'Xen', XEN_ELFNOTE_PHYS32_ENTRY);
}

export function planPvh(request: BootRequest, elf: ElfImage, note: Uint8Array): BootPlan {
  const loaded = loadElfImage(request, elf, noteEntry(request, note));
  const planner = new MemoryPlanner(request, loaded);
  const modules = new ByteWriter();
  const placed = planner.placeModules(request.modules);
  for (const { start, end, text } of placed) {
    modules.u64(start, end - start, planner.placeText(text), 0);
  }
  const map = pcMemoryMap(request.memoryBytes);
  const mapEntries = new ByteWriter();
  for (const { address, lengthBytes, type } of map) {
    mapEntries.u64(address, lengthBytes).u32(type, 0);
  }
  const startInfo = new ByteWriter()
    .u32(HVM_START_MAGIC, START_INFO_VERSION, 0, placed.length)
    .u64(placed.length === 0 ? 0 : planner.placeLow(modules.build()))
    .u64(planner.placeText(request.commandLine))
    .u64(RSDP_ADDRESS)
    .u64(planner.placeLow(mapEntries.build()))
    .u32(map.length, 0);
  const registers = { eax: 0, ebx: planner.placeLow(startInfo.build()) };
  return { protocol: 'pvh', writes: planner.writes, entry: loaded.entry, registers };
}

/** The entry has 4 or 8 bytes, depending on how the note was assembled. */
function noteEntry({ imageName }: BootRequest, note: Uint8Array): number {
  const view = new DataView(note.buffer, note.byteOffset, note.byteLength);
  if (note.length === 4) return view.getUint32(0, true);
  if (note.length === 8) return Number(view.getBigUint64(0, true));
  refuseImage(imageName, `its PVH entry note has ${note.length} bytes; it must have 4 or 8`);
}
