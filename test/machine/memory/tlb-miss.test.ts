/** The walk in WebAssembly beside the one in TypeScript: the same memory, faults and TLB, whatever happens. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RAM_BASE } from '../../../machine/state/layout.ts';
import { buildCoreModule } from '../../../machine/translation/core-module.ts';
import {
  CR0_WP,
  CR4_SMAP,
  EFER_LMA,
  EFER_NXE,
  FourLevelTables,
  RAM_BYTES,
  RFLAGS_AC,
  high,
  low,
  makeMemory,
  type MemoryFixture,
} from './memory-fixture.ts';

type Access = (low: number, high: number, sizeAndFlags: number) => number;

interface Side {
  readonly fixture: MemoryFixture;
  /** Where the entries on the way to each page are, top first; sound at the beginning. */
  readonly entries: ReadonlyMap<bigint, readonly number[]>;
  readonly read: Access;
  readonly write: Access;
}

const CODE_PAGE = 0x202;
/** Neighbours, another 2 MiB, another 512 GiB, the higher half; some share a TLB slot. */
const PAGES = [0x40_0000n, 0x40_1000n, 0x80_0000n, 0x7f_ffff_f000n, 0xffff_8000_0040_0000n];
const FRAMES = [0x20_0000n, 0x20_1000n, BigInt(CODE_PAGE) << 12n, 0x3f_f000n, 0xfee0_0000n];

function plain(): Side {
  const fixture = makeMemory();
  const { memory } = fixture;
  const tables = new FourLevelTables(fixture);
  for (const linear of PAGES) tables.map(linear, FRAMES[0]!, 0n);
  return {
    fixture,
    entries: new Map(PAGES.map((linear) => [linear, tables.path(linear)])),
    read: (...access) => memory.slowRead(...access),
    write: (...access) => memory.slowWrite(...access),
  };
}

/** `count` hears of every access that the module leaves to the host. */
function generated(count: () => void): Side {
  const side = plain();
  const leave =
    (access: Access): Access =>
    (...parameters) => {
      count();
      return access(...parameters);
    };
  const { wasm } = side.fixture;
  const pages = (RAM_BASE + RAM_BYTES) / 65536;
  const host = {
    memory: wasm,
    table: new WebAssembly.Table({ element: 'anyfunc', initial: 1 }),
    passesBreakpoint: () => 0,
    slowRead: leave(side.read),
    slowWrite: leave(side.write),
  };
  const module = new WebAssembly.Module(buildCoreModule(pages));
  const { exports } = new WebAssembly.Instance(module, { host });
  return { ...side, read: exports['readMiss'] as Access, write: exports['writeMiss'] as Access };
}

const page = fc.constantFrom(...PAGES);
/** What kernels write into entries, and anything. */
const flags = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(0n, 1n, 3n, 7n, 0x67n) },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.constantFrom(1n, 2n, 4n, 0x20n, 0x40n, 0x80n, 1n << 63n, 1n << 45n))
      .map((bits) => bits.reduce((all, bit) => all | bit, 1n)),
  },
);

const event = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('map' as const), page, frame: fc.constantFrom(...FRAMES), flags }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('upper entry' as const), page, level: fc.nat(2), flags }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('mode' as const), cpl: fc.constantFrom(0, 3), smap: fc.boolean(), ac: fc.boolean(), wp: fc.boolean(), nx: fc.boolean(), long: fc.constantFrom(true, true, true, false) }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('code' as const), isCode: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('watch' as const), page, isAdded: fc.boolean() }) }, // prettier-ignore
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('invlpg' as const), page }) },
  { weight: 9, arbitrary: fc.record({ kind: fc.constant('access' as const), page, offset: fc.constantFrom(0, 8, 4092), size: fc.constantFrom(1, 4, 8, 16), isWrite: fc.boolean(), flags: fc.constantFrom(0, 0, 0, 0x100, 0x200, 0x400), noise: fc.constantFrom(0n, 0n, 0n, 1n << 55n) }) }, // prettier-ignore
);

type Event = typeof event extends fc.Arbitrary<infer Value> ? Value : never;

/** Does it; result: what an access gave and which fault it left, nothing for the rest. */
function happen(side: Side, what: Event): readonly unknown[] {
  const { fixture, entries, read, write } = side;
  const { state, memory } = fixture;
  const set = (isSet: boolean, bit: bigint, value: bigint): bigint =>
    isSet ? value | bit : value & ~bit;
  switch (what.kind) {
    case 'map':
      fixture.write64(entries.get(what.page)!.at(-1)!, what.frame | what.flags);
      return [];
    case 'upper entry': {
      const entry = entries.get(what.page)![what.level]!;
      fixture.write64(entry, (fixture.read64(entry) & 0xf_ffff_ffff_f000n) | what.flags);
      return [];
    }
    case 'mode':
      state.cpl = what.cpl;
      state.cr4 = set(what.smap, CR4_SMAP, state.cr4);
      state.cr0 = set(what.wp, CR0_WP, state.cr0);
      state.efer = set(what.nx, EFER_NXE, set(what.long, EFER_LMA, state.efer));
      state.rflagsSystem = set(what.ac, RFLAGS_AC, state.rflagsSystem);
      memory.updateTlbContext();
      memory.flushTlb();
      return [];
    case 'code':
      if (what.isCode) memory.markCodePage(CODE_PAGE);
      else memory.unmarkCodePage(CODE_PAGE);
      return [];
    case 'watch': {
      const watch = { linear: what.page, lengthBytes: 8, kind: 'access', owner: 'debugger' } as const; // prettier-ignore
      if (what.isAdded) memory.addWatchpoint(watch);
      else memory.removeWatchpoint(watch);
      return [];
    }
    case 'invlpg':
      memory.invalidatePage(what.page);
      return [];
    case 'access': {
      const linear = what.page + BigInt(what.offset) + what.noise;
      const access = what.isWrite ? write : read;
      const given = access(low(linear) | 0, high(linear) | 0, what.size | what.flags);
      memory.commitPending();
      const { faultVector, faultErrorCode, faultHasErrorCode, faultAddress } = state;
      return [given, memory.takeWatchHits().length, faultVector, faultErrorCode, faultHasErrorCode, faultAddress]; // prettier-ignore
    }
  }
}

it('gives what the slow path gives and leaves the same memory', () => {
  let accesses = 0;
  let left = 0;
  fc.assert(
    fc.property(fc.array(event, { minLength: 20, maxLength: 80 }), (events) => {
      const [ours, reference] = [generated(() => (left += 1)), plain()];
      for (const what of events) {
        if (what.kind === 'access') accesses += 1;
        expect(happen(ours, what), what.kind).toEqual(happen(reference, what));
      }
      const [mine, theirs] = [ours, reference].map(({ fixture }) => Buffer.from(fixture.wasm.buffer)); // prettier-ignore
      expect(mine!.compare(theirs!)).toBe(0);
    }),
    { numRuns: 150 },
  );
  // It does not test the slow path against itself.
  expect(accesses - left).toBeGreaterThan(accesses / 8);
});
