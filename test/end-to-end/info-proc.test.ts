/** gdb's `info proc`: regions of the guest's page tables and its processes, by vFile. */
import { describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { READY, servedKernel } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('gdb'))('info proc', () => {
  const kernel = servedKernel();

  it("shows the guest's init as process 1, and the regions that the CPU sees", async () => {
    const [summary, mappings, stat, status] = await kernel.ask(
      'info proc',
      'info proc mappings',
      'info proc stat 1',
      'info proc status',
    );
    expect(summary).toMatch(
      /^process 1\ncmdline = '\/boot\/kernel\.elf'\ncwd = '\/'\nexe = '\/boot/,
    );
    expect(stat).toMatch(/^process 1\nProcess: 1\nExec file: init\n/);
    expect(status).toMatch(/Name:\tinit\nState:\t[RS] .*\n(.*\n)*PPid:\t0\nThreads:\t1\n/);
    const text = / 0xffffffff80101000 +0xffffffff\w+ +0x\w+ +0x2000 +r-xp +\/boot\/kernel\.elf\n/;
    expect(mappings).toMatch(text);
    expect(mappings).toMatch(/ rw-p +\/boot\/kernel\.elf\n/);
    expect(mappings).toMatch(/ rw-p +\[kernel stack of tid \d+\]\n/);
    expect(mappings).not.toContain('warning');
  });

  it('shows the mappings of the program that runs where the debugger has the machine', async () => {
    const stopped = await kernel.ask('tbreak sys_getpid', 'continue', 'info proc mappings');
    expect(stopped[1]).toContain('"worker.elf" hit Temporary breakpoint');
    expect(stopped[2]).toMatch(/ 0x401000 +0x40\w+ +0x\w+ +0x1000 +r-xp +\/bin\/worker\.elf\n/);
  });

  it('agrees with the monitor on what is mapped', async () => {
    const [mappings, monitor] = await kernel.ask('info proc mappings', 'monitor info mem');
    const starts = (text: string): bigint[] =>
      Array.from(text.matchAll(/^ *(?:0x)?([0-9a-f]{6,16})[ -]/gm), ([, start]) =>
        BigInt(`0x${start!}`),
      );
    expect(starts(monitor!).length).toBeGreaterThan(2);
    expect(starts(mappings!)).toEqual(expect.arrayContaining(starts(monitor!)));
  });

  it("shows a guest process through its own page tables, and the kernel's word on it", async () => {
    const [processes] = await kernel.ask('info os processes');
    const pid = /^(\d+) .* console\.elf /m.exec(processes!)![1]!;
    const [mappings, exe, status, stat] = await kernel.ask(
      `info proc mappings ${pid}`,
      `info proc exe ${pid}`,
      `info proc status ${pid}`,
      `info proc stat ${pid}`,
    );
    expect(mappings).toMatch(/ 0x401000 +0x40\w+ +0x\w+ +0x1000 +r-xp +\/bin\/console\.elf\n/);
    expect(mappings).toContain('/boot/kernel.elf');
    expect(exe).toContain("exe = '/bin/console.elf'");
    expect(status).toMatch(
      new RegExp(`Name:\\tconsole\\.elf\nState:\\tS .*\n(.*\n)*Pid:\\t${pid}\nPPid:\\t1`),
    );
    expect(stat).toContain('Exec file: console.elf\n');
    expect(stat).toContain('Parent process: 1\n');
  });

  it('says of a process that does not exist that it cannot be read', async () => {
    const [mappings] = await kernel.ask('info proc mappings 9999');
    expect(mappings).toContain("unable to open /proc file '/proc/9999/maps'");
  });

  it("has each inferior's own, by the guest's number", async () => {
    const server = await ServerProcess.start('--processes');
    try {
      await server.serial(READY);
      const { printed, everything } = await gdb(
        `target remote ${server.address}`,
        'tbreak sys_getpid',
        'continue',
        'inferior 2',
        'info proc',
        'info proc mappings',
        'info proc mappings 1',
        'inferior 1',
        'info proc stat',
        'info proc mappings',
      );
      const [, , stopped, , summary, mappings, ofInit, , stat, ofInferior] = printed;
      expect(stopped, everything).toContain('"worker.elf" hit Temporary breakpoint');
      expect(Number(/process (\d+)/.exec(summary!)?.[1]), everything).toBeGreaterThan(1);
      expect(summary).toContain("exe = '/bin/console.elf'");
      expect(mappings).toMatch(/ 0x401000 .* r-xp +\/bin\/console\.elf\n/);
      expect(ofInit).toMatch(/^process 1\nMapped[^]* \/boot\/kernel\.elf\n/);
      expect(ofInit).toContain('[kernel stack of tid 1]');
      expect(ofInit).not.toContain('worker.elf');
      expect(stat).toMatch(/^process 1\nProcess: 1\nExec file: init\nState: S\n/);
      expect(ofInferior).toBe(ofInit);
    } finally {
      await server.stop();
    }
  });

  it('gives no file of the host to gdb', async () => {
    const paths = ['/etc/passwd', '/proc/self/environ', '/boot/../etc/passwd', '/dev/null'];
    const printed = await kernel.ask(...paths.map((path) => `remote get ${path} /dev/null`));
    for (const text of printed.slice(0, paths.length)) {
      expect(text).toContain('Remote I/O error: No such file or directory');
    }
  });
});
