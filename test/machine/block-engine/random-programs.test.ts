/** Random programs with either engine, compared at odd places. */
import { describe, expect, it } from 'vitest';
import { benchMachine, Lockstep } from './lockstep.ts';
import { Random, randomProgram } from './random-program.ts';

const PROGRAMS = 60;
const CODE = 0x40_0f80n;
const DATA = 0x80_0000n;
const STACK = 0x90_0000n;
const HOTNESS = { sampleInstructions: 1500, firstThreshold: 1 };

/** The bench guest's long mode, with another program. */
function withProgram(program: Uint8Array, seed: number): Lockstep {
  const lockstep = new Lockstep((engine) => benchMachine('spin', { engine, hotness: HOTNESS }));
  lockstep.both((machine) => {
    machine.run({ budget: 10_000 });
    machine.writePhysical(CODE, program);
    machine.writeRegister('rip', CODE);
    machine.writeRegister('rbp', DATA + BigInt(seed));
    machine.writeRegister('rsp', STACK);
  });
  return lockstep;
}

describe('random programs', () => {
  for (let seed = 1; seed <= PROGRAMS; seed++) {
    it(`of seed ${seed} do the same with either engine`, () => {
      const random = new Random(seed);
      const lockstep = withProgram(randomProgram(random), seed);
      for (let slice = 0; slice < 60; slice++) {
        const stop = lockstep.run({ budget: 1 + random.below(slice % 3 === 0 ? 50 : 3000) });
        if (stop.kind !== 'budget') break;
      }
      expect(lockstep.compiledRegions).toBeGreaterThan(0);
      lockstep.expectSameMemory();
    });
  }
});
