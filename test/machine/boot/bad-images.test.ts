import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planBoot } from '../../../machine/boot/loader.ts';
import { ImageError } from '../../../machine/boot/boot-protocol.ts';
import { refusal, request } from './booted-memory.ts';
import type { ElfOptions, SegmentOptions } from './image-builder.ts';
import {
  NOP_PAGE,
  buildElf,
  concat,
  multiboot1Header,
  multiboot2Header,
  multiboot2Tag,
  note,
  pad,
  u16,
  u32,
} from './image-builder.ts';

const BOOTABLE = concat(multiboot1Header(3), NOP_PAGE);

function multiboot1Elf(segment: SegmentOptions, options: ElfOptions = {}): Uint8Array {
  return buildElf({ ...options, segments: [{ content: BOOTABLE, ...segment }] });
}

function withTag(type: number, isOptional: boolean, ...words: number[]): Uint8Array {
  return buildElf({
    segments: [{ content: multiboot2Header(multiboot2Tag(type, isOptional, ...words)) }],
  });
}

function fileWith(lengthBytes: number, offset: number, content: string | number[]): Uint8Array {
  const file = new Uint8Array(lengthBytes);
  file.set(typeof content === 'string' ? new TextEncoder().encode(content) : content, offset);
  return file;
}

const ENORMOUS = 0xffff_ffff_ffff_fff0n;

describe('a bad image is refused in one line that says what to do', () => {
  test.each([
    ['an empty file', new Uint8Array(0), 'the file is empty'],
    ['random text', new TextEncoder().encode('hello kernel'), 'not a kernel image of a known kind'],
    [
      'a gzip file',
      new Uint8Array(gzipSync(NOP_PAGE)),
      'compressed with gzip; decompress it first',
    ],
    ['an xz file', fileWith(100, 0, [0xfd, 0x37, 0x7a, 0x58, 0x5a]), 'compressed with xz'],
    ['a zstd file', fileWith(100, 0, [0x28, 0xb5, 0x2f, 0xfd]), 'compressed with zstd'],
    ['a PE file', fileWith(100, 0, 'MZ'), 'a PE (EFI or Windows) file'],
    ['a Mach-O file', fileWith(100, 0, [0xcf, 0xfa, 0xed, 0xfe]), 'a Mach-O file'],
    ['an archive', fileWith(100, 0, '!<arch>\n'), 'an archive (ar)'],
    ['an a.out file', fileWith(100, 0, [0x0b, 0x01]), 'an a.out file'],
    ['a CD image', fileWith(0x9000, 0x8001, 'CD001'), 'a CD image'],
    ['a script', fileWith(100, 0, '#!/bin/sh'), 'a script'],
    ['a boot sector', fileWith(512, 510, [0x55, 0xaa]), 'a boot sector or disk image'],
    ['an ELF program', buildElf(), 'without a Multiboot 1, Multiboot 2 or PVH header'],
    ['an ELF header cut off', buildElf().slice(0, 40), 'truncated inside the ELF header'],
    ['an ELF signature alone', buildElf().slice(0, 4), 'truncated inside the ELF header'],
    ['an unknown class', multiboot1Elf({}, { elfClass: 3 }), 'ELF class 3 is unknown'],
    ['a big-endian file', multiboot1Elf({}, { endianness: 2 }), 'big-endian'],
    ['64-bit ARM', multiboot1Elf({}, { machine: 183 }), 'an ELF64 file for 64-bit ARM'],
    ['an x32 file', multiboot1Elf({}, { class: 32, machine: 62 }), 'it must be for i386'],
    ['an object file', multiboot1Elf({}, { type: 1 }), 'a relocatable object; link it first'],
    ['a core dump', multiboot1Elf({}, { type: 4 }), 'a core dump'],
    ['a file without its tables', multiboot1Elf({}).slice(0, 120), 'truncated: program headers'],
    [
      'no entry',
      multiboot1Elf({}, { entry: 0n }),
      'no entry point; give the linker script an ENTRY',
    ],
    ['a far entry', multiboot1Elf({}, { entry: 0x90_0000n }), 'lies outside the image'],
    ['no segment', multiboot1Elf({ type: 6 }), 'without a loadable segment'],
    ['a segment outside RAM', multiboot1Elf({ physicalAddress: 0x800_0000n }), '--memory 129M'],
    ['a segment above 2 GiB', multiboot1Elf({ physicalAddress: 1n << 40n }), 'below 2 GiB'],
    ['a huge segment', multiboot1Elf({ memoryBytes: ENORMOUS }), 'RAM ends at'],
    ['a segment that wraps', multiboot1Elf({ physicalAddress: ENORMOUS }), 'RAM ends at'],
    ['a segment in video memory', multiboot1Elf({ physicalAddress: 0xb_8000n }), 'video and BIOS'],
    ['a segment past the file', multiboot1Elf({ fileBytes: 1n << 20n }), 'truncated: segment 0'],
    ['an offset past the file', multiboot1Elf({ fileOffset: ENORMOUS }), 'truncated: segment 0'],
    ['more file than memory', multiboot1Elf({ memoryBytes: 8n }), 'bytes in the file'],
    [
      'overlapping segments',
      buildElf({ segments: [{ content: BOOTABLE }, { content: NOP_PAGE }] }),
      'overlap in memory',
    ],
    [
      'a section past the file',
      buildElf({
        segments: [{ content: BOOTABLE }],
        sections: [{ type: 0 }, { type: 2, lengthBytes: ENORMOUS }],
      }),
      'truncated: section 1',
    ],
    [
      'a wrong Multiboot 1 checksum',
      buildElf({ segments: [{ content: u32(0x1bad_b002, 3, 5) }] }),
      'Multiboot 1 header at byte 0x40 has a wrong checksum',
    ],
    [
      'unknown Multiboot 1 demands',
      buildElf({ segments: [{ content: multiboot1Header(0x13) }] }),
      'demands features 0x10',
    ],
    ['a flat file without address fields', BOOTABLE, 'set flag bit 16'],
    ['a cut Multiboot 1 header', multiboot1Header(0x1_0000), 'truncated inside the Multiboot 1'],
    [
      'address fields before the file',
      multiboot1Header(0x1_0000, 0x20_0040, 0x20_0000, 0, 0, 0x20_0000),
      'its Multiboot 1 addresses are wrong',
    ],
    [
      'load_end_addr past the file',
      multiboot1Header(0x1_0000, 0x20_0000, 0x20_0000, 0x30_0000, 0, 0x20_0000),
      'truncated: load_end_addr',
    ],
    [
      'a flat file with a far entry',
      multiboot1Header(0x1_0000, 0x20_0000, 0x20_0000, 0, 0, 0x1000),
      'lies outside the image',
    ],
    [
      'a wrong Multiboot 2 checksum',
      buildElf({ segments: [{ content: u32(0xe852_50d6, 0, 24, 1, 0, 8) }] }),
      'Multiboot 2 header at byte 0x40 has a wrong checksum',
    ],
    ['a demanded framebuffer', withTag(5, false, 1024, 768, 32), 'make that header tag optional'],
    ['a demanded unknown tag', withTag(40, false), 'demands Multiboot 2 header tag 40'],
    ['unknown information', withTag(1, false, 6, 99), 'unknown Multiboot 2 information 99'],
    ['an address tag cut short', withTag(2, false, 1), 'tag 2, which is not supported or broken'],
    ['an address tag without entry', withTag(2, false, 0, 0, 0, 0), 'without an entry address tag'],
    [
      'a tag of size 0',
      buildElf({ segments: [{ content: multiboot2Header(concat(u16(1, 0), u32(0))) }] }),
      'tag 1 has a wrong size, 0',
    ],
    [
      'a Multiboot 2 header past the file',
      concat(u32(0xe852_50d6, 0, 0x1000_0000, -(0xe852_50d6 + 0x1000_0000) >>> 0)),
      'truncated: its Multiboot 2 header',
    ],
    ['a flat Multiboot 2 file', multiboot2Header(), 'needs an address tag'],
    [
      'a PVH note of 2 bytes',
      buildElf({
        segments: [{ content: NOP_PAGE }, { type: 4, content: note('Xen', 18, u16(1)) }],
      }),
      'its PVH entry note has 2 bytes',
    ],
  ])('%s', (_name, image, expected) => {
    const message = refusal(image);
    expect(message).toMatch(/^kernel\.elf: [^\n]+$/);
    expect(message).toContain(expected);
    expect(message.length).toBeLessThan(200);
  });

  test('a module that does not fit names the memory that would do', () => {
    const content = new Uint8Array(70 * 2 ** 20);
    const modules = [{ name: 'initrd', commandLine: '', content }];
    expect(refusal(multiboot1Elf({}), { modules })).toBe(
      'kernel.elf: module initrd does not fit into RAM; start with --memory 72M or more',
    );
  });

  test('a forced protocol that is not there', () => {
    expect(refusal(multiboot1Elf({}), {}, 'pvh')).toContain('no PVH header');
    expect(refusal(multiboot1Elf({}), {}, 'multiboot2')).toContain('no Multiboot 2 header');
  });

  test('a name with a line break is still one line', () => {
    expect(refusal(new Uint8Array(0), { imageName: 'a\nb' })).not.toContain('\n');
  });
});

describe('a mutated image either starts or is refused, and quickly', () => {
  const headers = concat(
    pad(multiboot1Header(3), 8),
    multiboot2Header(multiboot2Tag(1, false, 1, 3, 6), multiboot2Tag(3, true, 0x10_0000)),
    NOP_PAGE,
  );
  const sections = [
    { type: 0 },
    { type: 2, content: NOP_PAGE },
    { type: 3, content: new TextEncoder().encode('\0main\0') },
    { type: 7, content: note('Xen', 18, u32(0x10_0000)) },
  ];
  const segments = [
    { content: headers, memoryBytes: 0x4000n },
    { type: 4, content: note('Xen', 18, u32(0x10_0000)), physicalAddress: 0x30_0000n },
  ];
  const flat = concat(
    multiboot1Header(0x1_0003, 0x20_0000, 0x20_0000, 0, 0x20_4000, 0x20_0020),
    NOP_PAGE,
  );
  const originals = [
    buildElf({ segments, sections }),
    buildElf({ class: 32, segments, sections }),
    flat,
  ];
  const interesting = fc.constantFrom(0, 1, 0x7f, 0x80, 0xff);
  const mutation = fc.record({
    at: fc.nat(),
    bytes: fc.array(fc.oneof(interesting, fc.nat({ max: 255 })), { minLength: 1, maxLength: 8 }),
  });
  const mutated = fc
    .record({
      image: fc.constantFrom(...originals),
      mutations: fc.array(mutation, { maxLength: 4 }),
      keep: fc.option(fc.nat({ max: 1000 }), { freq: 3 }),
    })
    .map(({ image, mutations, keep }) => {
      const copy = keep === null ? image.slice() : image.slice(0, keep);
      for (const { at, bytes } of mutations) {
        bytes.forEach((byte, index) => {
          if (copy.length > 0) copy[(at + index) % copy.length] = byte;
        });
      }
      return copy;
    });

  test.each([undefined, 'multiboot1', 'multiboot2', 'pvh'] as const)('by %s', (protocol) => {
    const outcomes = { planned: 0, refused: 0 };
    fc.assert(
      fc.property(mutated, (image) => {
        try {
          const plan = planBoot(request(image), protocol);
          outcomes.planned++;
          for (const { address, bytes } of plan.writes) {
            expect(address + bytes.length).toBeLessThanOrEqual(64 * 2 ** 20);
          }
        } catch (error) {
          if (!(error instanceof ImageError)) throw error;
          outcomes.refused++;
          expect(error.message).toMatch(/^kernel\.elf: [^\n]{10,}$/);
        }
      }),
      { numRuns: 3000 },
    );
    expect(Math.min(outcomes.planned, outcomes.refused)).toBeGreaterThan(30);
  });

  test('random bytes behind each signature', () => {
    const signatures = [
      Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 2, 1),
      Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 1, 1),
      multiboot1Header(0x1_0000),
      u32(0xe852_50d6, 0, 512, -(0xe852_50d6 + 512) >>> 0),
    ];
    fc.assert(
      fc.property(
        fc.constantFrom(...signatures),
        fc.uint8Array({ maxLength: 1000 }),
        (signature, rest) => {
          try {
            planBoot(request(concat(signature, rest)));
          } catch (error) {
            if (!(error instanceof ImageError)) throw error;
          }
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a file that is all tables takes no longer than its size asks for', () => {
    const count = 60_000;
    const many = (type: number, index: number): SegmentOptions => ({
      type,
      fileOffset: 64n,
      fileBytes: 0x1_0000n,
      physicalAddress: BigInt(0x9000 + 2 * index),
      memoryBytes: 1n,
    });
    const notes = buildElf({
      segments: Array.from({ length: count }, (_, index) => many(4, index)),
    });
    const loads = buildElf({
      segments: [
        { content: BOOTABLE },
        ...Array.from({ length: count }, (_, index) => ({ ...many(1, index), fileBytes: 1n })),
      ],
    });
    // Work that grows with the square of the size would run into the test's time limit.
    for (const image of [notes, loads]) {
      try {
        planBoot(request(image));
      } catch (error) {
        if (!(error instanceof ImageError)) throw error;
      }
    }
  });
});
