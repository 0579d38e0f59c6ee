/** The real lldb on another host than the server's: it has no file of the kernel, and is told of one that is not there. */
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { lldb, lldbWith } from './lldb.ts';
import { requestsOf } from './packet-trace.ts';
import { READY } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('lldb-14'))('lldb on another host', () => {
  let folder: string;
  beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'exoscope-'))));
  afterAll(() => rmSync(folder, { recursive: true }));

  /** The file that the server has read is gone, as it is seen from elsewhere. */
  async function serving(work: (server: ServerProcess) => Promise<void>, ...args: string[]) {
    const image = join(folder, 'kernel.elf');
    copyFileSync('kernel/images/kernel.elf', image);
    const server = await ServerProcess.start(image, '--trace-packets', ...args);
    try {
      rmSync(image);
      if (!args.includes('--wait')) await server.serial(READY);
      await work(server);
    } finally {
      await server.stop();
    }
  }

  it('attaches in some 31 packets, and has the symbols and what unwinds', async () => {
    await serving(async (server) => {
      const text = await lldbWith([], server.address, 'thread list', 'image list', 'detach');
      const requests = requestsOf(server);
      // A few more or less are for code, by where the threads are.
      expect(requests.length, requests.join('\n')).toBeLessThanOrEqual(35);
      const regions = requests.filter((request) => request.startsWith('qMemoryRegionInfo'));
      expect(regions).toEqual(['qMemoryRegionInfo:100000']);
      expect(text).toMatch(/frame #0: 0xf\w+ kernel\.elf`idle \+ \d+/);
      expect(text).toMatch(/tid = 0x0002, 0xf\w+ kernel\.elf`context_switch \+ \d+, name = 'init'/);
      expect(text).toMatch(/^\[ +0\] .* 0x0000000000100000 .*kernel\.elf/m);
    });
  });

  it('breaks by name, unwinds, reads variables by symbol and finishes', async () => {
    await serving(async (server) => {
      const text = await lldbWith(
        [],
        server.address,
        'breakpoint set -n sys_fork',
        'continue',
        'bt',
        'thread step-inst',
        'finish',
        'memory read -f x -s 8 -c 1 &timer_ticks',
        'detach',
      );
      expect(text).toMatch(/stop reason = breakpoint 1\.1\n +frame #0: .*kernel\.elf`sys_fork\n/);
      const names = [...text.matchAll(/frame #\d: 0x\w+ kernel\.elf`(\w+)/g)].map(
        ([, name]) => name,
      );
      const path = ['sys_fork', 'syscall_dispatch', 'kernel_syscall', 'system_call', 'fork_worker'];
      expect(names.join(' ')).toContain(path.join(' '));
      expect(text).toMatch(/stop reason = step out/);
      expect(text).toMatch(/^0x\w+: 0x\w{16}$/m);
    });
  });

  it('has them before the first instruction, too, where the guest has memory of its own', async () => {
    await serving(async (server) => {
      const text = await lldbWith(
        [],
        server.address,
        'breakpoint set -n sys_fork',
        'memory read -f x -s 4 -c 1 0x100000',
        'detach',
      );
      expect(text).toMatch(/kernel\.elf`sys_fork, address = 0xf/);
      // lldb is through with that: it is the guest's own memory now.
      expect(text).toMatch(/^0x00100000: 0x(?!464c457f)\w{8}$/m);
    }, '--wait');
  });

  it('keeps the file that its user has given it', async () => {
    await serving(async (server) => {
      const text = await lldb(server.address, 'breakpoint set -n sys_fork', 'image list', 'detach');
      expect(text).toContain('kernel.elf`sys_fork at process.c:');
      expect(text).toMatch(/^\[ +0\] .*\/kernel\/images\/kernel\.elf/m);
      expect(text).not.toMatch(/^\[ +1\]/m);
    });
  });
});
