/**
 * The list of the kernels that the server knows: the first that recognises the image has it.
 */
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { KernelAwareness } from './awareness.ts';
import { findExoKernel } from './exo/exo-awareness.ts';
import { findLinuxKernel } from './linux/linux-awareness.ts';

type KernelFinder = (image: Uint8Array, symbols?: SymbolTable) => KernelAwareness | undefined;

const KERNELS: readonly KernelFinder[] = [findExoKernel, findLinuxKernel];

/** `findKernelAwareness` of the first image that is known: a bzImage has its vmlinux beside it. */
export function findKernelAmong(
  images: readonly Uint8Array[],
  symbols: SymbolTable,
): KernelAwareness | undefined {
  for (const image of images) {
    const kernel = findKernelAwareness(image, symbols);
    if (kernel !== undefined) return kernel;
  }
  return undefined;
}

/**
 * Awareness of the kernel in an image; undefined: one thread, the CPU, and nothing else lost.
 * `symbols` are instead of the image's own, which may be stripped.
 */
export function findKernelAwareness(
  image: Uint8Array,
  symbols?: SymbolTable,
): KernelAwareness | undefined {
  for (const find of KERNELS) {
    const kernel = find(image, symbols);
    if (kernel !== undefined) return kernel;
  }
  return undefined;
}
