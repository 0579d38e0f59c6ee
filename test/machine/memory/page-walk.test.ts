import { describe, expect, it } from 'vitest';
import { linearAddress } from '../../../machine/addresses.ts';
import { isFault } from '../../../machine/guest-fault.ts';
import type { AccessKind } from '../../../machine/memory/page-walk.ts';
import type { TlbContext } from '../../../machine/memory/paging-registers.ts';
import {
  ACCESSED,
  CR0_PG,
  CR0_WP,
  CR4_PAE,
  CR4_PSE,
  CR4_SMAP,
  CR4_SMEP,
  DIRTY,
  EFER_NXE,
  FourLevelTables,
  LARGE,
  NO_EXECUTE,
  PRESENT,
  USER,
  WRITABLE,
  makeMemory,
  type MemoryFixture,
} from './memory-fixture.ts';

const LINEAR = 0xffff_8000_1234_5678n;
const PHYSICAL = 0x20_0000n;

const USER_CONTEXT = 0;
const SMAP_CONTEXT = 1;
const OPEN_CONTEXT = 2;

function walk(
  { memory }: MemoryFixture,
  linear: bigint,
  access: AccessKind,
  context: TlbContext,
): bigint | string {
  const result = memory.translator.walkPageTables(linearAddress(linear), access, context);
  if (!isFault(result)) return BigInt(result.physical);
  return `#${result.vector}(${result.errorCode ?? '-'})@${result.address?.toString(16) ?? '-'}`;
}

function pageFaultText(linear: bigint, errorCode: number): string {
  return `#14(${errorCode})@${linear.toString(16)}`;
}

interface Case {
  readonly isUserPage: boolean;
  readonly isWritablePage: boolean;
  readonly isNoExecute: boolean;
  readonly access: AccessKind;
  readonly context: TlbContext;
  readonly wp: boolean;
  readonly smep: boolean;
}

/** Intel SDM 3A §4.6.1, written down once more, as prose would have it. */
function isAllowed(one: Case): boolean {
  const { isUserPage, isWritablePage, isNoExecute, access, context, wp, smep } = one;
  if (context === USER_CONTEXT) {
    if (!isUserPage) return false;
    if (access === 'read') return true;
    return access === 'write' ? isWritablePage : !isNoExecute;
  }
  if (access === 'execute') return !isNoExecute && !(smep && isUserPage);
  if (isUserPage && context === SMAP_CONTEXT) return false;
  return access === 'read' || isWritablePage || !wp;
}

function* everyCase(): Generator<Case> {
  const either = [false, true];
  for (const isUserPage of either)
    for (const isWritablePage of either)
      for (const isNoExecute of either)
        for (const access of ['read', 'write', 'execute'] as const)
          for (const context of [USER_CONTEXT, SMAP_CONTEXT, OPEN_CONTEXT] as const)
            for (const wp of either)
              for (const smep of either)
                yield { isUserPage, isWritablePage, isNoExecute, access, context, wp, smep };
}

function setUp(one: Case, restrictedLevel: number): MemoryFixture {
  const fixture = makeMemory();
  const tables = new FourLevelTables(fixture);
  tables.map(LINEAR, PHYSICAL, PRESENT | WRITABLE | USER);
  const entry = tables.path(LINEAR)[restrictedLevel]!;
  let value = fixture.read64(entry);
  if (!one.isUserPage) value &= ~USER;
  if (!one.isWritablePage) value &= ~WRITABLE;
  if (one.isNoExecute) value |= NO_EXECUTE;
  fixture.write64(entry, value);
  if (!one.wp) fixture.state.cr0 &= ~CR0_WP;
  fixture.state.cr4 |= (one.smep ? CR4_SMEP : 0n) | CR4_SMAP;
  return fixture;
}

describe('the walk through 4-level tables', () => {
  it('allows and denies every combination of page, access, context, WP and SMEP', () => {
    let count = 0;
    for (const one of everyCase()) {
      const error =
        1 +
        (one.access === 'write' ? 2 : 0) +
        (one.context === USER_CONTEXT ? 4 : 0) +
        (one.access === 'execute' ? 16 : 0);
      const expected = isAllowed(one) ? PHYSICAL + 0x678n : pageFaultText(LINEAR, error);
      expect(walk(setUp(one, 3), LINEAR, one.access, one.context), JSON.stringify(one)).toBe(
        expected,
      );
      count++;
    }
    expect(count).toBe(288);
  });

  it('narrows what a page allows at every level of the tables', () => {
    const one = { isUserPage: false, isWritablePage: false, isNoExecute: true };
    for (const level of [0, 1, 2, 3]) {
      const rest = { access: 'read', context: USER_CONTEXT, wp: true, smep: false } as const;
      const fixture = setUp({ ...one, ...rest }, level);
      expect(walk(fixture, LINEAR, 'read', USER_CONTEXT)).toBe(pageFaultText(LINEAR, 5));
      expect(walk(fixture, LINEAR, 'write', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 3));
      expect(walk(fixture, LINEAR, 'execute', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 17));
      expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(PHYSICAL + 0x678n);
    }
  });

  it('says "not present" at every level without the present bit', () => {
    for (const level of [0, 1, 2, 3]) {
      const fixture = makeMemory();
      const tables = new FourLevelTables(fixture);
      tables.map(LINEAR, PHYSICAL, PRESENT | WRITABLE | USER);
      fixture.write64(tables.path(LINEAR)[level]!, 0xf00n);
      expect(walk(fixture, LINEAR, 'write', USER_CONTEXT)).toBe(pageFaultText(LINEAR, 6));
      expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 0));
    }
  });

  it('reports reserved bits with RSVD and P, before any permission', () => {
    for (const level of [0, 1, 2, 3]) {
      const fixture = makeMemory();
      const tables = new FourLevelTables(fixture);
      tables.map(LINEAR, PHYSICAL, PRESENT);
      const entry = tables.path(LINEAR)[level]!;
      fixture.write64(entry, fixture.read64(entry) | (1n << 45n));
      expect(walk(fixture, LINEAR, 'write', USER_CONTEXT)).toBe(pageFaultText(LINEAR, 15));
    }
  });

  it('treats NX as reserved while EFER.NXE is clear, and then never says "fetch"', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(LINEAR, PHYSICAL, PRESENT | NO_EXECUTE);
    fixture.state.efer &= ~EFER_NXE;
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 9));
    expect(walk(fixture, LINEAR, 'execute', USER_CONTEXT)).toBe(pageFaultText(LINEAR, 13));
    fixture.state.cr4 |= CR4_SMEP;
    expect(walk(fixture, LINEAR, 'execute', USER_CONTEXT)).toBe(pageFaultText(LINEAR, 29));
  });

  it('treats bit 7 of a PML4 entry and misaligned large pages as reserved', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(LINEAR, 0x20_0000n | 0x2000n, PRESENT, 2);
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 9));
    tables.map(LINEAR, 0n, PRESENT, 2);
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(LINEAR & 0x1f_ffffn);
    const [top] = tables.path(LINEAR);
    fixture.write64(top!, fixture.read64(top!) | LARGE);
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 9));
  });

  it('maps 2 MiB and 1 GiB pages, also above 4 GiB of physical memory', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(LINEAR, 0x12_3460_0000n, PRESENT, 2);
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(
      0x12_3460_0000n + (LINEAR & 0x1f_ffffn),
    );
    const other = 0x7f_5678_9abcn;
    tables.map(other, 0xff_4000_0000n, PRESENT, 3);
    expect(walk(fixture, other, 'read', OPEN_CONTEXT)).toBe(
      0xff_4000_0000n + (other & 0x3fff_ffffn),
    );
  });

  it('finds reserved bits where the tables themselves lie outside RAM', () => {
    const fixture = makeMemory();
    new FourLevelTables(fixture);
    fixture.state.cr3 = 0x4000_0000n;
    expect(walk(fixture, LINEAR, 'read', OPEN_CONTEXT)).toBe(pageFaultText(LINEAR, 9));
  });

  it('refuses non-canonical addresses with #GP(0)', () => {
    const fixture = makeMemory();
    new FourLevelTables(fixture);
    for (const linear of [0x8000_0000_0000n, 0xffff_7fff_ffff_ffffn, 1n << 63n]) {
      expect(walk(fixture, linear, 'read', OPEN_CONTEXT)).toBe('#13(0)@-');
    }
  });
});

describe('accessed and dirty bits', () => {
  it('sets accessed on the whole way and dirty only at the leaf, only for writes', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(LINEAR, PHYSICAL, PRESENT | WRITABLE);
    const bits = (): bigint[] =>
      tables.path(LINEAR).map((entry) => fixture.read64(entry) & (ACCESSED | DIRTY));
    expect(bits()).toEqual([0n, 0n, 0n, 0n]);
    walk(fixture, LINEAR, 'read', OPEN_CONTEXT);
    expect(bits()).toEqual([ACCESSED, ACCESSED, ACCESSED, ACCESSED]);
    walk(fixture, LINEAR, 'write', OPEN_CONTEXT);
    expect(bits()).toEqual([ACCESSED, ACCESSED, ACCESSED, ACCESSED | DIRTY]);
  });

  it('leaves them alone when the access is denied', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    const leaf = tables.map(LINEAR, PHYSICAL, PRESENT);
    walk(fixture, LINEAR, 'write', OPEN_CONTEXT);
    expect(fixture.read64(leaf) & (ACCESSED | DIRTY)).toBe(0n);
  });

  it('leaves them alone when a debugger looks', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    const leaf = tables.map(LINEAR, PHYSICAL, PRESENT);
    expect(fixture.memory.debug.translate(LINEAR)).toBe(PHYSICAL + 0x678n);
    expect(fixture.read64(leaf) & ACCESSED).toBe(0n);
  });
});

describe('legacy paging', () => {
  it('translates nothing while paging is off', () => {
    expect(walk(makeMemory(), 0xfedc_ba98n, 'write', OPEN_CONTEXT)).toBe(0xfedc_ba98n);
  });

  it('walks 32-bit tables with 4 KiB pages and, with CR4.PSE, 4 MiB pages', () => {
    const fixture = makeMemory();
    const { state } = fixture;
    state.cr0 |= CR0_PG;
    state.cr3 = 0x10_0000n;
    fixture.write32(0x10_0000 + 0x300 * 4, 0x10_1000 | 3);
    fixture.write32(0x10_1000 + 0x45 * 4, 0x20_0000 | 3);
    expect(walk(fixture, 0xc004_5678n, 'write', OPEN_CONTEXT)).toBe(0x20_0678n);
    expect(walk(fixture, 0xc004_5678n, 'read', USER_CONTEXT)).toBe(pageFaultText(0xc004_5678n, 5));
    fixture.write32(0x10_0000 + 0x301 * 4, 0x0040_0000 | (0x12 << 13) | 0x83);
    state.cr4 |= CR4_PSE;
    expect(walk(fixture, 0xc051_2345n, 'write', OPEN_CONTEXT)).toBe(0x12_0051_2345n);
    fixture.write32(0x10_0000 + 0x301 * 4, 0x0060_0000 | 0x83);
    expect(walk(fixture, 0xc051_2345n, 'write', OPEN_CONTEXT)).toBe(
      pageFaultText(0xc051_2345n, 11),
    );
  });

  it('walks PAE tables, whose top entries have no permissions', () => {
    const fixture = makeMemory();
    const { state } = fixture;
    state.cr0 |= CR0_PG;
    state.cr4 |= CR4_PAE;
    state.efer |= EFER_NXE;
    state.cr3 = 0x10_0020n;
    fixture.write64(0x10_0020 + 3 * 8, 0x10_1000n | PRESENT);
    fixture.write64(0x10_1000, 0x10_2000n | PRESENT | WRITABLE | USER);
    fixture.write64(0x10_2000 + 0x45 * 8, 0x20_0000n | PRESENT | WRITABLE | USER | NO_EXECUTE);
    expect(walk(fixture, 0xc004_5678n, 'write', USER_CONTEXT)).toBe(0x20_0678n);
    expect(walk(fixture, 0xc004_5678n, 'execute', USER_CONTEXT)).toBe(
      pageFaultText(0xc004_5678n, 21),
    );
    expect(fixture.read64(0x10_0020 + 3 * 8)).toBe(0x10_1000n | PRESENT);
    fixture.write64(0x10_0020 + 3 * 8, 0x10_1000n | PRESENT | WRITABLE);
    expect(walk(fixture, 0xc004_5678n, 'read', USER_CONTEXT)).toBe(pageFaultText(0xc004_5678n, 13));
  });
});

describe('the list of mappings', () => {
  it('gives one mapping per leaf, ascending, with what all levels allow', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(0xffff_8000_0000_0000n, 0x20_0000n, PRESENT | WRITABLE, 2);
    tables.map(0x40_1000n, 0x30_0000n, PRESENT | USER);
    tables.map(0x40_2000n, 0x30_1000n, PRESENT | USER | WRITABLE | NO_EXECUTE);
    const found = [...fixture.memory.debug.mappings()].map((mapping) => [
      mapping.linear.toString(16),
      mapping.physical.toString(16),
      mapping.lengthBytes,
      (mapping.isUser ? 'u' : '-') +
        (mapping.isWritable ? 'w' : '-') +
        (mapping.isNoExecute ? '-' : 'x'),
    ]);
    expect(found).toEqual([
      ['401000', '300000', 4096, 'u-x'],
      ['402000', '301000', 4096, 'uw-'],
      ['ffff800000000000', '200000', 0x20_0000, '-wx'],
    ]);
  });

  it('comes to an end when the top table maps itself', () => {
    const fixture = makeMemory();
    const tables = new FourLevelTables(fixture);
    tables.map(0x40_1000n, 0x30_0000n, PRESENT);
    fixture.write64(0x10_0000 + 510 * 8, 0x10_0000n | PRESENT | WRITABLE);
    const found = [...fixture.memory.debug.mappings()].map(({ linear }) => linear);
    expect(found).toContain(0x40_1000n);
    expect(found).toContain(0xffff_ff7f_bfdf_e000n);
    expect(found.length).toBeLessThan(20);
  });
});
