import { describe, expect, it } from 'vitest';
import type { Device } from '../../../machine/devices/device.ts';
import { SLOW_ACCESS } from '../../../machine/memory/slow-path.ts';
import {
  RAM_BASE,
  TLB_BASE,
  TLB_CONTEXT_BYTES,
  TLB_ENTRIES,
  TLB_ENTRY_BYTES,
  TLB_WRITE_TABLE,
} from '../../../machine/state/layout.ts';
import {
  CR0_WP,
  CR4_SMAP,
  FourLevelTables,
  PRESENT,
  RFLAGS_AC,
  USER,
  WRITABLE,
  high,
  low,
  makeMemory,
  type MemoryFixture,
} from './memory-fixture.ts';

const LINEAR = 0xffff_8000_0010_0000n;
const FRAME = 0x20_0000;
const APIC_PAGE = 0xfee0_0000;

function setUp(): MemoryFixture & { tables: FourLevelTables } {
  const fixture = makeMemory();
  const tables = new FourLevelTables(fixture);
  tables.map(LINEAR, BigInt(FRAME), PRESENT | WRITABLE);
  return { ...fixture, tables };
}

function read({ memory }: MemoryFixture, linear: bigint, size: number, flags = 0): number {
  return memory.slowRead(low(linear) | 0, high(linear) | 0, size | flags);
}

function write({ memory }: MemoryFixture, linear: bigint, size: number, flags = 0): number {
  return memory.slowWrite(low(linear) | 0, high(linear) | 0, size | flags);
}

/** What generated code does: the host offset if the TLB has the page, else undefined. */
function probe(fixture: MemoryFixture, linear: bigint, isWrite: boolean): number | undefined {
  const { state, host } = fixture;
  const entry =
    TLB_BASE +
    state.tlbContext +
    (isWrite ? TLB_WRITE_TABLE : 0) +
    (Number((linear >> 12n) & 0xffffn) % TLB_ENTRIES) * TLB_ENTRY_BYTES;
  if (host.getBigUint64(entry, true) !== (linear & ~0xfffn)) return undefined;
  return (low(linear) + host.getUint32(entry + 8, true)) >>> 0;
}

function recordedFault({ state }: MemoryFixture): string {
  const code = state.faultHasErrorCode === 1 ? `(${state.faultErrorCode})` : '';
  return `#${state.faultVector}${code}`;
}

function apic(log: string[]): Device {
  return {
    name: 'test-apic',
    ports: [],
    page: APIC_PAGE,
    readPage: (offset, lengthBytes) => {
      log.push(`read ${offset.toString(16)}/${lengthBytes}`);
      return 0x1122_3344n;
    },
    writePage: (offset, lengthBytes, value) => {
      log.push(`write ${offset.toString(16)}/${lengthBytes} ${value.toString(16)}`);
    },
    reset: () => undefined,
    describe: () => '',
    version: 1,
    save: () => ({}),
    load: () => undefined,
  };
}

describe('a TLB miss', () => {
  it('gives the host offset of RAM and fills the entry that the next access finds', () => {
    const fixture = setUp();
    expect(probe(fixture, LINEAR + 8n, false)).toBeUndefined();
    expect(read(fixture, LINEAR + 8n, 8)).toBe(RAM_BASE + FRAME + 8);
    expect(probe(fixture, LINEAR + 16n, false)).toBe(RAM_BASE + FRAME + 16);
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
    expect(write(fixture, LINEAR, 4)).toBe(RAM_BASE + FRAME);
    expect(probe(fixture, LINEAR + 0xffcn, true)).toBe(RAM_BASE + FRAME + 0xffc);
    expect(fixture.state.exitRequest).toBe(0);
  });

  it('does not fill the write table from a read, so that the dirty bit is set by the write', () => {
    const fixture = setUp();
    read(fixture, LINEAR, 8);
    const leaf = fixture.tables.path(LINEAR)[3]!;
    expect(fixture.read64(leaf) & 0x60n).toBe(0x20n);
    write(fixture, LINEAR, 8);
    expect(fixture.read64(leaf) & 0x60n).toBe(0x60n);
  });

  it('records page faults with error code and address, and #GP or #SS for non-canonical ones', () => {
    const fixture = setUp();
    expect(write(fixture, LINEAR + 0x1234n, 4)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#14(2)');
    expect(fixture.state.faultAddress).toBe(LINEAR + 0x1234n);
    expect(read(fixture, 0x8000_0000_0000n, 4)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#13(0)');
    expect(read(fixture, 0x8000_0000_0000n, 4, SLOW_ACCESS.stackSegment)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#12(0)');
  });

  it('is #GP or #SS if only the end of the access is not canonical, mapped or not', () => {
    const fixture = setUp();
    for (const access of [read, write]) {
      expect(access(fixture, 0x7fff_ffff_fffcn, 8)).toBe(-1);
      expect(recordedFault(fixture)).toBe('#13(0)');
      expect(access(fixture, 0x7fff_ffff_fffcn, 8, SLOW_ACCESS.stackSegment)).toBe(-1);
      expect(recordedFault(fixture)).toBe('#12(0)');
      expect(access(fixture, 0x7fff_ffff_fff8n, 8)).toBe(-1);
      expect(recordedFault(fixture)).toMatch(/^#14/);
      // The end of the address space is not its beginning: that is canonical as well.
      expect(access(fixture, 0xffff_ffff_ffff_fffcn, 8)).toBe(-1);
      expect(recordedFault(fixture)).toMatch(/^#14/);
    }
  });

  it('demands alignment only where told to', () => {
    const fixture = setUp();
    expect(read(fixture, LINEAR + 8n, 16)).toBe(RAM_BASE + FRAME + 8);
    expect(read(fixture, LINEAR + 8n, 16, SLOW_ACCESS.aligned)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#13(0)');
    expect(read(fixture, LINEAR + 16n, 16, SLOW_ACCESS.aligned)).toBe(RAM_BASE + FRAME + 16);
  });
});

describe('the TLB', () => {
  it('keeps user, SMAP and AC accesses apart', () => {
    const fixture = setUp();
    const { state, memory, tables } = fixture;
    tables.map(0x40_0000n, BigInt(FRAME), PRESENT | WRITABLE | USER);
    state.cr4 |= CR4_SMAP;
    state.cpl = 3;
    memory.updateTlbContext();
    expect(state.tlbContext).toBe(0);
    expect(read(fixture, 0x40_0000n, 8)).toBe(RAM_BASE + FRAME);
    state.cpl = 0;
    memory.updateTlbContext();
    expect(state.tlbContext).toBe(TLB_CONTEXT_BYTES);
    expect(probe(fixture, 0x40_0000n, false)).toBeUndefined();
    expect(read(fixture, 0x40_0000n, 8)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#14(1)');
    state.rflagsSystem |= RFLAGS_AC;
    memory.updateTlbContext();
    expect(state.tlbContext).toBe(2 * TLB_CONTEXT_BYTES);
    expect(read(fixture, 0x40_0000n, 8)).toBe(RAM_BASE + FRAME);
  });

  it('uses the open supervisor context while SMAP is off', () => {
    const { state, memory } = setUp();
    state.cpl = 0;
    memory.updateTlbContext();
    expect(state.tlbContext).toBe(2 * TLB_CONTEXT_BYTES);
  });

  it('forgets one page on INVLPG and keeps its neighbours', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x21_0000n, PRESENT);
    read(fixture, LINEAR, 8);
    read(fixture, LINEAR + 0x1000n, 8);
    fixture.memory.invalidatePage(LINEAR + 5n);
    expect(probe(fixture, LINEAR, false)).toBeUndefined();
    expect(probe(fixture, LINEAR + 0x1000n, false)).toBe(RAM_BASE + 0x21_0000);
  });

  it('forgets all of a large page when one address in it is invalidated', () => {
    const fixture = setUp();
    const large = 0xffff_8000_4000_0000n;
    fixture.tables.map(large, 0x20_0000n, PRESENT, 2);
    read(fixture, large, 8);
    read(fixture, large + 0x5000n, 8);
    fixture.memory.invalidatePage(large + 0x1f_f000n);
    expect(probe(fixture, large, false)).toBeUndefined();
    expect(probe(fixture, large + 0x5000n, false)).toBeUndefined();
  });

  it('forgets everything on a flush, also after many fills of the same slots', () => {
    const fixture = setUp();
    for (let round = 0; round < 8000; round++) {
      read(fixture, LINEAR, 8);
      fixture.memory.invalidatePage(LINEAR);
    }
    write(fixture, LINEAR, 8);
    read(fixture, LINEAR, 8);
    expect(probe(fixture, LINEAR, false)).toBe(RAM_BASE + FRAME);
    fixture.memory.flushTlb();
    expect(probe(fixture, LINEAR, false)).toBeUndefined();
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
  });

  it('lets a supervisor write a read-only page without WP, and only then', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR, BigInt(FRAME), PRESENT);
    expect(write(fixture, LINEAR, 8)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#14(3)');
    fixture.state.cr0 &= ~CR0_WP;
    expect(write(fixture, LINEAR, 8)).toBe(RAM_BASE + FRAME);
  });
});

describe('an access across a page boundary', () => {
  const edge = LINEAR + 0xffcn;

  it('is read together from both pages', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x30_0000n, PRESENT | WRITABLE);
    fixture.write32(FRAME + 0xffc, 0x4433_2211);
    fixture.write32(0x30_0000, 0x8877_6655);
    const host = read(fixture, edge, 8);
    expect(host).toBeLessThan(RAM_BASE);
    expect(fixture.host.getBigUint64(host, true)).toBe(0x8877_6655_4433_2211n);
  });

  it('is written when the instruction retires, and not if it is discarded', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x30_0000n, PRESENT | WRITABLE);
    const discarded = write(fixture, edge, 8);
    fixture.host.setBigUint64(discarded, 0x1111_1111_1111_1111n, true);
    fixture.memory.discardPending();
    fixture.memory.commitPending();
    expect(fixture.read64(FRAME + 0xff8)).toBe(0n);
    const host = write(fixture, edge, 8);
    expect(fixture.state.exitRequest).toBe(1);
    fixture.host.setBigUint64(host, 0x8877_6655_4433_2211n, true);
    expect(fixture.read64(0x30_0000)).toBe(0n);
    fixture.memory.commitPending();
    expect(fixture.read64(FRAME + 0xff8)).toBe(0x4433_2211_0000_0000n);
    expect(fixture.read64(0x30_0000)).toBe(0x8877_6655n);
  });

  it('finds the present contents in its slot, for instructions that read, modify and write', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x30_0000n, PRESENT | WRITABLE);
    fixture.write32(FRAME + 0xffc, 0x4433_2211);
    fixture.write32(0x30_0000, 0x8877_6655);
    const host = write(fixture, edge, 8, SLOW_ACCESS.modify);
    expect(fixture.host.getBigUint64(host, true)).toBe(0x8877_6655_4433_2211n);
  });

  it('faults with the address of the second page and leaves nothing to do', () => {
    const fixture = setUp();
    expect(write(fixture, edge, 8)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#14(2)');
    expect(fixture.state.faultAddress).toBe(LINEAR + 0x1000n);
    expect(fixture.state.exitRequest).toBe(0);
  });

  it('faults at the end of the canonical half', () => {
    const fixture = setUp();
    fixture.tables.map(0x7fff_ffff_f000n, BigInt(FRAME), PRESENT | WRITABLE);
    expect(read(fixture, 0x7fff_ffff_fffcn, 8)).toBe(-1);
    expect(recordedFault(fixture)).toBe('#13(0)');
  });

  it('keeps two such stores of one instruction apart', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x30_0000n, PRESENT | WRITABLE);
    fixture.tables.map(LINEAR + 0x2000n, 0x31_0000n, PRESENT | WRITABLE);
    const first = write(fixture, edge, 8);
    const second = write(fixture, edge + 0x1000n, 8);
    const reading = read(fixture, edge, 8);
    expect(new Set([first, second, reading]).size).toBe(3);
    fixture.host.setBigUint64(first, 1n, true);
    fixture.host.setBigUint64(second, 2n, true);
    fixture.memory.commitPending();
    expect(fixture.read64(FRAME + 0xff8)).toBe(1n << 32n);
    expect(fixture.read64(0x30_0ff8)).toBe(2n << 32n);
  });
});

describe('a device page', () => {
  it('is read at once and written when the instruction retires', () => {
    const fixture = setUp();
    const log: string[] = [];
    fixture.memory.physical.attach(apic(log));
    fixture.tables.map(LINEAR, BigInt(APIC_PAGE), PRESENT | WRITABLE);
    const host = read(fixture, LINEAR + 0x20n, 4);
    expect(fixture.host.getUint32(host, true)).toBe(0x1122_3344);
    expect(log).toEqual(['read 20/4']);
    const target = write(fixture, LINEAR + 0xb0n, 4);
    fixture.host.setUint32(target, 0xabcd, true);
    expect(log).toEqual(['read 20/4']);
    fixture.memory.commitPending();
    expect(log).toEqual(['read 20/4', 'write b0/4 abcd']);
    expect(probe(fixture, LINEAR, false)).toBeUndefined();
  });

  it('is read before a read-modify-write only', () => {
    const fixture = setUp();
    const log: string[] = [];
    fixture.memory.physical.attach(apic(log));
    fixture.tables.map(LINEAR, BigInt(APIC_PAGE), PRESENT | WRITABLE);
    write(fixture, LINEAR, 4);
    expect(log).toEqual([]);
    write(fixture, LINEAR, 4, SLOW_ACCESS.modify);
    expect(log).toEqual(['read 0/4']);
  });

  it('where nobody answers reads all ones, swallows writes, and is noted once', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR, 0x8000_0000n, PRESENT | WRITABLE);
    expect(fixture.host.getBigUint64(read(fixture, LINEAR, 8), true)).toBe(0xffff_ffff_ffff_ffffn);
    read(fixture, LINEAR + 64n, 8);
    write(fixture, LINEAR, 8);
    fixture.memory.commitPending();
    expect(fixture.notes).toHaveLength(2);
    expect(fixture.notes[0]).toContain('80000000');
  });
});

describe('a code page', () => {
  it('loses its write entries and reports writes after they have been made', () => {
    const fixture = setUp();
    const told: [number, number, number][] = [];
    fixture.memory.onCodeWrite((...write) => told.push(write));
    write(fixture, LINEAR, 8);
    fixture.memory.markCodePage(FRAME >>> 12);
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
    expect(write(fixture, LINEAR + 0x10n, 4)).toBe(RAM_BASE + FRAME + 0x10);
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
    expect(fixture.state.exitRequest).toBe(1);
    expect(told).toEqual([]);
    fixture.memory.commitPending();
    expect(told).toEqual([[FRAME >>> 12, 0x10, 4]]);
    fixture.memory.unmarkCodePage(FRAME >>> 12);
    write(fixture, LINEAR, 8);
    expect(probe(fixture, LINEAR, true)).toBe(RAM_BASE + FRAME);
  });

  it('hears of a debugger that writes to it at once', () => {
    const fixture = setUp();
    const told: number[] = [];
    fixture.memory.onCodeWrite((page) => told.push(page));
    fixture.memory.markCodePage(FRAME >>> 12);
    expect(fixture.memory.debug.writeLinear(LINEAR + 4n, new Uint8Array([1, 2]))).toBe(2);
    expect(told).toEqual([FRAME >>> 12]);
  });
});

describe('watchpoints', () => {
  const watch = {
    linear: LINEAR + 0x10n,
    lengthBytes: 4,
    kind: 'write',
    owner: 'debugger',
  } as const;

  it('report a write to any watched byte once the instruction has retired', () => {
    const fixture = setUp();
    fixture.memory.addWatchpoint(watch);
    expect(write(fixture, LINEAR + 0x12n, 1)).toBe(RAM_BASE + FRAME + 0x12);
    expect(fixture.memory.takeWatchHits()).toEqual([]);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits()).toEqual([
      { address: LINEAR + 0x12n, watch: 'write', owner: 'debugger' },
    ]);
    expect(fixture.memory.takeWatchHits()).toEqual([]);
  });

  it('do not report neighbours, and neither those nor others enter the write table', () => {
    const fixture = setUp();
    fixture.memory.addWatchpoint(watch);
    write(fixture, LINEAR + 0x14n, 8);
    write(fixture, LINEAR + 0x8n, 8);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits()).toEqual([]);
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
    read(fixture, LINEAR, 8);
    expect(probe(fixture, LINEAR, false)).toBe(RAM_BASE + FRAME);
  });

  it('take effect on pages that the TLB already has, and go away again', () => {
    const fixture = setUp();
    write(fixture, LINEAR, 8);
    fixture.memory.addWatchpoint(watch);
    fixture.memory.addWatchpoint(watch);
    expect(probe(fixture, LINEAR, true)).toBeUndefined();
    fixture.memory.removeWatchpoint(watch);
    write(fixture, LINEAR + 0x10n, 8);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits()).toEqual([]);
    expect(probe(fixture, LINEAR, true)).toBe(RAM_BASE + FRAME);
  });

  it('for reads and for both kinds tell loads from stores', () => {
    const fixture = setUp();
    fixture.memory.addWatchpoint({ ...watch, kind: 'read' });
    fixture.memory.addWatchpoint({ ...watch, linear: LINEAR + 0x20n, kind: 'access' });
    write(fixture, LINEAR + 0x10n, 4);
    read(fixture, LINEAR + 0x10n, 4);
    read(fixture, LINEAR + 0x20n, 4);
    write(fixture, LINEAR + 0x20n, 4);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits().map((hit) => hit.watch)).toEqual([
      'read',
      'access',
      'access',
    ]);
  });

  it('are not hit by an instruction that faults afterwards', () => {
    const fixture = setUp();
    fixture.memory.addWatchpoint(watch);
    write(fixture, LINEAR + 0x10n, 4);
    fixture.memory.discardPending();
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits()).toEqual([]);
  });

  it('see a store that begins on the page before', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR + 0x1000n, 0x30_0000n, PRESENT | WRITABLE);
    fixture.memory.addWatchpoint({ ...watch, linear: LINEAR + 0x1000n, lengthBytes: 1 });
    write(fixture, LINEAR + 0xffcn, 8);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits().map((hit) => hit.address)).toEqual([LINEAR + 0x1000n]);
  });

  it('of the guest are reported apart from the debugger’s', () => {
    const fixture = setUp();
    fixture.memory.setGuestWatches([{ ...watch, owner: 2 }]);
    write(fixture, LINEAR + 0x10n, 4);
    fixture.memory.commitPending();
    expect(fixture.memory.takeWatchHits()).toEqual([]);
    expect(fixture.memory.takeGuestWatchHits().map((hit) => hit.owner)).toEqual([2]);
  });
});

describe('the debugger’s access', () => {
  it('reads as far as memory is mapped', () => {
    const fixture = setUp();
    fixture.write64(FRAME + 0xff8, 0x8877_6655_4433_2211n);
    expect(fixture.memory.debug.readLinear(LINEAR + 0xffcn, 64)).toEqual(
      new Uint8Array([0x55, 0x66, 0x77, 0x88]),
    );
    expect(fixture.memory.debug.readLinear(LINEAR + 0x1000n, 8)).toHaveLength(0);
    expect(fixture.memory.debug.readLinear(0x8000_0000_0000_0000n, 8)).toHaveLength(0);
  });

  it('writes through read-only mappings and stops where nothing is mapped', () => {
    const fixture = setUp();
    fixture.tables.map(LINEAR, BigInt(FRAME), PRESENT);
    expect(fixture.memory.debug.writeLinear(LINEAR + 0xffen, new Uint8Array([1, 2, 3]))).toBe(2);
    expect(fixture.read64(FRAME + 0xff8)).toBe(0x0201_0000_0000_0000n);
  });

  it('looks through another process’s tables', () => {
    const fixture = setUp();
    expect(fixture.memory.debug.translate(LINEAR, 0x3f_0000n)).toBeUndefined();
    expect(fixture.memory.debug.translate(LINEAR, fixture.state.cr3)).toBe(BigInt(FRAME));
  });

  it('reads and writes physical RAM up to its end', () => {
    const { memory } = setUp();
    const end = BigInt(memory.physical.ramBytes);
    expect(memory.debug.writePhysical(end - 2n, new Uint8Array([7, 8, 9]))).toBe(2);
    expect(memory.debug.readPhysical(end - 2n, 16)).toEqual(new Uint8Array([7, 8]));
    expect(memory.debug.readPhysical(end, 16)).toHaveLength(0);
  });
});
