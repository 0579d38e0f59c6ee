import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { parseSymbolArgument } from '../../../server/commands/symbol-arguments.ts';
import { readElf, SEGMENT_TYPE } from '../../../server/symbols/elf-file.ts';
import {
  allSymbols,
  readSymbolFile,
  type SymbolFile,
  type SymbolPlacement,
} from '../../../server/symbols/symbol-file.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { offerSymbols } from '../../../server/target/offered-symbols.ts';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import { SessionHarness } from '../../session-harness.ts';
import { missing } from '../../tools.ts';
import { FakeExo, KERNEL_IMAGE, KERNEL_PATH, KERNEL_SYMBOLS } from '../fake-exo.ts';

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
    expect(refusal(new Uint8Array(100))).toMatch(/neither a little-endian ELF file nor a list/);
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

describe('a list of names', () => {
  const list = (...lines: string[]): Uint8Array => Buffer.from(`${lines.join('\n')}\n`);
  const read = (bytes: Uint8Array, placement: SymbolPlacement = { kind: 'as linked' }) =>
    readSymbolFile('System.map', bytes, placement);
  const LINUX = list(
    '0000000000000000 D __per_cpu_start',
    '00000000000001f0 A constant',
    'ffffffff81000000 T _text',
    'ffffffff81000000 T startup_64',
    'ffffffff81002000 t helper\t[module]',
    'ffffffff82000000 d data',
  );

  it('names addresses up to the next symbol, and is moved by its lowest function', () => {
    const file = read(LINUX, { kind: 'text at', address: 0xffff_ffff_9d00_0000n });
    if (typeof file === 'string') throw new Error(file);
    expect(file.offset).toBe(0x1c00_0000n);
    expect(file.symbols.describe(0xffff_ffff_9d00_1fffn)).toBe('_text+8191');
    expect(file.symbols.describe(0xffff_ffff_9d00_2004n)).toBe('helper+4');
    // A constant stays what it is, and is no place.
    expect(file.symbols.find('constant')?.address).toBe(0x1f0n);
    expect(file.symbols.describe(0x1f0n)).toBe('');
    expect(file.symbols.find('startup_64')?.address).toBe(0xffff_ffff_9d00_0000n);
  });

  it('is for the monitor alone: gdb is not offered it', () => {
    const file = read(LINUX);
    if (typeof file === 'string') throw new Error(file);
    expect(offerSymbols('image.elf', STRIPPED, [file])).toEqual(
      offerSymbols('image.elf', STRIPPED, []),
    );
  });

  it.skipIf(missing('nm'))('of nm names what the ELF file names', () => {
    const file = read(spawnSync('nm', [KERNEL_PATH]).stdout);
    if (typeof file === 'string') throw new Error(file);
    for (const name of ['sys_fork', 'syscall_dispatch', 'exo_debug', 'schedule']) {
      expect(file.symbols.find(name)?.address).toBe(KERNEL_SYMBOLS.find(name)?.address);
      const inside = KERNEL_SYMBOLS.find(name)!.address + 3n;
      expect(file.symbols.describe(inside)).toBe(`${name}+3`);
    }
  });

  it('is refused when any line is none, or it has no symbols', () => {
    for (const bytes of [
      list('ffffffff81000000 T'),
      list('ffffffff81000000 T _text', 'hello'),
      list('ffffffff81000000 T a b'),
      list('fffffffff81000000 T a'),
      list('ffffffff81000000 T ' + 'x'.repeat(5000)),
    ]) {
      expect(read(bytes)).toMatch(/neither/);
    }
    expect(read(list('                 U printf'))).toMatch(/neither/);
    expect(read(list('0000000000000000 A nothing'))).toMatch(/no symbols/);
  });
});

describe('what gdb reads by itself', () => {
  const asLinked = symbolFile({ kind: 'as linked' });
  const moved = symbolFile({ kind: 'moved by', offset: 0x10_0000n }, 'x/moved.elf');
  const far = symbolFile({ kind: 'moved by', offset: 1n << 40n }, 'x/far.elf');
  const other = { ...far, elf: { ...ELF, entry: 1n } };
  const offer = (image: typeof ELF | undefined, ...files: SymbolFile[]) =>
    offerSymbols('a/image.elf', image, files);
  const libraries = (...given: Parameters<typeof offer>) =>
    offer(...given).libraries.map(({ path, offset }) => [path, offset]);

  it('is the image alone when nothing else was given', () => {
    const nothing = { files: [], libraries: [] };
    expect(offer(ELF)).toEqual({ executable: '/boot/image.elf', ...nothing });
    expect(offer(STRIPPED)).toEqual({ executable: '/boot/image.elf', ...nothing });
    expect(offer(undefined)).toEqual({ executable: undefined, ...nothing });
  });

  it('is, for a stripped or flat image, the file that was linked as the image is', () => {
    for (const image of [STRIPPED, undefined]) {
      expect(offer(image, moved, asLinked).executable).toBe('/boot/symbols/kernel.elf');
      expect(libraries(image, moved, asLinked)).toEqual([['/boot/symbols/moved.elf', 0x10_0000n]]);
    }
  });

  it('is the image and the other files as libraries where they are', () => {
    expect(offer(ELF, other).executable).toBe('/boot/image.elf');
    expect(libraries(ELF, other)).toEqual([['/boot/symbols/far.elf', 1n << 40n]]);
  });

  it('is an image without sections where those would hide the files', () => {
    for (const [image, file] of [
      [STRIPPED, moved],
      [ELF, asLinked],
      [ELF, far],
      [undefined, moved],
    ] as const) {
      const { executable, files } = offer(image, file);
      expect(executable).toBe('/boot/bare/image.elf');
      const bare = files.find(({ path }) => path === executable)!;
      expect(bare.content).toHaveLength(64);
      expect(readElf(bare.content)).toMatchObject({ sections: [], segments: [] });
      expect(libraries(image, file)).toHaveLength(1);
    }
  });

  it('tells where a dynamic section is, which gdb compares', () => {
    const dynamic = { ...ELF.segments[0]!, type: SEGMENT_TYPE.dynamic, address: 0x4000n };
    const file = { ...far, elf: { ...ELF, segments: [...ELF.segments, dynamic] } };
    expect(offer(ELF, file).libraries[0]?.dynamicAddress).toBe((1n << 40n) + 0x4000n);
  });

  it('never has a path of the host, and of two files with one name the first', () => {
    const second = { ...symbolFile({ kind: 'as linked' }, 'C:\\x\\kernel.elf'), content: ELF_TAIL };
    const { files } = offer(STRIPPED, asLinked, second);
    expect(new Map(files.map(({ path, content }) => [path, content]))).toEqual(
      new Map([['/boot/symbols/kernel.elf', KERNEL_IMAGE]]),
    );
  });
});

describe('qXfer:libraries-svr4', () => {
  const harnessWith = (...symbolFiles: SymbolFile[]): SessionHarness<MachineTarget> => {
    const { machine } = new FakeExo();
    const options = { machine, image: KERNEL_IMAGE, imageName: 'kernel.elf', symbolFiles };
    return new SessionHarness({ target: new MachineTarget(options) });
  };

  it('tells gdb where the files are, modulo 2^64', async () => {
    const harness = harnessWith(symbolFile({ kind: 'moved by', offset: -0x1000n }, 'a/b&c.elf'));
    expect(await harness.ask('qSupported')).toContain(';qXfer:libraries-svr4:read+');
    expect(await harness.ask('qXfer:libraries-svr4:read::0,1000')).toBe(
      'l<library-list-svr4 version="1.0">\n' +
        '<library name="/boot/symbols/b&amp;c.elf" lm="0x1" lmid="0x0" ' +
        'l_addr="0xfffffffffffff000" l_ld="0x0"/>\n' +
        '</library-list-svr4>\n',
    );
    expect(await harness.ask('qXfer:libraries-svr4:read:1:0,1000')).toBe('E02');
  });

  it('is not there without files', async () => {
    const harness = harnessWith();
    expect(await harness.ask('qSupported')).not.toContain('libraries');
    expect(await harness.ask('qXfer:libraries-svr4:read::0,1000')).toBe('');
  });
});

const ELF_TAIL = KERNEL_IMAGE.subarray(1);
