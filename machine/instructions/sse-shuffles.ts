/**
 * Rearranging lanes: shuffles, unpacking, single words (Intel SDM 2, PSHUFD, SHUFPS, UNPCKLPS,
 * PUNPCKLBW, PINSRW, PEXTRW). Each is one byte shuffle with indexes that the encoding fixes: 0–15
 * are bytes of the first vector, 16–31 of the second.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import type { Operand } from './operand.ts';

/** An immediate byte, which definitions with `constantImmediate` may look at. */
function immediateByte(operand: Operand | undefined): number {
  if (operand?.kind !== 'immediate') throw new Error('a shuffle without its immediate');
  return Number(operand.value);
}

/** Byte indexes of lanes of `laneBytes` bytes, given as lane numbers. */
function laneIndexes(lanes: readonly number[], laneBytes: number): number[] {
  return lanes.flatMap((lane) =>
    Array.from({ length: laneBytes }, (_, byte) => lane * laneBytes + byte),
  );
}

/** The lane that field `position` of a shuffle immediate chooses, with `bits` bits a field. */
function chosen(immediate: number, position: number, bits: 1 | 2): number {
  return (immediate >> (position * bits)) & ((1 << bits) - 1);
}

const WORDS = [0, 1, 2, 3];

/** PSHUFD, PSHUFLW, PSHUFHW: lanes of the source only. */
function sourceShuffle(
  mnemonic: string,
  prefix: string,
  laneBytes: 2 | 4,
  lanes: (immediate: number) => readonly number[],
): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F 70 /r Vdq,Wdq,Ib`],
    sse: true,
    constantImmediate: true,
    semantics(o, destination, source, immediate) {
      const value = o.readVector(source, 'aligned');
      const indexes = laneIndexes(lanes(immediateByte(immediate)), laneBytes);
      o.writeVector(destination, o.shuffleBytes(value, value, indexes));
    },
  });
}

/** SHUFPS, SHUFPD: the lower half from the destination, the upper from the source. */
function pairShuffle(
  mnemonic: string,
  prefix: string,
  laneBytes: 4 | 8,
  lanes: (immediate: number) => readonly number[],
): InstructionDefinition {
  return defineInstruction({
    mnemonic,
    encodings: [`${prefix} 0F C6 /r Vdq,Wdq,Ib`],
    sse: true,
    constantImmediate: true,
    semantics(o, destination, source, immediate) {
      const right = o.readVector(source, 'aligned');
      const indexes = laneIndexes(lanes(immediateByte(immediate)), laneBytes);
      o.writeVector(destination, o.shuffleBytes(o.readVector(destination), right, indexes));
    },
  });
}

/** Interleaving: mnemonic, opcode, bytes of a lane, which half of both operands. */
const UNPACKS: readonly [string, string, 1 | 2 | 4 | 8, 'low' | 'high'][] = [
  ['punpcklbw', '66 0F 60', 1, 'low'],
  ['punpcklwd', '66 0F 61', 2, 'low'],
  ['punpckldq', '66 0F 62', 4, 'low'],
  ['punpcklqdq', '66 0F 6C', 8, 'low'],
  ['punpckhbw', '66 0F 68', 1, 'high'],
  ['punpckhwd', '66 0F 69', 2, 'high'],
  ['punpckhdq', '66 0F 6A', 4, 'high'],
  ['punpckhqdq', '66 0F 6D', 8, 'high'],
  ['unpcklps', 'NP 0F 14', 4, 'low'],
  ['unpcklpd', '66 0F 14', 8, 'low'],
  ['unpckhps', 'NP 0F 15', 4, 'high'],
  ['unpckhpd', '66 0F 15', 8, 'high'],
];

const UNPACK_INSTRUCTIONS = UNPACKS.map(([mnemonic, opcode, laneBytes, half]) => {
  const count = 16 / laneBytes;
  const first = half === 'low' ? 0 : count / 2;
  const lanes = Array.from(
    { length: count },
    (_, lane) => first + (lane >> 1) + (lane & 1) * count,
  );
  return defineInstruction({
    mnemonic,
    encodings: [`${opcode} /r Vdq,Wdq`],
    sse: true,
    semantics(o, destination, source) {
      const right = o.readVector(source, 'aligned');
      const left = o.readVector(destination);
      o.writeVector(destination, o.shuffleBytes(left, right, laneIndexes(lanes, laneBytes)));
    },
  });
});

const PINSRW = defineInstruction({
  mnemonic: 'pinsrw',
  encodings: ['66 0F C4 /r Vdq,Ew,Ib'],
  sse: true,
  constantImmediate: true,
  semantics(o, destination, source, immediate) {
    const lane = immediateByte(immediate) & 7;
    const value = o.read(source);
    o.writeVector(destination, o.replaceLane(o.readVector(destination), lane, value));
  },
});

const PEXTRW = defineInstruction({
  mnemonic: 'pextrw',
  encodings: ['66 0F C5 /r Gd,Udq,Ib'],
  sse: true,
  constantImmediate: true,
  semantics(o, destination, source, immediate) {
    const word = o.extractLane(o.readVector(source), immediateByte(immediate) & 7, 16);
    o.write(destination, o.zeroExtend(word, 32));
  },
});

export const SSE_SHUFFLES: readonly InstructionDefinition[] = [
  sourceShuffle('pshufd', '66', 4, (immediate) =>
    WORDS.map((position) => chosen(immediate, position, 2)),
  ),
  sourceShuffle('pshuflw', 'F2', 2, (immediate) => [
    ...WORDS.map((position) => chosen(immediate, position, 2)),
    ...[4, 5, 6, 7],
  ]),
  sourceShuffle('pshufhw', 'F3', 2, (immediate) => [
    ...WORDS,
    ...WORDS.map((position) => 4 + chosen(immediate, position, 2)),
  ]),
  pairShuffle('shufps', 'NP', 4, (immediate) =>
    WORDS.map((position) => chosen(immediate, position, 2) + (position < 2 ? 0 : 4)),
  ),
  pairShuffle('shufpd', '66', 8, (immediate) =>
    [0, 1].map((position) => chosen(immediate, position, 1) + 2 * position),
  ),
  ...UNPACK_INSTRUCTIONS,
  PINSRW,
  PEXTRW,
];
