/** Records pure arithmetic: every value is kept zero-extended in 64 bits and knows its width. */
import type { IntegerWidth } from '../instructions/operand.ts';
import type { Arithmetic, Condition, Value, Vector } from '../instructions/operations.ts';
import { NodeRecorder } from './node-recorder.ts';
import type { Node } from './nodes.ts';

const SPREAD = { 8: 0x0101_0101_0101_0101n, 16: 0x0001_0001_0001_0001n } as const;

export abstract class ArithmeticRecorder extends NodeRecorder implements Arithmetic {
  constant(value: bigint | number, width: IntegerWidth): Value {
    return this.value(this.constantNode(BigInt.asUintN(width, BigInt(value))), width);
  }

  add(left: Value, right: Value): Value {
    return this.masked('i64.add', left, right);
  }

  subtract(left: Value, right: Value): Value {
    return this.masked('i64.sub', left, right);
  }

  multiply(left: Value, right: Value): Value {
    return this.masked('i64.mul', left, right);
  }

  multiplyHighUnsigned(left: Value, right: Value): Value {
    const width = this.sameWidth(left, right);
    if (width === 64) return this.multiplyHigh64(left, right);
    const product = this.pure('i64.mul', this.node(left), this.node(right));
    return this.value(this.pure('i64.shr_u', product, this.constantNode(BigInt(width))), width);
  }

  multiplyHighSigned(left: Value, right: Value): Value {
    const width = this.sameWidth(left, right);
    if (width < 64) {
      const product = this.pure('i64.mul', this.signed(left), this.signed(right));
      const high = this.pure('i64.shr_s', product, this.constantNode(BigInt(width)));
      return this.value(this.mask(high, width), width);
    }
    const zero = this.constant(0, 64);
    const unsigned = this.multiplyHigh64(left, right);
    const less = this.subtract(unsigned, this.select(this.isNegative(left), right, zero));
    return this.subtract(less, this.select(this.isNegative(right), left, zero));
  }

  divideUnsigned(left: Value, right: Value): Value {
    return this.masked('i64.div_u', left, right);
  }

  divideSigned(left: Value, right: Value): Value {
    return this.maskedSigned('i64.div_s', left, right);
  }

  remainderUnsigned(left: Value, right: Value): Value {
    return this.masked('i64.rem_u', left, right);
  }

  remainderSigned(left: Value, right: Value): Value {
    return this.maskedSigned('i64.rem_s', left, right);
  }

  and(left: Value, right: Value): Value {
    return this.plain('i64.and', left, right);
  }

  or(left: Value, right: Value): Value {
    return this.plain('i64.or', left, right);
  }

  xor(left: Value, right: Value): Value {
    return this.plain('i64.xor', left, right);
  }

  not(value: Value): Value {
    const ones = this.constantNode(BigInt.asUintN(value.width, -1n));
    return this.value(this.pure('i64.xor', this.node(value), ones), value.width);
  }

  negate(value: Value): Value {
    return this.subtract(this.constant(0, value.width), value);
  }

  shiftLeft(value: Value, count: Value): Value {
    const shifted = this.pure('i64.shl', this.node(value), this.node(count));
    return this.value(this.mask(this.unlessLong(shifted, count), value.width), value.width);
  }

  shiftRight(value: Value, count: Value): Value {
    const shifted = this.pure('i64.shr_u', this.node(value), this.node(count));
    return this.value(this.unlessLong(shifted, count), value.width);
  }

  shiftRightSigned(value: Value, count: Value): Value {
    let amount = this.node(count);
    if (this.maximum(amount) > 63n) {
      const most = this.constantNode(63n);
      amount = this.pureSelect(this.pure('i64.lt_u', amount, most), amount, most);
    }
    const shifted = this.pure('i64.shr_s', this.signed(value), amount);
    return this.value(this.mask(shifted, value.width), value.width);
  }

  rotateLeft(value: Value, count: Value): Value {
    return this.rotate('rotl', value, count);
  }

  rotateRight(value: Value, count: Value): Value {
    return this.rotate('rotr', value, count);
  }

  countLeadingZeros(value: Value): Value {
    const zeros = this.pure('i64.clz', this.node(value));
    const extra = this.constantNode(BigInt(64 - value.width));
    return this.value(this.pure('i64.sub', zeros, extra), value.width);
  }

  countTrailingZeros(value: Value): Value {
    // A bit above the width stops the count there.
    const stop = value.width === 64 ? 0n : 1n << BigInt(value.width);
    const bounded = this.pure('i64.or', this.node(value), this.constantNode(stop));
    return this.value(this.pure('i64.ctz', bounded), value.width);
  }

  populationCount(value: Value): Value {
    return this.value(this.pure('i64.popcnt', this.node(value)), value.width);
  }

  byteSwap(value: Value): Value {
    let node = this.node(value);
    const steps = [
      [8n, 0x00ff_00ff_00ff_00ffn],
      [16n, 0x0000_ffff_0000_ffffn],
    ] as const;
    for (const [shift, pattern] of steps) {
      const amount = this.constantNode(shift);
      const low = this.pure('i64.and', node, this.constantNode(pattern));
      const high = this.pure(
        'i64.and',
        this.pure('i64.shr_u', node, amount),
        this.constantNode(pattern),
      );
      node = this.pure('i64.or', this.pure('i64.shl', low, amount), high);
    }
    node = this.pure('i64.rotl', node, this.constantNode(32n));
    const down = this.constantNode(BigInt(64 - value.width));
    return this.value(this.pure('i64.shr_u', node, down), value.width);
  }

  zeroExtend(value: Value, width: IntegerWidth): Value {
    return this.value(this.node(value), width);
  }

  signExtend(value: Value, width: IntegerWidth): Value {
    return this.value(this.mask(this.signed(value), width), width);
  }

  truncate(value: Value, width: IntegerWidth): Value {
    return this.value(
      value.width <= width ? this.node(value) : this.mask(this.node(value), width),
      width,
    );
  }

  concatenate(high: Value, low: Value): Value {
    const amount = this.constantNode(BigInt(low.width));
    const shifted = this.pure('i64.shl', this.node(high), amount);
    const width = (high.width + low.width) as IntegerWidth;
    return this.value(this.pure('i64.or', shifted, this.node(low)), width);
  }

  equal(left: Value, right: Value): Condition {
    return this.compare('i64.eq', left, right);
  }

  notEqual(left: Value, right: Value): Condition {
    return this.compare('i64.ne', left, right);
  }

  lessUnsigned(left: Value, right: Value): Condition {
    return this.compare('i64.lt_u', left, right);
  }

  lessSigned(left: Value, right: Value): Condition {
    this.sameWidth(left, right);
    return this.condition(this.pure('i64.lt_s', this.signed(left), this.signed(right)));
  }

  isZero(value: Value): Condition {
    return this.condition(this.pure('i64.eqz', this.node(value)));
  }

  isNegative(value: Value): Condition {
    return this.bit(value, value.width - 1);
  }

  bit(value: Value, index: Value | number): Condition {
    const amount = typeof index === 'number' ? this.constantNode(BigInt(index)) : this.node(index);
    const shifted = this.pure('i64.shr_u', this.node(value), amount);
    const wrapped = this.pure('i32.wrap_i64', shifted);
    return this.condition(this.pure('i32.and', wrapped, this.constantNode(1n, 'i32')));
  }

  both(left: Condition, right: Condition): Condition {
    return this.condition(this.pure('i32.and', this.node(left), this.node(right)));
  }

  either(left: Condition, right: Condition): Condition {
    return this.condition(this.pure('i32.or', this.node(left), this.node(right)));
  }

  differs(left: Condition, right: Condition): Condition {
    return this.condition(this.pure('i32.xor', this.node(left), this.node(right)));
  }

  negated(condition: Condition): Condition {
    return this.condition(this.pure('i32.eqz', this.node(condition)));
  }

  always(value: boolean): Condition {
    return this.condition(this.constantNode(value ? 1n : 0n, 'i32'));
  }

  select(condition: Condition, then: Value, otherwise: Value): Value {
    const width = this.sameWidth(then, otherwise);
    return this.value(
      this.pureSelect(this.node(condition), this.node(then), this.node(otherwise)),
      width,
    );
  }

  selectVector(condition: Condition, then: Vector, otherwise: Vector): Vector {
    return this.vectorValue(
      this.pureSelect(this.node(condition), this.node(then), this.node(otherwise)),
    );
  }

  fromCondition(condition: Condition, width: IntegerWidth): Value {
    return this.value(this.pure('i64.extend_i32_u', this.node(condition)), width);
  }

  /** The value sign-extended to all 64 bits. */
  protected signed(value: Value): Node {
    const node = this.node(value);
    return value.width === 64 ? node : this.pure(`i64.extend${value.width}_s`, node);
  }

  protected mask(node: Node, width: IntegerWidth): Node {
    if (width === 64) return node;
    return this.pure('i64.and', node, this.constantNode((1n << BigInt(width)) - 1n));
  }

  protected pureSelect(condition: Node, then: Node, otherwise: Node): Node {
    return this.pure('select', then, otherwise, condition);
  }

  private masked(name: string, left: Value, right: Value): Value {
    const width = this.sameWidth(left, right);
    return this.value(this.mask(this.pure(name, this.node(left), this.node(right)), width), width);
  }

  private maskedSigned(name: string, left: Value, right: Value): Value {
    const width = this.sameWidth(left, right);
    const result = this.pure(name, this.signed(left), this.signed(right));
    return this.value(this.mask(result, width), width);
  }

  private plain(name: string, left: Value, right: Value): Value {
    const width = this.sameWidth(left, right);
    return this.value(this.pure(name, this.node(left), this.node(right)), width);
  }

  private compare(name: string, left: Value, right: Value): Condition {
    this.sameWidth(left, right);
    return this.condition(this.pure(name, this.node(left), this.node(right)));
  }

  private sameWidth(left: Value, right: Value): IntegerWidth {
    if (left.width !== right.width) {
      throw new Error(`operands of ${left.width} and ${right.width} bits`);
    }
    return left.width;
  }

  /** WebAssembly takes shift counts modulo 64; ours mean what they say. */
  private unlessLong(shifted: Node, count: Value): Node {
    const amount = this.node(count);
    if (this.maximum(amount) < 64n) return shifted;
    const isShort = this.pure('i64.lt_u', amount, this.constantNode(64n));
    return this.pureSelect(isShort, shifted, this.constantNode(0n));
  }

  /** The greatest value a node can have, as far as is known. */
  private maximum(node: Node): bigint {
    if (node.kind === 'constant') return node.value;
    if (node.kind === 'pure' && node.name === 'i64.and') {
      const [left, right] = node.operands;
      const bounds = [left!, right!].map((operand) => this.maximum(operand));
      return bounds[0]! < bounds[1]! ? bounds[0]! : bounds[1]!;
    }
    return 0xffff_ffff_ffff_ffffn;
  }

  private rotate(direction: 'rotl' | 'rotr', value: Value, count: Value): Value {
    const { width } = value;
    if (width === 64) {
      return this.value(this.pure(`i64.${direction}`, this.node(value), this.node(count)), 64);
    }
    if (width === 32) {
      const narrow = (node: Node): Node => this.pure('i32.wrap_i64', node);
      const rotated = this.pure(
        `i32.${direction}`,
        narrow(this.node(value)),
        narrow(this.node(count)),
      );
      return this.value(this.pure('i64.extend_i32_u', rotated), 32);
    }
    // Copies of the value side by side make one 64-bit rotation do.
    const spread = this.pure('i64.mul', this.node(value), this.constantNode(SPREAD[width]));
    const rotated = this.pure(`i64.${direction}`, spread, this.node(count));
    return this.value(this.mask(rotated, width), width);
  }

  /** High half of a 64 × 64 bit product from four 32 × 32 bit ones. */
  private multiplyHigh64(left: Value, right: Value): Value {
    const half = this.constantNode(32n);
    const lowMask = this.constantNode(0xffff_ffffn);
    const low = (node: Node): Node => this.pure('i64.and', node, lowMask);
    const high = (node: Node): Node => this.pure('i64.shr_u', node, half);
    const times = (a: Node, b: Node): Node => this.pure('i64.mul', a, b);
    const plus = (a: Node, b: Node): Node => this.pure('i64.add', a, b);
    const [l, r] = [this.node(left), this.node(right)];
    const lowLow = times(low(l), low(r));
    const middle = plus(times(high(l), low(r)), high(lowLow));
    const cross = plus(times(low(l), high(r)), low(middle));
    const top = plus(times(high(l), high(r)), plus(high(middle), high(cross)));
    return this.value(top, 64);
  }
}
