/** `--symbols`: a stripped kernel, symbols from other files, as linked and moved, in the real gdb. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readElf } from '../../server/symbols/elf-file.ts';
import { KERNEL_IMAGE, KERNEL_PATH, KERNEL_SYMBOLS } from '../server/fake-exo.ts';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { MAIN, ServerProcess } from './server-process.ts';

const MOVED_BY = '0x1000000';
const READY = '[INIT] forking a worker every second';

let folder: string;
let stripped: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
  stripped = join(folder, 'stripped.elf');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(missing('gdb', 'objcopy'))('symbols from other files', () => {
  beforeAll(() => {
    execFileSync('objcopy', ['--strip-all', KERNEL_PATH, stripped]);
    // It cannot move what DWARF says, and warns that it also moves sections that are not loaded.
    const changes = ['--strip-debug', '--change-addresses', `-${MOVED_BY}`];
    const moved = [...changes, KERNEL_PATH, join(folder, 'moved.elf')];
    spawnSync('objcopy', moved, { stdio: 'ignore' });
  });

  async function withServer<Result>(
    args: readonly string[],
    use: (server: ServerProcess) => Promise<Result>,
  ): Promise<Result> {
    const server = await ServerProcess.start(...args);
    try {
      await server.serial(READY);
      return await use(server);
    } finally {
      await server.stop();
    }
  }

  it('a stripped kernel is as good as the whole one, without a file in gdb', async () => {
    const { printed } = await withServer([stripped, '--symbols', KERNEL_PATH], ({ address }) =>
      gdb(
        `target remote ${address}`,
        'break sys_fork',
        'continue',
        'monitor retaddr',
        'info threads',
      ),
    );
    expect(printed[0]).toContain('Reading symbols from target:/boot/symbols/kernel.elf');
    expect(printed[2]).toMatch(/Breakpoint 2, sys_fork \(\) at .*process\.c:\d+/);
    expect(printed[3]).toMatch(/<syscall_dispatch\+\d+>/);
    expect(printed[4]).toMatch(/"idle"/);
  });

  it('without them it has no names', async () => {
    const { printed } = await withServer([stripped], ({ address }) =>
      gdb(`target remote ${address}`, 'monitor translate sys_fork'),
    );
    expect(printed[1]).toContain('"sys_fork" is not an address, a symbol or a $register');
  });

  it.each([
    ['an offset', `@+${MOVED_BY}`],
    ['the address of .text', '@0xffffffff80101000'],
  ])('a file that was linked elsewhere is moved by %s', async (_, base) => {
    const symbols = `${join(folder, 'moved.elf')}${base}`;
    const { printed } = await withServer([stripped, '--symbols', symbols], ({ address }) =>
      gdb(
        `target remote ${address}`,
        'monitor disassemble sys_fork 1',
        'info sharedlibrary',
        'break sys_fork',
        'continue',
        'monitor retaddr',
      ),
    );
    expect(printed[1]).toMatch(/<sys_fork>/);
    expect(printed[0]).toContain('Reading /boot/symbols/moved.elf from remote target');
    expect(printed[2]).toMatch(/0xffffffff80101000 .* Yes .*target:\/boot\/symbols\/moved\.elf/);
    expect(printed[4]).toMatch(/Breakpoint 2, 0x\w+ in sys_fork \(\)/);
    expect(printed[5]).toMatch(/<syscall_dispatch\+\d+>/);
  });

  it("with a program's file a backtrace goes on from the kernel into the program", async () => {
    const program = KERNEL_PATH.replace('kernel.elf', 'console.elf');
    const args = [stripped, '--symbols', KERNEL_PATH, '--symbols', program];
    const { printed } = await withServer(args, ({ address }) =>
      gdb(
        `target remote ${address}`,
        'monitor translate sys_fork',
        'monitor disassemble read_line 1',
        'python [t.switch() for t in gdb.selected_inferior().threads() if t.name == "console.elf"]',
        'bt',
      ),
    );
    expect(printed[1]).toContain('PML4E');
    expect(printed[2]).not.toContain('is not an address');
    expect(printed[4]).toMatch(/ syscall_entry \(\) at kernel\/src\/syscall\/syscall_entry\.S:\d+/);
    expect(printed[4]).toMatch(/ read_line \(.*\) at kernel\/user\/console\.c:\d+/);
    expect(printed[4]).toMatch(/ main \(.*\) at kernel\/user\/console\.c:\d+\n$/);
  });
});

describe.skipIf(missing('gdb', 'gcc'))('a position-independent program', () => {
  it('is where its offset says, its dynamic section too', async () => {
    const source = join(folder, 'pie.c');
    const program = join(folder, 'pie.elf');
    writeFileSync(source, 'int counter = 3;\nint work(int a) { return a + counter; }\n');
    const options = ['-g', '-fPIE', '-pie', '-nostdlib', '-Wl,-e,work', '-o', program];
    execFileSync('gcc', [...options, source]);
    const server = await ServerProcess.start('--wait', '--symbols', `${program}@+0x7f0000000000`);
    try {
      const attach = `target remote ${server.address}`;
      const { printed, everything } = await gdb(attach, 'info line work', 'info sharedlibrary');
      expect(printed[1]).toMatch(/"\S*pie\.c" starts at address 0x7f000000\w+ <work>/);
      expect(printed[2]).toMatch(/Yes +target:\/boot\/symbols\/pie\.elf/);
      expect(everything).not.toContain('not at the expected address');
    } finally {
      await server.stop();
    }
  });
});

describe('--symbols', () => {
  const run = (command: string, ...words: string[]): { status: number | null; stderr: string } => {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, command, ...words], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    return { status, stderr };
  };

  for (const command of ['run', 'serve']) {
    it.each([
      ['/nowhere/kernel.elf', 'there is no such file'],
      ['.', 'it is a folder'],
      ['/dev/zero', 'it is not a regular file'],
      [MAIN, 'it is neither a little-endian ELF file nor a list as nm prints it'],
    ])(`of ${command} refuses the file %s in one line, with status 120`, (file, reason) => {
      const { status, stderr } = run(command, '--symbols', file);
      expect(status).toBe(120);
      expect(stderr).toMatch(/^exoscope: symbol file '[^\n]*\n$/);
      expect(stderr).toContain(reason);
    });

    it.each(['@', '@x', '@0x', '@+', '@--1', '@0x10000000000000000', '@1e3'])(
      `of ${command} refuses the base %s in one line, with status 2`,
      (base) => {
        const { status, stderr } = run(command, '--symbols', `${KERNEL_PATH}${base}`);
        expect(status).toBe(2);
        expect(stderr).toMatch(
          /^exoscope: --symbols [^\n]*behind @ stands [^\n]*\n[^\n]*--help[^\n]*\n$/,
        );
      },
    );
  }

  it.skipIf(missing('objcopy'))('names where a run without a debugger ended', () => {
    const broken = join(folder, 'broken.elf');
    execFileSync('objcopy', ['--strip-all', KERNEL_PATH, broken]);
    const entry = Number(readElf(KERNEL_IMAGE)!.entry) - 0x10_0000;
    const image = readFileSync(broken);
    const { fileOffset } = readElf(image)!.segments[0]!;
    // UD2 as the first instruction, before there is an IDT.
    image.set([0x0f, 0x0b], Number(fileOffset) + entry);
    writeFileSync(broken, image);
    const { status, stderr } = run('run', broken, '--symbols', KERNEL_PATH);
    expect(status).toBe(121);
    const name = KERNEL_SYMBOLS.describe(readElf(KERNEL_IMAGE)!.entry);
    expect(name).not.toBe('');
    expect(stderr).toContain(`<${name}>`);
    expect(run('run', broken).stderr).not.toContain(name);
  });

  it('without a file is wrong use, told in words', () => {
    const { status, stderr } = run('run', '--symbols');
    expect(status).toBe(2);
    expect(stderr).toMatch(/^exoscope: Not enough arguments following: symbols\n/);
  });
});
