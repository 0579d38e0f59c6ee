/**
 * The memory operand that ModRM, SIB and displacement name (Intel SDM 2A §2.1.5 tables 2-1 to 2-3,
 * §2.2.1.2 to §2.2.1.6).
 */
import type { MemoryOperand, SegmentRegister } from '../instructions/operand.ts';
import type { CodeReader } from './code-reader.ts';

/** An address as it stands in the code. */
export interface Address {
  readonly base: number | undefined;
  readonly index: number | undefined;
  readonly scale: number;
  readonly displacement: number;
  /** The displacement counts from the next instruction. */
  readonly isRipRelative: boolean;
}

export interface AddressContext {
  readonly addressWidth: 16 | 32 | 64;
  readonly is64Bit: boolean;
  /** REX, or 0. */
  readonly rex: number;
}

const NO_INDEX = 4;
const RSP = 4;
const RBP = 5;
const RBX = 3;
const RSI = 6;
const RDI = 7;

/** Base and index of the 16-bit forms by r/m; SDM 2A table 2-1. */
const FORMS_16: readonly (readonly [base: number, index: number | undefined])[] = [
  [RBX, RSI],
  [RBX, RDI],
  [RBP, RSI],
  [RBP, RDI],
  [RSI, undefined],
  [RDI, undefined],
  [RBP, undefined],
  [RBX, undefined],
];

function readAddress16(reader: CodeReader, mod: number, rm: number): Address {
  const scale = 0;
  const isRipRelative = false;
  if (mod === 0 && rm === 6) {
    const displacement = reader.signedWord();
    return { base: undefined, index: undefined, scale, displacement, isRipRelative };
  }
  const [base, index] = FORMS_16[rm]!;
  const displacement = mod === 0 ? 0 : mod === 1 ? reader.signedByte() : reader.signedWord();
  return { base, index, scale, displacement, isRipRelative };
}

function readDisplacement(reader: CodeReader, mod: number): number {
  if (mod === 0) return 0;
  return mod === 1 ? reader.signedByte() : reader.signedDoubleword();
}

function readSib(reader: CodeReader, mod: number, rex: number): Address {
  const sib = reader.byte();
  const number = ((sib >> 3) & 7) | ((rex & 2) << 2);
  const index = number === NO_INDEX ? undefined : number;
  const scale = sib >> 6;
  const isRipRelative = false;
  // mod 0 with base 5 (rbp, r13) has a displacement and no base.
  if (mod === 0 && (sib & 7) === RBP) {
    const displacement = reader.signedDoubleword();
    return { base: undefined, index, scale, displacement, isRipRelative };
  }
  const base = (sib & 7) | ((rex & 1) << 3);
  return { base, index, scale, displacement: readDisplacement(reader, mod), isRipRelative };
}

/** Reads what follows a ModRM byte whose mod is not 3. */
export function readAddress(reader: CodeReader, modrm: number, context: AddressContext): Address {
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (context.addressWidth === 16) return readAddress16(reader, mod, rm);
  if (rm === 4) return readSib(reader, mod, context.rex);
  const index = undefined;
  const scale = 0;
  if (mod === 0 && rm === 5) {
    const displacement = reader.signedDoubleword();
    return { base: undefined, index, scale, displacement, isRipRelative: context.is64Bit };
  }
  const base = rm | ((context.rex & 1) << 3);
  const displacement = readDisplacement(reader, mod);
  return { base, index, scale, displacement, isRipRelative: false };
}

/** SS is the segment where rsp or rbp is the base (SDM 1 table 3-5). */
export function defaultSegment(base: number | undefined): SegmentRegister {
  return base === RSP || base === RBP ? 'ss' : 'ds';
}

/** Adds what the code does not say: segment, width, and the next instruction's offset. */
export function memoryOperand(
  address: Address,
  width: MemoryOperand['width'],
  place: { addressWidth: 16 | 32 | 64; segment: SegmentRegister | undefined; nextRip: bigint },
): MemoryOperand {
  const { base, index, scale } = address;
  const relative = BigInt(address.displacement) + (address.isRipRelative ? place.nextRip : 0n);
  const isCut = address.isRipRelative && place.addressWidth === 32;
  return {
    kind: 'memory',
    width,
    base,
    index,
    scale,
    displacement: isCut ? BigInt.asUintN(32, relative) : BigInt.asIntN(64, relative),
    segment: place.segment ?? defaultSegment(base),
    addressWidth: place.addressWidth,
  };
}
