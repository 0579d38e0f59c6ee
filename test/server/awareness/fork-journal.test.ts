/** The book of forks while nobody watches the CPU, and from when somebody does. */
import { beforeEach, describe, expect, it } from 'vitest';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { ForkJournal } from '../../../server/awareness/fork-journal.ts';
import { forkVerdict } from '../../../server/awareness/fork-verdict.ts';
import { runWalk, type Walk } from '../../../server/awareness/walk.ts';
import { FakeExo, KERNEL_IMAGE } from '../fake-exo.ts';

const RSP = 0xffff_ff00_0001_3f00n;
const CALLER = 0xffff_ffff_8010_1234n;
const REGISTERS = { rbx: 1n, rbp: 2n, r12: 3n, r13: 4n, r14: 5n, r15: 6n, rsp: RSP };

let exo: FakeExo;
let journal: ForkJournal;

beforeEach(() => {
  exo = new FakeExo();
  exo.setThreads([{ tid: 0 }, { tid: 3 }, { tid: 4 }]);
  exo.setCurrent(3);
  exo.machine.putU64(RSP, CALLER);
  journal = new ForkJournal(findKernelAwareness(KERNEL_IMAGE)!, false);
});

function run<Result>(walk: Walk<Result>): Result {
  return runWalk(walk, ({ address, lengthBytes, cr3 }) =>
    exo.machine.readLinear(address, lengthBytes, cr3),
  );
}

function record(parentTid: number, childTid: number): void {
  const child = { ...REGISTERS, rsp: RSP + 8n, rip: CALLER, rax: 0n, cs: 8n };
  exo.recordFork({ parentTid, childTid, captured: REGISTERS, derivedRip: CALLER, child });
}

function sight(tid: number): void {
  exo.setCurrent(tid);
  const registers = new Map(Object.entries({ ...REGISTERS, cs: 8n }));
  run(journal.sight({ kind: 'fork', registers }));
}

function verdicts(): string[] {
  run(journal.readRecords());
  return journal.entries().map((entry) => forkVerdict(entry).kind);
}

describe('the book of forks', () => {
  it('has no verdict on forks that nobody watched', () => {
    record(3, 9);
    expect(verdicts()).toEqual(['not recorded']);
  });

  it('numbers what the ring still holds as if it had seen all', () => {
    for (let child = 10; child < 110; child++) record(3, child);
    expect(verdicts()).toHaveLength(exo.descriptor.forkRing.capacity);
    expect(journal.total).toBe(100);
    expect(journal.entries().at(-1)!.number).toBe(100);
    expect(journal.complaints).toEqual([]);
  });

  it('accuses nobody of a fork that was under way when the watch began', () => {
    run(journal.watch(true));
    record(3, 9);
    record(4, 10);
    expect(verdicts()).toEqual(['not recorded', 'not recorded']);
  });

  it('exposes a record of a fork that never happened, of a thread that forked before', () => {
    run(journal.watch(true));
    sight(3);
    record(3, 9);
    record(3, 10);
    expect(verdicts()).toEqual(['sound', 'unseen']);
  });

  it('does not pair what it saw with a fork that came when the watch was over', () => {
    run(journal.watch(true));
    sight(3);
    run(journal.watch(false));
    record(3, 9);
    expect(verdicts()).toEqual(['open', 'not recorded']);
  });
});
