/**
 * Multiboot 2 (Multiboot2 Specification 2.0). Tags of the header: information request, address,
 * entry address, console, module alignment; EFI tags do not concern a PC without EFI, and a
 * relocatable image is loaded where it is linked. A required tag that cannot be served, above all a
 * framebuffer, refuses the image. An information request is refused only for types that the
 * specification does not know: a known one that this PC lacks (VBE, EFI) is simply not there.
 */
import { rootPointers } from './acpi/acpi-tables.ts';
import type { BootPlan, BootRequest } from './boot-protocol.ts';
import { ByteWriter, nulTerminated } from './byte-writer.ts';
import type { ElfImage } from './elf.ts';
import { isElf, readElf } from './elf.ts';
import { placeSections } from './elf-sections.ts';
import type { LoadedImage } from './loaded-image.ts';
import { loadElfImage, loadFlatImage } from './loaded-image.ts';
import { basicMemoryKib, pcMemoryMap } from './memory-map.ts';
import { MemoryPlanner } from './memory-planner.ts';
import { BOOT_LOADER_NAME, bytesByAddresses } from './multiboot1.ts';
import { refuseImage } from './refuse-image.ts';

const HEADER_MAGIC = 0xe852_50d6;
const BOOTLOADER_MAGIC = 0x36d7_6289;
const SEARCH_BYTES = 32_768;
const HEADER_BYTES = 16;
const ARCHITECTURE_I386 = 0;

const TAG_END = 0;
const TAG_INFORMATION_REQUEST = 1;
const TAG_ADDRESS = 2;
const TAG_ENTRY_ADDRESS = 3;
const TAG_CONSOLE_FLAGS = 4;
const TAG_FRAMEBUFFER = 5;
const TAG_MODULE_ALIGNMENT = 6;
const TAG_EFI_BOOT_SERVICES = 7;
const TAG_EFI_I386_ENTRY = 8;
const TAG_EFI_AMD64_ENTRY = 9;
const TAG_RELOCATABLE = 10;
const TAG_IS_OPTIONAL = 1;
/** The load_addr that means the file from its beginning. */
const LOAD_WHOLE_FILE = 0xffff_ffff;
const HARMLESS_TAGS: ReadonlySet<number> = new Set([
  TAG_CONSOLE_FLAGS,
  TAG_MODULE_ALIGNMENT,
  TAG_EFI_BOOT_SERVICES,
  TAG_EFI_I386_ENTRY,
  TAG_EFI_AMD64_ENTRY,
  TAG_RELOCATABLE,
]);

const INFO_END = 0;
const INFO_COMMAND_LINE = 1;
const INFO_BOOT_LOADER_NAME = 2;
const INFO_MODULE = 3;
const INFO_BASIC_MEMORY = 4;
const INFO_MEMORY_MAP = 6;
const INFO_ELF_SECTIONS = 9;
const INFO_OLD_RSDP = 14;
const INFO_NEW_RSDP = 15;
const INFO_LOAD_BASE = 21;
/** The highest type that the specification defines. */
const INFO_LAST_KNOWN = 21;
const MEMORY_MAP_ENTRY_BYTES = 24;

export interface Multiboot2Header {
  readonly offset: number;
  readonly lengthBytes: number;
  readonly isChecksumRight: boolean;
}

interface HeaderTags {
  readonly address?: readonly [number, number, number, number];
  readonly entry?: number;
}

/** The first valid header; else the first with a wrong checksum, for the message; else undefined. */
export function findMultiboot2Header(image: Uint8Array): Multiboot2Header | undefined {
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  let wrong: Multiboot2Header | undefined;
  const end = Math.min(image.length, SEARCH_BYTES);
  for (let offset = 0; offset + HEADER_BYTES <= end; offset += 8) {
    if (view.getUint32(offset, true) !== HEADER_MAGIC) continue;
    const architecture = view.getUint32(offset + 4, true);
    const lengthBytes = view.getUint32(offset + 8, true);
    const checksum = view.getUint32(offset + 12, true);
    const isChecksumRight = (HEADER_MAGIC + architecture + lengthBytes + checksum) >>> 0 === 0;
    const header = { offset, lengthBytes, isChecksumRight };
    if (isChecksumRight && architecture === ARCHITECTURE_I386) return header;
    if (!isChecksumRight) wrong ??= header;
  }
  return wrong;
}

export function planMultiboot2(request: BootRequest, header: Multiboot2Header): BootPlan {
  const { image, imageName } = request;
  const tags = readTags(request, header);
  if (tags.address !== undefined) {
    const loaded = loadByAddressTag(request, header.offset, tags.address, tags.entry);
    return finishPlan(request, loaded, undefined);
  }
  if (!isElf(image)) {
    refuseImage(imageName, 'a Multiboot 2 kernel that is no ELF file needs an address tag');
  }
  const elf = readElf(image, imageName);
  return finishPlan(request, loadElfImage(request, elf, tags.entry), elf);
}

function readTags({ image, imageName }: BootRequest, header: Multiboot2Header): HeaderTags {
  const end = header.offset + header.lengthBytes;
  if (end > image.length || header.lengthBytes < HEADER_BYTES) {
    const have = `the file has ${image.length} bytes`;
    refuseImage(imageName, `truncated: its Multiboot 2 header ends at byte ${end}, ${have}`);
  }
  if (end > SEARCH_BYTES) {
    const allowed = `must end within the first ${SEARCH_BYTES}`;
    refuseImage(imageName, `its Multiboot 2 header ends at byte ${end}; it ${allowed}`);
  }
  const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
  let tags: HeaderTags = {};
  for (let offset = header.offset + HEADER_BYTES; offset + 8 <= end;) {
    const type = view.getUint16(offset, true);
    const isOptional = (view.getUint16(offset + 2, true) & TAG_IS_OPTIONAL) !== 0;
    const lengthBytes = view.getUint32(offset + 4, true);
    if (type === TAG_END) break;
    if (lengthBytes < 8 || offset + lengthBytes > end) {
      refuseImage(imageName, `its Multiboot 2 header tag ${type} has a wrong size, ${lengthBytes}`);
    }
    const body = new DataView(image.buffer, image.byteOffset + offset + 8, lengthBytes - 8);
    tags = { ...tags, ...readTag(imageName, type, isOptional, body) };
    offset += Math.ceil(lengthBytes / 8) * 8;
  }
  return tags;
}

function readTag(imageName: string, type: number, isOptional: boolean, body: DataView): HeaderTags {
  const words = Array.from({ length: body.byteLength >> 2 }, (_, index) =>
    body.getUint32(4 * index, true),
  );
  const [first, second, third, fourth] = words;
  if (type === TAG_INFORMATION_REQUEST) {
    const unknown = words.find((word) => word > INFO_LAST_KNOWN);
    if (unknown === undefined || isOptional) return {};
    refuseImage(imageName, `requests unknown Multiboot 2 information ${unknown}; make it optional`);
  }
  if (type === TAG_ADDRESS && fourth !== undefined) {
    return { address: [first ?? 0, second ?? 0, third ?? 0, fourth] };
  }
  if (type === TAG_ENTRY_ADDRESS && first !== undefined) return { entry: first };
  if (isOptional || HARMLESS_TAGS.has(type)) return {};
  if (type === TAG_FRAMEBUFFER) {
    refuseImage(
      imageName,
      'demands a framebuffer, and there is only the serial console; make that header tag optional',
    );
  }
  refuseImage(
    imageName,
    `demands Multiboot 2 header tag ${type}, which is not supported or broken`,
  );
}

function loadByAddressTag(
  request: BootRequest,
  offset: number,
  [headerAddress, loadFrom, loadEnd, bssEnd]: readonly [number, number, number, number],
  entry: number | undefined,
): LoadedImage {
  if (entry === undefined) {
    refuseImage(
      request.imageName,
      'a Multiboot 2 address tag without an entry address tag; add it',
    );
  }
  const protocol = 'Multiboot 2';
  const loadAddress = loadFrom === LOAD_WHOLE_FILE ? headerAddress - offset : loadFrom;
  const fields = { offset, headerAddress, loadAddress, loadEnd, protocol };
  const bytes = bytesByAddresses(request, fields);
  const memoryBytes = Math.max(bytes.length, bssEnd - loadAddress);
  return loadFlatImage(request, { address: loadAddress, bytes, memoryBytes }, entry);
}

/** Builds the information: a size, then tags, each at a multiple of 8. */
function finishPlan(request: BootRequest, image: LoadedImage, elf: ElfImage | undefined): BootPlan {
  const planner = new MemoryPlanner(request, image);
  const tags = new ByteWriter();
  const add = (type: number, body: Uint8Array): void => {
    tags
      .u32(type, 8 + body.length)
      .bytes(body)
      .align(8);
  };
  add(INFO_COMMAND_LINE, nulTerminated(request.commandLine));
  add(INFO_BOOT_LOADER_NAME, nulTerminated(BOOT_LOADER_NAME));
  if (elf !== undefined && elf.sections.length > 0) {
    const table = placeSections(request.image, elf, planner);
    const head = new ByteWriter();
    head.u32(elf.sections.length, elf.sectionHeaderBytes, elf.nameSection);
    add(INFO_ELF_SECTIONS, head.bytes(table).build());
  }
  for (const { start, end, text } of planner.placeModules(request.modules)) {
    add(INFO_MODULE, new ByteWriter().u32(start, end).text(text).build());
  }
  const memory = basicMemoryKib(request.memoryBytes);
  add(INFO_BASIC_MEMORY, new ByteWriter().u32(memory.lower, memory.upper).build());
  add(INFO_MEMORY_MAP, memoryMapBody(request.memoryBytes));
  const { old, current } = rootPointers();
  add(INFO_OLD_RSDP, old);
  add(INFO_NEW_RSDP, current);
  add(INFO_LOAD_BASE, new ByteWriter().u32(image.parts[0]?.address ?? 0).build());
  add(INFO_END, new Uint8Array(0));
  const info = new ByteWriter()
    .u32(8 + tags.length, 0)
    .bytes(tags.build())
    .build();
  const registers = { eax: BOOTLOADER_MAGIC, ebx: planner.placeLow(info) };
  return { protocol: 'multiboot2', writes: planner.writes, entry: image.entry, registers };
}

function memoryMapBody(memoryBytes: number): Uint8Array {
  const writer = new ByteWriter().u32(MEMORY_MAP_ENTRY_BYTES, 0);
  for (const { address, lengthBytes, type } of pcMemoryMap(memoryBytes)) {
    writer.u64(address, lengthBytes).u32(type, 0);
  }
  return writer.build();
}
