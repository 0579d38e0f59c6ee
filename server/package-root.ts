/** Where this package is installed: the sources run from `server/`, the programs from `dist/bin/`. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder;
    if (folder === dirname(folder)) throw new Error('package.json of exoscope not found');
  }
}

/** Absolute, of the folder that holds package.json. */
export const PACKAGE_ROOT = findRoot();

const manifest = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')) as {
  readonly version: string;
};

export const VERSION = manifest.version;

/** The kernel and the programs that come with the package. */
export const IMAGES_FOLDER = join(PACKAGE_ROOT, 'kernel', 'images');

/** The image that is served when none is named. */
export const DEFAULT_IMAGE = join(IMAGES_FOLDER, 'kernel.elf');

/** The program that holds the machine of one connection of `serve --sessions`; see bundle.js. */
export const SESSION_PROGRAM = join(PACKAGE_ROOT, 'dist', 'bin', 'session.js');
