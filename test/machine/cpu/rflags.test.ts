import fastCheck from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  RFLAGS_DEFINED,
  RFLAGS_FIXED,
  readRflags,
  writeRflags,
} from '../../../machine/cpu/rflags.ts';
import { makeMemory } from '../memory/memory-fixture.ts';

describe('RFLAGS', () => {
  it('comes back as it was written, with undefined bits dropped and bit 1 set', () => {
    const { state } = makeMemory();
    fastCheck.assert(
      fastCheck.property(fastCheck.nat(0x3f_ffff), (value) => {
        writeRflags(state, value);
        expect(readRflags(state)).toBe((value & RFLAGS_DEFINED) | RFLAGS_FIXED);
      }),
    );
  });

  it('takes the arithmetic flags from the lazy forms that generated code leaves', () => {
    const { state } = makeMemory();
    writeRflags(state, 0);
    const flagsOf = (zero: bigint, sign: bigint, carry: bigint): number => {
      Object.assign(state, { flagZero: zero, flagSign: sign, flagCarry: carry });
      return readRflags(state) & ~RFLAGS_FIXED;
    };
    expect(flagsOf(0n, 0n, 0n)).toBe(0x44); // ZF PF
    expect(flagsOf(1n << 40n, 1n << 63n, 0n)).toBe(0x84); // SF PF
    expect(flagsOf(5n, 0x107n, 1n << 63n)).toBe(0x801); // CF OF: a carry out, none into the top bit
    expect(flagsOf(5n, 0x107n, 3n << 62n)).toBe(0x001); // CF alone
    expect(flagsOf(5n, 0x107n, (1n << 62n) | 8n)).toBe(0x810); // OF AF
  });

  it('has PF for an even number of ones in the low byte only', () => {
    const { state } = makeMemory();
    for (let byte = 0; byte < 256; byte++) {
      state.flagSign = BigInt(byte) | 0xff00n;
      const ones = byte.toString(2).replaceAll('0', '').length;
      expect((readRflags(state) & 4) !== 0, `byte ${byte}`).toBe(ones % 2 === 0);
    }
  });
});
