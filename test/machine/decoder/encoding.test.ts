import { describe, expect, test } from 'vitest';
import { parseEncoding } from '../../../machine/decoder/encoding.ts';

describe('encodings', () => {
  test('a mandatory prefix, REX.W, map, opcode, ModRM and operands are told apart', () => {
    expect(parseEncoding('66 W1 0F 3A 16 /r Ey,Vdq,Ib')).toMatchObject({
      prefix: '66',
      rexW: 1,
      map: '0F3A',
      opcode: 0x16,
      modrm: { kind: 'register' },
      mod: 'any',
      operands: [
        { kind: 'coded', letter: 'E', size: 'y' },
        { kind: 'coded', letter: 'V', size: 'dq' },
        { kind: 'coded', letter: 'I', size: 'b' },
      ],
    });
  });

  test('B0 as an opcode is not the wish for REX.B = 0', () => {
    expect(parseEncoding('B0+r Zb,Ib')).toMatchObject({ opcode: 0xb0, rexB: undefined });
    expect(parseEncoding('B0 90')).toMatchObject({ opcode: 0x90, rexB: 0 });
    expect(parseEncoding('0F B0 /r Eb,Gb')).toMatchObject({ opcode: 0xb0, rexB: undefined });
  });

  test('operand letters and fixed bytes decide which mod fields are allowed', () => {
    expect(parseEncoding('8D /r Gv,M').mod).toBe('memory');
    expect(parseEncoding('0F 50 /r Gd,Udq').mod).toBe('register');
    expect(parseEncoding('0F 01 F8')).toMatchObject({
      mod: 'register',
      modrm: { kind: 'fixed', byte: 0xf8 },
    });
    expect(parseEncoding('NP 0F AE /5 mod3').mod).toBe('register');
    expect(parseEncoding('0F 20 /r anymod Rn,Cn').mod).toBe('ignored');
  });

  test('fixed registers and the constant 1 are operands', () => {
    expect(parseEncoding('D1 /4 Ev,1').operands[1]).toEqual({ kind: 'fixed', name: '1' });
    expect(parseEncoding('0F A0 d64 FS')).toMatchObject({
      operandSize64: 'd64',
      operands: [{ kind: 'fixed', name: 'FS' }],
    });
  });

  test.each([
    ['01 /r Ev,Gk', /Gk/],
    ['01 /9 Ev', /\/9/],
    ['01 Ev', /ModRM/],
    ['51+r Zv', /divisible by 8/],
    ['50 Zv', /belong together/],
    ['50+r Gv', /ModRM/],
    ['0F 01 12', /C0–FF/],
    ['Ev', /opcode byte/],
    ['01 /r Ev,Gv d64', /d64/],
  ])("'%s' is refused with the reason", (text, reason) => {
    expect(() => parseEncoding(text)).toThrow(reason);
    expect(() => parseEncoding(text)).toThrow(text);
  });
});
