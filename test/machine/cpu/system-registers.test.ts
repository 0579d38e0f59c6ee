import { describe, expect, it } from 'vitest';
import { MODEL_SPECIFIC_REGISTERS } from '../../../machine/cpu/msr.ts';
import { instructionBreakpoint, takeDebugTrap } from '../../../machine/cpu/debug-registers.ts';
import { readRflags, writeRflags } from '../../../machine/cpu/rflags.ts';
import { TSS, faultText, leaveLongMode, makeCpu, type CpuFixture } from './cpu-fixture.ts';

const PG = 1n << 31n;
const WP = 1n << 16n;

function writeControl(fixture: CpuFixture, number: bigint, value: bigint): string {
  return faultText(fixture.callOperation('writeControlRegister', number, value));
}

describe('control registers', () => {
  it('refuse contradictions in CR0', () => {
    const fixture = makeCpu();
    expect(writeControl(fixture, 0n, PG)).toBe('#13(0)');
    expect(writeControl(fixture, 0n, (1n << 29n) | PG | 1n)).toBe('#13(0)');
    expect(writeControl(fixture, 0n, (1n << 32n) | PG | 1n)).toBe('#13(0)');
  });

  it('do not turn paging off in 64-bit code', () => {
    const fixture = makeCpu();
    expect(writeControl(fixture, 0n, 1n)).toBe('#13(0)');
    expect(fixture.state.cr0 & PG).toBe(PG);
  });

  it('enter and leave IA-32e mode with CR0.PG', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    const { state } = fixture;
    state.efer = 0x100n;
    state.cr4 = 0n;
    expect(writeControl(fixture, 0n, PG | WP | 1n)).toBe('#13(0)');
    state.cr4 = 1n << 5n;
    expect(writeControl(fixture, 0n, PG | WP | 1n)).toBe('none');
    expect(state.efer).toBe(0x500n);
    expect(state.cr0).toBe(PG | WP | 0x11n);
    expect(writeControl(fixture, 4n, 0n)).toBe('#13(0)');
    expect(writeControl(fixture, 0n, WP | 1n)).toBe('none');
    expect(state.efer).toBe(0x100n);
  });

  it('do not leave protected mode: #UD and a note, once', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    expect(writeControl(fixture, 0n, 0x10n)).toBe('#6');
    expect(writeControl(fixture, 0n, 0x10n)).toBe('#6');
    expect(fixture.notes).toHaveLength(1);
  });

  it('forget translations and count the map generation up when CR3 is written', () => {
    const fixture = makeCpu();
    const { state, memory } = fixture;
    const generation = state.mapGeneration;
    memory.slowRead(0x1000, 0, 8);
    expect(writeControl(fixture, 3n, 0x3f_0000n)).toBe('none');
    expect(state.mapGeneration).toBe(generation + 1);
    expect(memory.slowRead(0x1000, 0, 8)).toBe(-1);
    expect(writeControl(fixture, 3n, 1n << 40n)).toBe('#13(0)');
  });

  it('refuse bits of CR4 that CPUID does not announce', () => {
    const fixture = makeCpu();
    for (const bit of [0n, 1n, 6n, 12n, 13n, 16n, 17n, 18n, 22n, 23n]) {
      expect(writeControl(fixture, 4n, (1n << 5n) | (1n << bit)), `bit ${bit}`).toBe('#13(0)');
    }
    expect(writeControl(fixture, 4n, 0x30_07bcn)).toBe('none');
  });

  it('apply CR4.SMAP to the TLB context at once', () => {
    const fixture = makeCpu();
    const before = fixture.state.tlbContext;
    writeControl(fixture, 4n, fixture.state.cr4 | (1n << 21n));
    expect(fixture.state.tlbContext).toBeLessThan(before);
  });

  it('keep four bits of CR8', () => {
    const fixture = makeCpu();
    expect(writeControl(fixture, 8n, 16n)).toBe('#13(0)');
    expect(writeControl(fixture, 8n, 9n)).toBe('none');
    fixture.callOperation('readControlRegister', 8n);
    expect(fixture.state.host0).toBe(9n);
  });

  it('set PE, MP, EM and TS by LMSW but never clear PE', () => {
    const fixture = makeCpu();
    expect(faultText(fixture.callOperation('lmsw', 0xeen))).toBe('none');
    expect(fixture.state.cr0 & 0xfn).toBe(0xfn);
    fixture.callOperation('clts');
    expect(fixture.state.cr0 & 0xfn).toBe(0x7n);
  });
});

describe('model-specific registers', () => {
  const write = (fixture: CpuFixture, number: number, value: bigint): string =>
    faultText(fixture.callOperation('wrmsr', BigInt(number), value));
  const read = (fixture: CpuFixture, number: number): bigint => {
    expect(fixture.callOperation('rdmsr', BigInt(number))).toBeUndefined();
    return fixture.state.host0;
  };

  it('are #GP(0) and noted once when unknown', () => {
    const fixture = makeCpu();
    expect(faultText(fixture.callOperation('rdmsr', 0xc001_0015n))).toBe('#13(0)');
    expect(faultText(fixture.callOperation('rdmsr', 0xc001_0015n))).toBe('#13(0)');
    expect(write(fixture, 0x1234, 0n)).toBe('#13(0)');
    expect(fixture.notes).toHaveLength(2);
    expect(fixture.notes[0]).toContain('0xc0010015');
  });

  it('each can be read, and have numbers of their own', () => {
    const fixture = makeCpu();
    for (const { number } of MODEL_SPECIFIC_REGISTERS) read(fixture, number);
    const numbers = new Set(MODEL_SPECIFIC_REGISTERS.map(({ number }) => number));
    expect(numbers.size).toBe(MODEL_SPECIFIC_REGISTERS.length);
  });

  it('keep EFER.LMA to the CPU, LME while paging is on, and reserved bits out', () => {
    const fixture = makeCpu();
    const efer = 0xc000_0080;
    expect(write(fixture, efer, 0x901n)).toBe('none');
    expect(read(fixture, efer)).toBe(0xd01n);
    expect(write(fixture, efer, 0xc01n)).toBe('#13(0)');
    expect(write(fixture, efer, 0x1_d01n)).toBe('#13(0)');
  });

  it('take only canonical addresses where they hold addresses', () => {
    const fixture = makeCpu();
    for (const number of [0xc000_0082, 0xc000_0100, 0xc000_0101, 0xc000_0102, 0x176]) {
      expect(write(fixture, number, 0xffff_8000_0000_0000n)).toBe('none');
      expect(read(fixture, number)).toBe(0xffff_8000_0000_0000n);
      expect(write(fixture, number, 1n << 47n)).toBe('#13(0)');
    }
  });

  it('refuse PAT entries that are no memory type', () => {
    const fixture = makeCpu();
    expect(write(fixture, 0x277, 0x0007_0106_0007_0406n)).toBe('none');
    expect(write(fixture, 0x277, 0x0002_0406_0007_0406n)).toBe('#13(0)');
  });

  it('refuse memory types and bits that IA32_MTRR_DEF_TYPE does not have', () => {
    const fixture = makeCpu();
    expect(write(fixture, 0x2ff, 0xc06n)).toBe('none');
    for (const value of [0xc02n, 0xc07n, 0x1c06n, 1n << 32n]) {
      expect(write(fixture, 0x2ff, value)).toBe('#13(0)');
    }
    expect(read(fixture, 0x2ff)).toBe(0xc06n);
  });

  it('set the TSC, which then counts virtual ticks from there', () => {
    const fixture = makeCpu();
    fixture.clock.ticks = 1000n;
    expect(read(fixture, 0x10)).toBe(1000n);
    write(fixture, 0x10, 5n);
    fixture.clock.ticks = 1010n;
    fixture.callOperation('rdtsc');
    expect(fixture.state.host0).toBe(15n);
    fixture.state.cr4 |= 4n;
    fixture.enterUser();
    expect(faultText(fixture.callOperation('rdtsc'))).toBe('#13(0)');
  });
});

describe('CPUID', () => {
  function ask(fixture: CpuFixture, leaf: bigint): { [name in 'a' | 'b' | 'c' | 'd']: number } {
    fixture.callOperation('cpuid', leaf, 0n);
    const { host0, host1 } = fixture.state;
    const half = (value: bigint): number => Number(value & 0xffff_ffffn);
    return { a: half(host0), b: half(host0 >> 32n), c: half(host1), d: half(host1 >> 32n) };
  }
  function text(...words: number[]): string {
    return words
      .flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff))
      .map((byte) => String.fromCharCode(byte))
      .join('')
      .replaceAll('\0', '');
  }

  it('has no APIC while IA32_APIC_BASE turns it off', () => {
    const fixture = makeCpu();
    const hasApic = (): boolean => (ask(fixture, 1n).d & 0x200) !== 0;
    fixture.state.apicBase = 0xfee0_0900n;
    expect(hasApic()).toBe(true);
    fixture.state.apicBase = 0xfee0_0100n;
    expect(hasApic()).toBe(false);
  });

  it('names vendor, brand and hypervisor', () => {
    const fixture = makeCpu();
    const { b, c, d } = ask(fixture, 0n);
    expect(text(b, d, c)).toBe('GenuineIntel');
    const brand = [0x8000_0002n, 0x8000_0003n, 0x8000_0004n].map((leaf) => ask(fixture, leaf));
    expect(brand.map((part) => text(part.a, part.b, part.c, part.d)).join('')).toBe(
      'Exoscope emulated x86-64 CPU',
    );
    const hypervisor = ask(fixture, 0x4000_0000n);
    expect(text(hypervisor.b, hypervisor.c, hypervisor.d)).toBe('Exoscope');
  });

  it('announces what a 64-bit kernel needs and nothing that is missing', () => {
    const fixture = makeCpu();
    const { c, d } = ask(fixture, 1n);
    for (const bit of [0, 4, 5, 6, 8, 9, 13, 15, 24, 25, 26]) expect((d >>> bit) & 1).toBe(1);
    for (const bit of [23]) expect((d >>> bit) & 1).toBe(0); // MMX
    for (const bit of [0, 3, 12, 17, 19, 20, 25, 26, 27, 28, 30]) expect((c >>> bit) & 1).toBe(0);
    expect(ask(fixture, 7n).b).toBe((1 << 7) | (1 << 20));
    expect(ask(fixture, 0x8000_0001n).d).toBe(
      ((1 << 11) | (1 << 20) | (1 << 26) | (1 << 27) | (1 << 29)) >>> 0,
    );
    expect(ask(fixture, 0x8000_0008n).a).toBe(0x3028);
  });

  it('gives the highest basic leaf for leaves that do not exist', () => {
    const fixture = makeCpu();
    expect(ask(fixture, 0x8000_1234n)).toEqual(ask(fixture, 0x16n));
    expect(ask(fixture, 0x17n)).toEqual(ask(fixture, 0x16n));
  });
});

describe('debug registers', () => {
  const write = (fixture: CpuFixture, number: bigint, value: bigint): string =>
    faultText(fixture.callOperation('writeDebugRegister', number, value));
  const read = (fixture: CpuFixture, number: bigint): bigint => {
    expect(fixture.callOperation('readDebugRegister', number)).toBeUndefined();
    return fixture.state.host0;
  };

  it('have fixed bits in DR6 and DR7, and refuse high halves', () => {
    const fixture = makeCpu();
    expect(write(fixture, 6n, 0n)).toBe('none');
    expect(read(fixture, 6n)).toBe(0xffff_0ff0n);
    expect(write(fixture, 7n, 0xffff_dfffn)).toBe('none');
    expect(read(fixture, 7n)).toBe(0xffff_07ffn);
    expect(write(fixture, 7n, 1n << 32n)).toBe('#13(0)');
  });

  it('alias DR4 and DR5 unless CR4.DE is set', () => {
    const fixture = makeCpu();
    write(fixture, 5n, 0x400n);
    expect(read(fixture, 5n)).toBe(0x400n);
    fixture.state.cr4 |= 8n;
    expect(write(fixture, 4n, 0n)).toBe('#6');
  });

  it('raise #DB with DR6.BD on any access while DR7.GD is set, once', () => {
    const fixture = makeCpu();
    write(fixture, 7n, 0x2400n);
    expect(faultText(fixture.callOperation('readDebugRegister', 0n))).toBe('#1');
    expect(fixture.state.dr6 & (1n << 13n)).not.toBe(0n);
    expect(read(fixture, 7n)).toBe(0x400n);
  });

  it('watch data, aligned to their length, and report in DR6', () => {
    const fixture = makeCpu();
    write(fixture, 1n, 0x9004n);
    write(fixture, 7n, (1n << 2n) | (1n << 20n) | (3n << 22n));
    fixture.memory.slowWrite(0x9006, 0, 1);
    fixture.memory.commitPending();
    expect(faultText(takeDebugTrap(fixture.cpu, false))).toBe('#1');
    expect(fixture.state.dr6 & 0x400fn).toBe(2n);
    expect(takeDebugTrap(fixture.cpu, false)).toBeUndefined();
    expect(faultText(takeDebugTrap(fixture.cpu, true))).toBe('#1');
    expect(fixture.state.dr6 & 0x400fn).toBe(0x4000n);
  });

  it('report in DR6 only the breakpoint of this #DB, and keep BS until it is cleared', () => {
    const fixture = makeCpu();
    write(fixture, 6n, 0x4001n);
    write(fixture, 1n, 0x9004n);
    write(fixture, 7n, (1n << 2n) | (1n << 20n) | (3n << 22n));
    fixture.memory.slowWrite(0x9004, 0, 1);
    fixture.memory.commitPending();
    expect(faultText(takeDebugTrap(fixture.cpu, false))).toBe('#1');
    expect(fixture.state.dr6 & 0x400fn).toBe(0x4002n);
  });

  it('break on instructions, and once not with RF', () => {
    const fixture = makeCpu();
    write(fixture, 0n, 0x5000n);
    write(fixture, 7n, 1n);
    writeRflags(fixture.state, 0x1_0002);
    expect(instructionBreakpoint(fixture.cpu, 0x5000n)).toBeUndefined();
    expect(readRflags(fixture.state)).toBe(2);
    expect(instructionBreakpoint(fixture.cpu, 0x5001n)).toBeUndefined();
    expect(faultText(instructionBreakpoint(fixture.cpu, 0x5000n))).toBe('#1');
  });
});

describe('port access', () => {
  it('is free at CPL 0 and asks for no attention by itself', () => {
    const fixture = makeCpu();
    expect(faultText(fixture.callOperation('out', 0x3f8n, 0x41n, 8n))).toBe('none');
    expect(fixture.state.exitRequest).toBe(0);
    fixture.callOperation('in', 0x3fdn, 8n);
    expect(fixture.state.host0).toBe(0x5an);
    expect(fixture.portLog).toEqual(['out 3f8/8 41', 'in 3fd/8']);
  });

  it('above IOPL needs a clear bit for every port in the TSS’s map', () => {
    const fixture = makeCpu();
    fixture.enterUser();
    const out = (port: number, width: bigint): string =>
      faultText(fixture.callOperation('out', BigInt(port), 0n, width));
    fixture.write64(TSS + 96, 0x68n << 48n);
    expect(out(0x80, 8n)).toBe('#13(0)');
    fixture.state.trLimit = 0x68 + 0x20;
    expect(out(0x80, 8n)).toBe('none');
    fixture.write64(TSS + 0x68 + 0x10, 0x08n);
    expect(out(0x80, 16n)).toBe('none');
    expect(out(0x80, 32n)).toBe('#13(0)');
    expect(out(0x83, 8n)).toBe('#13(0)');
    expect(out(0x100, 8n)).toBe('#13(0)');
    writeRflags(fixture.state, 0x3002);
    expect(out(0x83, 8n)).toBe('none');
  });

  it('moves one element of INS and OUTS in the direction of DF', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    Object.assign(state, { rdx: 0x1f0n, rdi: 0x9000n, rsi: 0x9002n });
    expect(faultText(fixture.callOperation('ins', 8n, 64n, 0n))).toBe('none');
    expect([state.rdi, fixture.memory.physical.readWord(0x9000)]).toEqual([0x9001n, 0x5a]);
    writeRflags(state, 0x402);
    fixture.memory.physical.writeWord(0x9000, 0x4321_0000);
    expect(faultText(fixture.callOperation('outs', 16n, 32n, 3n))).toBe('none');
    expect(state.rsi).toBe(0x9000n);
    expect(fixture.portLog).toEqual(['in 1f0/8', 'out 1f0/16 4321']);
  });

  it('does not read the port when INS cannot store', () => {
    const fixture = makeCpu();
    fixture.state.rdi = 0x5000_0000n;
    expect(faultText(fixture.callOperation('ins', 32n, 64n, 0n))).toBe('#14(2)@50000000');
    expect(fixture.portLog).toEqual([]);
  });
});

describe('IF and the other system flags', () => {
  it('are protected from user code by POPF, CLI and STI', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    fixture.enterUser();
    writeRflags(state, 0x202);
    fixture.callOperation('popf', 0x7dffn, 64n);
    expect(readRflags(state)).toBe(0x4fd7);
    expect(faultText(fixture.callOperation('cli'))).toBe('#13(0)');
    expect(faultText(fixture.callOperation('sti'))).toBe('#13(0)');
  });

  it('inhibit interrupts for one instruction after STI, unless IF was set already', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    state.icount = 9n;
    fixture.interrupts.pending = true;
    expect(faultText(fixture.callOperation('sti'))).toBe('none');
    expect([state.shadowIcount, state.exitRequest]).toEqual([10n, 1]);
    state.icount = 20n;
    fixture.callOperation('sti');
    expect(state.shadowIcount).toBe(10n);
    fixture.callOperation('cli');
    expect(readRflags(state)).toBe(2);
  });
});
