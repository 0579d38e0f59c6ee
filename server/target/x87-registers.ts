/**
 * gdb's x87 registers from the 512 bytes of FXSAVE (Intel SDM 1 §10.5.1, table 10-2; gdb,
 * i387-tdep.c): gdb shows the full tag word, FXSAVE keeps one bit per register.
 */
const OFFSET = { fctrl: 0, fstat: 2, tags: 4, fop: 6, fioff: 8, fiseg: 12, fooff: 16, foseg: 20 };
const STACK = 32;
const STACK_STRIDE = 16;
const STACK_REGISTER_BYTES = 10;

/** The register's bytes: 10 for st0–st7, 4 for the others. */
export function readX87Register(fxsave: Uint8Array, name: string): Uint8Array {
  if (name.startsWith('st')) return stackRegister(fxsave, Number(name.slice(2)));
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, controlRegister(fxsave, name), true);
  return bytes;
}

function stackRegister(fxsave: Uint8Array, index: number): Uint8Array {
  const start = STACK + index * STACK_STRIDE;
  return fxsave.slice(start, start + STACK_REGISTER_BYTES);
}

function controlRegister(fxsave: Uint8Array, name: string): number {
  const view = new DataView(fxsave.buffer, fxsave.byteOffset, fxsave.byteLength);
  switch (name) {
    case 'fctrl':
      return view.getUint16(OFFSET.fctrl, true);
    case 'fstat':
      return view.getUint16(OFFSET.fstat, true);
    case 'ftag':
      return fullTagWord(fxsave, view);
    case 'fop':
      return view.getUint16(OFFSET.fop, true) & 0x7ff;
    case 'fioff':
      return view.getUint32(OFFSET.fioff, true);
    case 'fiseg':
      return view.getUint16(OFFSET.fiseg, true);
    case 'fooff':
      return view.getUint32(OFFSET.fooff, true);
    case 'foseg':
      return view.getUint16(OFFSET.foseg, true);
    default:
      throw new Error(`no x87 register ${name}`);
  }
}

const TAG = { valid: 0, zero: 1, special: 2, empty: 3 };

/** Tags go by physical register; FXSAVE stores the stack by distance from its top. */
function fullTagWord(fxsave: Uint8Array, view: DataView): number {
  const top = (view.getUint16(OFFSET.fstat, true) >> 11) & 7;
  const isUsed = view.getUint8(OFFSET.tags);
  let tags = 0;
  for (let physical = 0; physical < 8; physical++) {
    const isPresent = ((isUsed >> physical) & 1) === 1;
    const content = stackRegister(fxsave, (physical - top) & 7);
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
