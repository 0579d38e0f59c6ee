/**
 * The files that a debugger may read: the kernel image, the modules that the machine was started
 * with, and the guest's programs. Nothing else of the host can be named.
 *
 * The image is offered as /boot/NAME, so that gdb says "Reading symbols from
 * target:/boot/kernel.elf" and never a path of the host; programs under their names in the guest.
 */
import { basename } from 'node:path/posix';
import type { TargetFile, TargetFiles } from './target.ts';

export interface OfferedFile {
  /** Absolute, as the guest or a boot loader would name it. */
  readonly path: string;
  readonly content: Uint8Array;
  /** Seconds since 1970. */
  readonly modifiedAt?: number;
}

const BOOT_FOLDER = '/boot';

/** The path under which an image or a module with this name or host path is offered. */
export function bootPath(name: string): string {
  return `${BOOT_FOLDER}/${basename(name.replaceAll('\\', '/')) || 'kernel'}`;
}

export class MachineFiles implements TargetFiles {
  readonly #executable: string | undefined;
  readonly #files: ReadonlyMap<string, OfferedFile>;

  /** `executable`: which of the files debuggers read symbols from; a flat image has none. */
  constructor(executable: string | undefined, files: readonly OfferedFile[]) {
    this.#executable = executable;
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  open(path: string): TargetFile | undefined {
    const file = this.#files.get(path);
    if (file === undefined) return undefined;
    return {
      sizeBytes: file.content.length,
      modifiedAt: file.modifiedAt ?? 0,
      read: (offset, length) => file.content.subarray(offset, offset + length),
    };
  }

  executableOf(): string | undefined {
    return this.#executable;
  }
}
