/** What a debugger may ask for in thousands must not cost the guest's every access as many looks. */
import { describe, expect, it } from 'vitest';
import { Watchpoints, type Watch } from '../../../machine/memory/watchpoints.ts';

const PAGE = 0x1000n;
const WATCH = { linear: 0x7000n, lengthBytes: 8, kind: 'access', owner: 'debugger' } as const;

/** `make` gives watches; each time that anything of one is read counts. */
function counted(amount: number, make: (index: bigint) => Watch) {
  const counter = { looks: 0, watchpoints: new Watchpoints() };
  for (let index = 0n; index < amount; index++) {
    const look = (watch: Watch, name: keyof Watch): unknown => {
      counter.looks++;
      return watch[name];
    };
    counter.watchpoints.add(new Proxy(make(index), { get: look as never }));
  }
  counter.looks = 0;
  return counter;
}

describe('of thousands of watches', () => {
  it('those on other pages are not looked at by an access', () => {
    const counter = counted(3000, (index) => ({ ...WATCH, linear: 0x10_0000n + index * PAGE }));
    counter.watchpoints.add(WATCH);
    expect(counter.watchpoints.hits(0x7004, 0, 4, true)).toEqual([
      { address: 0x7004n, watch: 'access', owner: 'debugger' },
    ]);
    expect(counter.watchpoints.hits(0x8000, 0, 512, false)).toEqual([]);
    expect(counter.watchpoints.concernsPage(0x7ff0, 0, true)).toBe(true);
    expect(counter.looks).toBe(0);
  });

  it('those on other pages are not looked at when the guest moves its debug registers', () => {
    const counter = counted(3000, (index) => ({ ...WATCH, linear: 0x10_0000n + index * PAGE }));
    const { watchpoints } = counter;
    for (let linear = 0x7000n; linear < 0x8000n; linear += 8n) {
      watchpoints.setGuestWatches([{ ...WATCH, linear, owner: 1 }]);
    }
    expect(watchpoints.hits(0x7ff8, 0, 1, false)).toHaveLength(1);
    expect(watchpoints.hits(0x7ff0, 0, 1, false)).toEqual([]);
    expect(counter.looks).toBe(0);
    expect(watchpoints.hits(0x10_0000, 0, 1, false)).toHaveLength(1);
    expect(counter.looks).toBeGreaterThan(0);
  });

  it('that one access touches the debugger hears of the first that stops in any case', () => {
    const watchpoints = new Watchpoints();
    for (let more = 0; more < 3000; more++) {
      watchpoints.add({ ...WATCH, lengthBytes: 8 + more });
    }
    watchpoints.setGuestWatches([{ ...WATCH, owner: 3 }]);
    const hits = watchpoints.hits(0x7000, 0, 4, true);
    expect(hits.map(({ owner }) => owner)).toEqual(['debugger', 3]);
  });

  it('every one that asks first is asked, up to one that does not', () => {
    const watchpoints = new Watchpoints();
    const predicates = Array.from({ length: 3 }, (_, index) => () => index === 1);
    const lengths = [16, 17, 18, 19];
    for (const [index, lengthBytes] of lengths.entries()) {
      const predicate = predicates[index];
      watchpoints.add({ ...WATCH, lengthBytes, ...(predicate ? { predicate } : {}) });
    }
    watchpoints.add({ ...WATCH, lengthBytes: 20 });
    const hits = watchpoints.hits(0x7000, 0, 1, false);
    expect(hits.map(({ predicate }) => predicate)).toEqual([...predicates, undefined]);
  });
});

describe('a watch', () => {
  it('over several pages is hit once by an access over several pages', () => {
    const watchpoints = new Watchpoints();
    watchpoints.add({ ...WATCH, linear: 0x7ff0n, lengthBytes: 0x3000 });
    expect(watchpoints.hits(0x7fe0, 0, 0x2000, true).map(({ address }) => address)).toEqual([
      0x7ff0n,
    ]);
    expect(watchpoints.hits(0x8fff, 0, 2, true).map(({ address }) => address)).toEqual([0x8fffn]);
    watchpoints.remove({ ...WATCH, linear: 0x7ff0n, lengthBytes: 0x3000 });
    expect(watchpoints.isEmpty).toBe(true);
    expect(watchpoints.concernsPage(0x8000, 0, true)).toBe(false);
  });

  it('at the end of linear memory is hit there', () => {
    const watchpoints = new Watchpoints();
    watchpoints.add({ ...WATCH, linear: 0xffff_ffff_ffff_fff8n });
    const hits = watchpoints.hits(0xffff_fffc, 0xffff_ffff, 4, false);
    expect(hits.map(({ address }) => address)).toEqual([0xffff_ffff_ffff_fffcn]);
  });

  it('of no bytes is none', () => {
    const watchpoints = new Watchpoints();
    watchpoints.add({ ...WATCH, lengthBytes: 0 });
    expect(watchpoints.isEmpty).toBe(true);
  });
});
