/**
 * What a boot loader leaves behind: which bytes go where in RAM and the CPU state at the entry.
 * Loaders are pure: they read the image and return a plan; `machine.ts` carries it out.
 */
import type { PhysicalAddress } from '../addresses.ts';

export interface BootModule {
  readonly name: string;
  readonly commandLine: string;
  readonly content: Uint8Array;
}

export interface BootRequest {
  readonly image: Uint8Array;
  /** For messages and for the boot loader's own fields. */
  readonly imageName: string;
  readonly commandLine: string;
  readonly modules: readonly BootModule[];
  readonly memoryBytes: number;
}

export interface BootWrite {
  readonly address: PhysicalAddress;
  readonly bytes: Uint8Array;
}

/** 32-bit protected mode with flat segments and paging off, as all protocols demand. */
export interface BootPlan {
  readonly protocol: 'multiboot1' | 'multiboot2' | 'pvh' | 'linux';
  readonly writes: readonly BootWrite[];
  readonly entry: number;
  readonly registers: { readonly eax: number; readonly ebx: number; readonly esi?: number };
}

/** A bad image: one clear line that says what is wrong and what to do. Exit status 120. */
export class ImageError extends Error {
  override readonly name = 'ImageError';
}
