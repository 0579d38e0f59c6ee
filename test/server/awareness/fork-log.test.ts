import { beforeEach, describe, expect, it } from 'vitest';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { ForkLog } from '../../../server/awareness/fork-log.ts';
import { forkRows, forkVerdict } from '../../../server/awareness/fork-verdict.ts';
import { FakeExo, KERNEL_IMAGE, symbolAddress } from '../fake-exo.ts';

const RSP = 0xffff_ff00_0001_3f00n;
const CALLER = 0xffff_ffff_8010_1234n;
const TRUE_REGISTERS = { rbx: 1n, rbp: 2n, r12: 3n, r13: 4n, r14: 5n, r15: 6n, rsp: RSP };

let exo: FakeExo;
let log: ForkLog;

beforeEach(() => {
  exo = new FakeExo();
  exo.setThreads([{ tid: 0 }, { tid: 3 }, { tid: 4 }]);
  exo.setCurrent(3);
  log = new ForkLog(exo.machine, findKernelAwareness(KERNEL_IMAGE)!);
});

/** The CPU reaches sys_fork in thread `tid`. */
function reachFork(tid = 3, registers: Record<string, bigint> = TRUE_REGISTERS): void {
  exo.setCurrent(tid);
  for (const [name, value] of Object.entries(registers)) exo.machine.registers.set(name, value);
  exo.machine.putU64(registers['rsp']!, CALLER);
  exo.machine.jump(symbolAddress('sys_fork'));
  exo.machine.run({ budget: 1 });
}

function soundChild(registers = TRUE_REGISTERS): Record<string, bigint> {
  return { ...registers, rsp: registers.rsp + 8n, rip: CALLER, rax: 0n, cs: 8n };
}

function soundRecord(parentTid = 3, childTid = 9) {
  return {
    parentTid,
    childTid,
    captured: TRUE_REGISTERS,
    derivedRip: CALLER,
    child: soundChild(),
  };
}

describe('the log of forks', () => {
  it('pairs what the CPU held with what the kernel recorded', () => {
    reachFork();
    exo.recordFork(soundRecord());
    const [entry] = log.entries();
    expect(entry!.number).toBe(1);
    expect(entry!.sighting!.thread).toEqual({ tid: 3, pid: 3 });
    expect(entry!.sighting!.returnAddress).toBe(CALLER);
    expect(entry!.sighting!.registers.get('r15')).toBe(6n);
    expect(entry!.record!.childTid).toBe(9);
    expect(forkVerdict(entry!).kind).toBe('sound');
    expect(forkRows(entry!).flatMap(({ marks }) => marks)).toEqual([]);
  });

  it('shows a fork that is still going on', () => {
    reachFork();
    expect(log.entries()).toHaveLength(1);
    expect(forkVerdict(log.entries()[0]!).kind).toBe('open');
  });

  it('exposes a guest that lies about the registers it captured', () => {
    reachFork();
    const captured = { ...TRUE_REGISTERS, rbx: 0x666n };
    exo.recordFork({ ...soundRecord(), captured, child: { ...soundChild(), rbx: 0x666n } });
    const [entry] = log.entries();
    const verdict = forkVerdict(entry!);
    expect(verdict.kind).toBe('false record');
    expect(verdict.text).toContain('rbx');
    const row = forkRows(entry!).find(({ register }) => register === 'rbx')!;
    expect(row.captured).toBe(0x666n);
    expect(row.true).toBe(1n);
    expect(row.marks).toEqual(['captured is not what the CPU had', 'child should be 0x1']);
  });

  it('exposes a guest that lies about the return address', () => {
    reachFork();
    exo.recordFork({ ...soundRecord(), derivedRip: 0x1111n });
    expect(forkVerdict(log.entries()[0]!).text).toContain('captured rip');
  });

  it('exposes a guest that names another parent', () => {
    reachFork(3);
    exo.recordFork(soundRecord(4));
    const verdict = forkVerdict(log.entries()[0]!);
    expect(verdict.kind).toBe('false record');
    expect(verdict.text).toContain('tid 4');
    expect(verdict.text).toContain('tid 3');
  });

  it('exposes a record of a fork that never happened', () => {
    exo.recordFork(soundRecord());
    const [entry] = log.entries();
    expect(entry!.sighting).toBeUndefined();
    expect(forkVerdict(entry!).kind).toBe('unseen');
  });

  it('recognises a child that was made from the stale context', () => {
    reachFork();
    const stale = { ...soundChild(), rip: 0x2222n, rsp: 0x3333n, rbx: 0x4444n };
    exo.recordFork({ ...soundRecord(), stale, child: stale, isFromStale: true });
    const verdict = forkVerdict(log.entries()[0]!);
    expect(verdict.kind).toBe('stale');
    expect(verdict.text).toMatch(/rip, rsp, rbx/);
  });

  it('tells a child with invented registers from a stale one', () => {
    reachFork();
    exo.recordFork({ ...soundRecord(), child: { ...soundChild(), r12: 0x77n } });
    expect(forkVerdict(log.entries()[0]!)).toMatchObject({ kind: 'wrong child' });
  });

  it('keeps forks apart that two threads are in at the same time', () => {
    reachFork(3);
    reachFork(4, { ...TRUE_REGISTERS, rbx: 0x44n });
    exo.recordFork({ ...soundRecord(4, 11), captured: { ...TRUE_REGISTERS, rbx: 0x44n } });
    exo.recordFork(soundRecord(3, 12));
    const [first, second] = log.entries();
    expect([first!.record!.childTid, second!.record!.childTid]).toEqual([12, 11]);
    expect(second!.sighting!.registers.get('rbx')).toBe(0x44n);
  });

  it('keeps all forks although the ring of the guest wraps', () => {
    const count = exo.descriptor.forkRing.capacity * 3;
    for (let index = 0; index < count; index++) {
      reachFork();
      exo.recordFork(soundRecord(3, 100 + index));
    }
    const entries = log.entries();
    expect(entries).toHaveLength(count);
    expect(entries.map(({ record }) => record?.childTid)).toEqual(
      Array.from({ length: count }, (_, index) => 100 + index),
    );
    expect(log.complaints).toEqual([]);
  });

  it('counts a fork once when an interrupt comes before its first instruction', () => {
    reachFork();
    reachFork();
    exo.recordFork(soundRecord());
    expect(log.entries()).toHaveLength(1);
    expect(forkVerdict(log.entries()[0]!).kind).toBe('sound');
  });

  it('survives a guest that counts absurdly and complains', () => {
    reachFork();
    exo.setForkTotal(1n << 60n);
    expect(log.entries()).toHaveLength(1);
    expect(log.complaints.length).toBeGreaterThan(0);
    exo.setForkTotal(0n);
    expect(log.entries()).toHaveLength(1);
    expect(log.complaints.at(-1)).toContain('went back');
  });

  it('does not grow without bound when the guest counts absurdly at each fork', () => {
    for (let index = 0; index < 50; index++) {
      exo.setForkTotal(BigInt(index + 1) << 40n);
      reachFork();
    }
    expect(log.complaints.length).toBeLessThan(100);
  });

  it('survives a stack pointer that points to nothing', () => {
    exo.setCurrent(3);
    exo.machine.registers.set('rsp', 0x1234_5678_9000n);
    exo.machine.jump(symbolAddress('sys_fork'));
    exo.machine.run({ budget: 1 });
    expect(log.entries()[0]!.sighting!.returnAddress).toBeUndefined();
  });

  it('starts at 1 again after a power cycle', () => {
    reachFork();
    log.clear();
    reachFork();
    expect(log.entries().map(({ number }) => number)).toEqual([1]);
  });

  it('leaves the machine when it is disposed of', () => {
    log.dispose();
    reachFork();
    expect(log.entries()).toEqual([]);
  });
});
