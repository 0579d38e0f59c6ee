import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { VirtualClock } from '../../../machine/clock/event-queue.ts';
import { TICKS_PER_INSTRUCTION } from '../../../machine/clock/virtual-clock.ts';

function clockAt(icount: bigint) {
  const counter = { icount };
  const changes: (bigint | undefined)[] = [];
  const clock: VirtualClock = new VirtualClock(
    () => counter.icount,
    () => changes.push(clock.nextEventAt()),
  );
  return { clock, counter, changes };
}

describe('the virtual clock', () => {
  test('counts retired instructions and skipped ticks', () => {
    const { clock, counter } = clockAt(0n);
    expect(clock.now()).toBe(0n);
    counter.icount = 7n;
    expect(clock.now()).toBe(7n * TICKS_PER_INSTRUCTION);
    clock.skip(3n);
    expect(clock.now()).toBe(7n * TICKS_PER_INSTRUCTION + 3n);
  });

  test('never goes back', () => {
    expect(() => clockAt(0n).clock.skip(-1n)).toThrow(RangeError);
  });

  test('rounds the instructions up to an event and gives 0 for one that is due', () => {
    const { clock } = clockAt(1n);
    expect(clock.instructionsUntil(TICKS_PER_INSTRUCTION)).toBe(0n);
    expect(clock.instructionsUntil(0n)).toBe(0n);
    expect(clock.instructionsUntil(TICKS_PER_INSTRUCTION + 1n)).toBe(1n);
    expect(clock.instructionsUntil(2n * TICKS_PER_INSTRUCTION)).toBe(1n);
    expect(clock.instructionsUntil(2n * TICKS_PER_INSTRUCTION + 1n)).toBe(2n);
  });

  test('fires what is due and nothing else', () => {
    const { clock } = clockAt(0n);
    const fired: string[] = [];
    clock.schedule('later', 11n, () => fired.push('later'));
    clock.schedule('now', 10n, () => fired.push('now'));
    clock.skip(10n);
    clock.fireDue();
    expect(fired).toEqual(['now']);
    expect(clock.nextEventAt()).toBe(11n);
  });

  test('has one event per name: arming again moves it', () => {
    const { clock } = clockAt(0n);
    const fired: string[] = [];
    clock.schedule('timer', 5n, () => fired.push('first'));
    clock.schedule('timer', 8n, () => fired.push('second'));
    expect(clock.nextEventAt()).toBe(8n);
    clock.skip(100n);
    clock.fireDue();
    expect(fired).toEqual(['second']);
    expect(clock.nextEventAt()).toBeUndefined();
  });

  test('fires events that an action arms, if they are due, and honours its cancellations', () => {
    const { clock } = clockAt(0n);
    const fired: string[] = [];
    clock.schedule('first', 1n, () => {
      fired.push('first');
      clock.schedule('armed', 2n, () => fired.push('armed'));
      clock.cancel('cancelled');
    });
    clock.schedule('cancelled', 3n, () => fired.push('cancelled'));
    clock.skip(5n);
    clock.fireDue();
    expect(fired).toEqual(['first', 'armed']);
  });

  test('tells when the next event changes, so that a running slice can be shortened', () => {
    const { clock, changes } = clockAt(0n);
    clock.schedule('late', 50n, () => undefined);
    clock.schedule('later', 60n, () => undefined);
    clock.schedule('early', 40n, () => undefined);
    clock.cancel('early');
    expect(changes).toEqual([50n, 40n, 50n]);
  });

  test('fires in the order of time, then of arming, whatever the order of arming', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 5 }), { maxLength: 20 }), (times) => {
        const { clock } = clockAt(0n);
        const fired: number[] = [];
        times.forEach((at, index) =>
          clock.schedule(`event ${index}`, BigInt(at), () => fired.push(index)),
        );
        clock.skip(5n);
        clock.fireDue();
        const expected = times.map((at, index) => ({ at, index }));
        expected.sort((left, right) => left.at - right.at || left.index - right.index);
        expect(fired).toEqual(expected.map(({ index }) => index));
      }),
    );
  });
});

describe('a saved clock', () => {
  test('keeps the order of equal events even when the owners arm them the other way round', () => {
    const { clock } = clockAt(3n);
    clock.skip(4n);
    clock.schedule('a', 90n, () => undefined);
    clock.schedule('b', 90n, () => undefined);
    const other = clockAt(3n).clock;
    const fired: string[] = [];
    other.load(clock.save());
    expect(other.now()).toBe(clock.now());
    other.schedule('b', 90n, () => fired.push('b'));
    other.schedule('a', 90n, () => fired.push('a'));
    other.skip(100n);
    other.fireDue();
    expect(fired).toEqual(['a', 'b']);
    expect(clock.save().nextOrder).toBe(other.save().nextOrder);
  });

  test('refuses to fire an event whose owner has not come back', () => {
    const { clock } = clockAt(0n);
    clock.schedule('orphan', 1n, () => undefined);
    const other = clockAt(0n).clock;
    other.load(clock.save());
    other.skip(1n);
    expect(() => other.fireDue()).toThrow(/orphan/);
  });
});
