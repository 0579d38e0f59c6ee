import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  G_BLOCK_BYTES,
  G_BLOCK_REGISTERS,
  REGISTERS,
  fromLittleEndian,
  registerBytes,
  registerContext,
} from '../../../server/target/register-table.ts';
import { TARGET_XML } from '../../../server/target/target-description.ts';
import { x87RegisterStore } from '../../../server/target/fxsave-registers.ts';
import { missing } from '../../tools.ts';
import { FakeMachine } from '../fake-machine.ts';

function numberOf(name: string): number {
  return REGISTERS.find((register) => register.name === name)!.number;
}

describe('the register table', () => {
  it("has gdb's amd64-linux layout of 560 bytes", () => {
    const bytes = G_BLOCK_REGISTERS.reduce((sum, { bits }) => sum + bits / 8, 0);
    expect(bytes).toBe(G_BLOCK_BYTES);
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

  it('names and numbers every register once', () => {
    expect(new Set(REGISTERS.map(({ name }) => name)).size).toBe(REGISTERS.length);
    const dwarf = REGISTERS.flatMap(({ lldb }) => (lldb.dwarf === undefined ? [] : [lldb.dwarf]));
    expect(new Set(dwarf).size).toBe(dwarf.length);
  });

  it('reads as many bytes as a register has, and reads back what it wrote', () => {
    const machine = new FakeMachine();
    for (const register of REGISTERS) {
      const value = registerBytes(register, registerContext(machine, 7));
      expect(value, register.name).toHaveLength(register.bits / 8);
      if (register.write === undefined || register.name === 'orig_rax') continue;
      if (register.compute !== undefined) continue;
      const written = Uint8Array.from(value, (_, index) => index + 1);
      expect(register.write(machine, written), register.name).toBe(true);
      expect([...registerBytes(register, registerContext(machine, 7))], register.name).toEqual([
        ...written,
      ]);
    }
  });

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
  it.skipIf(missing('gdb'))('is taken by gdb with all registers at their numbers', () => {
    const folder = mkdtempSync(join(tmpdir(), 'exo-description-'));
    const file = join(folder, 'target.xml');
    writeFileSync(file, TARGET_XML.gdb);
    const commands = [`set tdesc filename ${file}`, 'show osabi', 'maint print remote-registers'];
    const { stdout, stderr } = spawnSync(
      'gdb',
      ['-nx', '-batch', ...commands.flatMap((command) => ['-ex', command])],
      { encoding: 'utf8' },
    );
    rmSync(folder, { recursive: true });
    expect(stderr).not.toContain('warning');
    expect(stdout).toContain('GNU/Linux');
    for (const { name, number, bits } of REGISTERS) {
      const row = new RegExp(`^ ${name} +\\d+ +\\d+ +\\d+ +${bits / 8} .*? ${number} `, 'm');
      expect(stdout, name).toMatch(row);
    }
  });

  it('comes to gdb in two pieces, the fewest for what is in it', () => {
    expect(TARGET_XML.gdb.length).toBeLessThanOrEqual(2 * 4096);
  });

  it('tells lldb which register is which', () => {
    expect(TARGET_XML.lldb).toMatch(/name="rip"[^>]*generic="pc"[^>]*dwarf_regnum="16"/);
    expect(TARGET_XML.lldb).toMatch(/name="eflags"[^>]*generic="flags"/);
  });
});
