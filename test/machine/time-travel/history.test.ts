/** What a history keeps, and what it lets go. */
import { describe, expect, it } from 'vitest';
import { History } from '../../../machine/time-travel/history.ts';
import { bytesOf, type CheckpointState } from '../../../machine/time-travel/checkpoint-state.ts';
import type { Position } from '../../../machine/time-travel/position.ts';
import { smallGuest } from '../small-guest.ts';
import { stateText } from './state-text.ts';

const PAGE = 0x1000;
const machine = smallGuest([0xf4]);
const { core } = machine.save();

/** A state in which only some pages are not zero. */
function state(contents: Readonly<Record<number, number>>): CheckpointState {
  const pages = Object.entries(contents).map(([number, content]) => {
    return { numbers: [Number(number)], bytes: new Uint8Array(PAGE).fill(content) };
  });
  return { core, serial: new Uint8Array(), pages };
}

function at(icount: number): Position {
  return { icount: BigInt(icount), ticks: BigInt(icount), rip: 0n };
}

describe('the states of a run', () => {
  it('have each page once that is the same in one and the next', () => {
    const guest = smallGuest([0xf4]);
    const fill = (page: number, content: number): unknown =>
      guest.writePhysical(BigInt(page * PAGE), new Uint8Array(PAGE).fill(content));
    for (const page of [1, 2, 3, 5]) fill(page, page);
    const first = guest.saveBeside(undefined);
    fill(2, 0x22);
    fill(4, 4);
    fill(5, 0);
    const second = guest.saveBeside(first);
    expect(bytesOf([first, second]) - bytesOf([first])).toBe(2 * PAGE);
    const own = second.pages.filter((page) => !first.pages.includes(page));
    expect(own.map(({ numbers, bytes }) => [numbers[0], bytes[0]])).toEqual([[2, 0x22], [4, 4]]); // prettier-ignore
    expect(stateText(second)).toBe(stateText(guest.save()));
  });

  it('are thinned out when there are many: the origin and the latest stay', () => {
    const history = new History({ inputs: 10, states: 20, stateBytes: 1e9 });
    history.begin(at(0));
    for (let index = 1; index <= 200; index++) history.checkpoint(at(index), state({ 1: index }));
    const places = history.last!.checkpoints.map(({ at: { icount } }) => Number(icount));
    expect(places.length).toBeLessThanOrEqual(21);
    expect(places[0]).toBe(0);
    expect(places.slice(-8)).toEqual([193, 194, 195, 196, 197, 198, 199, 200]);
    expect(places).toEqual([...places].sort((left, right) => left - right));
  });

  it('take no more memory than they may: the oldest past is forgotten for the newest', () => {
    const history = new History({ inputs: 10, states: 1000, stateBytes: 10 * PAGE });
    for (let index = 0; index < 30; index++) {
      history.begin(at(index), state({ 1: index, 2: index, 3: index }));
    }
    const states = history.segments.map(({ checkpoints }) => checkpoints[0]!.state!);
    expect(bytesOf(states)).toBeLessThanOrEqual(10 * PAGE);
    expect(history.last!.checkpoints[0]!.at.icount).toBe(29n);
  });
});

describe('states that have nothing in common', () => {
  /** Ten states of a run, each of four pages of its own. */
  function lavish(stateBytes: number, origin?: CheckpointState): History {
    const history = new History({ inputs: 10, states: 1000, stateBytes });
    history.begin(at(0), origin);
    for (let index = 1; index <= 10; index++) {
      history.checkpoint(at(index), state({ 1: index, 2: index, 3: index, 4: index }));
    }
    return history;
  }
  const kept = (history: History): number[] =>
    history.last!.checkpoints.map(({ at: { icount } }) => Number(icount));

  it('take no more memory than they may either: of a run the latest stay', () => {
    expect(kept(lavish(9 * PAGE))).toEqual([0, 9, 10]);
    expect(kept(lavish(9 * PAGE, state({ 1: 99 })))).toEqual([0, 9, 10]);
  });

  it('do not stay when one is too much, but for the one with which the past begins', () => {
    expect(kept(lavish(3 * PAGE))).toEqual([0]);
    const origin = state({ 1: 99, 2: 99, 3: 99, 4: 99 });
    expect(kept(lavish(3 * PAGE, origin))).toEqual([0]);
    expect(lavish(3 * PAGE).hasRoomFor(4 * PAGE)).toBe(false);
  });
});

describe('what came from outside', () => {
  function history(): History {
    const made = new History();
    made.begin(at(0));
    for (const icount of [10, 20, 30]) {
      made.add({ kind: 'serial', at: at(icount), bytes: Uint8Array.of(icount) });
      made.checkpoint(at(icount + 5), state({ 1: icount }));
    }
    return made;
  }

  it('comes again for a machine that is taken back', () => {
    const made = history();
    made.goTo({ segment: made.last!, inputs: 1 }, 40n);
    expect(made.isPast(15n)).toBe(true);
    expect(made.unchangingFrom(15n)).toBe(5n);
    expect(made.nextInput?.at).toEqual(at(20));
    made.repeated();
    made.repeated();
    expect(made.unchangingFrom(35n)).toBe(5n);
    expect(made.isPast(40n)).toBe(false);
  });

  it('is forgotten when something else comes instead, with the states behind it', () => {
    const made = history();
    made.goTo({ segment: made.last!, inputs: 1 }, 40n);
    made.diverge(17n);
    expect(made.nextInput).toBeUndefined();
    expect(made.isPast(17n)).toBe(false);
    expect(made.last!.checkpoints.map(({ at: { icount } }) => icount)).toEqual([0n, 15n]);
  });

  it('is too much at some time', () => {
    const made = new History({ inputs: 3, states: 9, stateBytes: 1e9 });
    made.begin(at(0));
    for (const icount of [1, 2, 3]) made.add({ kind: 'masked step', at: at(icount) });
    expect(made.isFull).toBe(true);
  });
});
