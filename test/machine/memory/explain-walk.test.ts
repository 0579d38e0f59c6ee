import { describe, expect, it } from 'vitest';
import { explainWalk, pagingMode } from '../../../machine/index.ts';
import { kernelMachine } from '../small-guest.ts';

describe('a page walk that is explained', () => {
  it('agrees with translation and with the list of mappings of a booted kernel', () => {
    const machine = kernelMachine('');
    machine.run({ budget: 900_000, skipIdle: true });
    expect(pagingMode(machine)).toBe('4-level');
    const mappings = Array.from(machine.mappings());
    expect(mappings.length).toBeGreaterThan(50);
    for (const mapping of mappings) {
      const linear = mapping.linear + 0x123n;
      const walk = explainWalk(machine, linear);
      expect(walk.physical).toBe(machine.translate(linear));
      expect(walk.steps.at(-1)?.entry).toBe(mapping.entry);
      const { isWritable, isUser, isNoExecute } = mapping;
      expect(walk).toMatchObject({ isWritable, isUser, isNoExecute });
      expect(walk.pageBytes).toBe(mapping.lengthBytes);
    }
  });
});
