/** What kernels of other people need of `exoscope run`: a few instructions each, as a student has them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from '../../machine/index.ts';
import { decodeSnapshot } from '../../server/snapshots/snapshot-file.ts';
import {
  buildElf,
  concat,
  KERNEL_ADDRESS,
  multiboot1Header,
} from '../machine/boot/image-builder.ts';
import { missing } from '../tools.ts';
import { MAIN } from './server-process.ts';
import { Terminal } from './terminal.ts';

const TIMEOUT_MS = 60_000;
const BOOT_HEADER = multiboot1Header(0);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function file(name: string, content: Uint8Array | string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

/** A Multiboot 1 kernel of these bytes of 32-bit code. */
function kernel(...code: readonly number[]): string {
  const content = concat(BOOT_HEADER, new Uint8Array(code));
  const entry = KERNEL_ADDRESS + BigInt(BOOT_HEADER.length);
  const segments = [{ content, virtualAddress: KERNEL_ADDRESS, physicalAddress: KERNEL_ADDRESS }];
  return file('kernel.elf', buildElf({ class: 32, machine: 3, entry, segments }));
}

function exoscope(...args: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
  });
  return { status, stdout, stderr };
}

describe('a kernel that prints on the VGA screen only', () => {
  // mov dword [0xb8000], 'H' 7 'i' 7
  const PRINT_HI = [0xc7, 0x05, 0x00, 0x80, 0x0b, 0x00, 0x48, 0x07, 0x69, 0x07];

  it('has said something, and run shows it', () => {
    const { stdout, stderr } = exoscope('run', kernel(...PRINT_HI, 0xf4));
    expect(stdout).toBe('');
    expect(stderr).toBe(
      [
        'exoscope: nothing was sent to COM1; this is on the VGA text screen:',
        'Hi',
        'exoscope: the guest halted, and no timer is armed that could wake it',
        '',
      ].join('\n'),
    );
  });

  it('that prints to COM1 too needs no screen', () => {
    // mov dx, 0x3f8; mov al, '!'; out dx, al
    const { stdout, stderr } = exoscope(
      'run',
      kernel(...PRINT_HI, 0x66, 0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xf4),
    );
    expect(stdout).toBe('!');
    expect(stderr).not.toContain('screen');
  });

  it.skipIf(missing('script'))('and leaves its line open has it ended, on a terminal', async () => {
    const greeting = kernel(0x66, 0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xf4);
    const terminal = new Terminal(process.execPath, MAIN, 'run', greeting);
    await terminal.ended();
    expect(terminal.text).toMatch(/^!\r\nexoscope: the guest halted/);
  });
});

describe('a kernel that switches the PC off', () => {
  // mov dx, 0x604; mov ax, 0x2000; out dx, ax
  const POWER_OFF = [0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x20, 0x66, 0xef, 0xf4];

  it.each([[], ['--exit-code', 'qemu']])('ends run with status 0 and no word', (...options) => {
    const { status, stderr } = exoscope('run', kernel(...POWER_OFF), ...options);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  });
});

describe('a kernel with boot modules', () => {
  const SAY_MODULE = [
    ...[0x8b, 0x73, 0x18], // mov esi, [ebx + 24]: the list of modules
    ...[0x8b, 0x0e], // mov ecx, [esi]: where the first begins
    ...[0x8b, 0x76, 0x08], // mov esi, [esi + 8]: its text
    ...[0x66, 0xba, 0xf8, 0x03], // mov dx, 0x3f8
    ...[0xac, 0xee, 0x84, 0xc0, 0x75, 0xfa], // lodsb; out dx, al; test al, al; jnz lodsb
    ...[0x8a, 0x01, 0xe6, 0xf4, 0xf4], // mov al, [ecx]; out 0xf4, al; hlt
  ];

  it('finds the content, the name and the arguments of --module', () => {
    const initrd = file('initrd', 'C');
    const { status, stdout } = exoscope(
      'run',
      kernel(...SAY_MODULE),
      '--module',
      `${initrd} a b=1`,
    );
    expect(stdout).toBe(`${initrd} a b=1\0`);
    expect(status).toBe(0x43);
  });

  it('has them in a snapshot too, and after a reset of it', () => {
    const module = file('initrd', 'C');
    const saved = join(folder, 'saved.snapshot');
    const place = ['--instructions', '0', '--output', saved];
    const taken = exoscope('snapshot', kernel(...SAY_MODULE), '--module', module, ...place);
    expect(taken.status).toBe(0);
    rmSync(module);
    expect(exoscope('run', saved).status).toBe(0x43);
    const { imageName, image, commandLine, modules } = decodeSnapshot(readFileSync(saved));
    const afterReset = new Machine({ imageName, image, commandLine, modules });
    expect(afterReset.run({ budget: 1_000_000 })).toEqual({ kind: 'debug-exit', value: 0x43 });
  });

  it('says which file is missing, and that a snapshot takes no more of them', () => {
    const { status, stderr } = exoscope('run', kernel(0xf4), '--module', join(folder, 'none'));
    expect(status).toBe(120);
    expect(stderr).toContain("/none' cannot be read: there is no such file");
    const saved = join(folder, 'saved.snapshot');
    expect(exoscope('run', saved, '--module', saved)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('the kernel of this snapshot has started already') as string,
    });
  });
});
