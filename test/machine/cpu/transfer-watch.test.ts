/** Which system calls a debugger hears of, and which return belongs to which call. */
import { describe, expect, it } from 'vitest';
import { TransferWatch } from '../../../machine/cpu/transfer-watch.ts';
import type { CpuState } from '../../../machine/state/fields.ts';

interface Place {
  readonly rip?: bigint;
  readonly rsp?: bigint;
  readonly cr3?: bigint;
}

/** A CPU as far as the watch looks at it. */
function at(number: number, place: Place = {}): CpuState {
  return { rip: 0x1000n, rsp: 0x2000n, cr3: 0x3000n, ...place, rax: BigInt(number) } as CpuState;
}

function call(watch: TransferWatch, number: number, place?: Place) {
  watch.entering(at(number, place))();
  return watch.takeSystemCall();
}

function comeBack(watch: TransferWatch, place?: Place) {
  watch.returned(at(0, place));
  return watch.takeSystemCall();
}

function watching(filter: TransferWatch['systemCalls']): TransferWatch {
  const watch = new TransferWatch();
  watch.systemCalls = filter;
  watch.beginRun();
  return watch;
}

describe('the watch on system calls', () => {
  it('tells of a call and of its return, each once', () => {
    const watch = watching('all');
    expect(call(watch, 39)).toEqual({ phase: 'entry', number: 39 });
    expect(watch.takeSystemCall()).toBeUndefined();
    expect(comeBack(watch)).toEqual({ phase: 'return', number: 39 });
    expect(comeBack(watch)).toBeUndefined();
  });

  it('knows a return by address space, rip and rsp', () => {
    const watch = watching('all');
    call(watch, 1);
    expect(comeBack(watch, { cr3: 0x4000n })).toBeUndefined();
    expect(comeBack(watch, { rsp: 0x2008n })).toBeUndefined();
    expect(comeBack(watch, { rip: 0x1002n })).toBeUndefined();
    expect(comeBack(watch)).toEqual({ phase: 'return', number: 1 });
  });

  it('knows a return of SYSENTER by address space and rsp: the kernel chooses where to', () => {
    const watch = watching('all');
    watch.entering(at(20), 'anywhere')();
    expect(watch.takeSystemCall()).toEqual({ phase: 'entry', number: 20 });
    expect(comeBack(watch, { rip: 0x9000n, rsp: 0x2008n })).toBeUndefined();
    expect(comeBack(watch, { rip: 0x9000n, cr3: 0x4000n })).toBeUndefined();
    expect(comeBack(watch, { rip: 0x9000n })).toEqual({ phase: 'return', number: 20 });
    expect(comeBack(watch, { rip: 0x9000n })).toBeUndefined();
  });

  it('tells of the numbers that are asked for only', () => {
    const watch = watching(new Set([57]));
    expect(call(watch, 1)).toBeUndefined();
    expect(comeBack(watch)).toBeUndefined();
    expect(call(watch, 57)).toEqual({ phase: 'entry', number: 57 });
  });

  it('takes a call that never came back for over when its process calls again', () => {
    const watch = watching(new Set([57]));
    call(watch, 57);
    call(watch, 1);
    expect(comeBack(watch)).toBeUndefined();
  });

  it('remembers a call while a debugger has taken its catchpoints away at a stop', () => {
    const watch = watching('all');
    call(watch, 39);
    watch.systemCalls = 'none';
    watch.systemCalls = 'all';
    watch.beginRun();
    expect(comeBack(watch)).toEqual({ phase: 'return', number: 39 });
  });

  it('forgets it when the machine has run unwatched', () => {
    const watch = watching('all');
    call(watch, 39);
    watch.systemCalls = 'none';
    expect(watch.beginRun()).toBe(0);
    watch.systemCalls = 'all';
    watch.beginRun();
    expect(comeBack(watch)).toBeUndefined();
  });

  it('remembers a bounded number of calls, the latest', () => {
    const watch = watching('all');
    for (let process = 0; process < 5000; process++) call(watch, 60, { cr3: BigInt(process) });
    expect(comeBack(watch, { cr3: 0n })).toBeUndefined();
    expect(comeBack(watch, { cr3: 4999n })).toEqual({ phase: 'return', number: 60 });
  });
});
