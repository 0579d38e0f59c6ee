import { describe, expect, test } from 'vitest';
import { decode } from '../../../machine/decoder/decoder.ts';
import { parseEncoding } from '../../../machine/decoder/encoding.ts';
import { intelSyntax } from '../../../machine/decoder/intel-syntax.ts';
import type { ExecutionMode } from '../../../machine/instructions/execution-mode.ts';
import { INSTRUCTIONS } from '../../../machine/instructions/index.ts';
import { missing } from '../../tools.ts';
import { encodeForm } from './encode-form.ts';
import { MODE_16, MODE_32, MODE_64 } from './modes.ts';
import { objdump } from './objdump.ts';

/** Where objdump says something else on purpose, or does not know: its text, and why. */
const ACCEPTED: readonly RegExp[] = [
  // It has other instructions there, which the CPU does not offer, or finds none.
  /^(bnd|cldemote|tpause|clflushopt|\(bad\))/,
  // NP instructions with 66, which the manual does not define.
  /^(clac|stac|xgetbv|xsetbv|fxsave|fxrstor|ldmxcsr|stmxcsr)\b/,
  // It shows a 16-bit source as wide as the register that the assembler takes there.
  /^(lar|lsl|mov [c-gs]s,|mov es,|pinsrw|movmskp|pmovmskb)/,
  // Far pointers with a 64-bit offset have ten bytes.
  /^((jmp|call) |l[sfg]s r..,)FWORD PTR/,
  // The pair of bounds as one, XCHG ax,ax, REX before WAIT, MOVSXD with 66 as AMD reads it.
  /^(bound|xchg ax,ax|rex\.W$|movsxd ax,)/,
];

/** Each code on its own, padded with NOPs so that the next one begins at a known place. */
const SLOT_BYTES = 16;

function formCodes(mode: ExecutionMode): Uint8Array[] {
  const is64Bit = mode.codeWidth === 64;
  const absent = is64Bit ? 'not64' : 'only64';
  const sizes = [{}, { operandSize: true }, ...(is64Bit ? [{ rexW: true }] : [])];
  return INSTRUCTIONS.filter(({ modes }) => modes !== absent)
    .flatMap(({ encodings }) => encodings.map(parseEncoding))
    .filter(({ rexW }) => is64Bit || rexW !== 1)
    .flatMap((parsed) =>
      [false, true].flatMap((memory) =>
        sizes.map((size) => encodeForm(parsed, { is64Bit, memory, ...size })),
      ),
    );
}

/** All ModRM and SIB bytes with some displacement, under MOV and with every REX. */
function addressCodes(mode: ExecutionMode): Uint8Array[] {
  const prefixes = mode.codeWidth === 64 ? [[], [0x41], [0x42], [0x4d], [0x67]] : [[], [0x67]];
  const modrms = Array.from({ length: 0xc0 }, (_, modrm) => modrm).filter((modrm) => modrm % 5 < 3);
  return prefixes.flatMap((prefix) =>
    modrms.map((modrm) =>
      Uint8Array.from([...prefix, 0x8b, modrm, (modrm * 37) & 0xff, 0x80, 1, 0, 2]),
    ),
  );
}

function place(codes: readonly Uint8Array[]): Uint8Array {
  const image = new Uint8Array(codes.length * SLOT_BYTES).fill(0x90);
  codes.forEach((code, slot) => image.set(code, slot * SLOT_BYTES));
  return image;
}

function disagreements(codes: readonly Uint8Array[], mode: ExecutionMode): string[] {
  const image = place(codes);
  const machine = ({ 16: 'i8086', 32: 'i386', 64: 'i386:x86-64' } as const)[mode.codeWidth];
  const listed = objdump(image, machine).filter(({ address }) => address % SLOT_BYTES === 0);
  expect(listed.length).toBe(codes.length);
  return listed.flatMap(({ address, lengthBytes, text }) => {
    const decoded = decode(image.subarray(address, address + 15), BigInt(address), mode);
    const bytes = Buffer.from(image.subarray(address, address + lengthBytes)).toString('hex');
    const own =
      decoded.kind === 'instruction'
        ? `${decoded.lengthBytes} bytes: ${intelSyntax(decoded)}`
        : decoded.kind;
    const isSame = own === `${lengthBytes} bytes: ${text}`;
    if (isSame || ACCEPTED.some((pattern) => pattern.test(text))) return [];
    return [`${bytes}: '${text}' was ${own}`];
  });
}

describe.skipIf(missing('objdump'))('the text of instructions, beside objdump', () => {
  test.each([
    ['64-bit', MODE_64],
    ['32-bit', MODE_32],
  ])('every form in %s mode', (_, mode) => {
    expect(disagreements(formCodes(mode), mode)).toEqual([]);
  });

  test.each([
    ['64-bit', MODE_64],
    ['32-bit', MODE_32],
    ['16-bit', MODE_16],
  ])('every kind of address in %s mode', (_, mode) => {
    expect(disagreements(addressCodes(mode), mode)).toEqual([]);
  });
});
