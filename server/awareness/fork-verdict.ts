/**
 * What to think of a fork: compares what the CPU held (true) with what the kernel recorded.
 * A child must hold the callee-saved registers of its parent, rax = 0, and rip and rsp as after the
 * return from the fork function; caller-saved registers are nobody's after a call.
 */
import type { RegisterValues } from './awareness.ts';
import type { ForkEntry, ForkSighting } from './fork-journal.ts';

/** One register in the four views of a fork. Absent: that view does not have it. */
export interface ForkRow {
  readonly register: string;
  readonly captured?: bigint;
  readonly true?: bigint;
  readonly stale?: bigint;
  readonly child?: bigint;
  /** What is unexpected, in a few words; empty when all is as it should be. */
  readonly marks: readonly string[];
}

export type ForkVerdictKind =
  'sound' | 'stale' | 'false record' | 'wrong child' | 'open' | 'unseen' | 'not recorded';

export interface ForkVerdict {
  readonly kind: ForkVerdictKind;
  /** One sentence. */
  readonly text: string;
}

const ROWS = 'rip rsp rbp rbx r12 r13 r14 r15 rax rcx rdx rsi rdi r8 r9 r10 r11 rflags cs'.split(
  ' ',
);
const RETURN_ADDRESS_BYTES = 8n;

/** The table of a fork, a row for each register. `captured` rip is the kernel's derived rip. */
export function forkRows(entry: ForkEntry): readonly ForkRow[] {
  const { sighting, record } = entry;
  return ROWS.map((register) => {
    const isRip = register === 'rip';
    const values = {
      captured: isRip ? record?.derivedRip : record?.captured.get(register),
      true: isRip ? sighting?.returnAddress : sighting?.registers.get(register),
      stale: record?.stale.get(register),
      child: record?.child.get(register),
    };
    const present = Object.entries(values).filter(([, value]) => value !== undefined);
    return { register, ...Object.fromEntries(present), marks: marksOf(register, values, entry) };
  });
}

type RowValues = Record<'captured' | 'true' | 'stale' | 'child', bigint | undefined>;

function marksOf(register: string, values: RowValues, entry: ForkEntry): string[] {
  if (entry.record === undefined) return [];
  const marks: string[] = [];
  const isCompared = values.captured !== undefined && values.true !== undefined;
  if (isCompared && values.captured !== values.true) marks.push('captured is not what the CPU had');
  const base = values.true ?? values.captured;
  const expected = expectedChild(register, base, entry.sighting);
  if (expected === undefined || values.child === expected) return marks;
  const isStale = values.child === values.stale;
  marks.push(isStale ? 'child has the stale value' : `child should be 0x${expected.toString(16)}`);
  return marks;
}

/** What the child must hold; undefined for registers that a fork need not carry over. */
function expectedChild(
  register: string,
  base: bigint | undefined,
  sighting: ForkSighting | undefined,
): bigint | undefined {
  if (register === 'rax') return 0n;
  if (register === 'cs') return sighting?.registers.get('cs');
  const isCarried = ['rip', 'rsp', 'rbp', 'rbx', 'r12', 'r13', 'r14', 'r15'].includes(register);
  if (!isCarried || base === undefined) return undefined;
  return register === 'rsp' ? base + RETURN_ADDRESS_BYTES : base;
}

/** Ids that the kernel recorded against the thread that was on the CPU. */
export function idComplaint(entry: ForkEntry): string | undefined {
  const { sighting, record } = entry;
  if (sighting?.thread === undefined || record === undefined) return undefined;
  const { tid, pid } = sighting.thread;
  if (tid === record.parentTid && pid === record.parentPid) return undefined;
  return (
    `the record names tid ${record.parentTid} (pid ${record.parentPid}) as the parent, ` +
    `but tid ${tid} (pid ${pid}) was on the CPU`
  );
}

export function forkVerdict(entry: ForkEntry): ForkVerdict {
  const { sighting, record } = entry;
  if (record === undefined) {
    return { kind: 'open', text: 'no record: it is still going on, or it failed' };
  }
  if (entry.isUnwatched === true) {
    return { kind: 'not recorded', text: 'none: nobody recorded what the CPU held at this fork' };
  }
  if (sighting === undefined) {
    return {
      kind: 'unseen',
      text: 'FALSE RECORD: the CPU never reached the fork function for it',
    };
  }
  return judge(forkRows(entry), entry);
}

function judge(rows: readonly ForkRow[], entry: ForkEntry): ForkVerdict {
  const falsified = rows.filter((row) => row.marks.some((mark) => mark.startsWith('captured')));
  const wrong = rows.filter((row) => row.marks.some((mark) => mark.startsWith('child')));
  const ids = idComplaint(entry);
  if (falsified.length > 0 || ids !== undefined) {
    const what = falsified.length > 0 ? `captured ${names(falsified)} never stood in the CPU` : ids;
    return { kind: 'false record', text: `FALSE RECORD: ${what ?? ''}` };
  }
  if (wrong.length === 0) {
    return {
      kind: 'sound',
      text: 'sound: captured is true, and the child differs only by rax = 0 and rsp + 8',
    };
  }
  return childVerdict(wrong, entry.record?.child, entry.record?.stale);
}

function childVerdict(
  wrong: readonly ForkRow[],
  child: RegisterValues | undefined,
  stale: RegisterValues | undefined,
): ForkVerdict {
  const isStale = wrong.every(({ register }) => child?.get(register) === stale?.get(register));
  return isStale
    ? {
        kind: 'stale',
        text:
          `STALE: the child got ${names(wrong)} from the parent's last context switch, ` +
          'not from its call of fork',
      }
    : { kind: 'wrong child', text: `WRONG CHILD: ${names(wrong)} differ from the parent's` };
}

function names(rows: readonly ForkRow[]): string {
  return rows.map((row) => row.register).join(', ');
}
