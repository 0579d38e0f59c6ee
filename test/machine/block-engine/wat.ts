/** The body of a module's only function as text, one instruction a line, like the text format. */
import { allOpcodes, type Opcode } from '../../../machine/wasm/opcodes.ts';

const BY_CODE = new Map<string, Opcode>();
for (const opcode of allOpcodes()) BY_CODE.set(`${opcode.prefix ?? ''} ${opcode.code}`, opcode);

const TYPES = new Map([
  [0x7f, 'i32'],
  [0x7e, 'i64'],
  [0x7b, 'v128'],
]);
const OPENING = new Map([
  [0x02, 'block'],
  [0x03, 'loop'],
  [0x04, 'if'],
]);
const INDEXED = new Map([
  [0x0c, 'br'],
  [0x0d, 'br_if'],
  [0x10, 'call'],
  [0x12, 'return_call'],
  [0x20, 'local.get'],
  [0x21, 'local.set'],
  [0x22, 'local.tee'],
]);
const BARE = new Map([
  [0x0f, 'return'],
  [0x1a, 'drop'],
]);

class Reader {
  private readonly bytes: Uint8Array;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.position >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.position++]!;
  }

  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  take(length: number): Uint8Array {
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }
}

/** The code section's first entry. */
function functionBody(module: Uint8Array): Reader {
  const reader = new Reader(module);
  reader.take(8);
  for (;;) {
    const section = reader.byte();
    const content = reader.take(reader.unsigned());
    if (section !== 10) continue;
    const code = new Reader(content);
    code.unsigned();
    code.unsigned();
    return code;
  }
}

export function functionText(module: Uint8Array): string {
  const reader = functionBody(module);
  const lines: string[] = [];
  const types: string[] = [];
  for (let left = reader.unsigned(); left > 0; left--) {
    for (let count = reader.unsigned(); count > 0; count--) types.push('');
    types.push(TYPES.get(reader.byte()) ?? '?');
  }
  lines.push(`locals ${types.filter((type) => type !== '').join(' ')}`);
  let depth = 0;
  while (!reader.isAtEnd) {
    const { text, shift } = instruction(reader);
    if (shift < 0 || text === 'else') depth -= 1;
    lines.push('  '.repeat(Math.max(0, depth)) + text);
    if (shift > 0 || text === 'else') depth += 1;
  }
  return lines.join('\n');
}

function instruction(reader: Reader): { text: string; shift: number } {
  const code = reader.byte();
  const opening = OPENING.get(code);
  if (opening !== undefined) {
    reader.byte();
    return { text: opening, shift: 1 };
  }
  if (code === 0x0b) return { text: 'end', shift: -1 };
  if (code === 0x05) return { text: 'else', shift: 0 };
  return { text: plain(reader, code), shift: 0 };
}

function plain(reader: Reader, code: number): string {
  const indexed = INDEXED.get(code);
  if (indexed !== undefined) return `${indexed} ${reader.unsigned()}`;
  const bare = BARE.get(code);
  if (bare !== undefined) return bare;
  if (code === 0x41) return `i32.const ${reader.signed()}`;
  if (code === 0x42) return `i64.const ${reader.signed()}`;
  if (code === 0x13) return `return_call_indirect ${reader.unsigned()} ${reader.unsigned()}`;
  if (code === 0x1c) {
    reader.unsigned();
    return `select ${TYPES.get(reader.byte())}`;
  }
  if (code === 0x0e) {
    const labels = Array.from({ length: reader.unsigned() + 1 }, () => reader.unsigned());
    return `br_table ${labels.join(' ')}`;
  }
  return fromTable(reader, code);
}

function fromTable(reader: Reader, code: number): string {
  const isPrefixed = code === 0xfc || code === 0xfd;
  const number = isPrefixed ? reader.unsigned() : code;
  if (code === 0xfd && number === 12) return `v128.const ${Buffer.from(reader.take(16)).toString('hex')}`; // prettier-ignore
  if (code === 0xfd && number === 13) return `i8x16.shuffle ${[...reader.take(16)].join(' ')}`;
  const opcode = BY_CODE.get(`${isPrefixed ? code : ''} ${number}`);
  if (opcode === undefined) throw new Error(`no text for opcode ${code} ${number}`);
  if (opcode.immediate === 'memory') {
    reader.unsigned();
    const offset = reader.unsigned();
    return offset === 0 ? opcode.name : `${opcode.name} offset=${offset}`;
  }
  return opcode.immediate === 'lane' ? `${opcode.name} ${reader.byte()}` : opcode.name;
}
