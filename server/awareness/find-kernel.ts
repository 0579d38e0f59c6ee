/**
 * The list of the kernels that the server knows: the first that recognises the image has it.
 */
import type { KernelAwareness } from './awareness.ts';
import { findExoKernel } from './exo/exo-awareness.ts';

const KERNELS: readonly ((image: Uint8Array) => KernelAwareness | undefined)[] = [findExoKernel];

/** Awareness of the kernel in an image; undefined: one thread, the CPU, and nothing else lost. */
export function findKernelAwareness(image: Uint8Array): KernelAwareness | undefined {
  for (const find of KERNELS) {
    const kernel = find(image);
    if (kernel !== undefined) return kernel;
  }
  return undefined;
}
