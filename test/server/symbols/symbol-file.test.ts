import { describe, expect, it } from 'vitest';
import { parseSymbolArgument } from '../../../server/commands/symbol-arguments.ts';
import { readElf } from '../../../server/symbols/elf-file.ts';
import {
  allSymbols,
  readSymbolFile,
  type SymbolFile,
  type SymbolPlacement,
} from '../../../server/symbols/symbol-file.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { executablePath, offeredSymbolFiles } from '../../../server/target/machine-files.ts';
import { KERNEL_IMAGE, KERNEL_SYMBOLS } from '../fake-exo.ts';

const ELF = readElf(KERNEL_IMAGE)!;
const STRIPPED = { ...ELF, sections: [] };
const FORK = KERNEL_SYMBOLS.find('sys_fork')!.address;

function symbolFile(placement: SymbolPlacement, name = 'some/where/kernel.elf'): SymbolFile {
  const file = readSymbolFile(name, KERNEL_IMAGE, placement);
  if (typeof file === 'string') throw new Error(file);
  return file;
}

describe('the argument of --symbols', () => {
  it('is a file, or a file and where it is', () => {
    const placement = (word: string) => parseSymbolArgument(word).placement;
    expect(parseSymbolArgument('a/b.elf')).toEqual({
      path: 'a/b.elf',
      placement: { kind: 'as linked' },
    });
    expect(placement('b@0xfFff')).toEqual({ kind: 'text at', address: 0xffffn });
    expect(placement('b@4096')).toEqual({ kind: 'text at', address: 4096n });
    expect(placement('b@+0x10')).toEqual({ kind: 'moved by', offset: 0x10n });
    expect(placement('b@-0x10')).toEqual({ kind: 'moved by', offset: -0x10n });
  });

  it('may have an @ in its name, if one more follows', () => {
    const expected = { path: 'a@2', placement: { kind: 'moved by', offset: 0n } };
    expect(parseSymbolArgument('a@2@+0')).toEqual(expected);
  });
});

describe('a file of symbols', () => {
  it('is where it was linked, where its .text is said to be, or moved by an offset', () => {
    const at = (placement: SymbolPlacement) => symbolFile(placement).symbols.find('sys_fork');
    const text = ELF.sections.find(({ name }) => name === '.text')!.address;
    expect(at({ kind: 'as linked' })?.address).toBe(FORK);
    expect(at({ kind: 'moved by', offset: -0x1000n })?.address).toBe(FORK - 0x1000n);
    expect(at({ kind: 'text at', address: text + 0x20_0000n })?.address).toBe(FORK + 0x20_0000n);
  });

  it('wraps around the end of the address space', () => {
    const { symbols } = symbolFile({ kind: 'moved by', offset: 1n << 63n });
    expect(symbols.find('sys_fork')?.address).toBe(BigInt.asUintN(64, FORK + (1n << 63n)));
    expect(symbols.describe(BigInt.asUintN(64, FORK + (1n << 63n)))).toBe('sys_fork');
  });

  it('is refused in words when it has nothing to give', () => {
    const refusal = (content: Uint8Array) => readSymbolFile('x', content, { kind: 'as linked' });
    expect(refusal(new Uint8Array(100))).toBe('it is not a little-endian ELF file');
    expect(refusal(KERNEL_IMAGE.subarray(0, 0x1000))).toBe('it has no symbols: it is stripped');
    expect(refusal(KERNEL_IMAGE.subarray(0, 64))).toMatch(/no loadable segment/);
  });

  it("goes before the image's own symbols by name, and beside them by address", () => {
    const moved = symbolFile({ kind: 'moved by', offset: 0x10_0000n });
    const table = allSymbols(ELF, [moved]);
    expect(table.find('sys_fork')?.address).toBe(FORK + 0x10_0000n);
    expect(table.describe(FORK)).toBe('sys_fork');
    expect(table.describe(FORK + 0x10_0000n)).toBe('sys_fork');
    expect(table.size).toBe(2 * SymbolTable.fromElf(ELF).size);
  });
});

describe('what debuggers read symbols from by themselves', () => {
  const asLinked = symbolFile({ kind: 'as linked' });
  const path = (image: typeof ELF | undefined, ...files: SymbolFile[]): string | undefined =>
    executablePath('a/image.elf', image, files);

  it('is the image, if it has symbols or nothing else was given', () => {
    expect(path(ELF)).toBe('/boot/image.elf');
    expect(path(ELF, asLinked)).toBe('/boot/image.elf');
    expect(path(STRIPPED)).toBe('/boot/image.elf');
  });

  it('is nothing where nothing fits', () => {
    expect(path(undefined)).toBeUndefined();
    expect(path(STRIPPED, symbolFile({ kind: 'moved by', offset: 1n }))).toBeUndefined();
    expect(path({ ...STRIPPED, entry: 1n }, asLinked)).toBeUndefined();
  });

  it('is the symbol file that was linked as a stripped or flat image is', () => {
    expect(path(STRIPPED, asLinked)).toBe('/boot/symbols/kernel.elf');
    expect(path(undefined, asLinked)).toBe('/boot/symbols/kernel.elf');
  });

  it('never is a path of the host, and of two with one name the first is offered', () => {
    const second = { ...symbolFile({ kind: 'as linked' }, 'C:\\x\\kernel.elf'), content: ELF_TAIL };
    const offered = offeredSymbolFiles([asLinked, second]);
    expect(new Map(offered.map(({ path: name, content }) => [name, content]))).toEqual(
      new Map([['/boot/symbols/kernel.elf', KERNEL_IMAGE]]),
    );
  });
});

const ELF_TAIL = KERNEL_IMAGE.subarray(1);
