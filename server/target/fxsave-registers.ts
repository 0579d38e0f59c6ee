/**
 * gdb's x87 and vector registers from the 512 bytes of FXSAVE (Intel SDM 1 §10.5.1, table 10-2; gdb,
 * i387-tdep.c): gdb shows the full tag word, FXSAVE keeps one bit per register.
 */
const OFFSET = { fctrl: 0, fstat: 2, tags: 4, fop: 6, fioff: 8, fiseg: 12, fooff: 16, foseg: 20 };
const STACK = 32;
const STACK_STRIDE = 16;
const STACK_REGISTER_BYTES = 10;
const VECTORS = 160;
const VECTOR_BYTES = 16;

type Store = (fxsave: Uint8Array, into: DataView, offset: number) => void;

/** How register `name` is stored: 10 bytes for st0–st7, 4 for the others. */
export function x87RegisterStore(name: string): Store {
  if (name.startsWith('st')) {
    const start = STACK + Number(name.slice(2)) * STACK_STRIDE;
    return (fxsave, into, offset) => copy(fxsave, start, STACK_REGISTER_BYTES, into, offset);
  }
  const read = CONTROL_REGISTERS[name];
  if (read === undefined) throw new Error(`no x87 register ${name}`);
  return (fxsave, into, offset) => into.setUint32(offset, read(fxsave), true);
}

/** Stores the 16 bytes of xmm `index` at `offset`. */
export function storeVectorRegister(
  fxsave: Uint8Array,
  index: number,
  into: DataView,
  offset: number,
): void {
  copy(fxsave, VECTORS + index * VECTOR_BYTES, VECTOR_BYTES, into, offset);
}

/** Byte by byte: a view for each of so few bytes costs more (npm run bench, "g round trip"). */
function copy(
  from: Uint8Array,
  start: number,
  length: number,
  into: DataView,
  offset: number,
): void {
  for (let index = 0; index < length; index++) into.setUint8(offset + index, from[start + index]!);
}

function word(fxsave: Uint8Array, offset: number): number {
  return fxsave[offset]! | (fxsave[offset + 1]! << 8);
}

function doubleword(fxsave: Uint8Array, offset: number): number {
  return word(fxsave, offset) | (word(fxsave, offset + 2) << 16);
}

const CONTROL_REGISTERS: Readonly<Record<string, (fxsave: Uint8Array) => number>> = {
  fctrl: (fxsave) => word(fxsave, OFFSET.fctrl),
  fstat: (fxsave) => word(fxsave, OFFSET.fstat),
  ftag: fullTagWord,
  fop: (fxsave) => word(fxsave, OFFSET.fop) & 0x7ff,
  fioff: (fxsave) => doubleword(fxsave, OFFSET.fioff),
  fiseg: (fxsave) => word(fxsave, OFFSET.fiseg),
  fooff: (fxsave) => doubleword(fxsave, OFFSET.fooff),
  foseg: (fxsave) => word(fxsave, OFFSET.foseg),
};

const ALL_EMPTY = 0xffff;
const TAG = { valid: 0, zero: 1, special: 2, empty: 3 };

/** Tags go by physical register; FXSAVE stores the stack by distance from its top. */
function fullTagWord(fxsave: Uint8Array): number {
  const top = (word(fxsave, OFFSET.fstat) >> 11) & 7;
  const isUsed = fxsave[OFFSET.tags]!;
  if (isUsed === 0) return ALL_EMPTY;
  let tags = 0;
  for (let physical = 0; physical < 8; physical++) {
    const isPresent = ((isUsed >> physical) & 1) === 1;
    const start = STACK + ((physical - top) & 7) * STACK_STRIDE;
    const content = fxsave.subarray(start, start + STACK_REGISTER_BYTES);
    tags |= (isPresent ? tagOf(content) : TAG.empty) << (physical * 2);
  }
  return tags;
}

function tagOf(register: Uint8Array): number {
  const exponent = (register[8]! | (register[9]! << 8)) & 0x7fff;
  const isFractionZero = register.subarray(0, 8).every((byte) => byte === 0);
  if (exponent === 0x7fff) return TAG.special;
  if (exponent === 0) return isFractionZero ? TAG.zero : TAG.special;
  return (register[7]! & 0x80) === 0 ? TAG.special : TAG.valid;
}
