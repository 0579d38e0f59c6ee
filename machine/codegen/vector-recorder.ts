/** Records operations on xmm registers and scalar floating-point numbers. */
import type { IntegerWidth, Operand } from '../instructions/operand.ts';
import type { Condition, Float, Value, Vector, VectorAccess } from '../instructions/operations.ts';
import type { VectorOperation } from '../instructions/vector-operations.ts';
import { MemoryRecorder } from './memory-recorder.ts';
import type { Node } from './nodes.ts';

type Alignment = 'aligned' | 'unaligned';

const LANE_SHAPES = { 8: 'i8x16', 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const;
const FLOAT_OPERATIONS = {
  add: 'add', subtract: 'sub', multiply: 'mul', divide: 'div', squareRoot: 'sqrt',
} as const; // prettier-ignore

export abstract class VectorRecorder extends MemoryRecorder implements VectorAccess {
  readVector(operand: Operand, alignment: Alignment = 'aligned'): Vector {
    if (operand.kind === 'memory') {
      const isAligned = alignment === 'aligned';
      return this.vectorValue(this.loadNode(this.operandAddress(operand), 16, { isAligned }));
    }
    const node = this.define({
      kind: 'vector-register',
      operand,
      width: 128,
      valueType: 'v128',
      uses: 0,
    });
    return this.vectorValue(node);
  }

  writeVector(operand: Operand, value: Vector, alignment: Alignment = 'aligned'): void {
    const node = this.node(value);
    if (operand.kind === 'memory') {
      const isAligned = alignment === 'aligned';
      this.storeNode(this.operandAddress(operand), node, 16, { isAligned });
    } else {
      this.change({ kind: 'write-vector-register', operand, width: 128, value: node });
    }
  }

  readVectorLow(operand: Operand, width: IntegerWidth): Value {
    if (operand.kind === 'memory') return this.load(this.operandAddress(operand), width);
    const node = this.define({
      kind: 'vector-register',
      operand,
      width,
      valueType: 'i64',
      uses: 0,
    });
    return this.value(node, width);
  }

  writeVectorLow(operand: Operand, value: Value): void {
    if (operand.kind === 'memory') this.store(this.operandAddress(operand), value);
    else {
      const { width } = value;
      this.change({ kind: 'write-vector-register', operand, width, value: this.node(value) });
    }
  }

  vectorConstant(low: bigint, high: bigint): Vector {
    return this.vectorValue({ kind: 'vector-constant', low, high, valueType: 'v128', uses: 0 });
  }

  vector(operation: VectorOperation, ...operands: Vector[]): Vector {
    return this.vectorValue(this.pure(operation, ...operands.map((operand) => this.node(operand))));
  }

  vectorShift(operation: VectorOperation, vector: Vector, count: Value): Vector {
    const amount = this.pure('i32.wrap_i64', this.node(count));
    return this.vectorValue(this.pure(operation, this.node(vector), amount));
  }

  shuffleBytes(left: Vector, right: Vector, indexes: readonly number[]): Vector {
    const node = this.define({
      kind: 'pure',
      name: 'i8x16.shuffle',
      operands: [this.node(left), this.node(right)],
      indexes,
      valueType: 'v128',
      uses: 0,
    });
    return this.vectorValue(node);
  }

  extractLane(vector: Vector, lane: number, width: IntegerWidth): Value {
    const suffix = width < 32 ? '_u' : '';
    const name = `${LANE_SHAPES[width]}.extract_lane${suffix}`;
    const node = this.pureLane(name, lane, this.node(vector));
    return this.value(width === 64 ? node : this.pure('i64.extend_i32_u', node), width);
  }

  replaceLane(vector: Vector, lane: number, value: Value): Vector {
    const name = `${LANE_SHAPES[value.width]}.replace_lane`;
    return this.vectorValue(this.pureLane(name, lane, this.node(vector), this.laneNode(value)));
  }

  splat(value: Value): Vector {
    return this.vectorValue(this.pure(`${LANE_SHAPES[value.width]}.splat`, this.laneNode(value)));
  }

  signMask(vector: Vector, width: IntegerWidth): Value {
    const mask = this.pure(`${LANE_SHAPES[width]}.bitmask`, this.node(vector));
    return this.value(this.pure('i64.extend_i32_u', mask), 32);
  }

  floatFromBits(value: Value): Float {
    if (value.width === 64) {
      return this.floatValue(this.pure('f64.reinterpret_i64', this.node(value)), 64);
    }
    return this.floatValue(this.pure('f32.reinterpret_i32', this.laneNode(value)), 32);
  }

  bitsFromFloat(value: Float): Value {
    if (value.width === 64) {
      return this.value(this.pure('i64.reinterpret_f64', this.node(value)), 64);
    }
    const bits = this.pure('i32.reinterpret_f32', this.node(value));
    return this.value(this.pure('i64.extend_i32_u', bits), 32);
  }

  float(operation: keyof typeof FLOAT_OPERATIONS, ...operands: Float[]): Float {
    const { width } = operands[0]!;
    const name = `f${width}.${FLOAT_OPERATIONS[operation]}`;
    return this.floatValue(
      this.pure(name, ...operands.map((operand) => this.node(operand))),
      width,
    );
  }

  compareFloat(
    operation: 'equal' | 'less' | 'lessOrEqual' | 'unordered',
    left: Float,
    right: Float,
  ): Condition {
    const type = `f${left.width}`;
    const [l, r] = [this.node(left), this.node(right)];
    if (operation === 'unordered') {
      const isNaN = (node: Node): Node => this.pure(`${type}.ne`, node, node);
      return this.condition(this.pure('i32.or', isNaN(l), isNaN(r)));
    }
    const name = { equal: 'eq', less: 'lt', lessOrEqual: 'le' }[operation];
    return this.condition(this.pure(`${type}.${name}`, l, r));
  }

  floatFromSigned(value: Value, width: 32 | 64): Float {
    return this.floatValue(this.pure(`f${width}.convert_i64_s`, this.signed(value)), width);
  }

  truncateFloatSaturating(value: Float, width: 32 | 64): Value {
    const node = this.pure(`i${width}.trunc_sat_f${value.width}_s`, this.node(value));
    return this.value(width === 64 ? node : this.pure('i64.extend_i32_u', node), width);
  }

  roundFloat(value: Float): Float {
    return this.floatValue(this.pure(`f${value.width}.nearest`, this.node(value)), value.width);
  }

  convertFloat(value: Float, width: 32 | 64): Float {
    if (value.width === width) return value;
    const name = width === 64 ? 'f64.promote_f32' : 'f32.demote_f64';
    return this.floatValue(this.pure(name, this.node(value)), width);
  }

  /** Lanes of 8 to 32 bits are i32 in WebAssembly. */
  private laneNode(value: Value): Node {
    return value.width === 64 ? this.node(value) : this.pure('i32.wrap_i64', this.node(value));
  }
}
