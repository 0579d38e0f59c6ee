/** A long way to the present is gone once: states on it make the next searches short. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { Machine, RecordedMachine, Retrospect, type Search } from '../../../machine/index.ts';

function result(search: Search): ReturnType<typeof search.next>['value'] {
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
  }
}

/** A machine that has computed all the time and kept no state on its way. */
function farFromItsOrigin(present: number) {
  const image = readFileSync('kernel/images/bench.elf');
  const memoryBytes = 32 << 20;
  const options = { image, imageName: 'bench.elf', commandLine: 'lcg=100000000', memoryBytes };
  const machine = new RecordedMachine(options);
  const replica = new Machine(options);
  machine.history.checkpoint = () => undefined;
  while (machine.icount < present) {
    machine.run({ budget: present - Number(machine.icount) });
  }
  const retrospect = new Retrospect(machine.history, {
    machine: replica,
    setStops: () => undefined,
    stopped: () => undefined,
  });
  const distances = (): number[] =>
    machine.history.last!.checkpoints.map(({ at }) => present - Number(at.icount));
  return { machine, replica, retrospect, distances };
}

it.each([
  ['stepBefore', 4_000_000],
  ['lastStop', 51_000_000],
] as const)(
  '%s keeps states at a quarter of each distance from the place that it looks back from',
  { timeout: 120_000 },
  (search, present) => {
    const { machine, retrospect, distances } = farFromItsOrigin(present);
    expect(distances()).toEqual([present]);
    result(retrospect[search](machine.present!));
    const kept = distances();
    expect(kept[0]).toBe(present);
    expect(kept.at(-1)).toBe(20_001);
    expect(kept.length).toBeGreaterThanOrEqual(4);
    kept.slice(1, -1).forEach((distance, index) => {
      expect(Math.abs(kept[index]! / distance - 4)).toBeLessThan(0.01);
    });
  },
);

it('comes to the same place from any of them', { timeout: 120_000 }, () => {
  const present = 4_000_000;
  const { machine, replica, retrospect } = farFromItsOrigin(present);
  const stepBack = (): bigint => {
    const found = result(retrospect.stepBefore(machine.present!));
    machine.travel(found!.landing, replica.save());
    return machine.icount;
  };
  expect(stepBack()).toBe(BigInt(present) - 1n);
  expect(stepBack()).toBe(BigInt(present) - 2n);
  machine.run({ budget: 1, step: true });
  machine.run({ budget: 1, step: true });
  expect(machine.icount).toBe(BigInt(present));
});
