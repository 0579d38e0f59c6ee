import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  REGISTERS,
  fromLittleEndian,
  registerBytes,
  registerContext,
} from '../../../server/target/register-table.ts';
import { targetDescription } from '../../../server/target/target-description.ts';
import { ARCHITECTURES, REGISTER_SETS } from '../../../server/target/register-set.ts';
import { x87RegisterStore } from '../../../server/target/fxsave-registers.ts';
import { missing } from '../../tools.ts';
import { FakeMachine } from '../fake-machine.ts';

function numberOf(name: string): number {
  return REGISTERS.find((register) => register.name === name)!.number;
}

describe('the register table', () => {
  it("has gdb's amd64-linux layout of 560 bytes", () => {
    expect(REGISTER_SETS['x86-64'].generalBytes).toBe(560);
    expect(numberOf('rip')).toBe(16);
    expect(numberOf('gs')).toBe(23);
    expect(numberOf('st0')).toBe(24);
    expect(numberOf('fctrl')).toBe(32);
    expect(numberOf('xmm0')).toBe(40);
    expect(numberOf('mxcsr')).toBe(56);
    expect(numberOf('orig_rax')).toBe(57);
    expect(numberOf('fs_base')).toBe(58);
    expect(numberOf('gs_base')).toBe(59);
    expect(numberOf('cr3')).toBe(63);
  });

  it("has gdb's i386-linux layout of 312 bytes", () => {
    const set = REGISTER_SETS.i386;
    expect(set.generalBytes).toBe(312);
    const names = set.general.map(({ name }) => name).join(' ');
    expect(names).toBe(
      'eax ecx edx ebx esp ebp esi edi eip eflags cs ss ds es fs gs st0 st1 st2 st3 st4 st5 st6 st7 ' +
        'fctrl fstat ftag fiseg fioff foseg fooff fop ' +
        'xmm0 xmm1 xmm2 xmm3 xmm4 xmm5 xmm6 xmm7 mxcsr orig_eax',
    );
  });

  it.each(ARCHITECTURES)('names and numbers every register once, %s', (architecture) => {
    const { registers } = REGISTER_SETS[architecture];
    expect(new Set(registers.map(({ name }) => name)).size).toBe(registers.length);
    const dwarf = registers.flatMap(({ lldb }) => (lldb.dwarf === undefined ? [] : [lldb.dwarf]));
    expect(new Set(dwarf).size).toBe(dwarf.length);
  });

  it.each(ARCHITECTURES)(
    'reads back what it wrote, as many bytes as there are, %s',
    (architecture) => {
      const machine = new FakeMachine();
      for (const register of REGISTER_SETS[architecture].registers) {
        const value = registerBytes(register, registerContext(machine, 7));
        expect(value, register.name).toHaveLength(register.bits / 8);
        if (register.write === undefined || register.id === 'orig_rax') continue;
        if (register.compute !== undefined) continue;
        const written = Uint8Array.from(value, (_, index) => index + 1);
        expect(register.write(machine, written), register.name).toBe(true);
        expect([...registerBytes(register, registerContext(machine, 7))], register.name).toEqual([
          ...written,
        ]);
      }
    },
  );

  it('lets gdb write computed registers back, to no effect', () => {
    const machine = new FakeMachine();
    for (const register of REGISTERS.filter(({ compute }) => compute !== undefined)) {
      const present = registerBytes(register, registerContext(machine, 7));
      const other = present.map((byte) => byte ^ 0xff);
      expect(register.write?.(machine, other), register.name).toBe(true);
      expect(registerBytes(register, registerContext(machine, 7)), register.name).toEqual(present);
    }
  });

  it('computes the quadword at rsp, the instruction count and the process', () => {
    const machine = new FakeMachine();
    machine.putU64(0x8000n, 0x1234_5678_9abc_def0n);
    machine.icount = 99n;
    const read = (name: string): bigint =>
      fromLittleEndian(registerBytes(REGISTERS[numberOf(name)]!, registerContext(machine, 7)));
    expect(read('ret_rsp')).toBe(0x1234_5678_9abc_def0n);
    expect(read('icount')).toBe(99n);
    expect(read('guest_pid')).toBe(7n);
    machine.registers.set('rsp', 1n << 60n);
    expect(read('ret_rsp')).toBe(0n);
  });
});

describe('an i386', () => {
  const { registers } = REGISTER_SETS.i386;
  const named = (name: string) => registers.find((register) => register.name === name)!;
  const bytesOf = (name: string, machine: FakeMachine) => [
    ...registerBytes(named(name), registerContext(machine, 7)),
  ];

  it('is the lower half of registers in long mode, and writes nothing else', () => {
    const machine = new FakeMachine();
    machine.registers.set('rax', 0x1122_3344_5566_7788n);
    expect(bytesOf('eax', machine)).toEqual([0x88, 0x77, 0x66, 0x55]);
    expect(named('eax').write?.(machine, Uint8Array.of(1, 2, 3, 0x84))).toBe(true);
    expect(machine.registers.get('rax')).toBe(0x1122_3344_8403_0201n);
  });

  it('computes the doubleword at esp, also the last one of a page', () => {
    const machine = new FakeMachine();
    machine.putU64(0x8000n, 0x1234_5678_9abc_def0n);
    machine.registers.set('rsp', 0xffff_0000_0000_8004n);
    expect(bytesOf('ret_esp', machine)).toEqual([0x78, 0x56, 0x34, 0x12]);
  });
});

describe('the x87 registers', () => {
  function tagWord(fxsave: Uint8Array): bigint {
    const bytes = new Uint8Array(4);
    x87RegisterStore('ftag')(fxsave, new DataView(bytes.buffer), 0);
    return fromLittleEndian(bytes);
  }

  it('show full tags where FXSAVE has one bit each', () => {
    const fxsave = new Uint8Array(512);
    expect(tagWord(fxsave)).toBe(0xffffn);
    fxsave[3] = 7 << 3; // TOP = 7: st0 is physical register 7
    fxsave[4] = 0x81; // physical registers 7 (st0) and 0 (st1) are in use
    fxsave.set([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f], 32); // st0 = 1.0: valid
    expect(tagWord(fxsave)).toBe(0x3ffdn);
    fxsave.set([1, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x7f], 48); // st1 = NaN: special
    expect(tagWord(fxsave)).toBe(0x3ffen);
  });
});

describe('the target description', () => {
  const TARGET_XML = {
    gdb: targetDescription(REGISTER_SETS['x86-64'], 'gdb'),
    lldb: targetDescription(REGISTER_SETS['x86-64'], 'lldb'),
  };

  it.skipIf(missing('gdb')).each(ARCHITECTURES)(
    'is taken by gdb at its numbers, %s',
    (architecture) => {
      const set = REGISTER_SETS[architecture];
      const folder = mkdtempSync(join(tmpdir(), 'exo-description-'));
      const file = join(folder, 'target.xml');
      writeFileSync(file, targetDescription(set, 'gdb'));
      const commands = [`set tdesc filename ${file}`, 'show osabi', 'maint print remote-registers'];
      const { stdout, stderr } = spawnSync(
        'gdb',
        ['-nx', '-batch', ...commands.flatMap((command) => ['-ex', command])],
        { encoding: 'utf8' },
      );
      rmSync(folder, { recursive: true });
      expect(stderr).not.toContain('warning');
      expect(stdout).toContain('GNU/Linux');
      for (const { name, number, bits } of set.registers) {
        const row = new RegExp(`^ ${name} +\\d+ +\\d+ +\\d+ +${bits / 8} .*? ${number} `, 'm');
        expect(stdout, name).toMatch(row);
      }
    },
  );

  it('comes to gdb in two pieces, the fewest for what is in it', () => {
    expect(TARGET_XML.gdb.length).toBeLessThanOrEqual(2 * 4096);
  });

  it('tells lldb which register is which', () => {
    expect(TARGET_XML.lldb).toMatch(/name="rip"[^>]*generic="pc"[^>]*dwarf_regnum="16"/);
    expect(TARGET_XML.lldb).toMatch(/name="eflags"[^>]*generic="flags"/);
  });
});
