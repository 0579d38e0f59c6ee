/**
 * The programs that our kernel carries, under their names in the guest, so that a debugger can read
 * their symbols by vFile (`add-symbol-file target:/bin/worker.elf`).
 */
import { readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DEFAULT_IMAGE, IMAGES_FOLDER } from '../package-root.ts';
import type { OfferedFile } from '../target/machine-files.ts';

/** As `kernel/src/fs/tmpfs.c` names them at boot. */
const PROGRAMS = [
  '/tmp/hello.elf',
  '/bin/tests.elf',
  '/bin/protection.elf',
  '/bin/worker.elf',
  '/bin/console.elf',
] as const;

/** None for an image that is not ours. */
export function guestPrograms(image: string): OfferedFile[] {
  if (resolve(image) !== DEFAULT_IMAGE) return [];
  return PROGRAMS.flatMap((path) => {
    const file = join(IMAGES_FOLDER, path.slice(path.lastIndexOf('/') + 1));
    const stats = statSync(file, { throwIfNoEntry: false });
    if (stats === undefined) return [];
    return [{ path, content: readFileSync(file), modifiedAt: Math.floor(stats.mtimeMs / 1000) }];
  });
}
