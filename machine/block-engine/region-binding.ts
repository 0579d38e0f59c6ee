/**
 * Where a region's code finds operands: guest registers and flags in local variables, numbers of the
 * encoding as constants. Where an instruction needs more than the fast path, control leaves the
 * region before it, with everything written back.
 */
import type { EngineBinding, VectorWidth } from '../codegen/binding.ts';
import { loadField, storeField } from '../codegen/field-access.ts';
import type { EncodedNode, Node, RegisterPlace } from '../codegen/nodes.ts';
import { FLAG_FIELDS, type FlagField } from '../codegen/state-recorder.ts';
import type { Operand } from '../instructions/operand.ts';
import { generalRegisterOffset, vectorRegisterOffset } from '../state/fields.ts';
import type { HandlerImports } from '../translation/runtime.ts';
import type { FunctionBuilder, Local } from '../wasm/function-builder.ts';
import { isFlagField, registerOf, vectorOf, type RegisterUse } from './block-semantics.ts';

/** What the binding leaves to the emitter of the region: everything about where control goes. */
export interface RegionFlow {
  /** Leaves at the present instruction, which has not begun. */
  leaveUndone(): void;
  goOn(): void;
  jump(pushTarget: () => void): void;
  branch(): void;
  /** Pushes the value of a node, computed anew if it is in no variable. */
  push(node: Node): void;
}

const LANES = {
  8: ['i8x16.extract_lane_u', 'i8x16.replace_lane'],
  16: ['i16x8.extract_lane_u', 'i16x8.replace_lane'],
  32: ['i32x4.extract_lane', 'i32x4.replace_lane'],
  64: ['i64x2.extract_lane', 'i64x2.replace_lane'],
} as const;

export class RegionBinding implements EngineBinding {
  readonly builder: FunctionBuilder;
  readonly imports: HandlerImports;
  readonly budget: Local;
  /** Flags whose value is a node of the present block; the others are in their variables. */
  readonly pending = new Map<FlagField, Node>();
  private readonly use: RegisterUse;
  private readonly general = new Map<number, Local>();
  private readonly vectors = new Map<number, Local>();
  /** The variables of the flags. */
  readonly flags: ReadonlyMap<FlagField, Local>;
  private readonly tlbContext: Local;
  private readonly flow: RegionFlow;

  constructor(parts: {
    builder: FunctionBuilder;
    imports: HandlerImports;
    use: RegisterUse;
    flow: RegionFlow;
  }) {
    this.builder = parts.builder;
    this.imports = parts.imports;
    this.use = parts.use;
    this.flow = parts.flow;
    this.budget = parts.builder.parameters[1]!;
    for (const register of parts.use.general) this.general.set(register, this.builder.local('i64'));
    for (const register of parts.use.vector) this.vectors.set(register, this.builder.local('v128'));
    this.flags = new Map(FLAG_FIELDS.map((field) => [field, this.builder.local('i64')]));
    this.tlbContext = this.builder.local('i32');
  }

  /** Fills the variables from the state. */
  load(): void {
    const { builder } = this;
    for (const [register, local] of this.general) {
      builder.i32(0);
      builder.memory('i64.load', generalRegisterOffset(register));
      builder.set(local);
    }
    for (const [register, local] of this.vectors) {
      builder.i32(0);
      builder.memory('v128.load', vectorRegisterOffset(register));
      builder.set(local);
    }
    for (const [field, local] of this.flags) {
      loadField(builder, field);
      builder.set(local);
    }
    loadField(builder, 'tlbContext');
    builder.emit('i32.wrap_i64');
    builder.set(this.tlbContext);
  }

  /** Writes the variables back that may have changed. */
  store(): void {
    const { builder } = this;
    for (const register of this.use.writtenGeneral) {
      builder.i32(0);
      builder.get(this.general.get(register)!);
      builder.memory('i64.store', generalRegisterOffset(register));
    }
    for (const register of this.use.writtenVector) {
      builder.i32(0);
      builder.get(this.vectors.get(register)!);
      builder.memory('v128.store', vectorRegisterOffset(register));
    }
    for (const [field, local] of this.flags) storeField(builder, field, () => builder.get(local));
  }

  /** Computes pending flags into their variables; they stay pending for other paths. */
  materialise(fields: Iterable<FlagField> = FLAG_FIELDS): void {
    for (const field of fields) {
      const node = this.pending.get(field);
      if (node === undefined) continue;
      this.flow.push(node);
      this.builder.set(this.flags.get(field)!);
    }
  }

  readRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64): void {
    const { builder } = this;
    builder.get(this.general.get(registerOf(place))!);
    if (isHigh(place)) {
      builder.i64(8n);
      builder.emit('i64.shr_u');
    }
    if (width === 64) return;
    builder.i64((1n << BigInt(width)) - 1n);
    builder.emit('i64.and');
  }

  writeRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64, pushValue: () => void): void {
    const { builder } = this;
    const local = this.general.get(registerOf(place))!;
    if (width >= 32) {
      pushValue();
      builder.set(local);
      return;
    }
    const shift = isHigh(place) ? 8n : 0n;
    const mask = ((1n << BigInt(width)) - 1n) << shift;
    builder.get(local);
    builder.i64(BigInt.asUintN(64, ~mask));
    builder.emit('i64.and');
    pushValue();
    if (shift !== 0n) {
      builder.i64(shift);
      builder.emit('i64.shl');
    }
    builder.emit('i64.or');
    builder.set(local);
  }

  readVector(operand: Operand, width: VectorWidth): void {
    const { builder } = this;
    builder.get(this.vectors.get(vectorOf(operand))!);
    if (width === 128) return;
    builder.lane(LANES[width][0], 0);
    if (width < 64) builder.emit('i64.extend_i32_u');
  }

  writeVector(operand: Operand, width: VectorWidth, pushValue: () => void): void {
    const { builder } = this;
    const local = this.vectors.get(vectorOf(operand))!;
    if (width === 128) pushValue();
    else {
      builder.get(local);
      pushValue();
      if (width < 64) builder.emit('i32.wrap_i64');
      builder.lane(LANES[width][1], 0);
    }
    builder.set(local);
  }

  readField(name: string): void {
    if (!isFlagField(name)) {
      loadField(this.builder, name);
      return;
    }
    const node = this.pending.get(name);
    if (node !== undefined) this.flow.push(node);
    else this.builder.get(this.flags.get(name)!);
  }

  writeField(name: string, pushValue: () => void): void {
    if (!isFlagField(name)) {
      storeField(this.builder, name, pushValue);
      return;
    }
    pushValue();
    this.builder.set(this.flags.get(name)!);
  }

  pushTlbContext(): void {
    this.builder.get(this.tlbContext);
  }

  readEncoded(node: EncodedNode): void {
    throw new Error(`${node.what} should have been a constant`);
  }

  leaveUndone(): void {
    this.flow.leaveUndone();
  }

  goOn(): void {
    this.flow.goOn();
  }

  jump(pushTarget: () => void): void {
    this.flow.jump(pushTarget);
  }

  branch(): void {
    this.flow.branch();
  }

  pushInstruction(): void {
    notInRegions();
  }

  leaveWithFault(): void {
    notInRegions();
  }

  leaveAfterTransfer(): void {
    notInRegions();
  }

  goAgain(): void {
    notInRegions();
  }
}

function notInRegions(): never {
  throw new Error('regions have no code for this');
}

function isHigh(place: RegisterPlace): boolean {
  return place.kind === 'operand' && place.operand.kind === 'register' && place.operand.high;
}
