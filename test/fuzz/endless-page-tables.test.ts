/** Page tables that describe more than there is: who asks for all mappings gets an end. */
import { describe, expect, it } from 'vitest';
import { forEachMapping } from '../../server/target/mapped-regions.ts';
import { smapsText } from '../../server/target/proc-texts.ts';
import { computedMs } from '../computed-ms.ts';
import { hostileMachine } from './hostile-guest.ts';

const PAGE = 4096;

/** Long mode with a top-level table whose every entry is `entry`. */
function withTopTable(entry: bigint): ReturnType<typeof hostileMachine> {
  const machine = hostileMachine();
  machine.run({ budget: 10_000 });
  const table = new BigUint64Array(PAGE / 8).fill(entry);
  machine.writePhysical(0x60_0000n, new Uint8Array(table.buffer));
  return machine;
}

describe('page tables', () => {
  it('that name themselves in every entry are walked for a while only', () => {
    const machine = withTopTable(0x60_0003n);
    let mappings = 0;
    const isCut = forEachMapping(machine, 0x60_0000n, ({ lengthBytes }) => {
      mappings += lengthBytes / PAGE;
    });
    expect(mappings).toBeGreaterThan(200_000);
    expect(mappings).toBeLessThan(300_000);
    expect(isCut).toBe(true);
  });

  it('that lead to 2^27 empty tables are walked for a while only', () => {
    const machine = withTopTable(0x61_0003n);
    const level = (at: bigint, next: bigint): void => {
      const table = new BigUint64Array(PAGE / 8).fill(next);
      machine.writePhysical(at, new Uint8Array(table.buffer));
    };
    level(0x61_0000n, 0x62_0003n);
    level(0x62_0000n, 0x63_0003n);
    level(0x63_0000n, 0n);
    expect([...machine.mappings(0x60_0000n)]).toEqual([]);
    expect(forEachMapping(machine, 0x60_0000n, () => undefined)).toBe(true);
  });

  it('that map a checkered piece of RAM over and over are told of for a while only', () => {
    const machine = withTopTable(0x61_0003n);
    for (let at = 0x80_0000n; at < 0xff_0000n; at += 0x1_2000n) {
      machine.writePhysical(at, Uint8Array.of(1));
    }
    const level = (at: bigint, entryAt: (index: number) => bigint): void => {
      const table = new BigUint64Array(PAGE / 8).map((_, index) => entryAt(index));
      machine.writePhysical(at, new Uint8Array(table.buffer));
    };
    level(0x61_0000n, () => 0x62_0003n);
    level(0x62_0000n, (index) => (BigInt(4 + (index % 4)) << 21n) | 0x83n);
    const landmarks = Array.from({ length: 64 }, (_, index) => {
      const start = BigInt(index) << 40n;
      return { start, end: start + 0x4000n, name: 'stack', fileOffset: 0n };
    });
    machine.usedRam();
    const started = computedMs();
    const text = smapsText(machine, 0x60_0000n, landmarks);
    expect(computedMs() - started).toBeLessThan(1000);
    expect(text.match(/^Size:/gm)).toHaveLength(16_384);
    expect(text).toMatch(/there is more\]\n$/);
  });

  it('of a kernel are walked whole', () => {
    const machine = hostileMachine();
    machine.run({ budget: 10_000 });
    expect(forEachMapping(machine, undefined, () => undefined)).toBe(false);
  });
});
