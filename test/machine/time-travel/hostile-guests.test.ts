/**
 * Guests whose code, tables and registers chance has spoilt go on from each of their states as if nobody
 * had saved it. `FUZZ_GUESTS=N` runs more of them, `FUZZ_SEED=N` others.
 */
import { describe, expect, it } from 'vitest';
import type { EngineKind } from '../../../machine/index.ts';
import { HostileGuest, hostileMachine } from '../../fuzz/hostile-guest.ts';
import { stateText } from './state-text.ts';

const GUESTS = Number(process.env['FUZZ_GUESTS'] ?? 12);
const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const SLICES = 8;

describe.each(['step', 'block'] as const satisfies readonly EngineKind[])(
  'a hostile guest with the %s engine',
  (engine) => {
    const machine = hostileMachine(engine);
    const other = hostileMachine(engine === 'step' ? 'block' : 'step');

    it('goes on as if it had not been saved', { timeout: 3_600_000 }, () => {
      for (let seed = FIRST_SEED; seed < FIRST_SEED + GUESTS; seed++) {
        const guest = new HostileGuest(machine, seed);
        for (let slice = 0; slice < SLICES; slice++) {
          other.restore(machine.save());
          const budget = guest.chance(2) ? 1 + slice : 1500 * slice;
          const stops = [machine, other].map((one) => one.run({ budget, skipIdle: true }));
          expect(stops[1], `seed ${seed}`).toEqual(stops[0]);
          const texts = [machine, other].map((one) => stateText(one.save()));
          if (texts[0] !== texts[1]) expect(texts[1], `seed ${seed}`).toBe(texts[0]);
        }
      }
    });
  },
);
