/** A machine that remembers goes back to the very states that were, and forward again. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  Machine,
  RecordedMachine,
  Retrospect,
  type EngineKind,
  type MachineOptions,
  type Search,
} from '../../../machine/index.ts';
import { readElf } from '../../../server/symbols/elf-file.ts';
import { allSymbols } from '../../../server/symbols/symbol-file.ts';
import { KERNEL_PATH } from '../small-guest.ts';
import { stateText } from './state-text.ts';

const image = readFileSync(KERNEL_PATH);
const symbols = allSymbols(readElf(image), []);
const SYS_FORK = symbols.find('sys_fork')!.address;
const TIMER_TICKS = symbols.find('timer_ticks')!.address;

function options(engine: EngineKind, more: Partial<MachineOptions> = {}): MachineOptions {
  const memoryBytes = 32 << 20;
  return { image, imageName: 'kernel.elf', commandLine: 'test', memoryBytes, engine, ...more };
}

/** The same numbers from 0 to 1 each time. */
function numbers(): () => number {
  let state = 12345;
  return () => (state = (state * 1103515245 + 12345) & 0x7fff_ffff) / 0x8000_0000;
}

/** As a server runs it: in slices, waiting now whole and now in part, while somebody types and steps. */
function live(machine: Machine, instructions: number, random = numbers()): void {
  const end = machine.icount + BigInt(instructions);
  while (machine.icount < end) {
    const stop = machine.run({ budget: Math.min(Number(end - machine.icount), 9_973) });
    if (stop.kind === 'breakpoint' || stop.kind === 'watchpoint') throw new Error(stop.kind);
    if (stop.kind === 'idle') wait(machine, stop.ticks ?? 0n, random());
    if (random() < 0.05) {
      for (let step = 0; step < 20; step++) {
        machine.run({ budget: 1, step: true, maskInterrupts: true });
      }
    }
  }
}

function wait(machine: Machine, ticks: bigint, choice: number): void {
  if (choice < 0.7) {
    machine.skipIdle(ticks);
    return;
  }
  machine.skipIdle(ticks / 3n);
  if (choice < 0.9) machine.enterSerialInput(Uint8Array.of(0x61 + Math.floor(choice * 20)));
}

function result(search: Search) {
  for (;;) {
    const { done, value } = search.next();
    if (done === true) return value;
  }
}

class Traveller {
  readonly machine: RecordedMachine;
  readonly replica: Machine;
  readonly printed: number[] = [];
  stops: (machine: Machine, areSet: boolean) => void = () => undefined;
  private readonly retrospect: Retrospect;

  constructor(engine: EngineKind, more: Partial<MachineOptions> = {}) {
    const onSerialOutput = (bytes: Uint8Array): void => void this.printed.push(...bytes);
    this.machine = new RecordedMachine(options(engine, { ...more, onSerialOutput }));
    this.replica = new Machine(options(engine, more));
    this.retrospect = new Retrospect(this.machine.history, {
      machine: this.replica,
      setStops: (areSet) => this.stops(this.replica, areSet),
      stopped: () => undefined,
    });
  }

  back(search: 'stepBefore' | 'lastStop'): string | undefined {
    const found = result(this.retrospect[search](this.machine.present!));
    if (found === undefined) return undefined;
    this.machine.travel(found.landing, this.replica.save());
    return found.hit?.kind ?? 'step';
  }

  step(): void {
    this.machine.run({ budget: 1, step: true, passBreakpoint: true });
  }

  /** Everything, TLB and time included. */
  state(): string {
    return stateText(this.machine.save());
  }
}

describe.each(['block', 'step'] as const)('with the %s engine', (engine) => {
  it.each([50_000, 700_000, 1_500_000])(
    'goes back from instruction %i on step by step, through whatever came from outside',
    (instructions) => {
      const traveller = new Traveller(engine);
      live(traveller.machine, instructions);
      const states = [traveller.state()];
      for (let step = 0; step < 12; step++) {
        traveller.step();
        states.push(traveller.state());
      }
      for (const state of states.toReversed().slice(1)) {
        expect(traveller.back('stepBefore')).toBe('step');
        expect(traveller.state()).toBe(state);
      }
    },
  );

  it('goes forward again as it went, and says nothing twice', () => {
    const traveller = new Traveller(engine);
    const { machine, printed } = traveller;
    live(machine, 1_000_000);
    const middle = machine.icount;
    machine.enterSerialInput(Uint8Array.of(0x71));
    live(machine, 800_000);
    const [end, state] = [machine.icount, traveller.state()];
    const heard = printed.length;
    traveller.stops = (replica, areSet) => {
      if (areSet) replica.addBreakpoint(SYS_FORK);
      else replica.removeBreakpoint(SYS_FORK);
    };
    while (machine.icount > middle) expect(traveller.back('lastStop')).toBe('breakpoint');
    while (machine.icount < end) {
      const stop = machine.run({ budget: Number(end - machine.icount) });
      if (stop.kind === 'idle') machine.skipIdle(stop.ticks ?? 0n);
    }
    expect(traveller.state()).toBe(state);
    expect(printed.length).toBe(heard);
    live(machine, 800_000);
    expect(printed.length).toBeGreaterThan(heard);
  });

  it('finds every breakpoint again, the last one first, and then that there are no more', () => {
    const traveller = new Traveller(engine);
    const { machine } = traveller;
    machine.addBreakpoint(SYS_FORK);
    const seen: bigint[] = [];
    while (seen.length < 6) {
      const stop = machine.run({ budget: 100_000, skipIdle: true, passBreakpoint: true });
      if (stop.kind === 'breakpoint') seen.push(machine.icount);
    }
    traveller.stops = (replica, areSet) => {
      if (areSet) replica.addBreakpoint(SYS_FORK);
      else replica.removeBreakpoint(SYS_FORK);
    };
    for (const icount of seen.toReversed().slice(1)) {
      expect(traveller.back('lastStop')).toBe('breakpoint');
      expect(machine.icount).toBe(icount);
      expect(machine.readRegister('rip')).toBe(SYS_FORK);
    }
    expect(traveller.back('lastStop')).toBeUndefined();
  });

  it('comes to where a watched variable is about to be written', () => {
    const traveller = new Traveller(engine);
    const { machine } = traveller;
    const ticks = (): bigint | undefined => machine.readInteger(TIMER_TICKS, 8);
    while ((ticks() ?? 0n) < 5n) machine.run({ budget: 10_000, skipIdle: true });
    traveller.stops = (replica, areSet) => {
      if (areSet) replica.addWatchpoint(TIMER_TICKS, 8, 'write');
      else replica.removeWatchpoint(TIMER_TICKS, 8, 'write');
    };
    for (const before of [4n, 3n, 2n]) {
      expect(traveller.back('lastStop')).toBe('watchpoint');
      expect(ticks()).toBe(before);
      traveller.step();
      expect(ticks()).toBe(before + 1n);
      expect(traveller.back('stepBefore')).toBe('step');
    }
  });

  it('goes back over what a debugger wrote, and forgets it when something else is written', () => {
    const traveller = new Traveller(engine);
    const { machine } = traveller;
    live(machine, 900_000);
    const before = traveller.state();
    traveller.step();
    machine.writeLinear(TIMER_TICKS, Uint8Array.of(0x55));
    traveller.step();
    traveller.back('stepBefore');
    expect(machine.readInteger(TIMER_TICKS, 1)).toBe(0x55n);
    traveller.back('stepBefore');
    expect(traveller.state()).toBe(before);
    traveller.step();
    expect(machine.readInteger(TIMER_TICKS, 1)).not.toBe(0x55n);
  });

  it('does not bring what was typed after a write to where there was no write', () => {
    const traveller = new Traveller(engine);
    const { machine } = traveller;
    live(machine, 900_000);
    traveller.step();
    machine.writeLinear(TIMER_TICKS, Uint8Array.of(0x55));
    machine.enterSerialInput(Uint8Array.of(0x71));
    traveller.step();
    traveller.back('stepBefore');
    traveller.back('stepBefore');
    expect(machine.history.nextInput).toBeUndefined();
    const unwritten = new Machine(options(engine, { state: machine.save() }));
    const goal = machine.icount + 5000n;
    for (const one of [machine, unwritten]) {
      while (one.icount < goal) one.run({ budget: Number(goal - one.icount), skipIdle: true });
    }
    expect(traveller.state()).toBe(stateText(unwritten.save()));
  });

  it('is what it was not any more when something else is typed in the past', () => {
    const traveller = new Traveller(engine);
    const { machine } = traveller;
    live(machine, 1_000_000);
    machine.enterSerialInput(Uint8Array.of(0x71));
    machine.run({ budget: 20, skipIdle: true });
    while (machine.history.nextInput === undefined) traveller.back('stepBefore');
    machine.enterSerialInput(Uint8Array.of(0x72));
    expect(machine.history.nextInput).toBeUndefined();
  });
});

it('knows nothing from before a state that it began with, and goes back to there', () => {
  const first = new Machine(options('block'));
  first.run({ budget: 300_000, skipIdle: true });
  const traveller = new Traveller('block', { state: first.save() });
  const begin = traveller.state();
  traveller.step();
  expect(traveller.back('stepBefore')).toBe('step');
  expect(traveller.state()).toBe(begin);
  expect(traveller.back('stepBefore')).toBeUndefined();
});
