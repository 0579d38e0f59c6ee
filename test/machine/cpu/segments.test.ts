import { describe, expect, it } from 'vitest';
import {
  leaveLongMode,
  makeCpu,
  faultText,
  GDT,
  SELECTOR,
  descriptor,
  type CpuFixture,
} from './cpu-fixture.ts';

const ES = 0n;
const SS = 2n;
const DS = 3n;
const FS = 4n;

function load(fixture: CpuFixture, segment: bigint, selector: number): string {
  return faultText(fixture.callOperation('loadSegment', segment, BigInt(selector), 0n, 0n));
}

describe('loading a data segment register', () => {
  it('takes base, limit and attributes from the descriptor and marks it accessed', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    expect(load(fixture, FS, SELECTOR.readOnlyData)).toBe('none');
    expect(state.fsSelector).toBe(SELECTOR.readOnlyData);
    expect(state.fsBase).toBe(0x1234_5678n);
    expect([state.fsLimit, state.fsAttributes]).toEqual([0x777, 0x4091]);
    expect((fixture.read64(GDT + SELECTOR.readOnlyData) >> 40n) & 0xffn).toBe(0x91n);
  });

  it('scales the limit by the granularity bit', () => {
    const fixture = makeCpu();
    load(fixture, ES, SELECTOR.kernelData);
    expect(fixture.state.esLimit).toBe(0xffff_ffff);
  });

  it('reads the LDT where the selector says so, and needs one', () => {
    const fixture = makeCpu();
    expect(load(fixture, DS, 4)).toBe('#13(4)');
    expect(faultText(fixture.callOperation('lldt', BigInt(SELECTOR.ldt)))).toBe('none');
    expect(load(fixture, DS, 4)).toBe('none');
    expect([fixture.state.dsBase, fixture.state.dsSelector]).toEqual([0x9000_0000n, 4]);
    expect(load(fixture, DS, 0x14)).toBe('#13(20)');
  });

  it('refuses what is no readable segment, what is too privileged, and what is absent', () => {
    const fixture = makeCpu();
    expect(load(fixture, DS, 0x80)).toBe('#13(128)');
    expect(load(fixture, DS, SELECTOR.tss)).toBe('#13(48)');
    expect(load(fixture, DS, SELECTOR.executeOnly)).toBe('#13(112)');
    expect(load(fixture, DS, SELECTOR.absentData)).toBe('#11(120)');
    expect(load(fixture, DS, SELECTOR.kernelData | 3)).toBe('#13(16)');
    expect(load(fixture, DS, SELECTOR.conformingCode | 3)).toBe('none');
    fixture.enterUser();
    expect(load(fixture, DS, SELECTOR.kernelData)).toBe('#13(16)');
    expect(load(fixture, DS, SELECTOR.userData)).toBe('none');
  });

  it('clears the base for a null selector', () => {
    const fixture = makeCpu();
    fixture.state.fsBase = 0x1234n;
    expect(load(fixture, FS, 3)).toBe('none');
    expect([fixture.state.fsSelector, fixture.state.fsBase]).toEqual([3, 0n]);
  });
});

describe('loading SS', () => {
  it('needs writable data of exactly this privilege level', () => {
    const fixture = makeCpu();
    expect(load(fixture, SS, SELECTOR.kernelData)).toBe('none');
    expect(load(fixture, SS, SELECTOR.readOnlyData)).toBe('#13(88)');
    expect(load(fixture, SS, SELECTOR.userData)).toBe('#13(32)');
    expect(load(fixture, SS, SELECTOR.kernelCode)).toBe('#13(8)');
    expect(load(fixture, SS, SELECTOR.absentData)).toBe('#12(120)');
  });

  it('may be null only in 64-bit code below CPL 3', () => {
    const fixture = makeCpu();
    expect(load(fixture, SS, 0)).toBe('none');
    expect(load(fixture, SS, 1)).toBe('#13(0)');
    fixture.enterUser();
    expect(load(fixture, SS, 3)).toBe('#13(0)');
    const legacy = makeCpu();
    leaveLongMode(legacy);
    expect(load(legacy, SS, 0)).toBe('#13(0)');
  });

  it('inhibits interrupts for one instruction when asked to', () => {
    const fixture = makeCpu();
    fixture.state.icount = 41n;
    fixture.callOperation('loadSegment', SS, BigInt(SELECTOR.kernelData), 1n, 0n);
    expect(fixture.state.shadowIcount).toBe(42n);
  });

  it('releases the stack by the width that SS had before, and only if it loads', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    fixture.callOperation('loadSegment', SS, BigInt(SELECTOR.readOnlyData), 1n, 8n);
    expect(state.rsp).toBe(0x8000n);
    fixture.callOperation('loadSegment', SS, BigInt(SELECTOR.kernelData), 1n, 8n);
    expect(state.rsp).toBe(0x8008n);
  });
});

describe('LTR and LLDT', () => {
  it('read 16-byte descriptors and mark the TSS busy', () => {
    const fixture = makeCpu();
    fixture.write64(GDT + SELECTOR.tss + 8, 0xffff_8000n);
    expect(faultText(fixture.callOperation('ltr', BigInt(SELECTOR.tss)))).toBe('none');
    expect(fixture.state.trBase).toBe(0xffff_8000_0000_4000n);
    expect((fixture.read64(GDT + SELECTOR.tss) >> 40n) & 0xffn).toBe(0x8bn);
    expect(faultText(fixture.callOperation('ltr', BigInt(SELECTOR.tss)))).toBe('#13(48)');
  });

  it('refuse null, local, wrong and absent descriptors', () => {
    const fixture = makeCpu();
    const ltr = (selector: number): string =>
      faultText(fixture.callOperation('ltr', BigInt(selector)));
    expect(ltr(0)).toBe('#13(0)');
    expect(ltr(4)).toBe('#13(4)');
    expect(ltr(SELECTOR.kernelData)).toBe('#13(16)');
    fixture.write64(GDT + SELECTOR.tss, descriptor(0x4000, 0x67, 0x09, 0));
    expect(ltr(SELECTOR.tss)).toBe('#11(48)');
    expect(faultText(fixture.callOperation('lldt', 0n))).toBe('none');
    expect(faultText(fixture.callOperation('lldt', BigInt(SELECTOR.tss)))).toBe('#13(48)');
  });
});

describe('LAR, LSL, VERR and VERW', () => {
  const ask = (
    fixture: CpuFixture,
    operation: 'lar' | 'lsl' | 'verr' | 'verw',
    selector: number,
  ): [bigint, bigint] => {
    expect(fixture.callOperation(operation, BigInt(selector), 64n)).toBeUndefined();
    return [fixture.state.host0, fixture.state.host1];
  };

  it('give rights and limits of what the caller may see', () => {
    const fixture = makeCpu();
    expect(ask(fixture, 'lar', SELECTOR.kernelCode)).toEqual([0xa0_9b00n, 1n]);
    expect(ask(fixture, 'lsl', SELECTOR.readOnlyData)).toEqual([0x777n, 1n]);
    expect(ask(fixture, 'lsl', SELECTOR.kernelData)).toEqual([0xffff_ffffn, 1n]);
    expect(ask(fixture, 'lar', 0)).toEqual([0n, 0n]);
    expect(ask(fixture, 'lar', 0x1000)).toEqual([0n, 0n]);
    fixture.enterUser();
    expect(ask(fixture, 'lar', SELECTOR.kernelCode)[1]).toBe(0n);
    expect(ask(fixture, 'lar', SELECTOR.conformingCode)[1]).toBe(1n);
  });

  it('tell readable from writable', () => {
    const fixture = makeCpu();
    expect(ask(fixture, 'verr', SELECTOR.readOnlyData)[0]).toBe(1n);
    expect(ask(fixture, 'verw', SELECTOR.readOnlyData)[0]).toBe(0n);
    expect(ask(fixture, 'verw', SELECTOR.kernelData)[0]).toBe(1n);
    expect(ask(fixture, 'verr', SELECTOR.executeOnly)[0]).toBe(0n);
    expect(ask(fixture, 'verr', SELECTOR.tss)[0]).toBe(0n);
  });
});
