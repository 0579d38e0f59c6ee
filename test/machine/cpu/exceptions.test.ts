import { describe, expect, it } from 'vitest';
import { deliverException, deliverInterrupt, isHeldBack } from '../../../machine/cpu/exceptions.ts';
import { readRflags, writeRflags } from '../../../machine/cpu/rflags.ts';
import { fault, pageFault, VECTOR, type GuestFault } from '../../../machine/guest-fault.ts';
import { PRESENT, WRITABLE } from '../memory/memory-fixture.ts';
import {
  HANDLER,
  IST1,
  KERNEL_RIP,
  KERNEL_STACK,
  RSP0,
  SELECTOR,
  TSS,
  USER_RIP,
  USER_STACK,
  descriptor,
  faultText,
  leaveLongMode,
  makeCpu,
  type CpuFixture,
} from './cpu-fixture.ts';

const RF = 1n << 16n;
const IF = 0x200;

describe('an exception in the kernel', () => {
  it('pushes the 64-bit frame with its error code on the aligned present stack', () => {
    const fixture = makeCpu();
    const { cpu, state } = fixture;
    fixture.gate(VECTOR.GP, {});
    state.rsp = KERNEL_STACK - 5n;
    writeRflags(state, 0x8d7);
    expect(deliverException(cpu, fault(VECTOR.GP, 0x28), KERNEL_RIP)).toBeUndefined();
    expect(state.rip).toBe(HANDLER + 13n);
    expect(state.rsp).toBe(KERNEL_STACK - 16n - 48n);
    expect(fixture.stackWords(6)).toEqual([
      0x28n,
      KERNEL_RIP,
      BigInt(SELECTOR.kernelCode),
      0x8d7n | RF,
      KERNEL_STACK - 5n,
      BigInt(SELECTOR.kernelData),
    ]);
    expect(state.ssSelector).toBe(SELECTOR.kernelData);
  });

  it('pushes no error code where there is none, and RF only for faults', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.DB, {});
    deliverException(fixture.cpu, fault(VECTOR.DB), KERNEL_RIP + 3n);
    expect(fixture.stackWords(3)).toEqual([KERNEL_RIP + 3n, BigInt(SELECTOR.kernelCode), 2n]);
  });

  it('clears TF and NT always, and IF through an interrupt gate only', () => {
    for (const [type, expected] of [
      [14, 0x2],
      [15, 0x202],
    ] as const) {
      const fixture = makeCpu();
      fixture.gate(VECTOR.UD, { type });
      writeRflags(fixture.state, 0x4302);
      deliverException(fixture.cpu, fault(VECTOR.UD), KERNEL_RIP);
      expect(readRflags(fixture.state)).toBe(expected);
    }
  });

  it('puts the address of a page fault into CR2', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.PF, {});
    deliverException(fixture.cpu, pageFault(0xdead_0000n, 2), KERNEL_RIP);
    expect(fixture.state.cr2).toBe(0xdead_0000n);
    expect(fixture.stackWords(1)).toEqual([2n]);
  });

  it('switches to the IST stack without a change of privilege and keeps SS', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.NMI, { ist: 1 });
    expect(deliverInterrupt(fixture.cpu, 0, 'nmi')).toBeUndefined();
    expect(fixture.state.rsp).toBe(IST1 - 40n);
    expect(fixture.state.ssSelector).toBe(SELECTOR.kernelData);
    expect(fixture.stackWords(5)[3]).toBe(KERNEL_STACK);
  });

  it('wakes a halted CPU', () => {
    const fixture = makeCpu();
    fixture.gate(0x20, {});
    fixture.cpu.halted = true;
    deliverInterrupt(fixture.cpu, 0x20, 'external');
    expect(fixture.cpu.halted).toBe(false);
  });
});

describe('an exception in user mode', () => {
  it('takes the stack from the TSS, loads a null SS and becomes CPL 0', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.PF, {});
    fixture.enterUser();
    writeRflags(fixture.state, IF | 2);
    deliverException(fixture.cpu, pageFault(0x1234n, 4), USER_RIP);
    const { state } = fixture;
    expect(state.rsp).toBe(RSP0 - 48n);
    expect([state.cpl, state.csSelector, state.ssSelector]).toEqual([0, SELECTOR.kernelCode, 0]);
    expect(fixture.stackWords(6)).toEqual([
      4n,
      USER_RIP,
      BigInt(SELECTOR.userCode),
      0x202n | RF,
      USER_STACK,
      BigInt(SELECTOR.userData),
    ]);
    expect(state.exitRequest).toBe(1);
  });

  it('stays at CPL 3 in a conforming handler', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.UD, { selector: SELECTOR.conformingCode });
    fixture.enterUser();
    deliverException(fixture.cpu, fault(VECTOR.UD), USER_RIP);
    expect(fixture.state.cpl).toBe(3);
    expect(fixture.state.csSelector).toBe(SELECTOR.conformingCode | 3);
    expect(fixture.state.rsp).toBe(USER_STACK - 40n);
  });
});

describe('a gate that cannot be used', () => {
  const raised = fault(VECTOR.UD);

  /** Delivers #UD through a bad gate and gives the error code that the handler of `vector` finds. */
  function consequence(prepare: (fixture: CpuFixture) => void, vector: number): bigint | undefined {
    const fixture = makeCpu();
    fixture.gate(vector, { ist: 0 });
    prepare(fixture);
    deliverException(fixture.cpu, raised, KERNEL_RIP);
    expect(fixture.state.rip).toBe(HANDLER + BigInt(vector));
    return fixture.stackWords(1)[0];
  }

  it('is #GP with the vector, IDT and EXT bits when its type is wrong or beyond the limit', () => {
    const code = BigInt(VECTOR.UD * 8 + 3);
    expect(consequence((it) => it.gate(VECTOR.UD, { type: 12 }), VECTOR.GP)).toBe(code);
    const fixture = makeCpu();
    fixture.gate(VECTOR.GP, {});
    fixture.state.idtrLimit = 14 * 16 - 1;
    deliverInterrupt(fixture.cpu, 0x20, 'external');
    expect(fixture.stackWords(1)).toEqual([0x103n]);
  });

  it('is #NP when it is not present', () => {
    const code = BigInt(VECTOR.UD * 8 + 3);
    expect(consequence((it) => it.gate(VECTOR.UD, { present: false }), VECTOR.NP)).toBe(code);
  });

  it('names the selector when that is the trouble', () => {
    const use = (selector: number) => (it: CpuFixture) => it.gate(VECTOR.UD, { selector });
    expect(consequence(use(0), VECTOR.GP)).toBe(1n);
    expect(consequence(use(0x1000), VECTOR.GP)).toBe(0x1001n);
    expect(consequence(use(SELECTOR.kernelData), VECTOR.GP)).toBe(0x11n);
    expect(consequence(use(SELECTOR.kernelCode32), VECTOR.GP)).toBe(0x49n);
    expect(consequence(use(SELECTOR.absentCode), VECTOR.NP)).toBe(0x41n);
  });

  it('is #TS when the TSS is too short for the stack, #SS when the stack is not canonical', () => {
    const useIst = (it: CpuFixture): void => it.gate(VECTOR.UD, { ist: 7 });
    expect(
      consequence((it) => {
        useIst(it);
        it.state.trLimit = 0x53;
      }, VECTOR.TS),
    ).toBe(BigInt(SELECTOR.tss | 1));
    expect(
      consequence((it) => {
        useIst(it);
        it.write64(TSS + 36 + 6 * 8, 1n << 62n);
      }, VECTOR.SS),
    ).toBe(1n);
  });
});

describe('double and triple faults', () => {
  it('makes #DF of two contributory exceptions, of #PF and #PF, and of #PF and a contributory', () => {
    for (const first of [fault(VECTOR.GP, 0), pageFault(0x1000n, 0), fault(VECTOR.DE)]) {
      const fixture = makeCpu();
      fixture.gate(VECTOR.DF, { ist: 1 });
      deliverException(fixture.cpu, first, KERNEL_RIP);
      expect(fixture.state.rip).toBe(HANDLER + 8n);
      expect(fixture.stackWords(2)).toEqual([0n, KERNEL_RIP]);
    }
  });

  it('delivers a #PF after a contributory exception, and anything after a benign one', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.GP, {});
    fixture.gate(VECTOR.PF, { ist: 1 });
    fixture.state.rsp = 0x5000_0000n;
    deliverException(fixture.cpu, fault(VECTOR.GP, 0x18), KERNEL_RIP);
    expect(fixture.state.rip).toBe(HANDLER + 14n);
    expect(fixture.state.cr2).toBe(0x5000_0000n - 48n);
    expect(fixture.stackWords(2)).toEqual([2n, KERNEL_RIP]);
  });

  it('reports the chain of a triple fault and leaves registers and memory as they were', () => {
    const fixture = makeCpu();
    const { state } = fixture;
    state.rsp = 0x5000_0000n;
    fixture.gate(VECTOR.PF, {});
    fixture.gate(VECTOR.DF, {});
    const report = deliverException(fixture.cpu, pageFault(0x1234n, 4), 0x777n);
    expect(report?.chain).toEqual([
      { vector: 14, errorCode: 4, address: 0x1234n },
      { vector: 14, errorCode: 2, address: 0x4fff_ffd0n },
      { vector: 8, errorCode: 0 },
      { vector: 14, errorCode: 2, address: 0x4fff_ffd0n },
    ]);
    expect(report).toMatchObject({ rip: 0x777n, rsp: 0x5000_0000n, cr3: state.cr3 });
    expect([state.rip, state.rsp, state.csSelector]).toEqual([
      KERNEL_RIP,
      0x5000_0000n,
      SELECTOR.kernelCode,
    ]);
  });

  it('is a triple fault to have no IDT at all', () => {
    const fixture = makeCpu();
    fixture.state.idtrLimit = 0;
    const report = deliverException(fixture.cpu, fault(VECTOR.UD), KERNEL_RIP);
    expect(report?.chain.map(({ vector }) => vector)).toEqual([6, 13, 13, 8, 13]);
  });

  it('turns a fault while an interrupt is delivered into that exception', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.NP, {});
    fixture.gate(0x20, { present: false });
    expect(deliverInterrupt(fixture.cpu, 0x20, 'external')).toBeUndefined();
    expect(fixture.state.rip).toBe(HANDLER + 11n);
    expect(fixture.stackWords(2)).toEqual([0x103n, KERNEL_RIP]);
  });

  it('writes nothing of a frame whose lower part is not mapped', () => {
    const fixture = makeCpu();
    fixture.tables.map(0x6000_0000n, 0x31_0000n, PRESENT | WRITABLE);
    fixture.gate(VECTOR.UD, {});
    fixture.gate(VECTOR.PF, { ist: 1 });
    fixture.state.rsp = 0x6000_0010n;
    fixture.write64(0x31_0008, 0x1111n);
    deliverException(fixture.cpu, fault(VECTOR.UD), KERNEL_RIP);
    expect(fixture.state.rip).toBe(HANDLER + 14n);
    expect(fixture.read64(0x31_0008)).toBe(0x1111n);
  });
});

describe('an exception that a debugger wants to see first', () => {
  /** Delivers with these vectors held back, and gives the vectors of the report. */
  function heldBack(fixture: CpuFixture, raised: GuestFault, ...caught: number[]) {
    const isCaught = ({ vector }: GuestFault): boolean => caught.includes(vector);
    const report = deliverException(fixture.cpu, raised, KERNEL_RIP, isCaught);
    if (report === undefined) return undefined;
    expect(fixture.state.rip).toBe(KERNEL_RIP);
    return { isHeldBack: isHeldBack(report), chain: report.chain.map(({ vector }) => vector) };
  }

  it('is held back before anything is written, CR2 included', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.PF, {});
    const raised = pageFault(0x1234n, 4);
    expect(heldBack(fixture, raised, VECTOR.PF)).toEqual({ isHeldBack: true, chain: [14] });
    expect(fixture.state.cr2).toBe(0n);
    expect(heldBack(fixture, raised, VECTOR.GP)).toBeUndefined();
    expect(fixture.state.cr2).toBe(0x1234n);
  });

  it('is held back when the delivery of another one raises it', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.GP, {});
    fixture.gate(VECTOR.PF, { ist: 1 });
    fixture.state.rsp = 0x5000_0000n;
    const chain = [VECTOR.GP, VECTOR.PF];
    expect(heldBack(fixture, fault(VECTOR.GP, 0), VECTOR.PF)).toEqual({ isHeldBack: true, chain });
    expect(fixture.state.cr2).toBe(0n);
  });

  it('is not the second of two that make a double fault, but that double fault', () => {
    const fixture = makeCpu();
    fixture.gate(VECTOR.GP, { present: false });
    fixture.gate(VECTOR.DF, {});
    const raised = fault(VECTOR.GP, 0);
    const chain = [VECTOR.GP, VECTOR.NP, VECTOR.DF];
    expect(heldBack(fixture, raised, VECTOR.DF)).toEqual({ isHeldBack: true, chain });
    expect(heldBack(fixture, raised, VECTOR.NP)).toBeUndefined();
  });

  it('is told from a shutdown', () => {
    const fixture = makeCpu();
    fixture.state.idtrLimit = 0;
    const chain = [6, 13, 13, 8, 13];
    expect(heldBack(fixture, fault(VECTOR.UD))).toEqual({ isHeldBack: false, chain });
  });
});

describe('INT n', () => {
  it('needs a gate whose DPL allows it, and says so without the EXT bit', () => {
    const fixture = makeCpu();
    fixture.gate(0x80, {});
    fixture.enterUser();
    expect(faultText(fixture.callOperation('softwareInterrupt', 0x80n, 0n))).toBe('#13(1026)');
    expect(fixture.state.rip).toBe(USER_RIP);
    fixture.gate(0x80, { dpl: 3 });
    expect(fixture.callOperation('softwareInterrupt', 0x80n, 0n)).toBeUndefined();
    expect(fixture.state.rip).toBe(HANDLER + 0x80n);
    expect(fixture.stackWords(1)).toEqual([USER_RIP]);
  });

  it('as INT1 may use any gate', () => {
    const fixture = makeCpu();
    fixture.gate(1, {});
    fixture.enterUser();
    expect(fixture.callOperation('softwareInterrupt', 1n, 1n)).toBeUndefined();
  });
});

describe('delivery in 32-bit protected mode', () => {
  const GATE32 = 0x2000;

  function gate32({ write64 }: CpuFixture, vector: number, type: number, selector: number): void {
    const offset = HANDLER + BigInt(vector);
    const upper = (offset & 0xffff_0000n) | BigInt((0x80 | type) << 8);
    write64(GATE32 + vector * 8, (upper << 32n) | BigInt(selector << 16) | (offset & 0xffffn));
  }

  it('pushes EFLAGS, CS, EIP and the error code on the same stack', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    gate32(fixture, VECTOR.GP, 14, SELECTOR.kernelCode32);
    writeRflags(fixture.state, IF | 2);
    expect(deliverException(fixture.cpu, fault(VECTOR.GP, 0x10), 0x1234n)).toBeUndefined();
    const { state } = fixture;
    expect([state.rip, state.rsp]).toEqual([HANDLER + 13n, KERNEL_STACK - 16n]);
    const at = Number(state.rsp);
    const words = [0, 4, 8, 12].map((offset) => fixture.memory.physical.readWord(at + offset));
    expect(words).toEqual([0x10, 0x1234, SELECTOR.kernelCode32, 0x1_0202]);
    expect(readRflags(state)).toBe(2);
  });

  it('changes to SS0:ESP0 from user mode', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    const { state, cpu } = fixture;
    gate32(fixture, 0x20, 15, SELECTOR.kernelCode32);
    fixture.memory.physical.writeWord(TSS + 4, 0xb000);
    fixture.memory.physical.writeWord(TSS + 8, SELECTOR.kernelData);
    Object.assign(state, {
      csSelector: SELECTOR.userCode32,
      csAttributes: 0xc0fb,
      ssSelector: SELECTOR.userData,
      ssAttributes: 0xc0f3,
      rsp: 0x9_0000n,
      rip: 0x4000n,
    });
    cpu.setPrivilegeLevel(3);
    expect(deliverInterrupt(cpu, 0x20, 'external')).toBeUndefined();
    expect([state.cpl, state.ssSelector, state.rsp]).toEqual([
      0,
      SELECTOR.kernelData,
      0xb000n - 20n,
    ]);
    const words = [0, 4, 8, 12, 16].map((offset) =>
      fixture.memory.physical.readWord(0xb000 - 20 + offset),
    );
    expect(words).toEqual([0x4000, SELECTOR.userCode32, 2, 0x9_0000, SELECTOR.userData]);
  });

  it('refuses task gates with #GP and a note', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    gate32(fixture, VECTOR.UD, 5, SELECTOR.tss);
    gate32(fixture, VECTOR.GP, 14, SELECTOR.kernelCode32);
    deliverException(fixture.cpu, fault(VECTOR.UD), 0x1234n);
    expect(fixture.state.rip).toBe(HANDLER + 13n);
    expect(fixture.notes).toHaveLength(1);
  });

  it('checks SS0 of the TSS', () => {
    const fixture = makeCpu();
    leaveLongMode(fixture);
    const { state, cpu } = fixture;
    gate32(fixture, VECTOR.UD, 14, SELECTOR.kernelCode32);
    gate32(fixture, VECTOR.TS, 14, SELECTOR.conformingCode);
    fixture.write64(0x1000 + SELECTOR.conformingCode, descriptor(0, 0xfffff, 0x9f, 0b1100));
    fixture.memory.physical.writeWord(TSS + 8, SELECTOR.userData);
    Object.assign(state, { csSelector: SELECTOR.userCode32, csAttributes: 0xc0fb });
    cpu.setPrivilegeLevel(3);
    deliverException(cpu, fault(VECTOR.UD), 0x1234n);
    expect(state.rip).toBe(HANDLER + 10n);
    expect(fixture.memory.physical.readWord(Number(state.rsp))).toBe((SELECTOR.userData & ~3) | 1);
  });
});
