/**
 * The WebAssembly instructions that we emit (WebAssembly core specification 2.0 §5.4, and the
 * tail-call proposal): name → code, operand types, result type. Control instructions are methods of
 * FunctionBuilder instead.
 */
export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';

export interface Opcode {
  readonly name: string;
  /** One byte, or a prefix byte and a LEB128 number. */
  readonly prefix?: 0xfc | 0xfd;
  readonly code: number;
  readonly operands: readonly ValueType[];
  readonly result?: ValueType;
  /** What follows the code: a memory argument, a lane number, or nothing. */
  readonly immediate?: 'memory' | 'lane' | 'lane-memory';
}

const table = new Map<string, Opcode>();

function define(opcode: Opcode): void {
  if (table.has(opcode.name)) throw new Error(`WebAssembly opcode ${opcode.name} is defined twice`);
  table.set(opcode.name, opcode);
}

/** Defines a run of opcodes with consecutive codes and one signature. */
function run(first: number, type: string, names: string, operands: ValueType[], result: ValueType) {
  names.split(' ').forEach((name, index) => {
    define({ name: `${type}.${name}`, code: first + index, operands, result });
  });
}

function memoryOpcode(name: string, code: number, type: ValueType, isStore: boolean): void {
  const operands: ValueType[] = isStore ? ['i32', type] : ['i32'];
  define({ name, code, operands, immediate: 'memory', ...(isStore ? {} : { result: type }) });
}

const LOADS: readonly (readonly [string, ValueType])[] = [
  ['i32.load', 'i32'], ['i64.load', 'i64'], ['f32.load', 'f32'], ['f64.load', 'f64'],
  ['i32.load8_s', 'i32'], ['i32.load8_u', 'i32'], ['i32.load16_s', 'i32'], ['i32.load16_u', 'i32'],
  ['i64.load8_s', 'i64'], ['i64.load8_u', 'i64'], ['i64.load16_s', 'i64'], ['i64.load16_u', 'i64'],
  ['i64.load32_s', 'i64'], ['i64.load32_u', 'i64'],
]; // prettier-ignore
const STORES: readonly (readonly [string, ValueType])[] = [
  ['i32.store', 'i32'], ['i64.store', 'i64'], ['f32.store', 'f32'], ['f64.store', 'f64'],
  ['i32.store8', 'i32'], ['i32.store16', 'i32'], ['i64.store8', 'i64'], ['i64.store16', 'i64'],
  ['i64.store32', 'i64'],
]; // prettier-ignore
LOADS.forEach(([name, type], index) => memoryOpcode(name, 0x28 + index, type, false));
STORES.forEach(([name, type], index) => memoryOpcode(name, 0x36 + index, type, true));

run(0x45, 'i32', 'eqz', ['i32'], 'i32');
run(0x46, 'i32', 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u', ['i32', 'i32'], 'i32');
run(0x50, 'i64', 'eqz', ['i64'], 'i32');
run(0x51, 'i64', 'eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u', ['i64', 'i64'], 'i32');
run(0x5b, 'f32', 'eq ne lt gt le ge', ['f32', 'f32'], 'i32');
run(0x61, 'f64', 'eq ne lt gt le ge', ['f64', 'f64'], 'i32');
run(0x67, 'i32', 'clz ctz popcnt', ['i32'], 'i32');
const INTEGER = 'add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr';
run(0x6a, 'i32', INTEGER, ['i32', 'i32'], 'i32');
run(0x79, 'i64', 'clz ctz popcnt', ['i64'], 'i64');
run(0x7c, 'i64', INTEGER, ['i64', 'i64'], 'i64');
run(0x8b, 'f32', 'abs neg ceil floor trunc nearest sqrt', ['f32'], 'f32');
run(0x92, 'f32', 'add sub mul div min max copysign', ['f32', 'f32'], 'f32');
run(0x99, 'f64', 'abs neg ceil floor trunc nearest sqrt', ['f64'], 'f64');
run(0xa0, 'f64', 'add sub mul div min max copysign', ['f64', 'f64'], 'f64');
run(0xa7, 'i32', 'wrap_i64', ['i64'], 'i32');
run(0xac, 'i64', 'extend_i32_s extend_i32_u', ['i32'], 'i64');
run(0xb4, 'f32', 'convert_i64_s', ['i64'], 'f32');
run(0xb6, 'f32', 'demote_f64', ['f64'], 'f32');
run(0xb9, 'f64', 'convert_i64_s', ['i64'], 'f64');
run(0xbb, 'f64', 'promote_f32', ['f32'], 'f64');
run(0xbc, 'i32', 'reinterpret_f32', ['f32'], 'i32');
run(0xbd, 'i64', 'reinterpret_f64', ['f64'], 'i64');
run(0xbe, 'f32', 'reinterpret_i32', ['i32'], 'f32');
run(0xbf, 'f64', 'reinterpret_i64', ['i64'], 'f64');
run(0xc0, 'i32', 'extend8_s extend16_s', ['i32'], 'i32');
run(0xc2, 'i64', 'extend8_s extend16_s extend32_s', ['i64'], 'i64');

const SATURATING: readonly (readonly [string, number, ValueType, ValueType])[] = [
  ['i32.trunc_sat_f32_s', 0, 'f32', 'i32'], ['i32.trunc_sat_f64_s', 2, 'f64', 'i32'],
  ['i64.trunc_sat_f32_s', 4, 'f32', 'i64'], ['i64.trunc_sat_f64_s', 6, 'f64', 'i64'],
]; // prettier-ignore
for (const [name, code, from, to] of SATURATING) {
  define({ name, prefix: 0xfc, code, operands: [from], result: to });
}

function simd(name: string, code: number, operands: ValueType[], result: ValueType = 'v128'): void {
  define({ name, prefix: 0xfd, code, operands, result });
}

function simdRun(codes: Record<string, number>, operands: ValueType[], result?: ValueType): void {
  for (const [name, code] of Object.entries(codes)) simd(name, code, operands, result);
}

define({
  name: 'v128.load',
  prefix: 0xfd,
  code: 0,
  operands: ['i32'],
  result: 'v128',
  immediate: 'memory',
});
define({
  name: 'v128.store',
  prefix: 0xfd,
  code: 11,
  operands: ['i32', 'v128'],
  immediate: 'memory',
});

const LANES: readonly (readonly [string, ValueType, number, number])[] = [
  ['i8x16', 'i32', 0x16, 0x17], ['i16x8', 'i32', 0x19, 0x1a],
  ['i32x4', 'i32', 0x1b, 0x1c], ['i64x2', 'i64', 0x1d, 0x1e],
]; // prettier-ignore
for (const [shape, type, extract, replace] of LANES) {
  const suffix = extract < 0x1b ? '_u' : '';
  const lane = { prefix: 0xfd, immediate: 'lane' } as const;
  define({
    ...lane,
    name: `${shape}.extract_lane${suffix}`,
    code: extract,
    operands: ['v128'],
    result: type,
  });
  define({
    ...lane,
    name: `${shape}.replace_lane`,
    code: replace,
    operands: ['v128', type],
    result: 'v128',
  });
}
simdRun({ 'i8x16.splat': 15, 'i16x8.splat': 16, 'i32x4.splat': 17 }, ['i32']);
simdRun({ 'i64x2.splat': 18 }, ['i64']);
simdRun({ 'v128.not': 77, 'f32x4.sqrt': 227, 'f64x2.sqrt': 239 }, ['v128']);
simdRun({
  'f32x4.convert_i32x4_s': 250, 'f64x2.convert_low_i32x4_s': 254,
  'f32x4.demote_f64x2_zero': 94, 'f64x2.promote_low_f32x4': 95,
  'f32x4.nearest': 106, 'f64x2.nearest': 148,
  'i32x4.trunc_sat_f32x4_s': 248, 'i32x4.trunc_sat_f64x2_s_zero': 252,
  'i16x8.extadd_pairwise_i8x16_u': 125, 'i32x4.extadd_pairwise_i16x8_u': 127,
}, ['v128']); // prettier-ignore
simdRun({ 'v128.bitselect': 82 }, ['v128', 'v128', 'v128']);
simdRun({
  'i8x16.bitmask': 100, 'i16x8.bitmask': 132, 'i32x4.bitmask': 164, 'i64x2.bitmask': 196,
}, ['v128'], 'i32'); // prettier-ignore
simdRun({
  'i8x16.shl': 107, 'i8x16.shr_s': 108, 'i8x16.shr_u': 109,
  'i16x8.shl': 139, 'i16x8.shr_s': 140, 'i16x8.shr_u': 141,
  'i32x4.shl': 171, 'i32x4.shr_s': 172, 'i32x4.shr_u': 173,
  'i64x2.shl': 203, 'i64x2.shr_s': 204, 'i64x2.shr_u': 205,
}, ['v128', 'i32']); // prettier-ignore
simdRun({
  'v128.and': 78, 'v128.andnot': 79, 'v128.or': 80, 'v128.xor': 81,
  'i8x16.swizzle': 14,
  'i8x16.eq': 35, 'i8x16.gt_s': 39, 'i16x8.eq': 45, 'i16x8.gt_s': 49, 'i32x4.eq': 55, 'i32x4.gt_s': 59,
  'i64x2.eq': 214, 'i64x2.gt_s': 217,
  'f32x4.eq': 65, 'f32x4.ne': 66, 'f32x4.lt': 67, 'f32x4.le': 69,
  'f64x2.eq': 71, 'f64x2.ne': 72, 'f64x2.lt': 73, 'f64x2.le': 75,
  'i8x16.narrow_i16x8_s': 101, 'i8x16.narrow_i16x8_u': 102, 'i16x8.narrow_i32x4_s': 133,
  'i8x16.add': 110, 'i8x16.add_sat_s': 111, 'i8x16.add_sat_u': 112,
  'i8x16.sub': 113, 'i8x16.sub_sat_s': 114, 'i8x16.sub_sat_u': 115,
  'i8x16.min_u': 119, 'i8x16.max_u': 121, 'i8x16.avgr_u': 123,
  'i16x8.add': 142, 'i16x8.add_sat_s': 143, 'i16x8.add_sat_u': 144,
  'i16x8.sub': 145, 'i16x8.sub_sat_s': 146, 'i16x8.sub_sat_u': 147, 'i16x8.mul': 149,
  'i16x8.min_s': 150, 'i16x8.max_s': 152, 'i16x8.avgr_u': 155,
  'i32x4.add': 174, 'i32x4.sub': 177, 'i32x4.mul': 181, 'i32x4.dot_i16x8_s': 186,
  'i32x4.extmul_low_i16x8_s': 188, 'i32x4.extmul_high_i16x8_s': 189,
  'i32x4.extmul_low_i16x8_u': 190, 'i32x4.extmul_high_i16x8_u': 191,
  'i64x2.add': 206, 'i64x2.sub': 209, 'i64x2.mul': 213, 'i64x2.extmul_low_i32x4_u': 222,
  'f32x4.add': 228, 'f32x4.sub': 229, 'f32x4.mul': 230, 'f32x4.div': 231,
  'f64x2.add': 240, 'f64x2.sub': 241, 'f64x2.mul': 242, 'f64x2.div': 243,
}, ['v128', 'v128']); // prettier-ignore

/** All of them, for who reads code instead of writing it. */
export function allOpcodes(): Iterable<Opcode> {
  return table.values();
}

/** Looks an opcode up; a name that is not in the table is our error. */
export function opcodeOf(name: string): Opcode {
  const opcode = table.get(name);
  if (opcode === undefined) throw new Error(`no WebAssembly opcode ${name}`);
  return opcode;
}
