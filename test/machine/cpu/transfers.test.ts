import { describe, expect, it } from 'vitest';
import { readRflags, writeRflags } from '../../../machine/cpu/rflags.ts';
import { currentMode } from '../../../machine/cpu/execution-mode.ts';
import { STATE_FIELDS, type StateField } from '../../../machine/state/fields.ts';
import {
  GDT,
  KERNEL_RIP,
  KERNEL_STACK,
  RSP0,
  SELECTOR,
  USER_RIP,
  USER_STACK,
  faultText,
  leaveLongMode,
  makeCpu,
  type CpuFixture,
} from './cpu-fixture.ts';

/** Puts quadwords at rsp, the first on top, as IRETQ finds them. */
function pushFrame({ state, memory }: CpuFixture, ...values: bigint[]): void {
  state.rsp -= BigInt(values.length * 8);
  const bytes = new Uint8Array(new BigUint64Array(values).buffer);
  expect(memory.debug.writeLinear(state.rsp, bytes)).toBe(bytes.length);
}

/** All of the CPU state but the arguments of host operations. */
function registers({ state }: CpuFixture): Record<string, bigint | number> {
  const names = [...STATE_FIELDS].filter(
    ({ name, type }) => type !== 'bytes' && !name.startsWith('host'),
  );
  return Object.fromEntries(names.map(({ name }) => [name, state[name as StateField]]));
}

const toUser = [USER_RIP, BigInt(SELECTOR.userCode), 0x202n, USER_STACK, BigInt(SELECTOR.userData)];

describe('IRETQ', () => {
  it('returns to user mode with its stack and flags', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    pushFrame(
      fixture,
      USER_RIP,
      BigInt(SELECTOR.userCode),
      0x3246n,
      USER_STACK,
      BigInt(SELECTOR.userData),
    );
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('none');
    expect([state.rip, state.rsp, state.cpl]).toEqual([USER_RIP, USER_STACK, 3]);
    expect([state.csSelector, state.ssSelector]).toEqual([SELECTOR.userCode, SELECTOR.userData]);
    expect(readRflags(state)).toBe(0x3246);
    expect(state.tlbContext).toBe(0);
    expect(currentMode(state)).toMatchObject({ codeWidth: 64, cpl: 3, longMode: true });
  });

  it('returns within the kernel with a null SS, which is how exceptions come in', () => {
    const fixture = makeCpu();
    pushFrame(fixture, 0x777n, BigInt(SELECTOR.kernelCode), 2n, 0x9008n, 0n);
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('none');
    expect([fixture.state.rip, fixture.state.rsp]).toEqual([0x777n, 0x9008n]);
  });

  it('makes data segments null that user mode may not have', () => {
    const fixture = makeCpu();
    fixture.callOperation('loadSegment', 3n, BigInt(SELECTOR.kernelData), 0n, 0n);
    fixture.callOperation('loadSegment', 0n, BigInt(SELECTOR.userData), 0n, 0n);
    pushFrame(fixture, ...toUser);
    fixture.callOperation('iret', 64n);
    expect([fixture.state.dsSelector, fixture.state.esSelector]).toEqual([0, SELECTOR.userData]);
  });

  it('leaves the base of what it makes null: kernels keep theirs in GS with any selector', () => {
    const fixture = makeCpu();
    fixture.callOperation('loadSegment', 5n, BigInt(SELECTOR.kernelData), 0n, 0n);
    fixture.state.gsBase = 0xffff_8000_0000_1000n;
    pushFrame(fixture, ...toUser);
    fixture.callOperation('iret', 64n);
    expect([fixture.state.gsSelector, fixture.state.gsAttributes]).toEqual([0, 0]);
    expect(fixture.state.gsBase).toBe(0xffff_8000_0000_1000n);
  });

  it('enters compatibility mode through a 32-bit code segment', () => {
    const fixture = makeCpu();
    pushFrame(
      fixture,
      0x1000n,
      BigInt(SELECTOR.userCode32),
      2n,
      0x2000n,
      BigInt(SELECTOR.userData),
    );
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('none');
    expect(currentMode(fixture.state)).toMatchObject({
      codeWidth: 32,
      stackWidth: 32,
      longMode: true,
    });
  });

  it.each([
    ['a null CS', [USER_RIP, 0n, 2n, USER_STACK, BigInt(SELECTOR.userData)], '#13(0)'],
    ['a data segment as CS', [USER_RIP, BigInt(SELECTOR.kernelData), 2n, 0n, 0n], '#13(16)'],
    ['a CS with the wrong RPL', [USER_RIP, BigInt(SELECTOR.kernelCode | 3), 2n, 0n, 0n], '#13(8)'],
    ['an absent CS', [USER_RIP, BigInt(SELECTOR.absentCode), 2n, 0n, 0n], '#11(64)'],
    ['a CS outside the GDT', [USER_RIP, 0x80n, 2n, 0n, 0n], '#13(128)'],
    ['a null SS for CPL 3', [USER_RIP, BigInt(SELECTOR.userCode), 2n, 0n, 3n], '#13(0)'],
    [
      'an SS of another level',
      [USER_RIP, BigInt(SELECTOR.userCode), 2n, 0n, BigInt(SELECTOR.kernelData)],
      '#13(16)',
    ],
    [
      'a read-only SS',
      [0n, BigInt(SELECTOR.kernelCode), 2n, 0n, BigInt(SELECTOR.readOnlyData)],
      '#13(88)',
    ],
    [
      'an absent SS',
      [0n, BigInt(SELECTOR.kernelCode), 2n, 0n, BigInt(SELECTOR.absentData)],
      '#12(120)',
    ],
    ['a RIP that is not canonical', [1n << 47n, ...toUser.slice(1)], '#13(0)'],
  ])('refuses %s and changes nothing', (_name, frame, expected) => {
    const fixture = makeCpu();
    pushFrame(fixture, ...frame);
    const before = registers(fixture);
    expect(faultText(fixture.callOperation('iret', 64n))).toBe(expected);
    expect(registers(fixture)).toEqual(before);
  });

  it('refuses NT in long mode', () => {
    const fixture = makeCpu();
    pushFrame(fixture, ...toUser);
    writeRflags(fixture.state, 0x4002);
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('#13(0)');
  });

  it('lets user code change neither IF nor IOPL', () => {
    const fixture = makeCpu();
    fixture.enterUser();
    writeRflags(fixture.state, 0x202);
    pushFrame(
      fixture,
      USER_RIP,
      BigInt(SELECTOR.userCode),
      0x3000n | 0xd5n,
      USER_STACK,
      BigInt(SELECTOR.userData),
    );
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('none');
    expect(readRflags(fixture.state)).toBe(0x2d7);
  });

  it('asks for attention when it enables a waiting interrupt', () => {
    const fixture = makeCpu();
    fixture.interrupts.pending = true;
    pushFrame(fixture, 0x777n, BigInt(SELECTOR.kernelCode), 0x202n, 0x9008n, 0n);
    fixture.callOperation('iret', 64n);
    expect(fixture.state.exitRequest).toBe(1);
  });

  it('reports the page fault of its own stack', () => {
    const fixture = makeCpu();
    fixture.state.rsp = 0x5000_0000n;
    expect(faultText(fixture.callOperation('iret', 64n))).toBe('#14(0)@50000000');
  });
});

describe('IRET in 32-bit protected mode', () => {
  it('pops three doublewords at the same level', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    const { state, memory } = fixture;
    state.rsp = 0x7000n;
    memory.physical.writeWord(0x7000, 0x4444);
    memory.physical.writeWord(0x7004, SELECTOR.kernelCode32);
    memory.physical.writeWord(0x7008, 0x246);
    expect(faultText(fixture.callOperation('iret', 32n))).toBe('none');
    expect([state.rip, state.rsp, readRflags(state)]).toEqual([0x4444n, 0x700cn, 0x246]);
  });
});

describe('far transfers', () => {
  it('jump from 32-bit code into a 64-bit segment once EFER.LMA is set', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    fixture.state.efer = 0x500n;
    expect(currentMode(fixture.state).codeWidth).toBe(32);
    expect(
      faultText(fixture.callOperation('farJump', BigInt(SELECTOR.kernelCode), 0x1000n, 32n)),
    ).toBe('none');
    expect(currentMode(fixture.state).codeWidth).toBe(64);
    expect([fixture.state.rip, fixture.state.csBase]).toEqual([0x1000n, 0n]);
  });

  it('call and return through the stack', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    expect(
      faultText(fixture.callOperation('farCall', BigInt(SELECTOR.conformingCode), 0x9999n, 64n)),
    ).toBe('none');
    expect(fixture.stackWords(2)).toEqual([KERNEL_RIP, BigInt(SELECTOR.kernelCode)]);
    expect([state.rip, state.csSelector]).toEqual([0x9999n, SELECTOR.conformingCode]);
    expect(faultText(fixture.callOperation('farReturn', 64n, 16n))).toBe('none');
    expect([state.rip, state.rsp]).toEqual([KERNEL_RIP, KERNEL_STACK + 16n]);
  });

  it('return to user mode with the stack behind the parameters', () => {
    const fixture = makeCpu();
    pushFrame(
      fixture,
      USER_RIP,
      BigInt(SELECTOR.userCode),
      0xabcn,
      USER_STACK - 64n,
      BigInt(SELECTOR.userData),
    );
    expect(faultText(fixture.callOperation('farReturn', 64n, 8n))).toBe('none');
    expect([fixture.state.rip, fixture.state.rsp, fixture.state.cpl]).toEqual([
      USER_RIP,
      USER_STACK - 56n,
      3,
    ]);
  });

  it('refuse what privilege, type or presence forbid', () => {
    const fixture = makeCpu();
    const jump = (selector: number, offset = 0x1000n): string =>
      faultText(fixture.callOperation('farJump', BigInt(selector), offset, 64n));
    expect(jump(0)).toBe('#13(0)');
    expect(jump(SELECTOR.kernelData)).toBe('#13(16)');
    expect(jump(SELECTOR.userCode)).toBe('#13(40)');
    expect(jump(SELECTOR.absentCode)).toBe('#11(64)');
    expect(jump(SELECTOR.tss)).toBe('#13(48)');
    expect(jump(SELECTOR.kernelCode, 1n << 50n)).toBe('#13(0)');
  });

  it('go through a 64-bit call gate to the kernel’s stack', () => {
    const fixture = makeCpu();
    const offset = 0xffff_8000_0001_2340n;
    const low = (offset & 0xffffn) | (BigInt(SELECTOR.kernelCode) << 16n) | (0xecn << 40n);
    fixture.write64(GDT + SELECTOR.ldt, low | (((offset >> 16n) & 0xffffn) << 48n));
    fixture.write64(GDT + SELECTOR.ldt + 8, offset >> 32n);
    fixture.enterUser();
    expect(faultText(fixture.callOperation('farCall', BigInt(SELECTOR.ldt | 3), 0n, 64n))).toBe(
      'none',
    );
    const { state } = fixture;
    expect([state.rip, state.cpl, state.ssSelector]).toEqual([offset, 0, 0]);
    expect(state.rsp).toBe(RSP0 - 32n);
    expect(fixture.stackWords(4)).toEqual([
      USER_RIP,
      BigInt(SELECTOR.userCode),
      USER_STACK,
      BigInt(SELECTOR.userData),
    ]);
  });
});

describe('SYSCALL and SYSRET', () => {
  function withSystemCalls(): CpuFixture {
    const fixture = makeCpu();
    const { state } = fixture;
    state.efer |= 1n;
    state.star = (0x1bn << 48n) | (0x08n << 32n);
    state.lstar = 0xffff_8000_0000_5000n;
    state.sfmask = 0x600n;
    return fixture;
  }

  it('save rip and rflags, mask flags, and load flat kernel segments', () => {
    const fixture = withSystemCalls();
    const { state } = fixture;
    fixture.enterUser();
    writeRflags(state, 0x647);
    expect(faultText(fixture.callOperation('syscall'))).toBe('none');
    expect([state.rip, state.rcx, state.r11]).toEqual([0xffff_8000_0000_5000n, USER_RIP, 0x647n]);
    expect([state.cpl, state.csSelector, state.ssSelector]).toEqual([0, 0x08, 0x10]);
    expect(readRflags(state)).toBe(0x47);
    expect(state.rsp).toBe(USER_STACK);
    expect(currentMode(state)).toMatchObject({ codeWidth: 64, cpl: 0 });
  });

  it('come back to where they were', () => {
    const fixture = withSystemCalls();
    const { state } = fixture;
    Object.assign(state, { rcx: USER_RIP, r11: 0x3_0246n });
    expect(faultText(fixture.callOperation('sysret', 64n))).toBe('none');
    expect([state.rip, state.cpl]).toEqual([USER_RIP, 3]);
    expect([state.csSelector, state.ssSelector]).toEqual([0x2b, 0x23]);
    expect(readRflags(state)).toBe(0x246);
  });

  it('return to compatibility mode with a 32-bit operand', () => {
    const fixture = withSystemCalls();
    fixture.state.rcx = 0x1_0000_4000n;
    fixture.callOperation('sysret', 32n);
    expect([fixture.state.rip, fixture.state.csSelector]).toEqual([0x4000n, 0x1b]);
    expect(currentMode(fixture.state).codeWidth).toBe(32);
  });

  it('are undefined without EFER.SCE, and SYSRET checks rcx', () => {
    const fixture = makeCpu();
    expect(faultText(fixture.callOperation('syscall'))).toBe('#6');
    expect(faultText(fixture.callOperation('sysret', 64n))).toBe('#6');
    fixture.state.efer |= 1n;
    fixture.state.rcx = 1n << 47n;
    expect(faultText(fixture.callOperation('sysret', 64n))).toBe('#13(0)');
  });
});

describe('SYSENTER and SYSEXIT', () => {
  it('use the MSRs and need a selector in them', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    fixture.enterUser();
    expect(faultText(fixture.callOperation('sysenter'))).toBe('#13(0)');
    Object.assign(state, { sysenterCs: 0x08n, sysenterEsp: 0xb000n, sysenterEip: 0x1234n });
    writeRflags(state, 0x202);
    expect(faultText(fixture.callOperation('sysenter'))).toBe('none');
    expect([state.rip, state.rsp, state.cpl, readRflags(state)]).toEqual([0x1234n, 0xb000n, 0, 2]);
    Object.assign(state, { rdx: USER_RIP, rcx: USER_STACK });
    expect(faultText(fixture.callOperation('sysexit', 64n))).toBe('none');
    expect([state.rip, state.rsp, state.csSelector]).toEqual([USER_RIP, USER_STACK, 0x2b]);
  });
});
