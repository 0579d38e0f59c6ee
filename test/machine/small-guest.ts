/** Guests of a few bytes: 32-bit code behind a Multiboot 1 header, loaded at 1 MiB. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Machine, type MachineOptions } from '../../machine/index.ts';

export const KERNEL_PATH = join(import.meta.dirname, '../../kernel/images/kernel.elf');
/** Where a small guest's code begins: behind its header. */
export const CODE_ADDRESS = 0x10_0020;

const MAGIC = 0x1bad_b002;
const FLAG_ADDRESS_FIELDS = 0x1_0000;
const LOAD_ADDRESS = 0x10_0000;

/** A flat image of the code, zero-filled up to `totalBytes`. */
function flatImage(code: readonly number[], totalBytes: number): Uint8Array {
  const image = new Uint8Array(totalBytes);
  const view = new DataView(image.buffer);
  const checksum = -(MAGIC + FLAG_ADDRESS_FIELDS) >>> 0;
  const fields = [MAGIC, FLAG_ADDRESS_FIELDS, checksum, LOAD_ADDRESS, LOAD_ADDRESS];
  fields.push(LOAD_ADDRESS + totalBytes, 0, CODE_ADDRESS);
  fields.forEach((value, index) => view.setUint32(4 * index, value, true));
  image.set(code, CODE_ADDRESS - LOAD_ADDRESS);
  return image;
}

export function smallGuest(
  code: readonly number[],
  options: Partial<MachineOptions> = {},
  totalBytes = 0x4000,
): Machine {
  const image = flatImage(code, totalBytes);
  return new Machine({ image, imageName: 'small', memoryBytes: 4 << 20, ...options });
}

export function kernelMachine(commandLine: string, options: Partial<MachineOptions> = {}): Machine {
  const image = readFileSync(KERNEL_PATH);
  return new Machine({
    image,
    imageName: 'kernel.elf',
    commandLine,
    memoryBytes: 64 << 20,
    ...options,
  });
}

const REGISTERS =
  'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs ss ds es fs gs fs_base gs_base k_gs_base cr0 cr2 cr3 cr4 cr8 efer dr6 dr7 mxcsr cpl tr ldtr gdtr_base idtr_base'.split(
    ' ',
  );

/** Everything that the guest could tell apart: registers, time, RAM, what the devices say. */
export function fingerprint(machine: Machine, memoryBytes = 64 << 20): string {
  const hash = createHash('sha256');
  for (const name of REGISTERS) hash.update(`${name}=${machine.readRegister(name)};`);
  hash.update(machine.readFxsave());
  hash.update(`${machine.icount} ${machine.ticks}`);
  hash.update(machine.readPhysical(0n, memoryBytes));
  hash.update(JSON.stringify(machine.describeDevices()));
  hash.update(machine.serialHistory());
  return hash.digest('hex');
}
