/** The monitor's views of machine and memory, and physical memory, as the real gdb shows them. */
import { describe, expect, it } from 'vitest';
import { missing } from '../tools.ts';
import { gdb } from './gdb.ts';
import { servedKernel } from './served-kernel.ts';

describe.skipIf(missing('gdb'))('machine views in gdb', () => {
  const kernel = servedKernel();

  const attach = (): string => kernel.attach;

  it('dumps IDT, GDT, TSS, local APIC and PIC of the booted kernel', async () => {
    const { printed } = await gdb(
      attach(),
      'monitor info idt 14',
      'monitor info gdt',
      'monitor info tss',
      'monitor info apic',
      'monitor info pic',
    );
    expect(printed[1]).toMatch(/14 +interrupt +0 +0 +0x08 +0x\w+ <interrupt_stub_14> +#PF/);
    expect(printed[2]).toMatch(/TSS, busy +tr/);
    expect(printed[3]).toMatch(/RSP0 +0xffffff00\w+ +writable/);
    expect(printed[3]).toMatch(/IST1 +0x\w+ <ist_stacks\+8192> +writable/);
    expect(printed[4]).toMatch(/^local APIC: enabled\n(.*\n)*LVT +LINT0 +0x00000700 +ExtINT/);
    expect(printed[5]).toMatch(/IRQ 0 is vector 0x20/);
  });

  it('disassembles as gdb itself does', async () => {
    const { printed } = await gdb(
      attach(),
      'set disassembly-flavor intel',
      'monitor disassemble sys_fork 4',
      'x/4i sys_fork',
    );
    const squeeze = (text: string): string[] =>
      text
        .trim()
        .split('\n')
        .map((line) => line.replace(/^.*>:?\s+/, '').replace(/\s+/g, ' '));
    expect(squeeze(printed[2]!)).toEqual(squeeze(printed[3]!));
  });

  it('explains a page walk and reads the same bytes by physical address', async () => {
    const { printed } = await gdb(
      attach(),
      'monitor translate sys_fork',
      'p/x (long)sys_fork & 0xfffffff',
      'x/1xg sys_fork',
      'maint packet Qqemu.PhyMemMode:1',
      'maint flush dcache',
      'x/1xg (long)sys_fork & 0xfffffff',
      'maint packet qqemu.PhyMemMode',
      'maint packet Qqemu.PhyMemMode:0',
    );
    expect(printed[1]).toMatch(/^PML4E .*\nPDPTE .*\nPDE .*\nPTE .*\n/);
    const physical = /\$1 = 0x(\w+)/.exec(printed[2]!)![1]!;
    expect(printed[1]).toContain(`at physical 0x${physical.padStart(16, '0')}: 4 KiB page, `);
    expect(printed[4]).toContain('received: "OK"');
    expect(printed[6]!.split('\t')[1]).toBe(printed[3]!.split('\t')[1]);
    expect(printed[7]).toContain('received: "1"');
  });

  it('tells why the guest died: an IDT that somebody has cleared', async () => {
    const gates = [8, 13, 14].flatMap((vector) => [
      `set {long}($idt + ${16 * vector}) = 0`,
      `set {long}($idt + ${16 * vector + 8}) = 0`,
    ]);
    const { printed, everything } = await gdb(
      attach(),
      'python import re; text = gdb.execute("monitor info idt", to_string=True)',
      'python gdb.execute("set $idt = " + re.search("IDT at (0x[0-9a-f]+)", text).group(1))',
      'monitor why',
      ...gates,
      'set $rip = 4',
      'continue',
      'monitor why',
      'monitor reset',
    );
    expect(printed[3]).toContain('nothing to explain');
    expect(everything).toContain('triple fault at rip 0x4');
    const why = printed.at(-3)!;
    expect(why).toMatch(/^triple fault in 0x0000000000000004/);
    expect(why).toContain('1. #PF page fault, error code 0x10: an instruction fetch by the kernel');
    expect(why).toContain('entry 0 of its PML4 is not present');
    expect(why).toMatch(/handler: IDT gate 14 at 0x\w+ is empty/);
    expect(why).toMatch(
      /2\. #GP general protection, error code 0x73: about IDT gate 14, met while/,
    );
    expect(why).toMatch(/#DF double fault/);
    expect(why).toContain('the CPU shuts down');
  });
});
