/** gdb's `generate-core-file`: what it takes of the guest's memory, and what can be seen in the file. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { inTemporaryFolder, kernelImage } from '../kernel/qemu.ts';
import { missing } from '../tools.ts';
import { gdb, gdbWith } from './gdb.ts';
import { servedKernel } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';

/** Of 256 MiB of RAM the example kernel has used a few. */
const MOST_CORE_BYTES = 32 << 20;

describe.skipIf(missing('gdb'))('generate-core-file', () => {
  const kernel = servedKernel();

  it('writes the RAM in use, in which gdb finds stack, data and code as they were', () =>
    inTemporaryFolder(async (folder) => {
      const core = join(folder, 'core');
      const looks = [
        'bt',
        'info registers rip rsp eflags',
        'p *thread_list',
        'p timer_ticks',
        'x/4i $rip',
        'x/4xg 0xffffffff80108000',
      ];
      const live = await kernel.ask(
        'tbreak context_switch',
        'continue',
        ...looks,
        `generate-core-file ${core}`,
      );
      expect(live.at(looks.length + 2)).toBe(`Saved corefile ${core}\n`);
      expect(statSync(core).size).toBeLessThan(MOST_CORE_BYTES);
      const dead = await gdbWith([kernelImage, core], ...looks);
      expect(dead.printed[0]).toMatch(/^#0 +context_switch .*\n#1 .* in schedule /);
      expect(dead.printed.slice(0, looks.length), dead.everything).toEqual(
        live.slice(2, looks.length + 2),
      );
    }));

  it('has the stack of the thread that is selected', () =>
    inTemporaryFolder(async (folder) => {
      const core = join(folder, 'core');
      const live = await kernel.ask('thread 3', 'bt 5', `generate-core-file ${core}`);
      expect(live[1]).toMatch(/ in console_read /);
      expect(live[2]).toBe(`Saved corefile ${core}\n`);
      const { everything } = await gdbWith([kernelImage, core], 'thread apply all bt 5');
      expect(everything).toContain(live[1]);
    }));

  it("takes a guest process's own memory when gdb has it as an inferior", () =>
    inTemporaryFolder(async (folder) => {
      const core = join(folder, 'core');
      const server = await ServerProcess.start('--processes');
      try {
        const { printed, everything } = await gdb(
          `target remote ${server.address}`,
          'tbreak sys_getpid',
          'continue',
          'stepi',
          'bt 3',
          'x/2i 0x401000',
          `generate-core-file ${core}`,
        );
        expect(printed[6], everything).toBe(`Saved corefile ${core}\n`);
        const dead = await gdbWith([kernelImage, core], 'bt 3', 'x/2i 0x401000');
        expect(dead.printed.slice(0, 2), dead.everything).toEqual(printed.slice(4, 6));
      } finally {
        await server.stop();
      }
    }));
});
