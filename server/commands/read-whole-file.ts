/** Reads a file that the user has named; a device or a pipe would never end. */
import { readFileSync, statSync } from 'node:fs';
import { ImageError } from '../../machine/index.ts';

/** What Node reads at once at most. */
const MOST_BYTES = 2 ** 31 - 1;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EACCES: 'no permission',
};

/** `what` names it in the message. Throws `ImageError`, one line. */
export function readWholeFile(path: string, what: string): Uint8Array {
  const refuse = (reason: string): never => {
    throw new ImageError(`${what} '${path}' cannot be read: ${reason}`);
  };
  try {
    const stats = statSync(path);
    if (stats.isDirectory()) return refuse('it is a folder');
    if (!stats.isFile()) return refuse('it is not a regular file');
    if (stats.size > MOST_BYTES) return refuse('it has 2 GiB or more');
    return readFileSync(path);
  } catch (error) {
    if (error instanceof ImageError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    return refuse(REASONS[code ?? ''] ?? message);
  }
}
