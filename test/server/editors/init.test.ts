/** `exoscope init`: what it writes and what it leaves alone. The adapters' own test uses the files. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { init, type InitArguments } from '../../../server/commands/init.ts';
import { EDITORS } from '../../../server/editors/index.ts';
import { UsageError } from '../../../server/listen-address.ts';
import { DEFAULT_IMAGE } from '../../../server/package-root.ts';

const DEFAULTS = { connect: '127.0.0.1:1234', image: 'build/kernel.elf', force: false };

describe('exoscope init', () => {
  let folder: string;
  let printed: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'exoscope-init-'));
    printed = '';
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const run = (editor: string, changes: Partial<InitArguments> = {}): number =>
    init({ ...DEFAULTS, editor, ...changes }, folder, (line) => (printed += line));
  const written = (path: string): string => readFileSync(join(folder, path), 'utf8');

  it.each(EDITORS.map(({ name }) => name))(
    'writes for %s where to attach and which image, and says so',
    (name) => {
      expect(run(name, { connect: 'localhost:4321' })).toBe(0);
      const [, path] = /^wrote (.*)$/m.exec(printed)!;
      expect(written(path!)).toContain('localhost');
      expect(written(path!)).toContain('4321');
      expect(written(path!)).toContain('build/kernel.elf');
      expect(printed).toMatch(/^needs /m);
    },
  );

  it('leaves a file that is there already as it is, and names it', () => {
    run('zed');
    writeFileSync(join(folder, '.zed/debug.json'), 'mine');
    expect(() => run('zed')).toThrow(UsageError);
    expect(() => run('zed')).toThrow(/^\.zed\/debug\.json is there already/);
    expect(written('.zed/debug.json')).toBe('mine');
  });

  it('replaces it with --force', () => {
    run('zed');
    writeFileSync(join(folder, '.zed/debug.json'), 'mine');
    run('zed', { force: true });
    expect(JSON.parse(written('.zed/debug.json'))).toHaveLength(2);
  });

  it('names an image outside of the folder by its absolute path', () => {
    run('vscode', { image: DEFAULT_IMAGE });
    expect(written('.vscode/launch.json')).toContain(`"program": "${DEFAULT_IMAGE}"`);
  });

  it('keeps XML whole when a path has quotes', () => {
    run('clion', { image: 'a"b&c/kernel.elf' });
    expect(written('.idea/runConfigurations/Exoscope.xml')).toContain(
      '/a&quot;b&amp;c/kernel.elf"',
    );
  });

  it('refuses a Unix socket, which the adapters cannot reach', () => {
    expect(() => run('neovim', { connect: 'unix:/tmp/exo.sock' })).toThrow(UsageError);
    expect(existsSync(join(folder, '.nvim.lua'))).toBe(false);
  });
});
