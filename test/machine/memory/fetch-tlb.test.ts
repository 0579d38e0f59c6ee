import { describe, expect, it } from 'vitest';
import { FetchTlb, MOST_FETCH_ENTRIES } from '../../../machine/memory/fetch-tlb.ts';

const KERNEL = 0xffff_ffff;
const LARGE = 2 ** 21;
const HUGE = 2 ** 30;

function filled(): FetchTlb {
  const tlb = new FetchTlb();
  tlb.add(0, 0x8010_0abc, KERNEL, 0x10_0000, LARGE);
  tlb.add(0, 0x8011_0000, KERNEL, 0x11_0000, LARGE);
  tlb.add(0, 0x8030_0000, KERNEL, 0x30_0000, 4096);
  tlb.add(0, 0x4000_1000, 0, 0x5000, HUGE);
  tlb.add(3, 0x40_1000, 0, 0x7000, 4096);
  return tlb;
}

describe('the TLB of instructions', () => {
  it('finds a page by any address in it, and apart for ring 3', () => {
    const tlb = filled();
    expect(tlb.find(0, 0x8010_0fff, KERNEL)).toBe(0x10_0000);
    expect(tlb.find(2, 0x8010_0000, KERNEL)).toBe(0x10_0000);
    expect(tlb.find(3, 0x8010_0000, KERNEL)).toBeUndefined();
    expect(tlb.find(0, 0x8010_0000, 0)).toBeUndefined();
    expect(tlb.find(3, 0x40_1234, 0)).toBe(0x7000);
    expect(tlb.find(0, 0x40_1234, 0)).toBeUndefined();
  });

  it.each([
    ['page of 4 KiB', 0x8030_0ff0, KERNEL, 4],
    ['page of 2 MiB, with all its pieces', 0x801f_f000, KERNEL, 3],
    ['page of 1 GiB', 0x7fff_f000, 0, 4],
    ['page of ring 3', 0x40_1000, 0, 4],
    ['page that nothing was fetched from', 0x9010_0000, KERNEL, 5],
    ['page like another in its low bits', 0x8030_0000, 0, 5],
  ])('forgets by INVLPG a %s', (_, low, high, left) => {
    const tlb = filled();
    tlb.invalidatePage(low, high);
    const { supervisor, user } = tlb.save();
    expect(supervisor.length + user.length).toBe(left);
    expect(left === 5 || tlb.find(low < 0x100_0000 ? 3 : 0, low, high) === undefined).toBe(true);
  });

  it('is after save and load as it was, and forgets as much', () => {
    const tlb = new FetchTlb();
    tlb.load(filled().save());
    expect(tlb.save()).toEqual(filled().save());
    expect(tlb.hasHuge).toBe(true);
    tlb.invalidatePage(0x8010_0000, KERNEL);
    expect(tlb.find(0, 0x8011_0000, KERNEL)).toBeUndefined();
    tlb.flush();
    expect(tlb.save()).toEqual({ supervisor: [], user: [], large: [], huge: [] });
  });

  it('is full some day, and loads no more than that and no half frames', () => {
    const tlb = new FetchTlb();
    for (let page = 0; page < MOST_FETCH_ENTRIES; page++) {
      expect(tlb.isFull).toBe(false);
      tlb.add(page % 4, page * 4096, 0, 0, 4096);
    }
    expect(tlb.isFull).toBe(true);
    const pages = Array.from({ length: MOST_FETCH_ENTRIES + 1 }, (_, page) => [page, 0] as const);
    const nothing = { supervisor: [], user: [], large: [], huge: [] };
    expect(() => new FetchTlb().load({ ...nothing, user: pages })).toThrow('wild entry');
    expect(() => new FetchTlb().load({ ...nothing, user: [[1, 5]] })).toThrow('wild entry');
  });
});
