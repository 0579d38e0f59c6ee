/** A machine that was saved, or loaded, goes on as one that was not, to the bit. */
import { describe, expect, it } from 'vitest';
import {
  StateError,
  type EngineKind,
  type Machine,
  type MachineState,
} from '../../../machine/index.ts';
import { fingerprint, kernelMachine, smallGuest } from '../small-guest.ts';
import { stateText } from './state-text.ts';

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
      expect(stateText(loaded.save())).toBe(stateText(state));
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
    const expectedThere = stateText(reference.save());
    const loaded = kernel(engine, saved.save());
    for (let step = 0; step < 1000; step++) {
      expect(saved.run({ budget: 1, step: true, skipIdle: true }).kind).toBe('step');
      if (step % 50 !== 7) continue;
      loaded.restore(saved.save());
      runTo(loaded, target);
      expect(stateText(loaded.save())).toBe(expectedThere);
    }
  });
});

/** Paging with 4 MiB pages: 0x400000 upwards is an alias of physical 0 upwards. */
const PAGING = [
  0xb8, 0x83, 0, 0, 0, 0xa3, 0, 0, 0x20, 0, 0xa3, 4, 0, 0x20, 0, 0xb8, 0, 0, 0x20, 0,
  0x0f, 0x22, 0xd8, 0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x10, 0x0f, 0x22, 0xe0,
  0x0f, 0x20, 0xc0, 0x0d, 0, 0, 0, 0x80, 0x0f, 0x22, 0xc0,
]; // prettier-ignore
const PAGING_INSTRUCTIONS = 11;
/** Clears the accessed bit of the alias's entry without INVLPG; then a place to save. */
const CLEAR = [0x80, 0x25, 4, 0, 0x20, 0, 0xdf, 0x90];
const ENTRY_TO_ECX_AND_HALT = [0x8b, 0x0d, 4, 0, 0x20, 0, 0xf4];
const READ_ALIAS = [0xa1, 0, 0, 0x40, 0];
const STACK_AND_ALIAS_OF_RET = [0xbc, 0, 0, 0x18, 0, 0xb8, 0x68, 0, 0x50, 0];
const CALL_EAX = [0xff, 0xd0];
const RET = [0xc3];
const NO_TLB = { filled: [], entries: [], large: [], huge: [] };
const NO_FETCHES = { supervisor: [], user: [], large: [], huge: [] };

/** What the entry of the alias is at the end: of a guest that was saved before, and that begins there. */
function aliasAfter(
  code: readonly number[],
  before: number,
  empty: object,
): (bigint | undefined)[] {
  const machine = smallGuest([...PAGING, ...code], { engine: 'step' });
  machine.run({ budget: PAGING_INSTRUCTIONS + before });
  const state = machine.save();
  const translations = { ...state.core.translations, ...empty };
  const emptied = { ...state, core: { ...state.core, translations } };
  const others = [state, emptied].map((from) => smallGuest([], { engine: 'step', state: from }));
  return [machine, ...others].map((one) => {
    expect(one.run({ budget: 10 }).kind).toBe('idle');
    return one.readRegister('rcx');
  });
}

describe('a state', () => {
  it('holds the TLB, or a guest that clears accessed bits would see one come back', () => {
    const code = [...READ_ALIAS, ...CLEAR, ...READ_ALIAS, ...ENTRY_TO_ECX_AND_HALT];
    expect(aliasAfter(code, 2, { tlb: NO_TLB })).toEqual([0x83n, 0x83n, 0xa3n]);
  });

  it('holds where instructions are fetched from, for the same reason', () => {
    const calls = [...CALL_EAX, ...CLEAR, ...CALL_EAX];
    const code = [...STACK_AND_ALIAS_OF_RET, ...calls, ...ENTRY_TO_ECX_AND_HALT, ...RET];
    expect(aliasAfter(code, 5, { fetches: NO_FETCHES })).toEqual([0x83n, 0x83n, 0xa3n]);
  });

  it('holds what waits on the serial line, and a CPU that is halted', () => {
    const machine = kernelMachine('', { memoryBytes: MEMORY });
    machine.run({ budget: 8_000_000, skipIdle: true });
    expect(machine.run({ budget: 1_000_000 }).kind).toBe('idle');
    machine.enterSerialInput(Buffer.from('typed before the machine was saved\n'.repeat(9)));
    machine.run({ budget: 100_000, skipIdle: true });
    while (machine.run({ budget: 1_000_000 }).kind !== 'idle');
    const loaded = kernel('block', machine.save());
    expect(loaded.run({ budget: 1000 })).toEqual(machine.run({ budget: 1000 }));
    for (const one of [machine, loaded]) one.run({ budget: 3_000_000, skipIdle: true });
    expect(Buffer.from(loaded.serialHistory()).toString()).toContain('typed before');
    expect(stateText(loaded.save())).toBe(stateText(machine.save()));
  });

  it('holds no page that is zero, and is refused by a machine of another size', () => {
    const machine = smallGuest([0xf4]);
    const state = machine.save();
    const pages = [...state.pages].flatMap(({ numbers }) => numbers);
    expect(pages.length).toBeLessThan(8);
    expect(pages).toContain(0x100);
    expect(() => kernelMachine('', { state })).toThrow(StateError);
    expect(() => kernelMachine('', { state })).toThrow('it is of a machine with 4194304 bytes');
  });

  it('of devices of another version is refused in words', () => {
    const state = smallGuest([0xf4]).save();
    const [first, ...rest] = state.core.devices;
    const devices = [{ ...first!, version: 7 }, ...rest];
    const load = (core: Partial<MachineState['core']>) => (): unknown =>
      smallGuest([0xf4], { state: { ...state, core: { ...state.core, ...core } } });
    expect(load({ devices })).toThrow('local-apic is of version 7, this program has 1');
    expect(load({ devices: rest })).toThrow('it lacks the device local-apic');
    const foreign = [...state.core.devices, { name: 'printer', version: 1, state: {} }];
    expect(load({ devices: foreign })).toThrow('there is no device printer here');
  });

  it('is not taken for sound when an event has no owner or is long past', () => {
    const machine = smallGuest([0xf4]);
    machine.run({ budget: 10, skipIdle: true });
    const state = machine.save();
    const { clock } = state.core;
    const load = (events: typeof clock.events) => (): unknown =>
      machine.restore({ ...state, core: { ...state.core, clock: { ...clock, events } } });
    const stray = { name: 'alarm clock', at: 10n ** 12n, order: 9 };
    expect(load([...clock.events, stray])).toThrow('no device has armed alarm clock');
    expect(load(clock.events)).not.toThrow();
    const late = { ...clock, skippedTicks: clock.skippedTicks + 10n ** 18n };
    const core = { ...state.core, clock: late };
    expect(() => machine.restore({ ...state, core })).toThrow(/^clock: \S+ is long past$/);
  });
});
