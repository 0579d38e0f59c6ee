/** What an exception says about its cause (Intel SDM 3A §4.7, 6.13, 6.15), for `why`. */
import type { RaisedException } from '../../machine/index.ts';
import { explainWalk } from '../../machine/index.ts';
import { addressWithSymbol } from './format.ts';
import type { MonitorContext } from './monitor-command.ts';
import { walkConclusion, walkLines } from './page-walk-lines.ts';
import { register } from './system-tables.ts';

const PAGE_FAULT_VECTOR = 14;
const ERROR = { present: 1, write: 2, user: 4, reserved: 8, fetch: 16 } as const;
const CR0_WP = 1n << 16n;
const CR4_SMEP = 1n << 20n;
const CR4_SMAP = 1n << 21n;

/** Vectors whose error code names a selector. */
const SELECTOR_VECTORS: ReadonlySet<number> = new Set([10, 11, 12, 13]);

const MEANING: Readonly<Record<number, string>> = {
  0: 'a division by zero, or a quotient that does not fit',
  1: 'a debug exception',
  3: 'INT3',
  4: 'INTO with OF set',
  5: 'BOUND: the index is out of bounds',
  6: 'the CPU has no such instruction in this mode',
  7: 'the FPU is not available: CR0.TS or CR0.EM is set',
  8: 'two exceptions that cannot be handled one after the other (SDM 3A table 6-5)',
  17: 'an unaligned access by user code with alignment checks on',
  19: 'an unmasked SIMD floating-point exception, see mxcsr',
};

/** The first line continues the exception's name; the others are the details. */
export function causeLines(exception: RaisedException, context: MonitorContext): string[] {
  const { vector, errorCode } = exception;
  if (vector === PAGE_FAULT_VECTOR) return pageFaultLines(exception, context);
  if (SELECTOR_VECTORS.has(vector) && errorCode !== undefined && errorCode !== 0) {
    return [`about ${selectorText(errorCode)}`];
  }
  if (vector === 13) return ['a protection rule was broken; no selector is involved'];
  if (vector === 12) return ['a stack access outside the segment, or not canonical'];
  return [MEANING[vector] ?? 'see Intel SDM 3A §6.15'];
}

/** The error code of #TS, #NP, #SS and #GP (§6.13). */
function selectorText(errorCode: number): string {
  const from = (errorCode & 1) !== 0 ? ', met while an exception or interrupt was delivered' : '';
  if ((errorCode & 2) !== 0) return `IDT gate ${errorCode >> 3}${from}`;
  const table = (errorCode & 4) !== 0 ? 'LDT' : 'GDT';
  return `selector 0x${(errorCode & 0xfff8).toString(16)} of the ${table}${from}`;
}

function pageFaultLines(exception: RaisedException, context: MonitorContext): string[] {
  const errorCode = exception.errorCode ?? 0;
  const linear = exception.address ?? register(context.machine, 'cr2');
  const has = (bit: number): boolean => (errorCode & bit) !== 0;
  const access = has(ERROR.fetch)
    ? 'an instruction fetch'
    : has(ERROR.write)
      ? 'a write'
      : 'a read';
  const who = has(ERROR.user) ? 'user code' : 'the kernel';
  const preposition = has(ERROR.fetch) ? 'at' : has(ERROR.write) ? 'to' : 'from';
  const place = addressWithSymbol(linear, context.symbols);
  const walk = explainWalk(context.machine, linear);
  const denial =
    has(ERROR.present) && !has(ERROR.reserved) ? denialLines(errorCode, context, walk) : [];
  const stale =
    has(ERROR.present) || walk.outcome !== 'mapped'
      ? []
      : ['the tables map it now: they have changed since, or the fault belongs to other tables'];
  return [
    `${access} by ${who} ${preposition} ${place}`,
    ...(linear < 0x1000n ? ['(the first page: most likely a null pointer)'] : []),
    ...(walk.mode === 'off' ? [] : walkLines(walk)),
    walkConclusion(linear, walk),
    ...denial,
    ...stale,
  ];
}

/** The page is there; which rule forbids this access to it. */
function denialLines(
  errorCode: number,
  { machine }: MonitorContext,
  { isUser, isWritable, isNoExecute }: ReturnType<typeof explainWalk>,
): string[] {
  const isSet = (name: string, bit: bigint): boolean => (register(machine, name) & bit) !== 0n;
  const byUser = (errorCode & ERROR.user) !== 0;
  const isWrite = (errorCode & ERROR.write) !== 0;
  const isFetch = (errorCode & ERROR.fetch) !== 0;
  if (byUser && !isUser) return ['denied: user code may not use a supervisor page'];
  if (isFetch && isNoExecute) return ['denied: the page is not executable'];
  if (isFetch && isUser && isSet('cr4', CR4_SMEP)) {
    return ['denied by SMEP: the kernel may not execute user pages'];
  }
  if (isWrite && !isWritable) {
    const rule = !byUser && isSet('cr0', CR0_WP) ? ' (CR0.WP binds the kernel too)' : '';
    return [`denied: the page is read-only${rule}`];
  }
  if (!byUser && isUser && isSet('cr4', CR4_SMAP)) {
    return ['denied by SMAP: the kernel may touch user pages only while RFLAGS.AC is set'];
  }
  return ['the tables allow it now: they have changed since, or the TLB holds an older entry'];
}
