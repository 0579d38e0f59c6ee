/** The 64-bit system calls of a Linux kernel, from its constant table `sys_call_table` of handlers. */
import { type ElfFile, readLoaded } from '../../symbols/elf-file.ts';
import type { SymbolTable } from '../../symbols/symbol-table.ts';
import type { GuestSystemCall } from '../awareness.ts';

const MOST_CALLS = 1024;
const POINTER_BYTES = 8;
const HANDLER = /^(?:__x64_)?sys_(\w+)$/;

/** Ascending by number; up to the first that is no handler, since lists of symbols know no sizes. */
export function systemCalls(file: ElfFile, symbols: SymbolTable): GuestSystemCall[] {
  const table = symbols.find('sys_call_table');
  if (table === undefined) return [];
  const bytes = readLoaded(file, table.address, MOST_CALLS * POINTER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const calls: GuestSystemCall[] = [];
  for (let number = 0; (number + 1) * POINTER_BYTES <= bytes.length; number++) {
    const handler = view.getBigUint64(number * POINTER_BYTES, true);
    const name = HANDLER.exec(symbols.describe(handler))?.[1];
    if (name === undefined) break;
    if (name !== 'ni_syscall') calls.push({ number, name, handler });
  }
  return calls;
}
