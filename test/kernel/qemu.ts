/**
 * Runs the kernel's images on QEMU, the independent judge of what they do: with TCG, without
 * network or display, the serial line on its standard output.
 */
import { spawn, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const images = join(root, 'kernel', 'images');
export const kernelImage = join(images, 'kernel.elf');

export interface QemuRun {
  /** What came over the serial line. */
  readonly lines: readonly string[];
  /** The value written to the debug-exit port, or null if the machine never wrote it. */
  readonly exitValue: number | null;
}

export function qemuArguments(boot: readonly string[]): string[] {
  return [
    ...['-accel', 'tcg', '-m', '256M', '-display', 'none', '-no-reboot', '-nic', 'none'],
    ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-serial', 'stdio', '-monitor', 'none'],
    ...boot,
  ];
}

/** QEMU's status for a value written to isa-debug-exit is (value << 1) | 1. */
function exitValueOf(status: number | null): number | null {
  return status !== null && (status & 1) === 1 ? status >> 1 : null;
}

export interface QemuOptions {
  /** After this the machine is killed and has no exit value. */
  readonly timeoutMs?: number;
  /** Typed on the serial line once `after` has been printed. */
  readonly input?: { readonly after: string; readonly text: string };
}

/** Runs until the guest ends the machine. */
export function runQemu(boot: readonly string[], options: QemuOptions = {}): Promise<QemuRun> {
  return new Promise((resolve, reject) => {
    const qemu = spawn('qemu-system-x86_64', qemuArguments(boot));
    let output = '';
    let input = options.input;
    const timer = setTimeout(() => qemu.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    qemu.stdout.on('data', (bytes: Buffer) => {
      output += bytes.toString('latin1');
      if (input !== undefined && output.includes(input.after)) {
        qemu.stdin.write(input.text);
        input = undefined;
      }
    });
    qemu.stderr.resume();
    qemu.on('error', reject);
    qemu.on('close', (status) => {
      clearTimeout(timer);
      resolve({ lines: output.split(/\r?\n/), exitValue: exitValueOf(status) });
    });
  });
}

export function runKernel(commandLine: string, cpu = 'max'): Promise<QemuRun> {
  return runQemu(['-cpu', cpu, '-kernel', kernelImage, '-append', commandLine]);
}

/** The `[TEST]` lines and what the tests' programs print, without the boot loader's own output. */
export function testLines(run: QemuRun): string[] {
  return run.lines.filter((line) => /^(\[TEST\]|Hello from)/.test(line));
}

/** Gives `use` an empty folder and removes it afterwards. */
export async function inTemporaryFolder<Result>(
  use: (folder: string) => Promise<Result>,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'exoscope-kernel-'));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * QEMU 7.2 prefers Multiboot 1 and then never looks for the PVH note, so PVH is proven with a copy
 * whose Multiboot 1 magic is blanked.
 */
export function writePvhCopy(folder: string): string {
  const bytes = readFileSync(kernelImage);
  const magic = bytes.indexOf(Buffer.from([0x02, 0xb0, 0xad, 0x1b]));
  if (magic < 0 || magic > 8192) throw new Error('no Multiboot 1 header in the first 8 KiB');
  bytes.fill(0, magic, magic + 4);
  const path = join(folder, 'kernel-pvh.elf');
  writeFileSync(path, bytes);
  return path;
}

/** A disc from which GRUB starts the kernel by Multiboot 2. */
export function writeGrubDisc(folder: string, commandLine: string): string {
  const grub = join(folder, 'disc', 'boot', 'grub');
  mkdirSync(grub, { recursive: true });
  cpSync(kernelImage, join(folder, 'disc', 'boot', 'kernel.elf'));
  writeFileSync(
    join(grub, 'grub.cfg'),
    `set timeout=0\nmenuentry exo {\n  multiboot2 /boot/kernel.elf ${commandLine}\n  boot\n}\n`,
  );
  const disc = join(folder, 'kernel.iso');
  const made = spawnSync('grub-mkrescue', ['-o', disc, join(folder, 'disc')], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(`grub-mkrescue failed: ${made.stderr}`);
  return disc;
}
