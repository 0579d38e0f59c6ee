/**
 * Random hostile guests with fixed seeds: whatever they do, a slice ends and the host does not throw.
 * `FUZZ_GUESTS=N` runs more of them, `FUZZ_SEED=N` others.
 */
import { describe, expect, it } from 'vitest';
import type { EngineKind, Machine } from '../../machine/index.ts';
import { computedMs } from '../computed-ms.ts';
import { HostileGuest, hostileMachine } from './hostile-guest.ts';

const GUESTS = Number(process.env['FUZZ_GUESTS'] ?? 60);
const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const SLICES = 12;
/** Far above what a slice takes, far below what a user would call a hang. */
const LONGEST_SLICE_MS = 2000;

function torment(machine: Machine, seed: number): number {
  const guest = new HostileGuest(machine, seed);
  let longest = 0;
  for (let slice = 0; slice < SLICES; slice++) {
    const start = computedMs();
    machine.run({
      budget: guest.chance(3) ? 1 : 3000,
      step: guest.chance(4),
      skipIdle: guest.chance(2),
      passBreakpoint: guest.chance(2),
      maskInterrupts: guest.chance(8),
    });
    longest = Math.max(longest, computedMs() - start);
    if (guest.chance(2)) guest.meddle();
  }
  return longest;
}

describe('a hostile guest', () => {
  for (const engine of ['step', 'block'] as const satisfies readonly EngineKind[]) {
    it(
      `neither throws nor hangs in the ${engine} engine, whatever it executes`,
      { timeout: 3_600_000 },
      () => {
        const machine = hostileMachine(engine);
        for (let seed = FIRST_SEED; seed < FIRST_SEED + GUESTS; seed++) {
          if (process.env['FUZZ_VERBOSE']) process.stderr.write(`${engine} ${seed}\n`);
          expect(torment(machine, seed), `seed ${seed}`).toBeLessThan(LONGEST_SLICE_MS);
        }
      },
    );
  }
});
