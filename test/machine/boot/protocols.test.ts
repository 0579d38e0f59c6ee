import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { planBoot } from '../../../machine/boot/loader.ts';
import { RSDP_ADDRESS, rootPointers } from '../../../machine/boot/acpi/acpi-tables.ts';
import type { BootPlan } from '../../../machine/boot/boot-protocol.ts';
import { BootedMemory, MEMORY_BYTES, request } from './booted-memory.ts';
import {
  KERNEL_ADDRESS,
  NOP_PAGE,
  buildElf,
  concat,
  multiboot1Header,
  multiboot2Header,
  multiboot2Tag,
  note,
  pad,
  u32,
  u64,
} from './image-builder.ts';

const MODULES = [
  { name: 'initrd.img', commandLine: 'root=/', content: new Uint8Array(5000).fill(0xaa) },
  { name: 'second', commandLine: '', content: Uint8Array.of(1, 2, 3) },
];
const HIGHER_HALF = 0xffff_ffff_8010_0000n;
/** What firmware reports for 64 MiB, as address, length and type. */
const MEMORY_MAP = [
  [0, 0x9_fc00, 1],
  [0x9_fc00, 0x400, 2],
  [0xe_0000, 0x1000, 3],
  [0xf_0000, 0x1_0000, 2],
  [0x10_0000, MEMORY_BYTES - 0x10_0000, 1],
];

function boot(image: Uint8Array, changes = {}, protocol?: BootPlan['protocol']): BootedMemory {
  return new BootedMemory(planBoot(request(image, changes), protocol));
}

/** An ELF kernel whose segment begins with `header`. */
function kernelWith(header: Uint8Array, elfClass: 32 | 64 = 64): Uint8Array {
  const content = concat(pad(header, 8), NOP_PAGE);
  return buildElf({ class: elfClass, segments: [{ content }] });
}

describe('Multiboot 1', () => {
  test.each([32, 64] as const)('loads an ELF%i by its program headers', (elfClass) => {
    const content = concat(multiboot1Header(3), u32(0, NOP_PAGE.length), NOP_PAGE);
    const image = buildElf({
      class: elfClass,
      entry: 0x10_0020n,
      segments: [
        { content, memoryBytes: 0x3000n },
        { content: NOP_PAGE, physicalAddress: 0x20_0000n },
      ],
    });
    const memory = boot(image);
    expect(memory.plan.protocol).toBe('multiboot1');
    expect(memory.plan.entry).toBe(0x10_0020);
    expect(memory.plan.registers.eax).toBe(0x2bad_b002);
    expect(memory.bytes(0x10_0000, content.length)).toEqual(content);
    expect(memory.bytes(0x20_0000, 64)).toEqual(NOP_PAGE);
  });

  test('tells memory, command line, memory map and the name of the boot loader', () => {
    const memory = boot(kernelWith(multiboot1Header(3)));
    const { ebx } = memory.plan.registers;
    expect(ebx).toBeGreaterThanOrEqual(0x9000);
    expect(ebx).toBeLessThan(0x9_f000);
    expect(memory.u32(ebx)).toBe(0x245);
    expect(memory.u32(ebx + 4)).toBe(639);
    expect(memory.u32(ebx + 8)).toBe(63 * 1024);
    expect(memory.text(memory.u32(ebx + 16))).toBe('test capture=stale');
    expect(memory.text(memory.u32(ebx + 64))).toBe('exoscope');
    const [length, map] = memory.words(ebx + 44, 2) as [number, number];
    expect(length).toBe(MEMORY_MAP.length * 24);
    const entries = MEMORY_MAP.map((_, index) => map + 24 * index);
    expect(entries.map((entry) => memory.u32(entry))).toEqual(MEMORY_MAP.map(() => 20));
    expect(
      entries.map((entry) => [
        memory.u64(entry + 4),
        memory.u64(entry + 12),
        memory.u32(entry + 20),
      ]),
    ).toEqual(MEMORY_MAP);
  });

  test('places modules on pages above the image and its zeros', () => {
    const content = concat(multiboot1Header(3), NOP_PAGE);
    const image = buildElf({ segments: [{ content, memoryBytes: 0x2_3456n }] });
    const memory = boot(image, { modules: MODULES });
    const { ebx } = memory.plan.registers;
    expect(memory.u32(ebx) & 8).toBe(8);
    const [count, list] = memory.words(ebx + 20, 2) as [number, number];
    expect(count).toBe(2);
    const [start, end, text] = memory.words(list, 3) as [number, number, number];
    expect([start, end]).toEqual([0x12_4000, 0x12_4000 + 5000]);
    expect(memory.text(text)).toBe('initrd.img root=/');
    expect(memory.bytes(start, 5000)).toEqual(MODULES[0]!.content);
    const [secondStart, secondEnd, secondText] = memory.words(list + 16, 3);
    expect([secondStart, secondEnd]).toEqual([0x12_6000, 0x12_6003]);
    expect(memory.text(secondText!)).toBe('second');
  });

  test.each([32, 64] as const)(
    'hands over the sections of an ELF%i, symbols loaded',
    (elfClass) => {
      const symbols = Uint8Array.from({ length: 48 }, (_, index) => index);
      const image = buildElf({
        class: elfClass,
        segments: [{ content: concat(multiboot1Header(0), NOP_PAGE) }],
        sections: [
          { type: 0 },
          { type: 1, address: KERNEL_ADDRESS, content: NOP_PAGE },
          { type: 2, content: symbols },
          { type: 3, content: new TextEncoder().encode('\0main\0') },
        ],
      });
      const memory = boot(image);
      const { ebx } = memory.plan.registers;
      expect(memory.u32(ebx) & 0x20).toBe(0x20);
      const [count, entryBytes, table, names] = memory.words(ebx + 28, 4) as [
        number,
        number,
        number,
        number,
      ];
      expect([count, entryBytes, names]).toEqual([4, elfClass === 64 ? 64 : 40, 3]);
      const address = (section: number): number =>
        memory.u32(table + section * entryBytes + (elfClass === 64 ? 16 : 12));
      expect(address(1)).toBe(0x10_0000);
      expect(memory.bytes(address(2), 48)).toEqual(symbols);
      expect(memory.text(address(3) + 1)).toBe('main');
    },
  );

  test('enters a higher-half kernel where its entry lies physically', () => {
    const content = concat(multiboot1Header(3), u32(0), NOP_PAGE);
    const image = buildElf({
      entry: HIGHER_HALF + 0x10n,
      segments: [{ content, virtualAddress: HIGHER_HALF, physicalAddress: 0x20_0000n }],
    });
    expect(boot(image).plan.entry).toBe(0x20_0010);
  });

  test('finds the header anywhere in the first 8 KiB, also behind a broken one', () => {
    const broken = u32(0x1bad_b002, 3, 1);
    const content = concat(broken, new Uint8Array(8000 - 12), multiboot1Header(3));
    expect(boot(buildElf({ segments: [{ content }] })).plan.protocol).toBe('multiboot1');
  });

  test('loads a flat file by the address fields, up to its end, and clears no file bytes', () => {
    const [header, load] = [0x20_0010, 0x20_0000];
    const image = concat(
      new Uint8Array(16).fill(0x11),
      multiboot1Header(0x1_0003, header, load, 0, 0x20_4000, 0x20_0030),
      NOP_PAGE,
    );
    const memory = boot(image, { modules: MODULES });
    expect(memory.plan.entry).toBe(0x20_0030);
    expect(memory.bytes(load, image.length)).toEqual(image);
    const list = memory.u32(memory.plan.registers.ebx + 24);
    expect(memory.u32(list)).toBe(0x20_4000);
  });

  test('loads what load_end_addr leaves of the file', () => {
    const header = multiboot1Header(0x1_0000, 0x20_0000, 0x20_0000, 0x20_0040, 0, 0x20_0020);
    const memory = boot(concat(header, NOP_PAGE));
    expect(memory.plan.writes[0]!.bytes).toHaveLength(0x40);
    expect(memory.u32(0x20_0040)).toBe(0);
  });

  test('lets the address fields win over the program headers, as the specification says', () => {
    const fields = [0x30_0040, 0x30_0000, 0, 0, 0x30_0060];
    const content = concat(multiboot1Header(0x1_0003, ...fields), NOP_PAGE);
    const image = buildElf({ segments: [{ content }] });
    const memory = boot(image);
    expect(memory.plan.entry).toBe(0x30_0060);
    expect(memory.bytes(0x30_0000, image.length)).toEqual(image);
    expect(memory.u32(memory.plan.registers.ebx) & 0x20).toBe(0);
  });

  test('keeps its information out of a kernel that lies low', () => {
    const content = concat(multiboot1Header(3), NOP_PAGE);
    const image = buildElf({
      entry: 0x8000n,
      segments: [{ content, physicalAddress: 0x8000n, memoryBytes: 0x9000n }],
    });
    const memory = boot(image);
    const addresses = memory.plan.writes.slice(1).map(({ address }) => address);
    expect(Math.min(...addresses)).toBe(0x1_1000);
    const full = buildElf({
      entry: 0x8000n,
      segments: [{ content, physicalAddress: 0x8000n, memoryBytes: 0x9_8000n }],
    });
    expect(boot(full).plan.registers.ebx).toBeGreaterThanOrEqual(0x10_0000);
  });
});

describe('Multiboot 2', () => {
  /** The tags of the information by type; each type once, but for modules. */
  function tagsOf(memory: BootedMemory): Map<number, number[]> {
    const { ebx } = memory.plan.registers;
    const tags = new Map<number, number[]>();
    const end = ebx + memory.u32(ebx);
    expect(ebx % 8).toBe(0);
    for (let at = ebx + 8; at < end; at += Math.ceil(memory.u32(at + 4) / 8) * 8) {
      const type = memory.u32(at);
      tags.set(type, [...(tags.get(type) ?? []), at]);
    }
    return tags;
  }

  test('gives all that the issue asks for, and the end tag', () => {
    const image = buildElf({
      segments: [{ content: concat(multiboot2Header(), NOP_PAGE) }],
      sections: [{ type: 0 }, { type: 3, content: new TextEncoder().encode('\0x\0') }],
    });
    const memory = boot(image, { modules: MODULES });
    expect(memory.plan.protocol).toBe('multiboot2');
    expect(memory.plan.registers.eax).toBe(0x36d7_6289);
    const tags = tagsOf(memory);
    expect([...tags.keys()].sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 6, 9, 14, 15, 21]);
    const at = (type: number): number => tags.get(type)![0]!;
    expect(memory.text(at(1) + 8)).toBe('test capture=stale');
    expect(memory.text(at(2) + 8)).toBe('exoscope');
    expect(memory.words(at(4) + 8, 2)).toEqual([639, 63 * 1024]);
    expect(memory.u32(at(14) + 4)).toBe(8 + 20);
    expect(memory.text(at(14) + 8)).toMatch(/^RSD PTR /);
    expect(memory.bytes(at(15) + 8, 36)).toEqual(rootPointers().current);
    expect(memory.u32(at(21) + 8)).toBe(0x10_0000);
    expect(memory.u32(at(0) + 4)).toBe(8);
  });

  test('maps memory with entries of 24 bytes', () => {
    const memory = boot(kernelWith(multiboot2Header()));
    const at = tagsOf(memory).get(6)![0]!;
    expect(memory.words(at + 4, 3)).toEqual([16 + 24 * MEMORY_MAP.length, 24, 0]);
    const entries = MEMORY_MAP.map((_, index) => at + 16 + 24 * index);
    expect(
      entries.map((entry) => [
        memory.u64(entry),
        memory.u64(entry + 8),
        memory.u32(entry + 16),
        memory.u32(entry + 20),
      ]),
    ).toEqual(MEMORY_MAP.map((entry) => [...entry, 0]));
  });

  test('lists every module with its text', () => {
    const memory = boot(kernelWith(multiboot2Header()), { modules: MODULES });
    const modules = tagsOf(memory)
      .get(3)!
      .map((at) => ({
        content: memory.bytes(memory.u32(at + 8), memory.u32(at + 12) - memory.u32(at + 8)),
        text: memory.text(at + 16),
      }));
    expect(modules).toEqual([
      { content: MODULES[0]!.content, text: 'initrd.img root=/' },
      { content: MODULES[1]!.content, text: 'second' },
    ]);
  });

  test('hands over the section headers with their count, size and name section', () => {
    const strings = new TextEncoder().encode('\0main\0');
    const image = buildElf({
      segments: [{ content: concat(multiboot2Header(), NOP_PAGE) }],
      sections: [{ type: 0 }, { type: 3, content: strings }],
    });
    const memory = boot(image);
    const at = tagsOf(memory).get(9)![0]!;
    expect(memory.words(at + 4, 4)).toEqual([20 + 128, 2, 64, 1]);
    expect(memory.bytes(memory.u32(at + 20 + 64 + 16), strings.length)).toEqual(strings);
  });

  test('honours the entry address tag and ignores optional and EFI tags', () => {
    const header = multiboot2Header(
      multiboot2Tag(1, false, 1, 6, 8),
      multiboot2Tag(3, false, 0x10_0044),
      multiboot2Tag(4, false, 3),
      multiboot2Tag(5, true, 1024, 768, 32),
      multiboot2Tag(6, false),
      multiboot2Tag(7, false),
      multiboot2Tag(10, false, 0x10_0000, 0x100_0000, 0x1000, 1),
      multiboot2Tag(77, true),
    );
    expect(boot(kernelWith(header)).plan.entry).toBe(0x10_0044);
  });

  test('loads a flat file by the address tag', () => {
    const header = multiboot2Header(
      multiboot2Tag(2, false, 0x20_0000, 0x20_0000, 0, 0x20_8000),
      multiboot2Tag(3, false, 0x20_0040),
    );
    const image = concat(header, NOP_PAGE);
    const memory = boot(image, { modules: MODULES });
    expect(memory.plan.entry).toBe(0x20_0040);
    expect(memory.bytes(0x20_0000, image.length)).toEqual(image);
    expect(memory.u32(tagsOf(memory).get(3)![0]! + 8)).toBe(0x20_8000);
  });

  test('loads the whole file when the load address is -1', () => {
    const header = multiboot2Header(
      multiboot2Tag(2, false, 0x20_0010, 0xffff_ffff, 0, 0),
      multiboot2Tag(3, false, 0x20_0000),
    );
    const image = concat(new Uint8Array(16).fill(0x90), header);
    expect(boot(image).plan.writes[0]).toEqual({ address: 0x20_0000, bytes: image });
  });

  test('finds the header up to 32 KiB into the file', () => {
    const content = concat(new Uint8Array(32_000), multiboot2Header());
    expect(boot(buildElf({ segments: [{ content }] })).plan.protocol).toBe('multiboot2');
  });
});

describe('PVH', () => {
  function pvhKernel(descriptor: Uint8Array, segmentType = 4): Uint8Array {
    return buildElf({
      entry: 0n, // PVH does not look at it
      segments: [
        { content: NOP_PAGE },
        {
          type: segmentType,
          content: concat(note('GNU', 3, u32(7)), note('Xen', 18, descriptor)),
          physicalAddress: 0x50_0000n,
        },
      ],
    });
  }

  test.each([
    ['4', u32(0x10_0008)],
    ['8', u64(0x10_0008n)],
  ])('enters where a note of %s bytes says', (_name, descriptor) => {
    const memory = boot(pvhKernel(descriptor), { modules: MODULES });
    expect(memory.plan.protocol).toBe('pvh');
    expect(memory.plan.entry).toBe(0x10_0008);
  });

  test('finds the note in a section when no segment holds it', () => {
    const image = buildElf({
      segments: [{ content: NOP_PAGE }],
      sections: [{ type: 0 }, { type: 7, content: note('Xen', 18, u32(0x10_0000)) }],
    });
    expect(boot(image).plan.protocol).toBe('pvh');
  });

  test('fills in hvm_start_info version 1', () => {
    const memory = boot(pvhKernel(u32(0x10_0008)), { modules: MODULES });
    const { ebx } = memory.plan.registers;
    expect(memory.words(ebx, 4)).toEqual([0x336e_c578, 1, 0, 2]);
    const [modules, commandLine, rsdp, map] = [16, 24, 32, 40].map((offset) =>
      memory.u64(ebx + offset),
    ) as [number, number, number, number];
    expect(memory.text(commandLine)).toBe('test capture=stale');
    expect(rsdp).toBe(RSDP_ADDRESS);
    expect(memory.words(ebx + 48, 2)).toEqual([MEMORY_MAP.length, 0]);
    const entries = MEMORY_MAP.map((_, index) => map + 24 * index);
    expect(
      entries.map((entry) => [memory.u64(entry), memory.u64(entry + 8), memory.u32(entry + 16)]),
    ).toEqual(MEMORY_MAP);
    expect(memory.bytes(memory.u64(modules), memory.u64(modules + 8))).toEqual(MODULES[0]!.content);
    expect(memory.text(memory.u64(modules + 16))).toBe('initrd.img root=/');
    expect(memory.u64(modules + 24)).toBe(0);
  });

  test('gives no list when there is no module', () => {
    const memory = boot(pvhKernel(u32(0x10_0008)));
    expect(memory.u64(memory.plan.registers.ebx + 16)).toBe(0);
  });
});

describe('the choice of the protocol', () => {
  const content = concat(pad(multiboot1Header(3), 8), multiboot2Header(), NOP_PAGE);
  const xen = { type: 4, content: note('Xen', 18, u32(0x10_0040)), physicalAddress: 0x50_0000n };

  test('takes Multiboot 1, then PVH, then Multiboot 2', () => {
    expect(boot(buildElf({ segments: [{ content }, xen] })).plan.protocol).toBe('multiboot1');
    const without1 = content.slice(16);
    expect(boot(buildElf({ segments: [{ content: without1 }, xen] })).plan.protocol).toBe('pvh');
    expect(boot(buildElf({ segments: [{ content: without1 }] })).plan.protocol).toBe('multiboot2');
  });

  test.each(['multiboot1', 'multiboot2', 'pvh'] as const)('can be forced to %s', (protocol) => {
    const image = buildElf({ segments: [{ content }, xen] });
    expect(boot(image, {}, protocol).plan.protocol).toBe(protocol);
  });

  test('passes over a Multiboot 1 header with a wrong checksum when there is another', () => {
    const spoiled = concat(u32(0x1bad_b002, 3, 0, 0), multiboot2Header(), NOP_PAGE);
    expect(boot(buildElf({ segments: [{ content: spoiled }] })).plan.protocol).toBe('multiboot2');
  });
});

describe('our own kernel', () => {
  const path = new URL('../../../kernel/images/kernel.elf', import.meta.url);

  test.each(['multiboot1', 'multiboot2', 'pvh'] as const)('starts by %s', (protocol) => {
    expect(existsSync(path), 'kernel/images/kernel.elf is there').toBe(true);
    const memory = boot(new Uint8Array(readFileSync(path)), {}, protocol);
    const { plan } = memory;
    expect(plan.protocol).toBe(protocol);
    expect(memory.bytes(plan.entry, 4).some((byte) => byte !== 0)).toBe(true);
    const ranges = plan.writes.map(({ address, bytes }) => [address, address + bytes.length]);
    ranges.sort((left, right) => left[0]! - right[0]!);
    ranges.slice(1).forEach((range, index) => {
      expect(range[0]).toBeGreaterThanOrEqual(ranges[index]![1]!);
    });
  });
});
