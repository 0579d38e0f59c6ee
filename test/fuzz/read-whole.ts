/** What the server makes of a file that somebody gives it, and what that costs. */
import { expect } from 'vitest';
import { findKernelAwareness } from '../../server/awareness/find-kernel.ts';
import { readElf, readNotes, type ElfFile } from '../../server/symbols/elf-file.ts';
import { readSymbolFile } from '../../server/symbols/symbol-file.ts';
import { SymbolTable } from '../../server/symbols/symbol-table.ts';

/** Everything that the server reads of a file of symbols or an image. */
export function readWhole(bytes: Uint8Array): {
  readonly elf: ElfFile | undefined;
  names: number;
} {
  const elf = readElf(bytes);
  const table = SymbolTable.fromElf(elf);
  if (elf !== undefined) readNotes(elf);
  table.describe(0xffff_ffff_8010_1000n);
  findKernelAwareness(bytes);
  const file = readSymbolFile('x', bytes, { kind: 'moved by', offset: 0x1000n });
  if (typeof file === 'string') expect(file).toMatch(/^[^\n]+$/);
  return { elf, names: table.size };
}

/** Milliseconds and growth of the heap while `action` runs. */
export function costOf(action: () => void): { readonly ms: number; readonly heapBytes: number } {
  globalThis.gc?.();
  const before = process.memoryUsage().heapUsed;
  const start = performance.now();
  action();
  return { ms: performance.now() - start, heapBytes: process.memoryUsage().heapUsed - before };
}
