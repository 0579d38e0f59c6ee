/**
 * The files that a debugger may read: the kernel image, the modules that the machine was started
 * with, the guest's programs and what is made of the guest below /proc. Names are looked up and never
 * reach the host's file system: there is nothing else, no `..` and no link to follow.
 *
 * The image is offered as /boot/NAME, so that gdb says "Reading symbols from
 * target:/boot/kernel.elf" and never a path of the host; programs under their names in the guest.
 */
import { basename } from 'node:path/posix';
import type { GuestProc } from './guest-proc.ts';
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
  return `${BOOT_FOLDER}/${fileName(name)}`;
}

/** The last part of a path of any host. */
export function fileName(path: string): string {
  return basename(path.replaceAll('\\', '/')) || 'kernel';
}

export class MachineFiles implements TargetFiles {
  readonly #executable: string | undefined;
  readonly #files: ReadonlyMap<string, OfferedFile>;
  readonly #proc: GuestProc | undefined;

  /** `executable`: which of the files debuggers read symbols from; a flat image has none. */
  constructor(executable: string | undefined, files: readonly OfferedFile[], proc?: GuestProc) {
    this.#executable = executable;
    this.#proc = proc;
    this.#files = new Map(files.map((file) => [file.path, file]));
  }

  open(path: string): TargetFile | undefined {
    const file = this.#files.get(path);
    const content = file?.content ?? this.#proc?.read(path);
    if (content === undefined) return undefined;
    return {
      sizeBytes: content.length,
      modifiedAt: file?.modifiedAt ?? 0,
      read: (offset, length) => content.subarray(offset, offset + length),
    };
  }

  readLink(path: string): string | undefined {
    return this.#proc?.readLink(path);
  }

  executableOf(): string | undefined {
    return this.#executable;
  }
}
