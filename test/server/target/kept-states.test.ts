/** Moments of the machine that are kept: how many, how much, and what goes back with them. */
import { describe, expect, it } from 'vitest';
import type { MachineState } from '../../../machine/index.ts';
import { KeptStates } from '../../../server/target/kept-states.ts';
import { TraceBuffer } from '../../../server/target/tracing/trace-buffer.ts';

const MEBIBYTE = 2 ** 20;

/** A machine whose RAM is as large as it is said to be, and has no bytes. */
class Fake {
  ramBytes = MEBIBYTE;
  icount = 0n;
  restored: unknown;
  readonly save = (): MachineState => {
    const pages = [{ numbers: [0], bytes: { length: this.ramBytes } as Uint8Array }];
    return { core: {} as MachineState['core'], serial: new Uint8Array(0), pages };
  };
  readonly savedBytes = (): number => this.ramBytes;
  readonly restore = (state: MachineState): void => {
    this.restored = state;
  };
  readonly readRegister = (): bigint => this.icount;
}

function keeping(fake: Fake): { readonly states: KeptStates; readonly said: string[] } {
  const said: string[] = [];
  const states = new KeptStates({
    machine: fake,
    mostBytes: 1024 * MEBIBYTE,
    leave: () => said.push('leave'),
    recollect: () => {
      const { icount } = fake;
      return { bytes: 0, recall: () => said.push(`recall ${icount}`) };
    },
  });
  return { states, said };
}

describe('kept moments', () => {
  it('bring back the machine first, then what the server knew', () => {
    const fake = new Fake();
    const { states, said } = keeping(fake);
    states.save('one');
    fake.icount = 7n;
    states.save('two');
    expect(states.load('one').icount).toBe(0n);
    expect(fake.restored).toBeDefined();
    expect(said).toEqual(['leave', 'recall 0']);
    expect(states.list.map(({ name, rip }) => [name, rip])).toEqual([
      ['one', 0n],
      ['two', 7n],
    ]);
  });

  it('are at most 16, and saving under the same name again is always possible', () => {
    const { states } = keeping(new Fake());
    for (let index = 0; index < 16; index++) states.save(`${index}`);
    expect(() => states.save('one more')).toThrow('there are 16 already: drop one');
    states.save('3');
    expect(states.list.at(-1)!.name).toBe('3');
    states.drop('3');
    states.save('one more');
    expect(states.list).toHaveLength(16);
  });

  it('take at most 1 GiB together, and what does not fit changes nothing', () => {
    const fake = new Fake();
    const { states } = keeping(fake);
    fake.ramBytes = 600 * MEBIBYTE;
    states.save('large');
    expect(() => states.save('larger')).toThrow(
      'it takes 600.1 MiB, and of 1024.0 MiB for all 600.1 MiB are used: drop one',
    );
    states.save('large');
    expect(states.list.map(({ name }) => name)).toEqual(['large']);
  });
});

describe('frames of a trace', () => {
  /** Frames of 24 bytes and a block of 100. */
  function fill(buffer: TraceBuffer, from: number, count: number): void {
    for (let number = from; number < from + count; number++) {
      expect(buffer.begin(number, 0n, 0n)).toBe(true);
      expect(buffer.room(100)).toBeGreaterThanOrEqual(0);
      buffer.finish();
    }
  }
  const numbersIn = (buffer: TraceBuffer): number[] =>
    Array.from({ length: buffer.count }, (_, index) =>
      buffer.view.getUint32(buffer.offsetOf(index)! + 4, true),
    );

  it('are put back from a ring that has gone round, and it goes on', () => {
    const buffer = new TraceBuffer(1024);
    buffer.isCircular = true;
    fill(buffer, 1, 11);
    const [before, saved] = [numbersIn(buffer), buffer.save()];
    expect(before.at(-1)).toBe(11);
    expect(before.length).toBeLessThan(11);
    const { freeBytes } = buffer;
    fill(buffer, 12, 20);
    buffer.restore(saved);
    expect(numbersIn(buffer)).toEqual(before);
    expect([buffer.created, buffer.freeBytes]).toEqual([11, freeBytes]);
    fill(buffer, 12, 20);
    expect(numbersIn(buffer).at(-1)).toBe(31);
    buffer.restore(saved);
    expect(numbersIn(buffer)).toEqual(before);
  });

  it('are none where there were none', () => {
    const buffer = new TraceBuffer(1024);
    const saved = buffer.save();
    fill(buffer, 1, 3);
    buffer.restore(saved);
    expect([buffer.count, buffer.created, buffer.freeBytes]).toEqual([0, 0, 1024]);
    fill(buffer, 1, 3);
    expect(numbersIn(buffer)).toEqual([1, 2, 3]);
  });
});
