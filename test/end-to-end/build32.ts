/** Kernels of 32-bit code, and of 64-bit code in a file of 32 bits, compiled when they are wanted. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const CODE = ['-mgeneral-regs-only', '-g', '-Wall', '-Wextra'];
const ALONE = ['-ffreestanding', '-fno-pic', '-fno-stack-protector', '-nostdlib', '-static'];
const PLACES = '-Wl,--build-id=none,-Ttext=0x102000,--section-start=.multiboot=0x101000';

function compile(image: string, sources: readonly string[], ...options: readonly string[]): void {
  const paths = sources.map((name) => join(import.meta.dirname, name));
  execFileSync('gcc', [...CODE, ...options, ...ALONE, PLACES, '-o', image, ...paths]);
}

/** Builds NAME.c of this folder and returns the path of `folder`/NAME.elf. Throws when gcc does. */
export function build32(folder: string, name: string, optimisation: '-O0' | '-O2'): string {
  const image = join(folder, `${name}.elf`);
  compile(image, [`${name}.c`], '-m32', '-march=i686', optimisation);
  return image;
}

/** Builds NAME.c for long mode: `whole` is an ELF64, `image` the same for loaders that take i386 only. */
export function build64In32(folder: string, name: string): { whole: string; image: string } {
  const whole = join(folder, `${name}-64.elf`);
  const image = join(folder, `${name}-64-in-32.elf`);
  compile(whole, [`${name}.c`, 'long-mode.S'], '-m64', '-mno-red-zone', '-no-pie', '-O0');
  execFileSync('objcopy', ['-O', 'elf32-i386', whole, image]);
  return { whole, image };
}
