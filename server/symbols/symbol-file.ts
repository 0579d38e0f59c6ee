/**
 * A file of symbols that the user gives beside the image (`--symbols FILE[@BASE]`): for a kernel that
 * was moved, an image that is stripped, a program that the guest loads by itself. What it names is
 * where the user says; nothing is guessed from the guest. It is an ELF file, or a list as nm prints it.
 *
 *     FILE            the addresses are as linked
 *     FILE@ADDRESS    .text begins at ADDRESS, as with gdb's `add-symbol-file FILE ADDRESS`
 *     FILE@+OFFSET    OFFSET is added to every address, as with `add-symbol-file FILE -o OFFSET`
 */
import { type ElfFile, readElf, SEGMENT_TYPE } from './elf-file.ts';
import { readNameList } from './name-list.ts';
import { SymbolTable } from './symbol-table.ts';

/** Where a file's symbols are. */
export type SymbolPlacement =
  | { readonly kind: 'as linked' }
  | { readonly kind: 'text at'; readonly address: bigint }
  | { readonly kind: 'moved by'; readonly offset: bigint };

export interface SymbolFile {
  /** Its name or path on the host; debuggers see /boot/symbols/NAME. */
  readonly name: string;
  readonly content: Uint8Array;
  /** Absent: a list of names, which is for the monitor alone. */
  readonly elf: ElfFile | undefined;
  /** What was added to every address; 0: as linked. */
  readonly offset: bigint;
  readonly symbols: SymbolTable;
}

/** Reads a file of symbols; a text is the reason why it cannot be one. Borrows `content`. */
export function readSymbolFile(
  name: string,
  content: Uint8Array,
  placement: SymbolPlacement,
): SymbolFile | string {
  const elf = readElf(content);
  const list = elf === undefined ? readNameList(content) : undefined;
  if (elf === undefined && list === undefined) {
    return 'it is neither a little-endian ELF file nor a list as nm prints it';
  }
  const isLinked = elf?.segments.some(({ type }) => type === SEGMENT_TYPE.load) ?? true;
  if (!isLinked) return 'it has no loadable segment: link it first';
  const linked = list?.symbols ?? SymbolTable.fromElf(elf);
  if (linked.size === 0) return 'it has no symbols: it is stripped';
  const text = list?.textAddress ?? textAddress(elf);
  const offset = offsetOf(text, placement);
  return { name, content, elf, offset, symbols: linked.movedBy(offset) };
}

function offsetOf(text: bigint, placement: SymbolPlacement): bigint {
  switch (placement.kind) {
    case 'as linked':
      return 0n;
    case 'moved by':
      return placement.offset;
    case 'text at':
      return BigInt.asIntN(64, placement.address - text);
  }
}

/** As linked; without a section .text, where the first segment begins. */
function textAddress(elf: ElfFile | undefined): bigint {
  const text = elf?.sections.find(({ name }) => name === '.text');
  const first = elf?.segments.find(({ type }) => type === SEGMENT_TYPE.load);
  return text?.address ?? first?.address ?? 0n;
}

/** The image's symbols and those of the user's files; a name that both have is the user's. */
export function allSymbols(image: ElfFile | undefined, files: readonly SymbolFile[]): SymbolTable {
  return SymbolTable.joined([...files.map(({ symbols }) => symbols), SymbolTable.fromElf(image)]);
}
