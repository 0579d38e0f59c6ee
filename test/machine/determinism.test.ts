/** Same image and inputs, same run, to the bit; looking at it changes nothing. */
import { describe, expect, it } from 'vitest';
import type { Machine } from '../../machine/index.ts';
import { fingerprint, kernelMachine } from './small-guest.ts';

/** Runs the kernel's tests to the debug exit in slices of the lengths that `next` gives. */
function runToExit(machine: Machine, next: () => number): void {
  for (;;) {
    const stop = machine.run({ budget: next(), skipIdle: true });
    if (stop.kind === 'debug-exit') {
      expect(stop.value).toBe(0);
      return;
    }
    expect(stop.kind).toBe('budget');
  }
}

/** A small linear congruential generator: slices of 1 to `most` instructions. */
function slices(most: number, seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return 1 + (state % most);
  };
}

describe('a run', () => {
  const reference = kernelMachine('test');
  runToExit(reference, () => 100_000_000);
  const expected = fingerprint(reference);

  it('is the same when it is run again', () => {
    const again = kernelMachine('test');
    runToExit(again, () => 100_000_000);
    expect(fingerprint(again)).toBe(expected);
  });

  it('does not depend on where slices end', () => {
    for (const [most, seed] of [
      [20_000, 1],
      [997, 2],
    ] as const) {
      const sliced = kernelMachine('test');
      runToExit(sliced, slices(most, seed));
      expect(fingerprint(sliced)).toBe(expected);
    }
  });

  it('is not changed by breakpoints, watchpoints, hooks and looking around', () => {
    const watched = kernelMachine('test');
    const start = 0xffff_ffff_8010_0000n;
    let seen = 0;
    for (let address = start; address < start + 0x8000n; address += 7n) {
      watched.addExecutionHook(address, (view) => {
        seen += view.readLinear(0xffff_ffff_8010_0000n, 64).length > 0 ? 1 : 0;
        view.readRegister('rflags');
      });
    }
    runToExit(watched, () => 50_000);
    expect(seen).toBeGreaterThan(1000);
    expect(fingerprint(watched)).toBe(expected);
  });

  it.each(['step', 'block'] as const)(
    'is not changed by catching every system call and exception, %s engine',
    (engine) => {
      const caught = kernelMachine('test', { engine });
      caught.catchSystemCalls('all');
      caught.catchExceptions(new Set(Array.from({ length: 32 }, (_, vector) => vector)));
      const told = new Map<string, number>();
      let stop = caught.run({ budget: 100_000_000, skipIdle: true });
      for (
        ;
        stop.kind !== 'debug-exit';
        stop = caught.run({ budget: 100_000_000, skipIdle: true })
      ) {
        const what = stop.kind === 'system-call' ? stop.phase : stop.kind;
        told.set(what, (told.get(what) ?? 0) + 1);
        expect(['entry', 'return', 'exception', 'budget']).toContain(what);
      }
      expect(fingerprint(caught)).toBe(expected);
      const { entry = 0, return: returned = 0, exception = 0 } = Object.fromEntries(told);
      expect(entry).toBeGreaterThan(50);
      expect(returned).toBeGreaterThan(0.5 * entry);
      expect(returned).toBeLessThan(entry);
      expect(exception).toBeGreaterThan(2);
    },
  );

  it('is the same after a reset', () => {
    const machine = kernelMachine('test');
    machine.run({ budget: 1_500_000, skipIdle: true });
    machine.reset();
    expect(machine.icount).toBe(0n);
    runToExit(machine, () => 100_000_000);
    expect(fingerprint(machine)).toBe(expected);
  });

  it('single-stepped with interrupts goes the same way', () => {
    const stepped = kernelMachine('test');
    const plain = kernelMachine('test');
    stepped.run({ budget: 1_000_000, skipIdle: true });
    plain.run({ budget: 1_000_000, skipIdle: true });
    for (let count = 0; count < 60_000; count++) {
      expect(stepped.run({ budget: 1, step: true, skipIdle: true }).kind).toBe('step');
    }
    while (plain.icount < stepped.icount) {
      plain.run({ budget: Number(stepped.icount - plain.icount), skipIdle: true });
    }
    expect(plain.icount).toBe(stepped.icount);
    expect(plain.readRegister('rip')).toBe(stepped.readRegister('rip'));
    expect(fingerprint(plain)).toBe(fingerprint(stepped));
  });
});
