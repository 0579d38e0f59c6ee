import { describe, expect, it } from 'vitest';
import type { ElfFile } from '../../../server/symbols/elf-file.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { architectureOf } from '../../../server/target/image-architecture.ts';

const EM_386 = 3;
const EM_X86_64 = 62;
const TO_LONG_MODE = [0x90, 0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32];

function elf(machine: number, debugInfo: readonly number[] = [], code = [0x90]): ElfFile {
  const place = { address: 0n, fileOffset: 0n, memoryBytes: 0n };
  const segment = { ...place, type: 1, isWritable: false, isExecutable: true };
  return {
    is64Bit: machine === EM_X86_64,
    machine,
    entry: 0n,
    sections: [
      {
        ...{ name: '.debug_info', type: 1, address: 0n, link: 0, entrySize: 0 },
        content: Uint8Array.from(debugInfo),
      },
    ],
    segments: [{ ...segment, content: Uint8Array.from(code) }],
  };
}

/** A unit of DWARF 4 or 5 with nothing in it. */
function unit(version: 4 | 5, addressBytes: number): number[] {
  const rest = version === 5 ? [1, addressBytes, 0, 0, 0, 0] : [0, 0, 0, 0, addressBytes];
  return [2 + rest.length, 0, 0, 0, version, 0, ...rest];
}

const of = (image: ElfFile | undefined): string => architectureOf(image, []);

describe('debuggers take the machine', () => {
  it('of an ELF for i386 for an i386', () => {
    expect(of(elf(EM_386))).toBe('i386');
    expect(of(elf(EM_386, [...unit(4, 4), ...unit(5, 4)]))).toBe('i386');
  });

  it('of an ELF64 or of what is no ELF for an x86-64', () => {
    expect(of(elf(EM_X86_64))).toBe('x86-64');
    expect(of(undefined)).toBe('x86-64');
  });

  it.each([4, 5] as const)(
    'of an ELF for i386 with addresses of 8 bytes for an x86-64',
    (version) => {
      expect(of(elf(EM_386, [...unit(5, 4), ...unit(version, 8)]))).toBe('x86-64');
    },
  );

  it('of a stripped one by its way to long mode, which a 32-bit kernel with DWARF may have', () => {
    expect(of(elf(EM_386, [], TO_LONG_MODE))).toBe('x86-64');
    expect(of(elf(EM_386, unit(5, 4), TO_LONG_MODE))).toBe('i386');
  });

  it.each([
    ['cut in its header', unit(5, 8).slice(0, 9)],
    ['of a length beyond all', [0xff, 0xff, 0xff, 0x7f, 4, 0, 0, 0, 0, 0, 4]],
    ['of the 64-bit form', [0xff, 0xff, 0xff, 0xff, ...unit(5, 8)]],
    ['of no version that is known', [7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 8, 0]],
    ['compressed', [1, 0, 0, 0, 0xfa, 0x01, 0, 0, 1, 0, 0, 0, 0x78, 0x9c]],
  ])('whatever the debug information is: %s', (_, debugInfo) => {
    expect(of(elf(EM_386, debugInfo))).toBe('i386');
  });

  it("as the user's symbols are, before the image", () => {
    const symbols = {
      name: 'kernel',
      content: new Uint8Array(),
      offset: 0n,
      symbols: new SymbolTable([]),
    };
    const names = { ...symbols, elf: undefined };
    expect(architectureOf(elf(EM_386), [names, { ...symbols, elf: elf(EM_X86_64) }])).toBe(
      'x86-64',
    );
    expect(architectureOf(elf(EM_X86_64), [{ ...symbols, elf: elf(EM_386) }])).toBe('i386');
    expect(architectureOf(elf(EM_386), [names])).toBe('i386');
  });
});
