/**
 * The system calls of an Exo kernel, from its constant table `system_calls` of handlers
 * (kernel/src/syscall/dispatch.c). Read from the image: the guest cannot change what is said here.
 */
import { type ElfFile, readLoaded } from '../../symbols/elf-file.ts';
import type { SymbolTable } from '../../symbols/symbol-table.ts';
import type { GuestSystemCall, KernelModeGate } from '../awareness.ts';

const MAXIMUM_NUMBER = 4096;
const POINTER_BYTES = 8;

/** RET near (Intel SDM 2B). */
const RET = 0xc3;

/** `kernel_syscall` of syscall_entry.S, whose last byte is its RET; undefined in another image. */
export function kernelModeGate(file: ElfFile, symbols: SymbolTable): KernelModeGate | undefined {
  const gate = symbols.find('kernel_syscall');
  if (gate === undefined || gate.size === 0n) return undefined;
  const exit = gate.address + gate.size - 1n;
  return readLoaded(file, exit, 1)[0] === RET ? { entry: gate.address, exit } : undefined;
}

/** By number, ascending; none in an image without symbols. */
export function systemCalls(file: ElfFile, symbols: SymbolTable): GuestSystemCall[] {
  const table = symbols.find('system_calls');
  if (table === undefined) return [];
  const count = Math.min(Number(table.size) / POINTER_BYTES, MAXIMUM_NUMBER);
  const bytes = readLoaded(file, table.address, Math.floor(count) * POINTER_BYTES);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const present = Math.floor(bytes.length / POINTER_BYTES);
  return Array.from({ length: present }, (_, number) => number).flatMap((number) => {
    const handler = view.getBigUint64(number * POINTER_BYTES, true);
    if (handler === 0n) return [];
    return [{ number, handler, name: symbols.describe(handler).replace(/^sys_/, '') }];
  });
}
