/** The file that lldb reads from memory: 512 bytes with all headers, and what they lead to. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readElf } from '../../../server/symbols/elf-file.ts';
import { memoryElf } from '../../../server/symbols/memory-elf.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';

const TABLES = 0xfffe_0000_0000_0000n;
const KERNEL = readElf(readFileSync('kernel/images/kernel.elf'))!;

describe('a file to be read from memory', () => {
  const pieces = memoryElf(KERNEL, TABLES)!;
  const [header, ...tables] = pieces;
  /** As lldb sees it: contents are where the section headers say. */
  const seen = readElf(header!.bytes)!;
  const at = (address: bigint): Uint8Array =>
    pieces.find((piece) => piece.address === address)!.bytes;

  it('has all its headers in the first 512 bytes, at the first segment', () => {
    expect(header!.bytes).toHaveLength(512);
    expect(header!.address).toBe(0x10_0000n);
    expect(seen.segments.map(({ type, address }) => [type, address])).toEqual([[1, 0x10_0000n]]);
    expect(seen.sections).toHaveLength(7);
    expect(seen.sections.map(({ name }) => name)).toContain('.debug_frame');
    expect(seen.entry).toBe(KERNEL.entry);
  });

  it('has the same symbols at the same addresses', () => {
    const symbols = seen.sections.find(({ type }) => type === 2)!;
    const strings = seen.sections[symbols.link]!;
    const sections = [
      { ...symbols, link: 1, content: at(symbols.address) },
      { ...strings, content: at(strings.address) },
    ];
    const table = SymbolTable.fromElf({ ...seen, sections });
    const whole = SymbolTable.fromElf(KERNEL);
    for (const name of ['sys_fork', 'timer_ticks', 'context_switch', 'exo_debug']) {
      expect(table.find(name)?.address).toBe(whole.find(name)!.address);
    }
  });

  it('leaves the image as it is, although it was read into a Node Buffer', () => {
    const image = readFileSync('kernel/images/kernel.elf');
    const before = Buffer.from(image);
    memoryElf(readElf(image)!, TABLES);
    expect(image.equals(before)).toBe(true);
  });

  it('has one table behind the other, and nothing else than the kernel has', () => {
    let next = TABLES;
    for (const { address, bytes } of tables) {
      expect(address).toBe(next);
      next += BigInt(bytes.length);
    }
    const frames = KERNEL.sections.find(({ name }) => name === '.debug_frame')!;
    expect(tables.at(-1)!.bytes).toEqual(frames.content);
  });

  it('is none of a file without symbols, of 32 bits, or without anything to load', () => {
    const sections = KERNEL.sections.filter(({ type }) => type !== 2);
    expect(memoryElf({ ...KERNEL, sections }, TABLES)).toBeUndefined();
    expect(memoryElf({ ...KERNEL, is64Bit: false }, TABLES)).toBeUndefined();
    expect(memoryElf({ ...KERNEL, segments: [] }, TABLES)).toBeUndefined();
  });

  it('takes a symbol table that is cut off or lies', () => {
    const symbols = KERNEL.sections.findIndex(({ type }) => type === 2);
    const content = new Uint8Array(100).fill(0xff);
    const sections = KERNEL.sections.with(symbols, { ...KERNEL.sections[symbols]!, content });
    const [, table] = memoryElf({ ...KERNEL, sections }, TABLES)!;
    expect(table!.bytes).toHaveLength(96);
    expect([...table!.bytes.subarray(6, 8)]).toEqual([0, 0]);
  });
});
