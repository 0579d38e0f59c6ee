import { describe, expect, it } from 'vitest';
import { UsedFrames } from '../../../machine/memory/used-frames.ts';
import { RAM_BASE } from '../../../machine/state/layout.ts';

const RAM_BYTES = 0x40_0000;
const FRAMES = RAM_BYTES / 0x1000;

function untouched(): { readonly ram: Uint8Array; readonly used: UsedFrames } {
  const pages = (RAM_BASE + RAM_BYTES) / 0x1_0000;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return {
    ram: new Uint8Array(memory.buffer, RAM_BASE, RAM_BYTES),
    used: new UsedFrames(memory, RAM_BYTES),
  };
}

describe('the frames of RAM that hold anything', () => {
  it('are none in untouched RAM', () => {
    expect(untouched().used.list()).toEqual([]);
  });

  it('are found by one bit in any place, the first and the last byte too', () => {
    const { ram, used } = untouched();
    ram[0] = 1;
    ram[3 * 0x1000 + 0xabc] = 0x80;
    ram[4 * 0x1000 - 1] = 1;
    ram[4 * 0x1000] = 1;
    ram[RAM_BYTES - 1] = 1;
    expect(used.list()).toEqual([0, 3, 4, FRAMES - 1]);
  });

  it('are told as runs of neighbours, too', () => {
    const { ram, used } = untouched();
    for (const frame of [0, 1, 2, 5, FRAMES - 1]) ram[frame * 0x1000] = 1;
    expect(used.runs()).toEqual([
      { start: 0, end: 0x3000 },
      { start: 0x5000, end: 0x6000 },
      { start: RAM_BYTES - 0x1000, end: RAM_BYTES },
    ]);
  });

  it('are none when they have been cleared', () => {
    const { ram, used } = untouched();
    ram.fill(0xff, 0x1800, 0x5800);
    used.clear(ram);
    expect(used.list()).toEqual([]);
    expect(ram.every((byte) => byte === 0)).toBe(true);
  });
});
