/**
 * Constant folding while recording. In the block engine immediates and displacements are constants,
 * and a shift by a constant, say, must not leave a condition behind on which its flags depend.
 */
import type { ConstantNode, Node } from './nodes.ts';

const WORD = 0xffff_ffff_ffff_ffffn;

type Binary = (left: bigint, right: bigint) => bigint | boolean;
type Unary = (value: bigint) => bigint | boolean;

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

const BINARY: Readonly<Record<string, Binary>> = {
  'i64.add': (left, right) => left + right,
  'i64.sub': (left, right) => left - right,
  'i64.mul': (left, right) => left * right,
  'i64.and': (left, right) => left & right,
  'i64.or': (left, right) => left | right,
  'i64.xor': (left, right) => left ^ right,
  'i64.shl': (left, right) => left << (right & 63n),
  'i64.shr_u': (left, right) => left >> (right & 63n),
  'i64.shr_s': (left, right) => signed(left) >> (right & 63n),
  'i64.eq': (left, right) => left === right,
  'i64.ne': (left, right) => left !== right,
  'i64.lt_u': (left, right) => left < right,
  'i64.lt_s': (left, right) => signed(left) < signed(right),
  'i32.and': (left, right) => left & right,
  'i32.or': (left, right) => left | right,
  'i32.xor': (left, right) => left ^ right,
};

const UNARY: Readonly<Record<string, Unary>> = {
  'i64.eqz': (value) => value === 0n,
  'i32.eqz': (value) => value === 0n,
  'i64.extend8_s': (value) => BigInt.asIntN(8, value),
  'i64.extend16_s': (value) => BigInt.asIntN(16, value),
  'i64.extend32_s': (value) => BigInt.asIntN(32, value),
  'i32.wrap_i64': (value) => BigInt.asUintN(32, value),
  'i64.extend_i32_u': (value) => value,
};

/** Operations of which 0 on the right gives the left operand. */
const KEEPS_LEFT_OF_ZERO: ReadonlySet<string> = new Set([
  'i64.add', 'i64.sub', 'i64.or', 'i64.xor', 'i64.shl', 'i64.shr_u', 'i64.shr_s',
  'i32.or', 'i32.xor',
]); // prettier-ignore
const COMMUTES: ReadonlySet<string> = new Set([
  'i64.add', 'i64.or', 'i64.xor', 'i64.and', 'i32.or', 'i32.xor', 'i32.and',
]); // prettier-ignore

/** A simpler node with the same value, or undefined. */
export function fold(name: string, operands: readonly Node[]): Node | undefined {
  const [first, second, third] = operands;
  if (name === 'select') {
    if (third?.kind !== 'constant') return undefined;
    return third.value === 0n ? second : first;
  }
  if (first === undefined) return undefined;
  if (second === undefined) {
    const unary = UNARY[name];
    return unary === undefined || first.kind !== 'constant'
      ? undefined
      : constant(name, unary(first.value));
  }
  return foldBinary(name, first, second);
}

function foldBinary(name: string, left: Node, right: Node): Node | undefined {
  const binary = BINARY[name];
  if (binary === undefined) return undefined;
  if (left.kind === 'constant' && right.kind === 'constant') {
    return constant(name, binary(left.value, right.value));
  }
  if (right.kind === 'constant') return foldRight(name, left, right);
  if (left.kind === 'constant' && COMMUTES.has(name)) return foldRight(name, right, left);
  return undefined;
}

function foldRight(name: string, left: Node, right: ConstantNode): Node | undefined {
  if (right.value === 0n) {
    if (KEEPS_LEFT_OF_ZERO.has(name)) return left;
    return name.endsWith('.and') ? right : undefined;
  }
  return name === 'i64.and' && right.value === WORD ? left : undefined;
}

/** Comparisons give i32, and so do the operations that say so. */
function constant(name: string, value: bigint | boolean): ConstantNode {
  const isNarrow = typeof value === 'boolean' || name.startsWith('i32.');
  return {
    kind: 'constant',
    value: BigInt.asUintN(isNarrow ? 32 : 64, BigInt(value)),
    valueType: isNarrow ? 'i32' : 'i64',
    uses: 0,
  };
}
