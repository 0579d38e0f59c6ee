/** The committed images are what the committed sources make. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

import { missing } from '../tools.ts';
import { images, inTemporaryFolder, root } from './qemu.ts';

const advice = 'sources and images disagree: run `make -C kernel` and commit kernel/images';

interface Digest {
  readonly compiler: string;
  readonly files: ReadonlyMap<string, string>;
}

function readDigest(path: string): Digest {
  const [first = '', ...lines] = readFileSync(path, 'utf8').trimEnd().split('\n');
  const files = lines.map((line) => line.split('  ').reverse() as [string, string]);
  return { compiler: first.replace('# ', ''), files: new Map(files) };
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(join(root, path))).digest('hex');
}

function isSource(name: string): boolean {
  return /\.(c|h|S|ld)$|^Makefile$/.test(name);
}

/** All sources, as paths relative to the repository. */
function kernelSources(): string[] {
  return readdirSync(join(root, 'kernel'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && isSource(entry.name))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('kernel/build/'))
    .sort();
}

function compilerVersion(): string {
  return spawnSync('gcc', ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? '';
}

describe('kernel/images', () => {
  const digest = readDigest(join(images, 'digest'));

  it('was made from exactly the sources of today', () => {
    const listed = [...digest.files.keys()].filter((path) => !path.startsWith('kernel/images/'));
    expect(listed.sort(), advice).toEqual(kernelSources());
  });

  it('has the digests that were recorded when it was made', () => {
    const changed = [...digest.files].filter(([path, expected]) => sha256(path) !== expected);
    expect(
      changed.map(([path]) => path),
      advice,
    ).toEqual([]);
  });

  it.skipIf(missing('gcc', 'make', 'ld'))(
    'comes out the same, byte for byte, when it is built again elsewhere',
    { timeout: 120_000 },
    async ({ skip }) => {
      if (compilerVersion() !== digest.compiler) {
        skip(`images were made by ${digest.compiler}, here is ${compilerVersion()}`);
      }
      await inTemporaryFolder((folder) => {
        const variables = [`BUILD=${folder}/objects`, `IMAGES=${folder}/images`];
        const make = spawnSync('make', ['-C', join(root, 'kernel'), ...variables], {
          encoding: 'utf8',
        });
        expect(make.status, make.stderr).toBe(0);
        expect(make.stderr, 'the build must be free of warnings').toBe('');
        const rebuilt = readDigest(join(folder, 'images', 'digest'));
        expect([...rebuilt.files]).toEqual([...digest.files]);
        return Promise.resolve();
      });
    },
  );
});
