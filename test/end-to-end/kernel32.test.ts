/** A 32-bit kernel, its file in the debugger's hands or not: gdb and lldb see an i386. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { build32, build64In32 } from './build32.ts';
import { gdbWith, type GdbResult } from './gdb.ts';
import { lldbWith } from './lldb.ts';
import { ServerProcess } from './server-process.ts';

let folder: string;
let kernel: string;
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), 'exoscope-'))));
afterAll(() => rmSync(folder, { recursive: true }));

/** A server of `image` for each test, and gdb that has attached to it with these arguments. */
function served(image: () => string, ...options: string[]) {
  let server: ServerProcess;
  beforeEach(async () => {
    server = await ServerProcess.start('--wait', ...options, image());
  });
  afterEach(() => server.stop());
  return {
    address: () => server.address,
    gdb: (files: readonly string[], ...commands: readonly string[]): Promise<GdbResult> =>
      gdbWith(files, `target remote ${server.address}`, ...commands),
  };
}

const BACKTRACE = [
  /^#0 +add \(value=0, by=1\) at .*kernel32\.c:\d+$/m,
  /^#1 +0x[0-9a-f]{8} in sum_to \(last=10\) at .*kernel32\.c:\d+$/m,
  /^#2 +0x[0-9a-f]{8} in kernel_main \(\) at .*kernel32\.c:\d+$/m,
];

describe.skipIf(missing('gcc'))('a 32-bit kernel', () => {
  beforeAll(() => void (kernel = build32(folder, 'kernel32', '-O0')));

  describe.skipIf(missing('gdb'))("with gdb that has the kernel's file", () => {
    const { gdb } = served(() => kernel);
    const session = (...commands: readonly string[]) => gdb([kernel], ...commands);

    it('attaches, breaks by name, unwinds, finishes and steps', async () => {
      const { printed, everything } = await session(
        ...['break add', 'continue', 'bt', 'finish', 'stepi', 'p $eip', 'x/3i $pc', 'show architecture'], // prettier-ignore
      );
      expect(everything).not.toMatch(/warning|error|hex digit/i);
      for (const frame of BACKTRACE) expect(printed[3]).toMatch(frame);
      expect(printed[4]).toContain('Value returned is $1 = 1\n');
      expect(printed[6]).toMatch(/^\$2 = \(void \(\*\)\(\)\) 0x[0-9a-f]{6} <sum_to\+\d+>$/m);
      expect(printed[7]).toMatch(
        /^=> 0x[0-9a-f]{6} <sum_to\+\d+>:\tincl +-0x[48c]\(%ebp\)\n {3}0x/,
      );
      expect(printed[8]).toContain('(currently "i386")');
    });

    it('reads and writes registers, calls a function, and leaves the others as they were', async () => {
      const { printed, everything } = await session(
        ...[
          'break add',
          'continue',
          'info registers',
          'set $ecx = 0xdeadbeef',
          'p/x $ecx',
          'p/x $cx',
        ],
        ...[
          'delete',
          'p sum_to(3)',
          'p/x $ecx',
          'p $cr0',
          'p *(unsigned *) $esp == $ret_esp',
          'p $st0',
        ],
        ...['p $xmm0.uint128', 'set $cr3 = 1'],
      );
      expect(printed[3], everything).toMatch(/^eax +0x[0-9a-f]+ /m);
      expect(printed[3]).toMatch(/^eip +0x[0-9a-f]{6} +0x[0-9a-f]{6} <add\+\d+>$/m);
      expect(printed[3]).not.toMatch(/^r(ax|8|ip) /m);
      expect(printed.slice(5, 7)).toEqual(['$1 = 0xdeadbeef\n', '$2 = 0xbeef\n']);
      expect(printed.slice(8, 11)).toEqual(['$3 = 6\n', '$4 = 0xdeadbeef\n', '$5 = [ PE ET ]\n']);
      expect(printed.slice(11, 14)).toEqual(['$6 = 1\n', '$7 = 0\n', '$8 = 0\n']);
      expect(printed[14]).toContain('Could not write register "cr3"');
    });

    it('watches, and asks conditions with registers inside the machine', async () => {
      const { printed, everything } = await session(
        ...['watch total.sum', 'continue', 'bt', 'delete'],
        ...[
          'break add if $eax > 20 && value > 20',
          'continue',
          'p value',
          'p by',
          'info breakpoints',
        ],
      );
      expect(printed[2], everything).toMatch(/Old value = 0\nNew value = 55\n/);
      expect(printed[3]).toMatch(/^#1 +0x[0-9a-f]{8} in kernel_main/m);
      expect(printed.slice(7, 9)).toEqual(['$1 = 21\n', '$2 = 7\n']);
      expect(printed[9]).toContain('breakpoint already hit 1 time');
    });

    it('goes back, and stops at the conditions of the monitor', async () => {
      const { printed, everything } = await session(
        ...['tbreak sum_to', 'continue', 'next', 'reverse-stepi', 'p $pc < &add + 0x1000', 'bt'],
        ...['monitor break-if add+6 u32[ebp + 8] == 15 && al == 15', 'continue', 'p value'],
        ...['reverse-continue'],
      );
      expect(printed[6], everything).toMatch(/^#0 .*sum_to \(last=10\)/);
      expect(printed[8]).toContain('break-if 1 at add+6');
      expect(printed[9]).toMatch(/ = 15\n/);
    });

    it('collects registers, variables and the stack in tracepoints', async () => {
      const script = join(folder, 'trace.gdb');
      const collect = 'collect $regs, $args, *(unsigned char (*)[64]) $esp';
      writeFileSync(script, ['trace add if value == 10', 'actions', collect, 'end', ''].join('\n'));
      const { printed, everything } = await session(
        ...[
          `source ${script}`,
          'break kernel_main',
          'continue',
          'tstart',
          'break sum_to',
          'continue',
        ],
        ...['continue', 'tstop', 'tfind', 'info registers eip eax', 'p value', 'p by', 'bt'],
      );
      expect(printed[9], everything).toMatch(/^Found trace frame 0, tracepoint \d+\n/);
      expect(printed[10]).toMatch(/^eip +0x[0-9a-f]{6} .*<add\+\d+>\neax +0xa +10$/m);
      expect(printed.slice(11, 13)).toEqual(['$1 = 10\n', '$2 = 5\n']);
      expect(printed[13]).toMatch(/^#0 +add \(value=10, by=5\)/);
      expect(printed[13]).toMatch(/^#1 +0x[0-9a-f]{8} in sum_to/m);
    });
  });

  describe.skipIf(missing('gdb'))('with gdb that has no file', () => {
    const { gdb } = served(() => kernel);

    it('has the symbols from the server, and unwinds', async () => {
      const { printed } = await gdb([], 'break add', 'continue', 'bt');
      for (const frame of BACKTRACE) expect(printed[3]).toMatch(frame);
    });
  });

  describe.skipIf(missing('gdb'))('served as an x86-64', () => {
    const { gdb } = served(() => kernel, '--architecture', 'x86-64');

    it('has all 64 bits of the registers', async () => {
      const { printed } = await gdb([], 'p $rip', 'show architecture');
      expect(printed[1]).toMatch(/^\$1 = \(void \(\*\)\(\)\) 0x[0-9a-f]{6}/);
      expect(printed[2]).toContain('i386:x86-64');
    });
  });

  describe.skipIf(missing('lldb-14'))('with lldb', () => {
    const { address } = served(() => kernel);

    it.each(['file', 'no file'])(
      'attaches, breaks by name, unwinds and watches: %s',
      async (has) => {
        const text = await lldbWith(
          has === 'file' ? [kernel] : [],
          address(),
          ...['breakpoint set -n add', 'continue', 'bt', 'register read eip', 'finish'],
          ...['breakpoint delete 1', 'watchpoint set variable total.sum', 'continue', 'register write ecx 5', 'register read ecx'], // prettier-ignore
        );
        expect(text).not.toMatch(/error:/);
        expect(text).toMatch(
          /frame #1: 0x[0-9a-f]{8} kernel32\.elf`sum_to\(last=10\) at kernel32\.c/,
        );
        expect(text).toMatch(/frame #2: 0x[0-9a-f]{8} kernel32\.elf`kernel_main at kernel32\.c/);
        expect(text).toMatch(/eip = 0x[0-9a-f]{8} +kernel32\.elf`add \+ \d+/);
        expect(text).toMatch(/Return value: \(unsigned int\) \$0 = 1\n/);
        expect(text).toMatch(/stop reason = watchpoint 1/);
        expect(text).toMatch(/ecx = 0x00000005/);
      },
    );
  });
});

describe.skipIf(missing('gcc', 'objcopy', 'gdb'))('a 64-bit kernel in an i386 file', () => {
  let whole: string;
  let image: string;
  beforeAll(() => void ({ whole, image } = build64In32(folder, 'kernel32')));
  const debug = ['tbreak add', 'continue', 'bt', 'finish', 'p $rsp > 0', 'show architecture']; // prettier-ignore

  function expectFrames({ printed, everything }: GdbResult): void {
    expect(printed[3], everything).toMatch(/^#1 +0x[0-9a-f]{16} in sum_to \(last=10\)/m);
    expect(printed[3]).toMatch(/^#3 +0x[0-9a-f]{16} in long_mode \(\)/m);
    expect(printed[4]).toContain('Value returned is $1 = 1\n');
    expect(printed[6]).toContain('(currently "i386:x86-64")');
  }

  describe('with debug information', () => {
    const { gdb } = served(() => image);

    it('is debugged with its 64-bit file, from its first instructions of 32 bits on', async () => {
      const result = await gdb([whole], ...debug);
      expectFrames(result);
      expect(result.everything).not.toMatch(/warning|rejected/i);
    });

    it('is debugged with no file', async () => expectFrames(await gdb([], ...debug)));
  });

  describe('without', () => {
    const stripped = () => `${image}-stripped`;
    beforeAll(() => void execFileSync('objcopy', ['-S', image, stripped()]));
    const { gdb } = served(stripped);

    it('is debugged with its 64-bit file', async () => expectFrames(await gdb([whole], ...debug)));
  });

  describe('served as an i386', () => {
    const { gdb } = served(() => image, '--architecture', 'i386');

    it('shows the lower halves in long mode; the monitor shows all', async () => {
      const { printed, everything } = await gdb(
        [image],
        ...['tbreak kernel_main', 'continue', 'p/x $eax', 'p $efer', 'set $eax = 1', 'monitor info registers'], // prettier-ignore
      );
      expect(printed[3], everything).toBe('$1 = 0x55667788\n');
      expect(printed[4]).toContain('LMA');
      expect(printed[6]).toContain('RAX=1122334400000001');
    });
  });
});
