/**
 * How gdb comes by the symbols that the user gave beside the image, without a command: one file is what
 * the machine executes (`qXfer:exec-file`), the others are its shared libraries, each with what was added
 * to its addresses (`qXfer:libraries-svr4`). gdb then relocates whole files, section by section.
 *
 * gdb looks for a symbol only in the file whose section holds the address, and the executable's sections
 * go before those of libraries. So an image whose sections would hide a library, because it is stripped
 * or because it runs elsewhere than it was linked, is given to gdb as an ELF header without sections.
 */
import { type ElfFile, SECTION_TYPE, SEGMENT_TYPE } from '../symbols/elf-file.ts';
import type { SymbolFile } from '../symbols/symbol-file.ts';
import { bootPath, fileName, type OfferedFile } from './machine-files.ts';
import type { Architecture } from './register-set.ts';
import { littleEndian } from './register-table.ts';
import type { TargetLibrary } from './target.ts';

const SYMBOLS_FOLDER = '/boot/symbols';
const BARE_FOLDER = '/boot/bare';

export interface SymbolOffer {
  /** What debuggers take for the program; undefined: a flat image without files. */
  readonly executable: string | undefined;
  /** Files to offer beside the image. */
  readonly files: readonly OfferedFile[];
  readonly libraries: readonly TargetLibrary[];
}

/** A file that gdb can read. */
type ElfSymbolFile = SymbolFile & { readonly elf: ElfFile };

export function offerSymbols(
  imageName: string,
  image: ElfFile | undefined,
  files: readonly SymbolFile[],
  architecture: Architecture = 'x86-64',
): SymbolOffer {
  return offerFiles(imageName, image, files.filter(isElfFile), architecture);
}

function isElfFile(file: SymbolFile): file is ElfSymbolFile {
  return file.elf !== undefined;
}

function offerFiles(
  imageName: string,
  image: ElfFile | undefined,
  given: readonly ElfSymbolFile[],
  architecture: Architecture,
): SymbolOffer {
  const path = image === undefined ? undefined : bootPath(imageName);
  if (given.length === 0) return { executable: path, files: [], libraries: [] };
  const substitute = isStripped(image) ? given.find((file) => fitsImage(file, image)) : undefined;
  const files = given.map(symbolFileOffer).reverse();
  const libraries = given.filter((file) => file !== substitute).map(libraryOf);
  if (substitute !== undefined) {
    return { executable: symbolFileOffer(substitute).path, files, libraries };
  }
  if (image !== undefined && !given.some((file) => isHiddenBy(image, file))) {
    return { executable: path, files, libraries };
  }
  const bare = {
    path: `${BARE_FOLDER}/${fileName(imageName)}`,
    content: bareElf(image, architecture),
  };
  return { executable: bare.path, files: [...files, bare], libraries };
}

function symbolFileOffer({ name, content }: SymbolFile): OfferedFile {
  return { path: `${SYMBOLS_FOLDER}/${fileName(name)}`, content };
}

function libraryOf(file: ElfSymbolFile): TargetLibrary {
  const dynamic = file.elf.segments.find(({ type }) => type === SEGMENT_TYPE.dynamic);
  return {
    path: symbolFileOffer(file).path,
    offset: file.offset,
    ...(dynamic && { dynamicAddress: dynamic.address + file.offset }),
  };
}

function isStripped(image: ElfFile | undefined): boolean {
  return !image?.sections.some(({ type }) => type === SECTION_TYPE.symbolTable);
}

/** It was linked as the image is and not moved. */
function fitsImage({ elf, offset }: ElfSymbolFile, image: ElfFile | undefined): boolean {
  return offset === 0n && (image === undefined || elf.entry === image.entry);
}

/** The file is the image itself at another place, or lies where the image has sections. */
function isHiddenBy(image: ElfFile, { elf, offset }: ElfSymbolFile): boolean {
  if (offset !== 0n && elf.entry === image.entry) return true;
  const own = loadedRanges(elf, offset);
  return loadedRanges(image, 0n).some((range) =>
    own.some(({ start, end }) => start < range.end && range.start < end),
  );
}

function loadedRanges(elf: ElfFile, offset: bigint): { start: bigint; end: bigint }[] {
  return elf.segments
    .filter(({ type }) => type === SEGMENT_TYPE.load)
    .map(({ address, memoryBytes }) => {
      const start = BigInt.asUintN(64, address + offset);
      return { start, end: start + memoryBytes };
    });
}

/** An executable that is its header alone (System V ABI, chapter 4): gdb takes one of its architecture only. */
function bareElf(image: ElfFile | undefined, architecture: Architecture): Uint8Array {
  const is64Bit = architecture === 'x86-64';
  const bytes = new Uint8Array(is64Bit ? 64 : 52);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, is64Bit ? 2 : 1, 1, 1]);
  const view = new DataView(bytes.buffer);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, is64Bit ? 62 : 3, true); // EM_X86_64, EM_386
  view.setUint32(20, 1, true);
  bytes.set(littleEndian(image?.entry ?? 0n, is64Bit ? 64 : 32), 24);
  view.setUint16(is64Bit ? 52 : 40, bytes.length, true);
  return bytes;
}
