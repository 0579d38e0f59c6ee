/**
 * Puts the bytes of one instruction together from raw fields (Intel SDM 2A figure 2-1). It knows no
 * instruction and nothing of our decoder, so that the two are checked against one another.
 */
export interface CodeParts {
  /** Legacy prefixes in the order in which they stand; a mandatory prefix is one of them. */
  prefixes: number[];
  rex: { w: number; r: number; x: number; b: number; isForced: boolean };
  opcode: number[];
  modrm?: { mod: number; reg: number; rm: number } | undefined;
  sib?: { scale: number; index: number; base: number } | undefined;
  displacement?: { value: bigint; bytes: 1 | 2 | 4 | 8 } | undefined;
  /** The displacement counts from the instruction's end to this address. */
  ripTarget?: bigint | undefined;
  immediate: { value: bigint; bytes: number }[];
}

export function emptyParts(): CodeParts {
  return {
    prefixes: [],
    rex: { w: 0, r: 0, x: 0, b: 0, isForced: false },
    opcode: [],
    immediate: [],
  };
}

export function littleEndian(value: bigint, bytes: number): number[] {
  return Array.from({ length: bytes }, (_, index) => Number((value >> BigInt(8 * index)) & 0xffn));
}

function rexBytes(parts: CodeParts): number[] {
  const { w, r, x, b, isForced } = parts.rex;
  const byte = 0x40 | (w << 3) | (r << 2) | (x << 1) | b;
  return byte === 0x40 && !isForced ? [] : [byte];
}

/** The machine code; `start` is the address at which it will stand. */
export function assemble(parts: CodeParts, start: number): Uint8Array {
  const code = [...parts.prefixes, ...rexBytes(parts), ...parts.opcode];
  if (parts.modrm) code.push((parts.modrm.mod << 6) | (parts.modrm.reg << 3) | parts.modrm.rm);
  if (parts.sib) code.push((parts.sib.scale << 6) | (parts.sib.index << 3) | parts.sib.base);
  const tail = parts.immediate.flatMap(({ value, bytes }) => littleEndian(value, bytes));
  if (parts.displacement) {
    const { bytes } = parts.displacement;
    const end = BigInt(start + code.length + bytes + tail.length);
    const value = parts.ripTarget === undefined ? parts.displacement.value : parts.ripTarget - end;
    code.push(...littleEndian(value, bytes));
  }
  return Uint8Array.from([...code, ...tail]);
}
