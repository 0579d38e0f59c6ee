/**
 * Image and symbol files that nobody linked: whatever they claim, reading them ends soon, costs memory
 * in proportion to the file, and a file that cannot be started is refused in one line. `FUZZ_IMAGES=100000`
 * is the long run.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ImageError, Machine } from '../../machine/index.ts';
import { planBoot } from '../../machine/boot/loader.ts';
import { readSymbolFile } from '../../server/symbols/symbol-file.ts';
import { KERNEL_IMAGE } from '../server/fake-exo.ts';
import { costOf, readWhole } from './read-whole.ts';

const RUNS = Number(process.env['FUZZ_IMAGES'] ?? 400);
const MIB = 1 << 20;
const HEADER_BYTES = 64;
const SECTION_BYTES = 64;
const SYMBOL_BYTES = 24;

interface EvilSection {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  readonly link?: number;
}

/** An ELF64 whose section headers stand behind its header, with `content` behind them. */
function elfWithSections(sections: readonly EvilSection[], content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(contentStart(sections.length) + content.length);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(40, BigInt(HEADER_BYTES), true);
  view.setUint16(58, SECTION_BYTES, true);
  view.setUint16(60, sections.length, true);
  sections.forEach(({ type, offset, size, link = 0 }, index) => {
    const start = HEADER_BYTES + index * SECTION_BYTES;
    view.setUint32(start + 4, type, true);
    view.setBigUint64(start + 24, BigInt(offset), true);
    view.setBigUint64(start + 32, BigInt(size), true);
    view.setUint32(start + 40, link, true);
  });
  bytes.set(content, contentStart(sections.length));
  return bytes;
}

function contentStart(sections: number): number {
  return HEADER_BYTES + sections * SECTION_BYTES;
}

function boot(image: Uint8Array): string | undefined {
  try {
    const request = { image, imageName: 'x', commandLine: '', modules: [], memoryBytes: 16 * MIB };
    const { writes } = planBoot(request);
    const loaded = writes.reduce((sum, { bytes }) => sum + bytes.length, 0);
    expect(loaded).toBeLessThanOrEqual(16 * MIB);
    return undefined;
  } catch (error) {
    expect(error).toBeInstanceOf(ImageError);
    return (error as Error).message;
  }
}

describe('a hostile ELF file', { timeout: 3_600_000 }, () => {
  it('with a hundred thousand names in one endless string is read at once', () => {
    const symbols = new Uint8Array(100_000 * SYMBOL_BYTES);
    const view = new DataView(symbols.buffer);
    for (let index = 0; index < 100_000; index++) {
      view.setUint32(index * SYMBOL_BYTES, index, true);
      symbols[index * SYMBOL_BYTES + 4] = 2;
      view.setUint16(index * SYMBOL_BYTES + 6, 1, true);
      view.setBigUint64(index * SYMBOL_BYTES + 8, BigInt(index), true);
    }
    const names = Buffer.alloc(8 * MIB, 'x');
    const start = contentStart(2);
    const bytes = elfWithSections(
      [
        { type: 2, offset: start, size: symbols.length, link: 1 },
        { type: 3, offset: start + symbols.length, size: names.length },
      ],
      Buffer.concat([symbols, names]),
    );
    const { ms, heapBytes } = costOf(() => {
      expect(readWhole(bytes).names).toBeGreaterThan(1000);
    });
    expect(ms).toBeLessThan(5000);
    expect(heapBytes).toBeLessThan(600 * MIB);
  });

  it('whose every section is the whole file, full of notes, is read at once', () => {
    const notes = new Uint8Array(2 * MIB);
    const count = 4000;
    const whole = contentStart(count) + notes.length;
    const sections = Array.from({ length: count }, () => ({ type: 7, offset: 0, size: whole }));
    const bytes = elfWithSections(sections, notes);
    const { ms } = costOf(() => readWhole(bytes));
    expect(ms).toBeLessThan(3000);
  });

  it('whose every section has the whole file as its name is read at once', () => {
    const count = 4000;
    const text = Buffer.alloc(2 * MIB, 'n');
    const sections = Array.from({ length: count }, () => ({
      type: 3,
      offset: contentStart(count),
      size: text.length,
    }));
    const { ms, heapBytes } = costOf(() => readWhole(elfWithSections(sections, text)));
    expect(ms).toBeLessThan(3000);
    expect(heapBytes).toBeLessThan(200 * MIB);
  });

  it('that claims all counts and sizes there are is no more than its bytes', () => {
    const evil = fc.constantFrom(
      0n, 1n, 0xffn, 0xffffn, 0x1_0000n, 0x7fff_ffffn, 0xffff_ffffn, 1n << 32n, (1n << 63n) - 1n,
      1n << 63n, (1n << 64n) - 1n, BigInt(KERNEL_IMAGE.length), BigInt(KERNEL_IMAGE.length - 1),
    ); // prettier-ignore
    const change = fc.record({
      /** Header fields, program headers, or section headers. */
      where: fc.constantFrom('header', 'segments', 'sections'),
      offset: fc.nat(400),
      width: fc.constantFrom(2, 4, 8),
      value: evil,
    });
    const property = fc.property(
      fc.array(change, { minLength: 1, maxLength: 6 }),
      fc.option(fc.nat(KERNEL_IMAGE.length)),
      (changes, length) => {
        const copy = KERNEL_IMAGE.slice();
        for (const each of changes) apply(copy, each);
        const bytes = copy.subarray(0, length ?? copy.length);
        const { ms } = costOf(() => {
          readWhole(bytes);
          expect(boot(bytes) ?? '').not.toMatch(/\n/);
        });
        expect(ms).toBeLessThan(2000);
      },
    );
    fc.assert(property, { numRuns: RUNS });
  });

  it('that is a list of names, or nearly, is read in time or refused', () => {
    const line = fc.oneof(
      fc
        .tuple(
          fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
          fc.constantFrom('t', 'T', 'd', 'U', 'a', 'A', '?', '\0'),
          fc.string(),
        )
        .map(
          ([address, type, name]) => `${address.toString(16).padStart(16, '0')} ${type} ${name}`,
        ),
      fc.string(),
    );
    const property = fc.property(fc.array(line, { maxLength: 50 }), (lines) => {
      readWhole(Buffer.from(lines.join('\n'), 'latin1'));
    });
    fc.assert(property, { numRuns: RUNS });
    const endless = Buffer.alloc(32 * MIB, 'f');
    endless.write('ffffffff81000000 T ');
    expect(costOf(() => readWhole(endless)).ms).toBeLessThan(3000);
    const many = Buffer.from('ffffffff81000000 T a\n'.repeat(500_000));
    expect(
      costOf(() => expect(readSymbolFile('x', many, { kind: 'as linked' })).toBeTypeOf('object'))
        .ms,
    ).toBeLessThan(10_000);
  });

  it('that can be planned can be powered on, and what it does is its own affair', () => {
    const property = fc.property(
      fc.array(fc.tuple(fc.nat(KERNEL_IMAGE.length - 1), fc.nat(255)), { maxLength: 20 }),
      (changes) => {
        const copy = KERNEL_IMAGE.slice();
        for (const [offset, value] of changes) copy[offset % 0x3000] = value;
        if (boot(copy) !== undefined) return;
        const machine = new Machine({ image: copy, imageName: 'x', memoryBytes: 16 * MIB });
        machine.run({ budget: 20_000 });
        expect(machine.icount).toBeLessThanOrEqual(20_000n);
      },
    );
    fc.assert(property, { numRuns: Math.ceil(RUNS / 20) });
  });
});

interface Change {
  readonly where: string;
  readonly offset: number;
  readonly width: number;
  readonly value: bigint;
}

function apply(bytes: Uint8Array, { where, offset, width, value }: Change): void {
  const view = new DataView(bytes.buffer);
  const starts: Readonly<Record<string, number>> = {
    header: 16 - offset + (offset % 48),
    segments: 64,
    sections: Number(view.getBigUint64(40, true)),
  };
  const at = (starts[where] ?? 0) + offset;
  if (at < 0 || at + 8 > bytes.length) return;
  if (width === 2) view.setUint16(at, Number(BigInt.asUintN(16, value)), true);
  else if (width === 4) view.setUint32(at, Number(BigInt.asUintN(32, value)), true);
  else view.setBigUint64(at, value, true);
}

describe('a Multiboot 2 header', () => {
  it('longer than the part of the file in which headers must be is refused', () => {
    const image = new Uint8Array(64 * MIB);
    const view = new DataView(image.buffer);
    const fields = [0xe852_50d6, 0, image.length];
    fields.push(-fields.reduce((sum, field) => sum + field, 0) >>> 0);
    // One information request as long as the file.
    fields.push(1, image.length - 24);
    fields.forEach((field, index) => view.setUint32(4 * index, field, true));
    const { heapBytes } = costOf(() => {
      expect(boot(image)).toMatch(/^x: its Multiboot 2 header [^\n]*32768[^\n]*$/);
    });
    expect(heapBytes).toBeLessThan(16 * MIB);
  });
});
