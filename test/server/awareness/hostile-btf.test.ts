/** Types of a kernel that nobody has compiled: BTF that is written to keep its reader busy. */
import { describe, expect, it } from 'vitest';
import { BtfTypes } from '../../../server/awareness/linux/btf.ts';
import { computedMs } from '../../computed-ms.ts';

const HEADER_BYTES = 24;
const STRUCT = 4;

interface Member {
  readonly name?: string;
  readonly type: number;
  readonly bits: number;
}

interface Structure {
  readonly name?: string;
  readonly members: readonly Member[];
}

/** A section of structures only, numbered from 1 on. */
function btf(structures: readonly Structure[]): Uint8Array {
  const names = ['', ...new Set(structures.flatMap(namesIn))];
  const strings = Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
  const places = new Map(names.map((name, index) => [name, lengthOf(names.slice(0, index))]));
  const words = structures.flatMap(({ name, members }) => [
    places.get(name ?? '')!, (STRUCT << 24) | members.length, 0,
    ...members.flatMap((member) => [places.get(member.name ?? '')!, member.type, member.bits]),
  ]); // prettier-ignore
  const types = Buffer.from(Uint32Array.from(words).buffer);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16LE(0xeb9f, 0);
  [HEADER_BYTES, 0, types.length, types.length, strings.length].forEach((value, index) => {
    header.writeUInt32LE(value, 4 + 4 * index);
  });
  return Buffer.concat([header, types, strings]);
}

function namesIn({ name, members }: Structure): string[] {
  return [name, ...members.map((member) => member.name)].flatMap((text) => text ?? []);
}

function lengthOf(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + name.length + 1, 0);
}

function tookMs(work: () => void): number {
  const start = computedMs();
  work();
  return computedMs() - start;
}

describe('hostile BTF', () => {
  it('ends where structures without a name are within each other, over and over', () => {
    const within = Array.from({ length: 12 }, () => ({ type: 1, bits: 0 }));
    const types = BtfTypes.read(btf([{ name: 'task_struct', members: within }]))!;
    expect(tookMs(() => expect(types.offsetOf('task_struct', 'pid')).toBeUndefined())).toBeLessThan(
      1000,
    );
  });

  it('has no members at half a byte', () => {
    const types = BtfTypes.read(
      btf([
        { name: 'task_struct', members: [{ type: 2, bits: 4 }, { name: 'tail', type: 0, bits: 12 }] },
        { members: [{ name: 'pid', type: 0, bits: 8 }] },
      ]),
    )!; // prettier-ignore
    expect(types.offsetOf('task_struct', 'pid')).toBeUndefined();
    expect(types.offsetOf('task_struct', 'tail')).toBeUndefined();
  });

  it('has no members further away than a structure is large', () => {
    const far = { name: 'pid', type: 0, bits: 0xffff_fff8 };
    const types = BtfTypes.read(btf([{ name: 'task_struct', members: [far] }]))!;
    expect(types.offsetOf('task_struct', 'pid')).toBeUndefined();
  });

  it('is read in time where it has a million structures with names as long as can be', () => {
    const long = 'x'.repeat(1 << 20);
    const section = btf([{ name: long, members: [] }, ...many({ members: [] }, 1_000_000)]);
    const view = new DataView(section.buffer, section.byteOffset);
    for (let index = 0; index < 1_000_000; index++) {
      view.setUint32(HEADER_BYTES + 12 * index, 1 + index, true);
    }
    expect(tookMs(() => BtfTypes.read(section))).toBeLessThan(2000);
  });
});

function many<Item>(item: Item, count: number): Item[] {
  return new Array<Item>(count).fill(item);
}
