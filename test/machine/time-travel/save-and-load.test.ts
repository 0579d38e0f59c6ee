/** A machine that was saved, or loaded, goes on as one that was not, to the bit. */
import { describe, expect, it } from 'vitest';
import type { EngineKind, Machine, MachineState } from '../../../machine/index.ts';
import { fingerprint, kernelMachine } from '../small-guest.ts';

const ENGINES = ['step', 'block'] as const satisfies readonly EngineKind[];
const MEMORY = 32 << 20;

function kernel(engine: EngineKind, state?: MachineState): Machine {
  const options = { engine, memoryBytes: MEMORY };
  return kernelMachine('test', state === undefined ? options : { ...options, state });
}

function runTo(machine: Machine, icount: bigint): void {
  while (machine.icount < icount) {
    const stop = machine.run({ budget: Number(icount - machine.icount), skipIdle: true });
    expect(stop.kind).toBe('budget');
  }
}

/** What the guest could tell apart at the end of the kernel's tests. */
function ending(machine: Machine): string {
  for (;;) {
    const stop = machine.run({ budget: 100_000_000, skipIdle: true });
    if (stop.kind === 'debug-exit') break;
    expect(stop.kind).toBe('budget');
  }
  return fingerprint(machine, MEMORY);
}

/** Everything but the host's own: two machines with the same text are in the same state. */
function textOf({ core, serial, pages }: MachineState): string {
  const plain = JSON.stringify(core, (_, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
  const bytes = [...pages].map((run) => [run.numbers, Buffer.from(run.bytes).toString('base64')]);
  return JSON.stringify([plain, [...serial], bytes]);
}

describe.each(ENGINES)('with the %s engine', (engine) => {
  const expected = ending(kernel(engine));
  const end = ((): bigint => {
    const machine = kernel(engine);
    ending(machine);
    return machine.icount;
  })();
  const cuts = Array.from({ length: 12 }, (_, index) => (end * BigInt(2 * index + 1)) / 25n);

  it('saving at many places changes nothing, and each state ends as the whole run', () => {
    const saved = kernel(engine);
    const states = cuts.map((cut) => {
      runTo(saved, cut);
      return saved.save();
    });
    expect(ending(saved)).toBe(expected);
    for (const state of states) {
      const loaded = kernel(engine, state);
      expect(textOf(loaded.save())).toBe(textOf(state));
      expect(ending(loaded)).toBe(expected);
    }
  });

  it('the other engine goes on from there in the same way', () => {
    const saved = kernel(engine);
    runTo(saved, end / 2n);
    const other = kernel(engine === 'step' ? 'block' : 'step', saved.save());
    expect(ending(other)).toBe(expected);
  });

  it('a machine that has run elsewhere goes back to it, again and again', () => {
    const machine = kernel(engine);
    runTo(machine, end / 3n);
    const state = machine.save();
    for (let time = 0; time < 3; time++) {
      expect(ending(machine)).toBe(expected);
      machine.restore(state);
    }
    machine.reset();
    expect(ending(machine)).toBe(expected);
  });

  it('each of a thousand instructions one after the other is a place to cut', () => {
    const saved = kernel(engine);
    runTo(saved, end / 4n);
    const reference = kernel(engine);
    const target = end / 4n + 20_000n;
    runTo(reference, target);
    const expectedThere = textOf(reference.save());
    const loaded = kernel(engine, saved.save());
    for (let step = 0; step < 1000; step++) {
      expect(saved.run({ budget: 1, step: true, skipIdle: true }).kind).toBe('step');
      if (step % 50 !== 7) continue;
      loaded.restore(saved.save());
      runTo(loaded, target);
      expect(textOf(loaded.save())).toBe(expectedThere);
    }
  });
});
