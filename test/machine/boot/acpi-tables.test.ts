import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { RSDP_ADDRESS, acpiTables, rootPointers } from '../../../machine/boot/acpi/acpi-tables.ts';
import { pcMemoryMap } from '../../../machine/boot/memory-map.ts';
import { missing } from '../../tools.ts';

const MIB = 2 ** 20;
const HEADER_BYTES = 36;
const MEMORY = new Uint8Array(MIB);
for (const { address, bytes } of acpiTables()) MEMORY.set(bytes, address);
const VIEW = new DataView(MEMORY.buffer);
const u16 = (address: number): number => VIEW.getUint16(address, true);
const u32 = (address: number): number => VIEW.getUint32(address, true);
const u64 = (address: number): number => Number(VIEW.getBigUint64(address, true));
const textAt = (address: number, length: number): string =>
  String.fromCharCode(...MEMORY.subarray(address, address + length));
const sum = (address: number, length: number): number =>
  MEMORY.subarray(address, address + length).reduce((total, byte) => (total + byte) & 0xff, 0);

/** As solo5 and xv6 do it: the BIOS area, every 16 bytes. */
function findRoot(): number {
  for (let address = 0xe_0000; address < MIB; address += 16) {
    if (textAt(address, 8) === 'RSD PTR ' && sum(address, 20) === 0) return address;
  }
  throw new Error('no root pointer');
}

/** The tables behind RSDT (entries of 4 bytes) or XSDT (8), by signature. */
function tables(root: number, entryBytes: 4 | 8): Map<string, number> {
  const read = entryBytes === 4 ? u32 : u64;
  const count = (u32(root + 4) - HEADER_BYTES) / entryBytes;
  const found = Array.from({ length: count }, (_, n) => read(root + HEADER_BYTES + entryBytes * n));
  return new Map(found.map((address) => [textAt(address, 4), address]));
}

const ROOT = findRoot();
const BY_NAME = tables(u64(ROOT + 24), 8);
const table = (signature: string): number => BY_NAME.get(signature)!;

describe('the ACPI root', () => {
  test('is of revision 2 with both checksums right', () => {
    expect(ROOT).toBe(RSDP_ADDRESS);
    expect([MEMORY[ROOT + 15], u32(ROOT + 20)]).toEqual([2, 36]);
    expect(sum(ROOT, 36)).toBe(0);
  });

  test('reaches the same tables by RSDT and XSDT', () => {
    expect(textAt(u32(ROOT + 16), 4)).toBe('RSDT');
    expect(textAt(u64(ROOT + 24), 4)).toBe('XSDT');
    expect([...tables(u32(ROOT + 16), 4)]).toEqual([...BY_NAME]);
    expect([...BY_NAME.keys()]).toEqual(expect.arrayContaining(['FACP', 'APIC']));
  });

  test('is handed over in the form of ACPI 1.0, too', () => {
    const { old, current } = rootPointers();
    expect(current).toEqual(MEMORY.slice(ROOT, ROOT + 36));
    expect(old).toHaveLength(20);
    expect(old[15]).toBe(0);
    expect(old.subarray(16)).toEqual(current.subarray(16, 20));
    expect(old.reduce((total, byte) => (total + byte) & 0xff, 0)).toBe(0);
  });
});

describe('every ACPI table', () => {
  const all = [u32(ROOT + 16), u64(ROOT + 24), ...BY_NAME.values(), u64(table('FACP') + 140)];

  test.each(all.map((address) => [textAt(address, 4), address] as const))(
    '%s adds up to 0 and lies where the memory map has ACPI',
    (_, address) => {
      const end = address + u32(address + 4);
      expect(sum(address, u32(address + 4))).toBe(0);
      const ranges = pcMemoryMap(256 * MIB).filter(({ type }) => type === 3);
      const isCovered = ranges.some(
        (range) => address >= range.address && end <= range.address + range.lengthBytes,
      );
      expect(isCovered).toBe(true);
    },
  );

  test('overlaps no other', () => {
    const places = acpiTables()
      .map(({ address, bytes }) => [address, address + bytes.length] as const)
      .sort(([left], [right]) => left - right);
    places.slice(1).forEach(([start], index) => {
      expect(start).toBeGreaterThanOrEqual(places[index]![1]);
    });
  });
});

describe('the FADT', () => {
  const fadt = table('FACP');

  test('has the power registers, the SCI and the reset register', () => {
    expect(u32(fadt + 4)).toBe(276);
    expect([u16(fadt + 46), u32(fadt + 48)]).toEqual([9, 0]);
    expect([56, 64, 76].map((offset) => u32(fadt + offset))).toEqual([0x600, 0x604, 0x608]);
    expect([88, 89, 91].map((offset) => MEMORY[fadt + offset])).toEqual([4, 2, 4]);
    expect([MEMORY[fadt + 116], u64(fadt + 120), MEMORY[fadt + 128]]).toEqual([1, 0xcf9, 6]);
    expect([152, 176, 212].map((offset) => u64(fadt + offset))).toEqual([0x600, 0x604, 0x608]);
  });

  test('points to the FACS on 64 bytes and to the DSDT, twice', () => {
    const facs = u32(fadt + 36);
    expect([textAt(facs, 4), facs % 64, u32(facs + 4)]).toEqual(['FACS', 0, 64]);
    expect(u64(fadt + 140)).toBe(u32(fadt + 40));
    expect(textAt(u32(fadt + 40), 4)).toBe('DSDT');
  });
});

test('the HPET table names the block of timers at its place', () => {
  const hpet = table('HPET');
  expect([u32(hpet + 4), u32(hpet + 36), MEMORY[hpet + 40]]).toEqual([56, 0x8086_a201, 0]);
  expect([u64(hpet + 44), MEMORY[hpet + 52]]).toEqual([0xfed0_0000, 0]);
});

describe('the DSDT', () => {
  const dsdt = u32(table('FACP') + 40);
  const bytes = MEMORY.slice(dsdt, dsdt + u32(dsdt + 4));

  test('has _S5 as the first thing a kernel that scans for it finds', () => {
    const at = Buffer.from(bytes).indexOf('_S5_');
    // NameOp before; PackageOp, its length, four elements, the first of which is 0.
    expect([...bytes.subarray(at - 1, at)]).toEqual([0x08]);
    expect([...bytes.subarray(at + 4, at + 8)]).toEqual([0x12, 6, 4, 0]);
  });

  test.skipIf(missing('iasl'))('is what ACPICA makes of its own disassembly', () => {
    const folder = mkdtempSync(join(tmpdir(), 'exoscope-acpi-'));
    const iasl = (...args: readonly string[]): string =>
      spawnSync('iasl', args, { cwd: folder, encoding: 'utf8', timeout: 30_000 }).stdout;
    try {
      for (const [name, address] of [...BY_NAME, ['DSDT', dsdt] as const]) {
        const content = MEMORY.subarray(address, address + u32(address + 4));
        writeFileSync(join(folder, `${name}.dat`), content);
        iasl('-d', `${name}.dat`);
        const text = readFileSync(join(folder, `${name}.dsl`), 'utf8');
        expect(text).not.toMatch(/invalid|incorrect|error|unknown|unaligned/i);
      }
      expect(iasl('-p', 'again', 'DSDT.dsl')).toContain('0 Errors, 0 Warnings');
      const again = readFileSync(join(folder, 'again.aml'));
      expect(again.subarray(HEADER_BYTES)).toEqual(Buffer.from(bytes.subarray(HEADER_BYTES)));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
