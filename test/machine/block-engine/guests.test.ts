/** Whole guests with either engine: the state is the same wherever one looks. */
import { describe, expect, it } from 'vitest';
import { fingerprint, kernelMachine } from '../small-guest.ts';
import { benchMachine, EAGER, Lockstep } from './lockstep.ts';

const WORKLOADS: readonly (readonly [string, number])[] = [
  ['lcg=30000', 1499],
  ['store=20000', 4999],
  ['sha256=60', 2003],
  ['quicksort=4000', 5003],
  ['indirect=20000', 3001],
  ['switch=10000', 2999],
  ['int80=4000', 997],
  ['fault=1500', 1009],
];

describe('both engines', () => {
  for (const [commandLine, slice] of WORKLOADS) {
    it(`agree every ${slice} instructions of ${commandLine}`, { timeout: 120_000 }, () => {
      const lockstep = new Lockstep((engine) => benchMachine(commandLine, { engine }));
      expect(lockstep.runToEnd(slice)).toEqual({ kind: 'debug-exit', value: 0 });
      expect(lockstep.compiledRegions).toBeGreaterThan(0);
      lockstep.expectSameMemory();
    });
  }

  for (const commandLine of ['matrix=1', 'movs=2', 'sieve=1']) {
    it(`agree every 200,003 instructions of ${commandLine}`, { timeout: 120_000 }, () => {
      const lockstep = new Lockstep((engine) => benchMachine(commandLine, { engine }));
      expect(lockstep.runToEnd(200_003)).toEqual({ kind: 'debug-exit', value: 0 });
      lockstep.expectSameMemory();
    });
  }

  it('agree every 9973 instructions of the boot with all tests', { timeout: 300_000 }, () => {
    const lockstep = new Lockstep((engine) => kernelMachine('test', { engine }));
    expect(lockstep.runToEnd(9973)).toEqual({ kind: 'debug-exit', value: 0 });
    lockstep.expectSameMemory();
  });

  it('come to the same end whenever the block engine compiles', { timeout: 300_000 }, () => {
    const ends = [undefined, EAGER, { sampleInstructions: 3000, firstThreshold: 2 }].map(
      (hotness) => {
        const machine = kernelMachine('test', { engine: 'block', ...(hotness && { hotness }) });
        const stop = machine.run({ budget: 100_000_000, skipIdle: true });
        expect(stop).toEqual({ kind: 'debug-exit', value: 0 });
        return fingerprint(machine);
      },
    );
    expect(new Set(ends).size).toBe(1);
  });
});
