import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DecodedInstruction } from '../../../machine/decoder/decoded-instruction.ts';
import { decode } from '../../../machine/decoder/decoder.ts';
import { intelSyntax } from '../../../machine/decoder/intel-syntax.ts';
import type { ExecutionMode } from '../../../machine/instructions/execution-mode.ts';
import type { MemoryOperand } from '../../../machine/instructions/operand.ts';
import { MODE_16, MODE_32, MODE_64 } from './modes.ts';

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

function decoded(
  hex: string,
  mode: ExecutionMode = MODE_64,
  address = 0x1000n,
): DecodedInstruction {
  const result = decode(bytesOf(hex), address, mode);
  if (result.kind !== 'instruction') throw new Error(`${hex} is ${result.kind}`);
  return result;
}

const text = (hex: string, mode: ExecutionMode = MODE_64): string =>
  intelSyntax(decoded(hex, mode));

function memoryOf(instruction: DecodedInstruction): MemoryOperand {
  const memory = instruction.operands.find((operand) => operand.kind === 'memory');
  if (memory === undefined) throw new Error('no memory operand');
  return memory;
}

const UNDEFINED = { kind: 'undefined', vector: 6 };

describe('prefixes', () => {
  test('legacy prefixes may stand in any order', () => {
    for (const prefixes of ['f0 66 65', '66 f0 65', '65 66 f0', '65 f0 66']) {
      expect(text(`${prefixes} 01 18`)).toBe('lock add WORD PTR gs:[rax],bx');
    }
  });

  test('a REX counts only directly before the opcode', () => {
    expect(text('48 66 01 d8')).toBe('add ax,bx');
    expect(text('66 48 01 d8')).toBe('add rax,rbx');
    expect(text('41 48 01 d8')).toBe('add rax,rbx');
  });

  test('REX.W goes before the operand-size prefix', () => {
    expect(decoded('66 48 b8 88 77 66 55 44 33 22 11').operands[1]).toEqual({
      kind: 'immediate',
      width: 64,
      value: 0x1122334455667788n,
    });
  });

  test('without REX registers 4 to 7 of 8 bits are ah ch dh bh, with any REX they are not', () => {
    expect(text('88 e0')).toBe('mov al,ah');
    expect(text('40 88 e0')).toBe('mov al,spl');
    expect(text('44 88 f8')).toBe('mov al,r15b');
    expect(text('b7 01')).toBe('mov bh,0x1');
  });

  test('in 64-bit mode only fs and gs override a segment', () => {
    expect(memoryOf(decoded('2e 8b 03')).segment).toBe('ds');
    expect(memoryOf(decoded('64 8b 03')).segment).toBe('fs');
    expect(memoryOf(decoded('64 3e 8b 03')).segment).toBe('fs');
    expect(memoryOf(decoded('2e 8b 03', MODE_32)).segment).toBe('cs');
  });

  test('the last of F2 and F3 is the repetition, and both go before 66', () => {
    expect(text('f2 f3 a6')).toBe('repz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]');
    expect(text('f3 f2 a6')).toBe('repnz cmps BYTE PTR ds:[rsi],BYTE PTR es:[rdi]');
    expect(text('66 f3 0f b8 c3')).toBe('popcnt ax,bx');
  });

  test('F2 repeats MOVS as F3 does, and means nothing for MOV', () => {
    expect(decoded('f2 a4').repeat).toBe('repe');
    expect(decoded('f3 89 d8').repeat).toBe('none');
  });

  test('F3 before BSF means nothing, since the CPU has no TZCNT', () => {
    expect(text('f3 0f bc c3')).toBe('bsf eax,ebx');
  });

  test('90 is NOP, but with REX.B it exchanges', () => {
    expect(text('90')).toBe('nop');
    expect(text('48 90')).toBe('nop');
    expect(text('f3 90')).toBe('pause');
    expect(text('41 90')).toBe('xchg r8d,eax');
    expect(text('f3 41 90')).toBe('xchg r8d,eax');
  });

  test('LOCK is for memory that is read and written', () => {
    expect(decoded('f0 01 18').isLocked).toBe(true);
    expect(decode(bytesOf('f0 01 d8'), 0n, MODE_64)).toMatchObject(UNDEFINED);
    expect(decode(bytesOf('f0 03 18'), 0n, MODE_64)).toMatchObject(UNDEFINED);
    expect(decode(bytesOf('f0 8b 03'), 0n, MODE_64)).toMatchObject(UNDEFINED);
    expect(decode(bytesOf('f0 0f a3 18'), 0n, MODE_64)).toMatchObject(UNDEFINED);
  });
});

describe('operand and address sizes', () => {
  test('near branches ignore 66 in 64-bit mode and obey it elsewhere', () => {
    expect(decoded('66 e8 11 00 00 00').lengthBytes).toBe(6);
    expect(decoded('66 e8 11 00', MODE_32).operands[0]).toMatchObject({
      width: 16,
      target: 0x1015n,
    });
  });

  test('a relative target wraps at the operand size', () => {
    expect(decoded('e9 00 f0 ff ff', MODE_64, 0n).operands[0]).toMatchObject({
      target: 0xffff_ffff_ffff_f005n,
    });
    expect(decoded('eb fe', MODE_32, 0n).operands[0]).toMatchObject({ target: 0n });
    expect(decoded('eb f0', MODE_16, 0n).operands[0]).toMatchObject({ target: 0xfff2n });
  });

  test('PUSH has 64 bits in 64-bit mode, 16 with 66', () => {
    expect(decoded('68 ff ff ff ff').operands[0]).toMatchObject({
      width: 64,
      value: 0xffff_ffff_ffff_ffffn,
    });
    expect(decoded('66 68 ff ff').operands[0]).toMatchObject({ width: 16, value: 0xffffn });
  });

  test('MOV of control registers has 64 bits in 64-bit mode and ignores 66 and mod', () => {
    expect(text('0f 22 d8')).toBe('mov cr3,rax');
    expect(text('66 0f 20 18')).toBe('mov rax,cr3');
    expect(decoded('0f 20 18').lengthBytes).toBe(3);
    expect(text('44 0f 20 c0')).toBe('mov rax,cr8');
    expect(text('0f 20 c0', MODE_32)).toBe('mov eax,cr0');
  });

  test('control registers that do not exist are undefined', () => {
    for (const hex of ['0f 20 c8', '0f 20 e8', '44 0f 20 c8', '44 0f 21 c0', '8e f0']) {
      expect(decode(bytesOf(hex), 0n, MODE_64), hex).toMatchObject(UNDEFINED);
    }
  });

  test('MOV with an absolute offset has 8 address bytes, 4 with 67', () => {
    expect(decoded('a1 88 77 66 55 44 33 22 11').lengthBytes).toBe(9);
    expect(memoryOf(decoded('67 a1 ff ff ff ff'))).toMatchObject({
      displacement: 0xffff_ffffn,
      addressWidth: 32,
    });
  });

  test('rip-relative operands count from the end of the instruction, immediates included', () => {
    expect(memoryOf(decoded('8b 05 10 00 00 00')).displacement).toBe(0x1016n);
    expect(memoryOf(decoded('c7 05 10 00 00 00 01 00 00 00')).displacement).toBe(0x101an);
    expect(memoryOf(decoded('67 8b 05 00 e0 ff ff')).displacement).toBe(0xffff_f007n);
    const high = decoded('8b 05 00 00 00 80', MODE_64, 0xffff_ffff_8000_0000n);
    expect(BigInt.asUintN(64, memoryOf(high).displacement)).toBe(0xffff_ffff_0000_0006n);
  });

  test('the same bytes are absolute in 32-bit mode', () => {
    expect(memoryOf(decoded('8b 05 10 00 00 00', MODE_32)).displacement).toBe(0x10n);
  });

  test('POP counts the popped operand in an address based on rsp', () => {
    expect(memoryOf(decoded('8f 44 24 10')).displacement).toBe(0x18n);
    expect(memoryOf(decoded('66 8f 44 24 10')).displacement).toBe(0x12n);
    expect(memoryOf(decoded('8f 45 10')).displacement).toBe(0x10n);
    expect(memoryOf(decoded('41 8f 44 24 10')).displacement).toBe(0x10n);
    expect(text('8f 44 24 10')).toBe('pop QWORD PTR [rsp+0x10]');
  });

  test('rsp and rbp as bases mean the stack segment, as an index rbp does not', () => {
    expect(memoryOf(decoded('8b 04 24')).segment).toBe('ss');
    expect(memoryOf(decoded('8b 45 00')).segment).toBe('ss');
    expect(memoryOf(decoded('41 8b 45 00')).segment).toBe('ds');
    expect(memoryOf(decoded('8b 04 28')).segment).toBe('ds');
    expect(memoryOf(decoded('8b 42 00', MODE_16)).segment).toBe('ss');
  });

  test('r12 can be an index, rsp cannot', () => {
    expect(text('42 8b 04 20')).toBe('mov eax,DWORD PTR [rax+r12*1]');
    expect(text('8b 04 20')).toBe('mov eax,DWORD PTR [rax]');
    expect(text('43 8b 44 25 00')).toBe('mov eax,DWORD PTR [r13+r12*1]');
  });
});

describe('the ends of an instruction', () => {
  const CODE = bytesOf('f0 48 81 84 88 78 56 34 12 44 33 22 11');

  test('every beginning of an instruction is truncated, never something else', () => {
    for (let length = 0; length < CODE.length; length++) {
      expect(decode(CODE.subarray(0, length), 0n, MODE_64).kind, String(length)).toBe('truncated');
    }
    expect(decode(CODE, 0n, MODE_64).kind).toBe('instruction');
  });

  test('15 bytes are an instruction, 16 are #GP(0)', () => {
    const padded = (prefixes: number): Uint8Array =>
      Uint8Array.from([...new Array<number>(prefixes).fill(0x66), 0x89, 0xd8, 0x90]);
    expect(decode(padded(13), 0n, MODE_64)).toMatchObject({ kind: 'instruction', lengthBytes: 15 });
    expect(decode(padded(14), 0n, MODE_64)).toMatchObject({ kind: 'undefined', vector: 13 });
    const onlyPrefixes = new Uint8Array(40).fill(0x66);
    expect(decode(onlyPrefixes, 0n, MODE_64)).toMatchObject({ kind: 'undefined', vector: 13 });
  });

  test('15 prefixes and no more bytes are already too long', () => {
    const prefixes = new Uint8Array(15).fill(0x66);
    expect(decode(prefixes, 0n, MODE_64)).toMatchObject({ kind: 'undefined', vector: 13 });
    expect(decode(prefixes.subarray(1), 0n, MODE_64).kind).toBe('truncated');
  });
});

describe('any bytes', () => {
  test('decode to an instruction of at most 15 bytes, or to none, in every mode', () => {
    const anyBytes = fc.uint8Array({ minLength: 15, maxLength: 15 });
    const anyMode = fc.constantFrom(MODE_16, MODE_32, MODE_64);
    const property = fc.property(anyBytes, anyMode, (bytes, mode) => {
      const result = decode(bytes, 0xffff_ffff_8000_0000n, mode);
      if (result.kind === 'truncated') throw new Error('15 bytes are always enough');
      expect(result.lengthBytes).toBeGreaterThan(0);
      expect(result.lengthBytes).toBeLessThanOrEqual(15);
      if (result.kind === 'instruction') expect(intelSyntax(result)).not.toContain('undefined');
    });
    fc.assert(property, { numRuns: 20_000, seed: 1 });
  });

  test('what an instruction is does not depend on the bytes behind it', () => {
    const anyBytes = fc.uint8Array({ minLength: 15, maxLength: 15 });
    const property = fc.property(anyBytes, fc.constantFrom(MODE_32, MODE_64), (bytes, mode) => {
      const whole = decode(bytes, 0n, mode);
      if (whole.kind !== 'instruction') return;
      expect(decode(bytes.subarray(0, whole.lengthBytes), 0n, mode)).toEqual(whole);
      expect(decode(bytes.subarray(0, whole.lengthBytes - 1), 0n, mode).kind).toBe('truncated');
    });
    fc.assert(property, { numRuns: 5_000, seed: 1 });
  });
});

describe('modes', () => {
  test('what 64-bit mode does not have is undefined there', () => {
    for (const hex of [
      '06',
      '27',
      '37',
      '60',
      '62 03',
      '9a',
      'c4 03',
      'c5 03',
      'ce',
      'd4 0a',
      'd6',
      'ea',
      '82 c0 01',
    ]) {
      const padded = Uint8Array.from([...bytesOf(hex), ...new Uint8Array(8)]);
      expect(decode(padded, 0n, MODE_64), hex).toMatchObject(UNDEFINED);
      expect(decode(padded, 0n, MODE_32).kind, hex).toBe('instruction');
    }
  });

  test('LES and LDS of registers are VEX, which the CPU does not offer', () => {
    expect(decode(bytesOf('c5 f8 77'), 0n, MODE_32)).toMatchObject(UNDEFINED);
    expect(decode(bytesOf('c5 f8 77'), 0n, MODE_64)).toMatchObject(UNDEFINED);
  });

  test('63 is MOVSXD in 64-bit mode and ARPL elsewhere', () => {
    expect(text('48 63 c3')).toBe('movsxd rax,ebx');
    expect(text('63 c3', MODE_32)).toBe('arpl bx,ax');
  });

  test('40 to 4F are INC and DEC outside 64-bit mode', () => {
    expect(text('48', MODE_32)).toBe('dec eax');
    expect(text('66 43', MODE_32)).toBe('inc bx');
  });

  test('16-bit code has 16-bit operands and addresses until a prefix says otherwise', () => {
    expect(text('01 07', MODE_16)).toBe('add WORD PTR [bx],ax');
    expect(text('66 67 01 07', MODE_16)).toBe('add DWORD PTR [edi],eax');
    expect(text('8b 46 fe', MODE_16)).toBe('mov ax,WORD PTR [bp-0x2]');
    expect(text('66 ea 78 56 34 12 08 00', MODE_16)).toBe('jmp 0x8:0x12345678');
  });
});
