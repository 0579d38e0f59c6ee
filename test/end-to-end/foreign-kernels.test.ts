/** What kernels of other people need of `exoscope run`: a few instructions each, as a student has them. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildElf,
  concat,
  KERNEL_ADDRESS,
  multiboot1Header,
} from '../machine/boot/image-builder.ts';
import { MAIN } from './server-process.ts';

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
});
