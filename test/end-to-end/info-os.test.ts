/** gdb's `info os`: tables of the guest, in the real gdb and through MI as editors ask. */
import { describe, expect, it } from 'vitest';
import { KERNEL_SYMBOLS } from '../server/fake-exo.ts';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { servedKernel } from './served-kernel.ts';
import { ServerProcess } from './server-process.ts';

describe.skipIf(missing('gdb'))('info os', () => {
  const kernel = servedKernel();

  it('lists the tables', async () => {
    const [list] = await kernel.ask('info os');
    const names = list!.split('\n').map((line) => line.split(' ')[0]);
    const tables = ['threads', 'processes', 'forks', 'syscalls', 'devices'];
    expect(names).toEqual(['Type', ...tables, '']);
  });

  it('shows the same threads, processes and forks as the monitor', async () => {
    const [threads, monitorThreads, processes, forks, monitorForks] = await kernel.ask(
      'info os threads',
      'monitor threads',
      'info os processes',
      'info os forks',
      'monitor forks',
    );
    const lines = (text: string | undefined): string[] => text!.trimEnd().split('\n');
    expect(lines(threads)[0]).toMatch(/^thread +tid +pid +mode +state +switches +name +at/);
    expect(lines(threads)).toHaveLength(lines(monitorThreads).length);
    expect(threads).toMatch(/^2 +1 +1 +kernel +\S+ +\d+ +init +0x\w{16} <\w+\S*>/m);
    expect(processes).toMatch(/^0 +0 +kernel +alive +0 +kernel +0 *$/m);
    expect(processes).toMatch(/^\d+ +1 +user +alive +0 +console\.elf +\d+ *$/m);
    expect(lines(forks)).toHaveLength(lines(monitorForks).length);
    const first = /^1 +fork +2 +2 +3 +3 +0x\w+ <syscall_dispatch\+\d+> sound *$/;
    expect(lines(forks).at(-1)).toMatch(first);
  });

  it('names system calls by number as Linux does, and the devices', async () => {
    const [systemCalls, devices] = await kernel.ask('info os syscalls', 'info os devices');
    const fork = KERNEL_SYMBOLS.find('sys_fork')!.address.toString(16);
    expect(systemCalls).toMatch(new RegExp(`^57 +fork +0x${fork} <sys_fork>`, 'm'));
    expect(systemCalls).toMatch(/^231 +exit /m);
    expect(devices).toMatch(/^pit8254 +counter 0 mode 2/m);
  });

  it('has no other table', async () => {
    const [other] = await kernel.ask('info os passwords');
    expect(other).toContain('Can not fetch data now.');
  });

  it('answers editors by MI', async () => {
    const [table] = await kernel.ask('interpreter-exec mi "-info-os processes"');
    expect(table).toMatch(/colhdr="pid"}.*colhdr="parent"}/);
    expect(table).toContain('col0="1",col1="0",col2="kernel",col3="alive"');
    expect(table).toContain('col5="console.elf"');
  });
});

describe.skipIf(missing('gdb'))('info os of another kernel', () => {
  it('has the devices only', async () => {
    const server = await ServerProcess.start('kernel/images/bench.elf', '--wait');
    try {
      const attach = `target remote ${server.address}`;
      const { printed } = await gdb(attach, 'info os', 'info os devices', 'info os threads');
      expect(printed[1]).toMatch(/^Type +Description *\ndevices +the machine's devices/);
      expect(printed[2]).toMatch(/^uart16550 /m);
      expect(printed[3]).toContain('Can not fetch data now.');
    } finally {
      await server.stop();
    }
  });
});
