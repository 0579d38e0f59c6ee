/**
 * Multiboot 1 (Multiboot Specification 0.6.96). The kernel is placed by the header's address fields
 * when flag bit 16 says so, else by its ELF program headers. The specification, GRUB and QEMU all
 * let the address fields win, also for an ELF file, so the same kernel starts in the same way there
 * and here. (QEMU 7.2 takes an ELF64 only with address fields; this loader takes both.)
 *
 * The command line is what the user gave, without the image's name in front: GRUB 2 passes it so.
 * A request for a video mode (flag bit 2) is ignored, as by QEMU: there is no display.
 */
import type { BootPlan, BootRequest } from './boot-protocol.ts';
import { ByteWriter } from './byte-writer.ts';
import type { ElfImage } from './elf.ts';
import { isElf, readElf } from './elf.ts';
import { placeSections } from './elf-sections.ts';
import type { LoadedImage } from './loaded-image.ts';
import { loadElfImage, loadFlatImage } from './loaded-image.ts';
import { basicMemoryKib, pcMemoryMap } from './memory-map.ts';
import { MemoryPlanner } from './memory-planner.ts';
import { hex, refuseImage } from './refuse-image.ts';

export const BOOT_LOADER_NAME = 'exoscope';

const HEADER_MAGIC = 0x1bad_b002;
const BOOTLOADER_MAGIC = 0x2bad_b002;
const SEARCH_BYTES = 8192;
const HEADER_BYTES = 12;
const ADDRESS_HEADER_BYTES = 32;

const HEADER_ADDRESS_FIELDS = 0x1_0000;
/** Bits 0–15 are demands; pages (0), memory (1) and video (2) are known. */
const HEADER_UNKNOWN_DEMANDS = 0xfff8;

const INFO_MEMORY = 0x001;
const INFO_COMMAND_LINE = 0x004;
const INFO_MODULES = 0x008;
const INFO_ELF_SECTIONS = 0x020;
const INFO_MEMORY_MAP = 0x040;
const INFO_BOOT_LOADER_NAME = 0x200;
/** The structure up to and including the framebuffer fields. */
const INFO_BYTES = 120;

export interface Multiboot1Header {
  readonly offset: number;
  readonly flags: number;
  readonly isChecksumRight: boolean;
}

/** The first valid header; else the first with a wrong checksum, for the message; else undefined. */
export function findMultiboot1Header(image: Uint8Array): Multiboot1Header | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  let wrong: Multiboot1Header | undefined;
  const end = Math.min(image.length, SEARCH_BYTES);
  for (let offset = 0; offset + HEADER_BYTES <= end; offset += 4) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const flags = view.getUint32(offset + 4, true);
    const sum = (HEADER_MAGIC + flags + view.getUint32(offset + 8, true)) >>> 0;
    if (sum === 0) return { offset, flags, isChecksumRight: true };
    wrong ??= { offset, flags, isChecksumRight: false };
  }
  return wrong;
}

export function planMultiboot1(request: BootRequest, header: Multiboot1Header): BootPlan {
  const { image, imageName } = request;
  const demands = header.flags & HEADER_UNKNOWN_DEMANDS;
  if (demands !== 0) {
    refuseImage(
      imageName,
      `its Multiboot 1 header demands features ${hex(demands)}, which do not exist; clear those flags`,
    );
  }
  if ((header.flags & HEADER_ADDRESS_FIELDS) !== 0) {
    return finishPlan(request, loadByAddresses(request, header), undefined);
  }
  if (!isElf(image)) {
    refuseImage(
      imageName,
      'a Multiboot 1 kernel that is no ELF file needs the address fields: set flag bit 16',
    );
  }
  const elf = readElf(image, imageName);
  return finishPlan(request, loadElfImage(request, elf), elf);
}

function loadByAddresses(request: BootRequest, { offset }: Multiboot1Header): LoadedImage {
  const { image, imageName } = request;
  if (offset + ADDRESS_HEADER_BYTES > image.length) {
    refuseImage(imageName, 'truncated inside the Multiboot 1 header; build or copy it again');
  }
  const view = new DataView(image.buffer, image.byteOffset + offset, ADDRESS_HEADER_BYTES);
  const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((field) =>
    view.getUint32(field, true),
  ) as [number, number, number, number, number];
  const bytes = bytesByAddresses(request, {
    offset,
    headerAddress,
    loadAddress,
    loadEnd,
    protocol: 'Multiboot 1',
  });
  const memoryBytes = Math.max(bytes.length, bssEnd - loadAddress);
  return loadFlatImage(request, { address: loadAddress, bytes, memoryBytes }, entry);
}

export interface AddressFields {
  /** Where the header is in the file. */
  readonly offset: number;
  readonly headerAddress: number;
  readonly loadAddress: number;
  /** 0: up to the end of the file. */
  readonly loadEnd: number;
  readonly protocol: string;
}

/** The part of the file that address fields or the address tag select; borrowed. */
export function bytesByAddresses(request: BootRequest, fields: AddressFields): Uint8Array {
  const { image, imageName } = request;
  const { offset, headerAddress, loadAddress, loadEnd, protocol } = fields;
  const start = offset - (headerAddress - loadAddress);
  if (headerAddress < loadAddress || start < 0) {
    const places = `header_addr ${hex(headerAddress)}, load_addr ${hex(loadAddress)}`;
    refuseImage(imageName, `its ${protocol} addresses are wrong: ${places}, header at ${offset}`);
  }
  const end = loadEnd === 0 ? image.length : start + loadEnd - loadAddress;
  if (end < start || end > image.length) {
    refuseImage(
      imageName,
      `truncated: load_end_addr ${hex(loadEnd)} is byte ${end}, the file has ${image.length} bytes`,
    );
  }
  return image.subarray(start, end);
}

/** Builds the information structure around the placed kernel. */
function finishPlan(request: BootRequest, image: LoadedImage, elf: ElfImage | undefined): BootPlan {
  const planner = new MemoryPlanner(request, image);
  const info = new DataView(new ArrayBuffer(INFO_BYTES));
  const put = (offset: number, ...values: readonly number[]): void => {
    values.forEach((value, index) => info.setUint32(offset + 4 * index, value, true));
  };
  const memory = basicMemoryKib(request.memoryBytes);
  let flags = INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_BOOT_LOADER_NAME;
  if (elf !== undefined && elf.sections.length > 0) {
    flags |= INFO_ELF_SECTIONS;
    const table = planner.placeLow(placeSections(request.image, elf, planner));
    put(28, elf.sections.length, elf.sectionHeaderBytes, table, elf.nameSection);
  }
  const modules = planner.placeModules(request.modules);
  if (modules.length > 0) {
    flags |= INFO_MODULES;
    const list = new ByteWriter();
    for (const { start, end, text } of modules) list.u32(start, end, planner.placeText(text), 0);
    put(20, modules.length, planner.placeLow(list.build()));
  }
  const map = memoryMapEntries(request.memoryBytes);
  put(4, memory.lower, memory.upper);
  put(16, planner.placeText(request.commandLine));
  put(44, map.length, planner.placeLow(map));
  put(64, planner.placeText(BOOT_LOADER_NAME));
  put(0, flags);
  const ebx = planner.placeLow(new Uint8Array(info.buffer));
  const registers = { eax: BOOTLOADER_MAGIC, ebx };
  return { protocol: 'multiboot1', writes: planner.writes, entry: image.entry, registers };
}

function memoryMapEntries(memoryBytes: number): Uint8Array {
  const writer = new ByteWriter();
  for (const { address, lengthBytes, type } of pcMemoryMap(memoryBytes)) {
    // The first field is the size of the rest of the entry.
    writer.u32(20).u64(address, lengthBytes).u32(type);
  }
  return writer.build();
}
