/**
 * The package as a user gets it: built, packed, installed in an empty folder and run. Overrides of the
 * root package do not apply there, so what node-net-reconnect needs must be in the tarball.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../..');
const folder = mkdtempSync(join(tmpdir(), 'exoscope-package-'));

function run(command: string, parameters: string[], cwd: string) {
  const { status, stdout, stderr } = spawnSync(command, parameters, { cwd, encoding: 'utf8' });
  return { status, stdout, stderr };
}

function exoscope(...parameters: string[]) {
  return run(join(folder, 'node_modules/.bin/exoscope'), parameters, folder);
}

beforeAll(() => {
  const packed = run('npm', ['pack', '--silent', '--pack-destination', folder], ROOT);
  expect(packed.status, packed.stderr).toBe(0);
  writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  const tarball = `./${packed.stdout.trim()}`;
  const installed = run('npm', ['install', '--prefer-offline', '--no-audit', tarball], folder);
  expect(installed.status, installed.stderr).toBe(0);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the packed tarball', () => {
  it('installs in an empty folder and knows its version', () => {
    const { status, stdout, stderr } = exoscope('--version');
    expect(stderr).toBe('');
    expect(stdout.trim()).toMatch(/^\d+\.\d+\.\d+$/);
    expect(status).toBe(0);
  });

  it('brings no native code for reconnecting', () => {
    const bundled = join(folder, 'node_modules/exoscope/node_modules');
    expect(existsSync(join(bundled, 'net-keepalive/index.js'))).toBe(true);
    expect(existsSync(join(folder, 'node_modules/ffi'))).toBe(false);
  });

  it.each(['exoscope/rsp', 'exoscope/machine'])('exports %s', (name) => {
    const script = `import(${JSON.stringify(name)}).then((m) => console.log(Object.keys(m).join()))`;
    const { status, stdout, stderr } = run(process.execPath, ['-e', script], folder);
    expect(status, stderr).toBe(0);
    expect(stdout.length).toBeGreaterThan(10);
  });

  it('runs the kernel that it brings, and gives its output to a pipe', () => {
    const { status, stdout, stderr } = exoscope('run', '--max-instructions', '300000');
    expect(stdout, stderr).toContain('Exo-OS');
    expect(stderr).toContain('300000 instructions (--max-instructions) are used up');
    expect(status).toBe(122);
  });

  it.each([
    [2, ['serve', '--nonsense']],
    [2, ['nonsense']],
    [2, ['serve', '--memory', '3X']],
    [2, ['serve', '--listen', '0.0.0.0:0']],
    [120, ['run', 'no-such-image']],
    [120, ['serve', 'package.json', '--listen', '127.0.0.1:0']],
    [1, ['monitor', 'threads', '--connect', 'unix:/nonexistent/socket']],
  ] as const)('ends with status %i and one clear line for %j', (expected, parameters) => {
    const { status, stderr } = exoscope(...parameters);
    expect(status).toBe(expected);
    expect(stderr).toMatch(/^exoscope: .+\n/);
    expect(stderr).not.toContain('    at ');
  });

  it('loses nothing when its reader goes away early', () => {
    const command = `'${join(folder, 'node_modules/.bin/exoscope')}' run | head -c 4`;
    const { stdout, stderr } = run('sh', ['-c', command], folder);
    expect(stdout).toBe('Exo-');
    expect(stderr).toBe('');
  });
});
