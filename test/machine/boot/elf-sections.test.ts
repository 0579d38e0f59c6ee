import { describe, expect, test } from 'vitest';
import { planBoot } from '../../../machine/boot/loader.ts';
import { buildElf, concat, multiboot1Header, multiboot2Header, NOP_PAGE } from './image-builder.ts';

const SHT_SYMTAB = 2;

/** A kernel as a file is read: in a Node Buffer, whose slice() copies nothing. */
function kernelInBuffer(header: Uint8Array, elfClass: 32 | 64): Buffer {
  return Buffer.from(
    buildElf({
      class: elfClass,
      ...(elfClass === 32 ? { machine: 3 } : {}),
      segments: [
        {
          content: concat(header, NOP_PAGE),
          virtualAddress: 0x10_0000n,
          physicalAddress: 0x10_0000n,
        },
      ],
      sections: [{ type: 0 }, { type: SHT_SYMTAB, content: new Uint8Array(32).fill(0x5a) }],
    }),
  );
}

describe('the section headers that Multiboot hands over', () => {
  test.each([
    ['Multiboot 1, ELF32', multiboot1Header(0), 32],
    ['Multiboot 1, ELF64', multiboot1Header(0), 64],
    ['Multiboot 2, ELF64', multiboot2Header(), 64],
  ] as const)('are a copy: the image stays as it is (%s)', (_, header, elfClass) => {
    const image = kernelInBuffer(header, elfClass);
    const before = Buffer.from(image);
    const request = { image, imageName: 'kernel.elf', commandLine: '', modules: [] };
    const { writes } = planBoot({ ...request, memoryBytes: 2 ** 24 });
    expect(image.equals(before)).toBe(true);
    const symbols = writes.find(({ bytes }) => bytes.length === 32 && bytes[0] === 0x5a);
    const wordBytes = elfClass / 8;
    const address = Buffer.alloc(wordBytes);
    address.writeUInt32LE(symbols?.address ?? 0);
    const named = writes.filter(({ bytes }) => Buffer.from(bytes).includes(address));
    expect(named.length).toBe(1);
  });
});
