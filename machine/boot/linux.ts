/**
 * The Linux/x86 boot protocol (Linux, Documentation/arch/x86/boot.rst), by its 32-bit entry: of a bzImage
 * the protected-mode part is placed at 1 MiB and entered there, ESI points to the zero page
 * (`struct boot_params`) with the setup header, the memory map and the place of the initrd. The real-mode
 * part, which would ask a BIOS, is left out.
 */
import { RSDP_ADDRESS } from './acpi/acpi-tables.ts';
import type { BootModule, BootPlan, BootRequest } from './boot-protocol.ts';
import { ByteWriter } from './byte-writer.ts';
import { loadFlatImage } from './loaded-image.ts';
import { pcMemoryMap } from './memory-map.ts';
import { MemoryPlanner } from './memory-planner.ts';
import { refuseImage } from './refuse-image.ts';

const SECTOR_BYTES = 512;
const PARAGRAPH_BYTES = 16;
/** Of the setup header: where it begins in the image and in the zero page. */
const HEADER = 0x1f1;
const MAGIC = 'HdrS';
const MAGIC_OFFSET = 0x202;
/** From which `loadflags` and the 32-bit entry are there; Linux 1.3.73 of 1996. */
const OLDEST_VERSION = 0x200;
/** From which the kernel says how much memory it takes while it decompresses itself. */
const VERSION_WITH_INIT_SIZE = 0x20a;
const VERSION_WITH_COMMAND_LINE_SIZE = 0x206;
const VERSION_WITH_INITRD_MAX = 0x203;
const LOADED_HIGH = 1;
const LOAD_ADDRESS = 0x10_0000;
const USUAL_COMMAND_LINE_SIZE = 255;
const USUAL_INITRD_MAX = 0x37ff_ffff;
const INITRD_ALIGNMENT = 4;

const ZERO_PAGE_BYTES = 0x1000;
/** Fields of the zero page outside of the setup header (Documentation/arch/x86/zero-page.rst). */
const ZERO_PAGE = { rsdp: 0x70, e820Entries: 0x1e8, e820Table: 0x2d0 } as const;
/** `struct screen_info`: colour text of 80 columns and 25 lines, characters 16 lines high. */
const SCREEN = { mode: [0x06, 3], columns: [0x07, 80], lines: [0x0e, 25], isVga: [0x0f, 1], points: [0x10, 16] } as const; // prettier-ignore
/** A boot loader without a number of its own. */
const LOADER_TYPE = 0xff;

/**
 * __BOOT_CS (10H) and __BOOT_DS (18H), flat: GDTR, which after RESET has base 0, has them where the
 * selectors of the entry say. Old kernels load them before they have a table of their own.
 */
const BOOT_DESCRIPTORS = { address: 0x10, bytes: new ByteWriter().u32(0xffff, 0x00cf_9b00, 0xffff, 0x00cf_9300).build() }; // prettier-ignore

interface SetupHeader {
  readonly version: number;
  readonly loadFlags: number;
  readonly entry: number;
  /** The last address that an initrd may take. */
  readonly initrdMax: number;
  readonly commandLineBytes: number;
  /** The physical memory that the kernel wants for itself ends here; 0: it does not say. */
  readonly memoryEnd: number;
  /** Where the protected-mode part begins in the file, and where it ends. */
  readonly start: number;
  readonly end: number;
  /** The header's own end in the file. */
  readonly headerEnd: number;
}

export function isBzImage(image: Uint8Array): boolean {
  const magic = image.subarray(MAGIC_OFFSET, MAGIC_OFFSET + MAGIC.length);
  return new TextDecoder('latin1').decode(magic) === MAGIC;
}

/** For an image that `isBzImage`. Throws ImageError for one that is truncated, or too old. */
export function planLinux(request: BootRequest): BootPlan {
  const { image } = request;
  const header = readHeader(request);
  checkHeader(request, header);
  const bytes = image.subarray(header.start, header.end);
  const memoryBytes = Math.max(bytes.length, header.memoryEnd - LOAD_ADDRESS);
  const part = { address: LOAD_ADDRESS, bytes, memoryBytes };
  const loaded = loadFlatImage(request, part, header.entry);
  const planner = new MemoryPlanner(request, loaded);
  planner.placeAt(BOOT_DESCRIPTORS.address, BOOT_DESCRIPTORS.bytes);
  const initrd = joined(request.modules);
  const limit = header.initrdMax + 1;
  const initrdStart = initrd.length === 0 ? 0 : planner.placeTop(initrd, limit, 'the initrd');
  const page = zeroPage(image, header, request.memoryBytes);
  page.setUint32(0x218, initrdStart, true);
  page.setUint32(0x21c, initrd.length, true);
  page.setUint32(0x228, planner.placeText(request.commandLine), true);
  const esi = planner.placeLow(new Uint8Array(page.buffer));
  const registers = { eax: 0, ebx: 0, esi };
  return { protocol: 'linux', writes: planner.writes, entry: loaded.entry, registers };
}

function readHeader({ image, imageName }: BootRequest): SetupHeader {
  const headerEnd = MAGIC_OFFSET + (image[0x201] ?? 0);
  if (image.length < Math.max(headerEnd, 0x218)) refuseImage(imageName, TRUNCATED);
  const whole = new Uint8Array(ZERO_PAGE_BYTES);
  // What an older kernel's header does not reach is 0.
  whole.set(image.subarray(HEADER, Math.min(headerEnd, ZERO_PAGE_BYTES)), HEADER);
  const view = new DataView(whole.buffer);
  const version = view.getUint16(0x206, true);
  const start = ((image[HEADER] || 4) + 1) * SECTOR_BYTES;
  const hasInitSize = version >= VERSION_WITH_INIT_SIZE;
  return {
    version,
    loadFlags: view.getUint8(0x211),
    entry: view.getUint32(0x214, true),
    initrdMax: version >= VERSION_WITH_INITRD_MAX ? view.getUint32(0x22c, true) : USUAL_INITRD_MAX,
    commandLineBytes:
      version >= VERSION_WITH_COMMAND_LINE_SIZE
        ? view.getUint32(0x238, true)
        : USUAL_COMMAND_LINE_SIZE,
    memoryEnd: hasInitSize
      ? Number(view.getBigUint64(0x258, true)) + view.getUint32(0x260, true)
      : 0,
    start,
    end: start + view.getUint32(0x1f4, true) * PARAGRAPH_BYTES,
    headerEnd,
  };
}

const TRUNCATED = 'a truncated Linux bzImage; build or copy it again';

function checkHeader({ image, imageName, commandLine }: BootRequest, header: SetupHeader): void {
  if (header.version < OLDEST_VERSION || (header.loadFlags & LOADED_HIGH) === 0) {
    refuseImage(imageName, 'a Linux zImage, which loads below 640 KiB; give a bzImage');
  }
  if (header.end > image.length || header.end === header.start) {
    const have = `its kernel ends at byte ${header.end}, the file has ${image.length}`;
    refuseImage(imageName, `${TRUNCATED} (${have})`);
  }
  const bytes = new TextEncoder().encode(commandLine).length;
  if (bytes > header.commandLineBytes) {
    const most = header.commandLineBytes;
    refuseImage(
      imageName,
      `it takes a command line of ${most} bytes at most, --append has ${bytes}`,
    );
  }
}

function zeroPage(image: Uint8Array, { headerEnd }: SetupHeader, memoryBytes: number): DataView {
  const bytes = new Uint8Array(ZERO_PAGE_BYTES);
  const page = new DataView(bytes.buffer);
  for (const [offset, value] of Object.values(SCREEN)) page.setUint8(offset, value);
  page.setBigUint64(ZERO_PAGE.rsdp, BigInt(RSDP_ADDRESS), true);
  bytes.set(image.subarray(HEADER, Math.min(headerEnd, ZERO_PAGE.e820Table)), HEADER);
  page.setUint8(0x210, LOADER_TYPE);
  const map = new ByteWriter();
  const ranges = pcMemoryMap(memoryBytes);
  for (const { address, lengthBytes, type } of ranges) map.u64(address, lengthBytes).u32(type);
  page.setUint8(ZERO_PAGE.e820Entries, ranges.length);
  bytes.set(map.build(), ZERO_PAGE.e820Table);
  return page;
}

/** One initrd of all: Linux unpacks archives that stand behind each other. */
function joined(modules: readonly BootModule[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { content } of modules) writer.bytes(content).align(INITRD_ALIGNMENT);
  return writer.build();
}
