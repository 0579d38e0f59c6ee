/**
 * Debuggers that go to and fro in time by chance, over the example kernel and over guests that nobody
 * would write: each place is the one that was, to the bit. `FUZZ_JOURNEYS=N` is the number of them for
 * each guest, `FUZZ_SEED=N` draws others, `FUZZ_VERBOSE=1` tells the seeds.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Machine, type EngineKind, type MachineOptions } from '../../machine/index.ts';
import { readElf } from '../../server/symbols/elf-file.ts';
import { allSymbols } from '../../server/symbols/symbol-file.ts';
import { KERNEL_PATH } from '../machine/small-guest.ts';
import { EVIL_ADDRESSES, HostileGuest, hostileMachine, hostileOptions } from './hostile-guest.ts';
import { NO_TRANSLATIONS } from './spot.ts';
import { TimeTraveller, type Journey } from './time-traveller.ts';

const JOURNEYS = Number(process.env['FUZZ_JOURNEYS'] ?? 3);
const FIRST_SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const ACTIONS = 30;
const ENGINES = ['block', 'step'] as const satisfies readonly EngineKind[];

const image = readFileSync(KERNEL_PATH);
const symbols = allSymbols(readElf(image), []);
const KERNEL_ADDRESSES = ['timer_ticks', 'sys_fork', 'timer_interrupt', 'schedule'].flatMap(
  (name) => symbols.find(name)?.address ?? [],
);
/** Before there are threads, among them, and at the shell. */
const BOOTED = [20_000, 300_000, 900_000, 1_500_000, 3_000_000];

function kernelOptions(engine: EngineKind): MachineOptions {
  return { image, imageName: 'kernel.elf', commandLine: 'test', memoryBytes: 16 << 20, engine };
}

const kernels = BOOTED.map((budget) => {
  const machine = new Machine(kernelOptions('block'));
  machine.run({ budget, skipIdle: true });
  return machine.save();
});

function kernel(seed: number, engine: EngineKind): Journey {
  const state = kernels[seed % kernels.length]!;
  return { options: { ...kernelOptions(engine), state }, seed, addresses: KERNEL_ADDRESSES };
}

const spoilt = hostileMachine();

function hostile(seed: number, engine: EngineKind): Journey {
  const guest = new HostileGuest(spoilt, seed);
  spoilt.run({ budget: 100 * (seed % 7) });
  const { core, ...rest } = guest.machine.save();
  // Chance has changed page tables behind the TLB's back; a watchpoint empties that, and all would be otherwise.
  const state = { ...rest, core: { ...core, translations: NO_TRANSLATIONS } };
  return { options: { ...hostileOptions(engine), state }, seed, addresses: EVIL_ADDRESSES };
}

async function travel(journey: Journey): Promise<void> {
  const traveller = new TimeTraveller(journey);
  try {
    for (let count = 0; count < ACTIONS; count++) await traveller.act();
    await traveller.returnToThePresent();
  } catch (error) {
    expect.fail(`seed ${journey.seed}: ${String(error)}\nafter ${traveller.done.join(' ')}`);
  } finally {
    traveller.dispose();
  }
}

describe('going to and fro in time by chance', { timeout: 36_000_000 }, () => {
  it.each(Object.entries({ kernel, hostile }))('comes to what was there: %s', async (_, guest) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + JOURNEYS; seed++) {
      if (process.env['FUZZ_VERBOSE'] !== undefined) process.stderr.write(`seed ${seed}\n`);
      await travel(guest(seed, ENGINES[seed % 2]!));
    }
  });
});
