/**
 * The kernel's file as lldb can have it that was started without one. It reads no files by vFile when it
 * attaches to a stub, but opens on its own host what a stub calls a library: where it runs beside the
 * server, that is the file that the server has read. On another host it looks for the library's ELF header at
 * the library's address, in memory: it is shown one there (memory-elf.ts).
 */
import { resolve } from 'node:path';
import { SEGMENT_TYPE, type ElfFile } from '../symbols/elf-file.ts';
import { memoryElf, type MemoryPiece } from '../symbols/memory-elf.ts';
import type { HostImage } from './target.ts';

/** No canonical address, so that no guest has memory there. */
const TABLES = 0xfffe_0000_0000_0000n;

/**
 * Undefined for a file without debug information: lldb takes what it is told of instead of the file that
 * its user gave it under another path, and that one may know more.
 */
export function hostImage(path: string, elf: ElfFile | undefined): HostImage | undefined {
  const first = elf?.segments.find(({ type }) => type === SEGMENT_TYPE.load);
  const isTelling = elf?.sections.some(({ name }) => name === '.debug_info');
  if (first === undefined || isTelling !== true) return undefined;
  let pieces: readonly MemoryPiece[] | undefined;
  const memory = () => (pieces ??= memoryElf(elf!, TABLES) ?? []);
  return { path: resolve(path), address: first.address, memory };
}
