import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HOST_FUNCTIONS } from '../../../machine/cpu/host-operations.ts';
import { HOST_OPERATIONS } from '../../../machine/instructions/host-operations.ts';
import { faultText, makeCpu, KERNEL_STACK } from './cpu-fixture.ts';

const word = fastCheck.bigInt(0n, 0xffff_ffff_ffff_ffffn);

describe('128-bit division', () => {
  it('gives quotient and remainder that multiply back, or #DE', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    fastCheck.assert(
      fastCheck.property(word, word, word, (low, high, divisor) => {
        const raised = fixture.callOperation('divideUnsigned', low, high, divisor);
        expect(raised !== undefined).toBe(high >= divisor);
        if (raised === undefined) {
          expect(state.host0 * divisor + state.host1).toBe((high << 64n) | low);
          expect(state.host1).toBeLessThan(divisor);
        }
      }),
    );
  });

  it('rounds signed quotients towards zero', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    const minusOne = 0xffff_ffff_ffff_ffffn;
    expect(
      fixture.callOperation('divideSigned', BigInt.asUintN(64, -7n), minusOne, 2n),
    ).toBeUndefined();
    expect([state.host0, state.host1].map((value) => BigInt.asIntN(64, value))).toEqual([-3n, -1n]);
    expect(faultText(fixture.callOperation('divideSigned', 1n << 63n, minusOne, minusOne))).toBe(
      '#0',
    );
    expect(faultText(fixture.callOperation('divideSigned', 1n << 63n, 0n, 1n))).toBe('#0');
    expect(fixture.callOperation('divideSigned', 1n << 63n, minusOne, 1n)).toBeUndefined();
    expect(faultText(fixture.callOperation('divideSigned', 1n, 0n, 0n))).toBe('#0');
  });
});

describe('FXSAVE and FXRSTOR', () => {
  it('bring back MXCSR, x87 bytes and all xmm registers', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    for (let register = 0; register < 16; register++) state.xmm(register).fill(register + 1);
    state.mxcsr = 0x1fa5;
    fixture.callOperation('x87Reset');
    expect(faultText(fixture.callOperation('fxsave', 0x9000n, 64n))).toBe('none');
    expect(fixture.memory.physical.readWord(0x9000) & 0xffff).toBe(0x37f);
    expect(fixture.memory.physical.readWord(0x901c)).toBe(0xffff);
    for (let register = 0; register < 16; register++) state.xmm(register).fill(0);
    state.mxcsr = 0;
    expect(faultText(fixture.callOperation('fxrstor', 0x9000n, 64n))).toBe('none');
    expect(state.mxcsr).toBe(0x1fa5);
    expect([...state.xmm(15)]).toEqual(new Array(16).fill(16));
  });

  it('leave bytes 416–511 alone and work across a page boundary', () => {
    const fixture = makeCpu();
    fixture.write64(0x9f00 + 416, 0x1234n);
    fixture.callOperation('fxsave', 0x9f00n, 64n);
    expect(fixture.read64(0x9f00 + 416)).toBe(0x1234n);
  });

  it('fault on misalignment, reserved MXCSR bits and CR0.TS, changing nothing', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    expect(faultText(fixture.callOperation('fxsave', 0x9008n, 64n))).toBe('#13(0)');
    state.xmm(0).fill(7);
    fixture.memory.physical.writeWord(0x9000 + 24, 0x1_0000);
    expect(faultText(fixture.callOperation('fxrstor', 0x9000n, 64n))).toBe('#13(0)');
    expect(state.xmm(0)[0]).toBe(7);
    expect(faultText(fixture.callOperation('ldmxcsr', 0x1_0000n))).toBe('#13(0)');
    state.cr0 |= 8n;
    expect(faultText(fixture.callOperation('fxsave', 0x9000n, 64n))).toBe('#7');
  });
});

describe('ENTER', () => {
  it('pushes rbp and makes room at level 0', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    state.rbp = 0x1111n;
    expect(faultText(fixture.callOperation('enter', 0x20n, 0n, 64n))).toBe('none');
    expect([state.rbp, state.rsp]).toEqual([KERNEL_STACK - 8n, KERNEL_STACK - 0x28n]);
    expect(fixture.read64(Number(KERNEL_STACK) - 8)).toBe(0x1111n);
  });

  it('copies the display of the enclosing frames', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    state.rbp = 0x9000n;
    fixture.write64(0x8ff8, 0xaaaan);
    fixture.write64(0x8ff0, 0xbbbbn);
    expect(faultText(fixture.callOperation('enter', 0n, 3n, 64n))).toBe('none');
    const frame = KERNEL_STACK - 8n;
    expect(state.rbp).toBe(frame);
    expect(fixture.stackWords(4)).toEqual([frame, 0xbbbbn, 0xaaaan, 0x9000n]);
  });

  it('faults if the place where rsp would end cannot be written', () => {
    const fixture = makeCpu();
    const before = fixture.state.rsp;
    fixture.state.rsp = 0x7000_0800n;
    expect(faultText(fixture.callOperation('enter', 0x1000n, 0n, 64n))).toBe('#14(2)@6ffff7f8');
    expect([fixture.state.rsp, before]).toEqual([0x7000_0800n, KERNEL_STACK]);
  });
});

describe('descriptor table registers', () => {
  it('are loaded with 8, 4 or 3 bytes of base by operand width', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    fixture.write64(0x9000, 0x5678_9abc_def0_0fffn);
    fixture.write64(0x9008, 0xffffn);
    expect(faultText(fixture.callOperation('lgdt', 0x9000n, 64n))).toBe('#13(0)');
    fixture.write64(0x9000, 0x8000_9abc_def0_0fffn);
    expect(faultText(fixture.callOperation('lidt', 0x9000n, 64n))).toBe('none');
    expect([state.idtrBase, state.idtrLimit]).toEqual([0xffff_8000_9abc_def0n, 0xfff]);
    fixture.callOperation('lgdt', 0x9000n, 32n);
    expect(state.gdtrBase).toBe(0x9abc_def0n);
    fixture.callOperation('lgdt', 0x9000n, 16n);
    expect(state.gdtrBase).toBe(0xbc_def0n);
  });
});

describe('the table of host operations', () => {
  it('has a function for every name', () => {
    for (const name of HOST_OPERATIONS) expect(HOST_FUNCTIONS[name]).toBeTypeOf('function');
    expect(Object.keys(HOST_FUNCTIONS)).toHaveLength(HOST_OPERATIONS.length);
  });

  it('halts on HLT and asks for attention', () => {
    const fixture = makeCpu();
    fixture.callOperation('hlt');
    expect([fixture.cpu.halted, fixture.state.exitRequest]).toEqual([true, 1]);
  });
});
