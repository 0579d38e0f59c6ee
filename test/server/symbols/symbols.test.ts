import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { readElf, readLoaded, readNotes } from '../../../server/symbols/elf-file.ts';
import { type ElfSymbol, SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { missing } from '../../tools.ts';
import { KERNEL_IMAGE, KERNEL_PATH, KERNEL_SYMBOLS } from '../fake-exo.ts';

function symbol(name: string, address: bigint, size = 0n, isFunction = true): ElfSymbol {
  return { name, address, size, isFunction };
}

describe('the symbol table', () => {
  it('names an address by the symbol that covers it', () => {
    const table = new SymbolTable([symbol('first', 0x100n, 0x10n), symbol('next', 0x120n, 4n)]);
    expect(table.describe(0x100n)).toBe('first');
    expect(table.describe(0x10fn)).toBe('first+15');
    expect(table.describe(0x110n)).toBe('');
    expect(table.describe(0x121n)).toBe('next+1');
    expect(table.describe(0xffn)).toBe('');
  });

  it('gives a return address to the function that made the call, even from its last byte', () => {
    const table = new SymbolTable([symbol('caller', 0x100n, 0x10n), symbol('next', 0x110n, 4n)]);
    expect(table.describeReturn(0x110n)).toBe('caller+16');
    expect(table.describe(0x110n)).toBe('next');
  });

  it('has no names that a terminal would obey', () => {
    const table = new SymbolTable([symbol('\x1b]0;title\x07main\x9b31m', 0x100n, 8n)]);
    expect(table.describe(0x101n)).toBe('?]0;title?main?31m+1');
    expect(table.movedBy(8n).describe(0x108n)).toBe('?]0;title?main?31m');
  });

  it('prefers a function to a label at the same address', () => {
    const label = symbol('label', 0x100n, 0n, false);
    expect(new SymbolTable([symbol('run', 0x100n, 8n), label]).describe(0x100n)).toBe('run');
    expect(new SymbolTable([label, symbol('run', 0x100n, 8n)]).describe(0x100n)).toBe('run');
  });

  it('lets a label without size reach as far as the next symbol', () => {
    const table = new SymbolTable([symbol('label', 0x100n), symbol('next', 0x200n, 4n)]);
    expect(table.describe(0x1ffn)).toBe('label+255');
    expect(table.describe(0x300n)).toBe('');
  });
});

describe('the ELF reader', () => {
  it.skipIf(missing('nm'))('reads the symbols of the kernel as nm does', () => {
    const output = spawnSync('nm', [KERNEL_PATH], { encoding: 'utf8' }).stdout;
    const lines = output.trim().split('\n');
    expect(lines.length).toBeGreaterThan(100);
    for (const line of lines.filter((text) => / [tT] /.test(text))) {
      const [value, , name] = line.split(' ');
      expect(KERNEL_SYMBOLS.at(BigInt(`0x${value!}`))?.offset, name).toBe(0n);
    }
  });

  it('finds what the image loads at an address, and nothing where it loads nothing', () => {
    const file = readElf(KERNEL_IMAGE)!;
    const { address } = KERNEL_SYMBOLS.find('exo_debug')!;
    expect(Buffer.from(readLoaded(file, address, 8)).toString()).toBe('EXODEBUG');
    expect(readLoaded(file, 0x1234n, 8)).toHaveLength(0);
  });

  it('reads notes with their owner and description', () => {
    const note = readNotes(readElf(KERNEL_IMAGE)!).find(({ owner }) => owner === 'Exo');
    expect(note?.description).toHaveLength(8);
  });

  it('survives every truncation and any damaged byte', () => {
    for (let length = 0; length < 4096; length += 13) read(KERNEL_IMAGE.subarray(0, length));
    const damage = fc.array(
      fc.tuple(fc.integer({ min: 0, max: KERNEL_IMAGE.length - 1 }), fc.integer({ max: 255 })),
      { minLength: 1, maxLength: 40 },
    );
    const property = fc.property(damage, fc.boolean(), (changes, inHeader) => {
      const copy = Uint8Array.from(KERNEL_IMAGE);
      for (const [offset, value] of changes) copy[inHeader ? offset % 512 : offset] = value;
      read(copy);
    });
    fc.assert(property, { numRuns: 100 });
  });

  it('says that something else is no ELF file', () => {
    expect(readElf(new Uint8Array(64))).toBeUndefined();
    expect(SymbolTable.fromElf(undefined).size).toBe(0);
  });
});

function read(bytes: Uint8Array): void {
  const file = readElf(bytes);
  const table = SymbolTable.fromElf(file);
  expect(table.describe(0xffff_ffff_8010_1000n)).toBeTypeOf('string');
  if (file !== undefined) expect(readNotes(file)).toBeInstanceOf(Array);
}
