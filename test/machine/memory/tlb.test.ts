/** The TLB of loads and stores, where its own table does not bound it. */
import { describe, expect, it } from 'vitest';
import { MOST_REGIONS, Tlb } from '../../../machine/memory/tlb.ts';
import { TLB_CONTEXT, TLB_FILLED_BASE, TLB_FILLED_LIMIT } from '../../../machine/state/layout.ts';

const LARGE_PAGE = 2 ** 21;
const IN_4_GIB = 2 ** 32 / LARGE_PAGE;

describe('a large page that is mapped everywhere', () => {
  it('leaves no more behind than a TLB holds, however far a guest runs through it', () => {
    const tlb = new Tlb(new Uint32Array(TLB_FILLED_BASE / 4 + TLB_FILLED_LIMIT));
    const translation = { frame: 0, pageBytes: LARGE_PAGE };
    for (let region = 0; region < 3 * MOST_REGIONS; region++) {
      const low = (region % IN_4_GIB) * LARGE_PAGE;
      tlb.fill(TLB_CONTEXT.supervisor, false, low, Math.floor(region / IN_4_GIB), translation);
    }
    const { large } = tlb.save();
    expect(large.length).toBeLessThanOrEqual(MOST_REGIONS);
    expect(large).toContain(3 * MOST_REGIONS - 1);
  });

  it('is forgotten as a whole by an INVLPG of any part of it', () => {
    const tlb = new Tlb(new Uint32Array(TLB_FILLED_BASE / 4 + TLB_FILLED_LIMIT));
    const translation = { frame: 0x3000, pageBytes: LARGE_PAGE };
    tlb.fill(TLB_CONTEXT.supervisor, false, 0x3000, 0, translation);
    expect(tlb.lookUp(TLB_CONTEXT.supervisor, false, 0x3008, 0)).toBeGreaterThan(0);
    tlb.invalidatePage(0x1f_f000, 0);
    expect(tlb.lookUp(TLB_CONTEXT.supervisor, false, 0x3008, 0)).toBe(-1);
  });
});
