/** A bzImage is entered as Linux's Documentation/arch/x86/boot.rst says, by its 32-bit entry. */
import { describe, expect, it } from 'vitest';
import { planBoot } from '../../../machine/boot/loader.ts';
import { RSDP_ADDRESS } from '../../../machine/boot/acpi/acpi-tables.ts';
import type { BootRequest } from '../../../machine/boot/boot-protocol.ts';
import { BootedMemory, MEMORY_BYTES, refusal, request } from './booted-memory.ts';

const SETUP_SECTORS = 3;
const KERNEL_OFFSET = (SETUP_SECTORS + 1) * 512;
const KERNEL = new Uint8Array(0x4000).fill(0x90);
const MIB = 0x10_0000;
const INITRD = { name: 'initrd', commandLine: '', content: new Uint8Array(5001).fill(0xaa) };

/** A kernel whose header has these fields, by offset and width in bits. */
function bzImage(...fields: readonly (readonly [number, 8 | 16 | 32, number])[]): Uint8Array {
  const image = new Uint8Array(KERNEL_OFFSET + KERNEL.length);
  const view = new DataView(image.buffer);
  image.set(new TextEncoder().encode('HdrS'), 0x202);
  image.set(KERNEL, KERNEL_OFFSET);
  const usual = [
    [0x1f1, 8, SETUP_SECTORS],
    [0x1f4, 32, KERNEL.length / 16],
    [0x201, 8, 0x6a],
    [0x206, 16, 0x20f],
    [0x211, 8, 1],
    [0x214, 32, MIB],
    [0x22c, 32, 0x7fff_ffff],
    [0x238, 32, 0x7ff],
    [0x258, 32, 16 * MIB],
    [0x260, 32, 8 * MIB],
  ] as const;
  for (const [offset, width, value] of [...usual, ...fields]) {
    if (width === 8) view.setUint8(offset, value);
    else if (width === 16) view.setUint16(offset, value, true);
    else view.setUint32(offset, value, true);
  }
  return image;
}

function boot(image: Uint8Array, changes: Partial<BootRequest> = {}): BootedMemory {
  return new BootedMemory(planBoot(request(image, changes)));
}

describe('the Linux boot protocol', () => {
  it('places the protected-mode part at 1 MiB and enters it there, the zero page in ESI', () => {
    const memory = boot(bzImage());
    const { protocol, entry, registers } = memory.plan;
    expect(protocol).toBe('linux');
    expect(entry).toBe(MIB);
    expect(memory.bytes(MIB, KERNEL.length)).toEqual(KERNEL);
    const page = registers.esi ?? 0;
    expect(page).toBeGreaterThanOrEqual(0x9000);
    expect(memory.bytes(page + 0x202, 4)).toEqual(new TextEncoder().encode('HdrS'));
    expect(memory.bytes(page + 0x210, 1)).toEqual(Uint8Array.of(0xff));
    expect(memory.text(memory.u32(page + 0x228))).toBe('test capture=stale');
  });

  it('hands over the memory map, the ACPI tables, the screen and no initrd', () => {
    const memory = boot(bzImage());
    const page = memory.plan.registers.esi ?? 0;
    expect(memory.u64(page + 0x70)).toBe(RSDP_ADDRESS);
    expect([...memory.bytes(page + 6, 2), ...memory.bytes(page + 0xe, 2)]).toEqual([3, 80, 25, 1]);
    const entries = memory.bytes(page + 0x1e8, 1)[0]!;
    const map = Array.from({ length: entries }, (_, index) => page + 0x2d0 + 20 * index);
    expect(map.map((at) => [memory.u64(at), memory.u64(at + 8), memory.u32(at + 16)])).toEqual([
      [0, 0x9_fc00, 1],
      [0x9_fc00, 0x400, 2],
      [0xe_0000, 0x1000, 3],
      [0xf_0000, 0x1_0000, 2],
      [MIB, MEMORY_BYTES - MIB, 1],
    ]);
    expect(memory.words(page + 0x218, 2)).toEqual([0, 0]);
  });

  it('has the descriptors of the entry’s selectors where GDTR points', () => {
    expect(boot(bzImage()).words(0x10, 4)).toEqual([0xffff, 0xcf_9b00, 0xffff, 0xcf_9300]);
  });

  it('puts the initrd at the end of RAM, several behind each other', () => {
    const second = { ...INITRD, content: new Uint8Array(100).fill(0xbb) };
    const memory = boot(bzImage(), { modules: [INITRD, second] });
    const page = memory.plan.registers.esi ?? 0;
    const [start, length] = memory.words(page + 0x218, 2) as [number, number];
    expect(length).toBe(5004 + 100);
    expect(start % 4096).toBe(0);
    expect(start + length).toBeGreaterThan(MEMORY_BYTES - 4096);
    expect(memory.bytes(start + 5000, 5)).toEqual(Uint8Array.of(0xaa, 0, 0, 0, 0xbb));
  });

  it('leaves the initrd where the kernel can reach it', () => {
    const memory = boot(bzImage([0x22c, 32, 40 * MIB - 1]), { modules: [INITRD] });
    expect(memory.u32((memory.plan.registers.esi ?? 0) + 0x218)).toBe(40 * MIB - 2 * 4096);
  });

  it('takes a kernel of before 2.6, which says less of itself', () => {
    const image = bzImage([0x206, 16, 0x202], [0x201, 8, 0x26]);
    const memory = boot(image, { modules: [INITRD] });
    const page = memory.plan.registers.esi ?? 0;
    // Its header ends before these; they are the boot loader's.
    expect(memory.words(page + 0x22c, 4)).toEqual([0, 0, 0, 0]);
    expect(memory.u32(page + 0x21c)).toBe(5004);
  });
});

describe('a bzImage that cannot be started is refused in one line', () => {
  it.each<[string, Uint8Array, Partial<BootRequest>, string]>([
    ['cut off in its header', bzImage().slice(0, 0x210), {}, 'a truncated Linux bzImage'],
    ['cut off in its kernel', bzImage().slice(0, -16), {}, 'its kernel ends at byte 18432'],
    ['without a kernel', bzImage([0x1f4, 32, 0]), {}, 'a truncated Linux bzImage'],
    ['a zImage', bzImage([0x211, 8, 0]), {}, 'a Linux zImage'],
    ['with too long a command line', bzImage([0x238, 32, 5]), {}, 'of 5 bytes at most'],
    ['that needs more RAM', bzImage([0x260, 32, 50 * MIB]), {}, '--memory 66M or more'],
    ['with an entry elsewhere', bzImage([0x214, 32, 5]), {}, 'entry point 0x5 lies outside'],
    [
      'with an initrd beyond RAM',
      bzImage(),
      { modules: [{ ...INITRD, content: new Uint8Array(50 * MIB) }] },
      'the initrd does not fit into RAM; start with --memory 74M or more',
    ],
    [
      'with an initrd beyond its reach',
      bzImage([0x22c, 32, 20 * MIB - 1]),
      { modules: [INITRD] },
      'the initrd does not fit below 0x1400000',
    ],
  ])('%s', (_, image, changes, text) => {
    expect(refusal(image, changes)).toContain(text);
  });
});
