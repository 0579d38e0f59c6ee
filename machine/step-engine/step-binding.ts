/**
 * Where the step engine's handlers find operands: in the decoded record. Each handler ends with a
 * tail call of the next record's handler.
 */
import type { EngineBinding, VectorWidth } from '../codegen/binding.ts';
import { loadField, storeField } from '../codegen/field-access.ts';
import type { EncodedNode, RegisterPlace } from '../codegen/nodes.ts';
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';
import type { Operand } from '../instructions/operand.ts';
import { fieldOffset, generalRegisterOffset } from '../state/fields.ts';
import type { FunctionBuilder, Local } from '../wasm/function-builder.ts';
import { immediateSlot, RECORD, RECORD_BYTES } from '../translation/record.ts';
import {
  EXIT,
  HANDLER_SIGNATURE,
  LOOKUP_SIGNATURE,
  type HandlerImports,
} from '../translation/runtime.ts';

const STORES = { 8: 'i64.store8', 16: 'i64.store16' } as const;
const VECTOR_STORES = {
  8: 'i64.store8', 16: 'i64.store16', 32: 'i64.store32', 64: 'i64.store', 128: 'v128.store',
} as const; // prettier-ignore
const LOADS = { 8: 'i64.load8_u', 16: 'i64.load16_u', 32: 'i64.load32_u', 64: 'i64.load' } as const;

export class StepBinding implements EngineBinding {
  readonly builder: FunctionBuilder;
  readonly imports: HandlerImports;
  readonly budget: Local;
  private readonly record: Local;
  private readonly handlerType: number;
  private readonly instruction: DecodedInstruction;

  constructor(parts: {
    builder: FunctionBuilder;
    imports: HandlerImports;
    handlerType: number;
    instruction: DecodedInstruction;
  }) {
    this.builder = parts.builder;
    this.imports = parts.imports;
    this.handlerType = parts.handlerType;
    this.instruction = parts.instruction;
    const [record, budget] = parts.builder.parameters;
    this.record = record!;
    this.budget = budget!;
  }

  readRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64): void {
    const offset = this.pushRegisterAddress(place);
    this.builder.memory(LOADS[width], offset);
  }

  writeRegister(place: RegisterPlace, width: 8 | 16 | 32 | 64, pushValue: () => void): void {
    const offset = this.pushRegisterAddress(place);
    pushValue();
    // 32-bit values are zero-extended already, and so writing them clears the upper half.
    this.builder.memory(width < 32 ? STORES[width as 8 | 16] : 'i64.store', offset);
  }

  readVector(operand: Operand, width: VectorWidth): void {
    this.pushSlot(this.operandSlot(operand));
    this.builder.memory(width === 128 ? 'v128.load' : LOADS[width]);
  }

  writeVector(operand: Operand, width: VectorWidth, pushValue: () => void): void {
    this.pushSlot(this.operandSlot(operand));
    pushValue();
    this.builder.memory(VECTOR_STORES[width]);
  }

  readField(name: string): void {
    loadField(this.builder, name);
  }

  writeField(name: string, pushValue: () => void): void {
    storeField(this.builder, name, pushValue);
  }

  pushTlbContext(): void {
    this.builder.i32(0);
    this.builder.memory('i32.load', fieldOffset('tlbContext'));
  }

  readEncoded(node: EncodedNode): void {
    if (node.what === 'rip') {
      this.pushOwnRip();
      return;
    }
    this.builder.get(this.record);
    this.builder.memory('i64.load', this.encodedOffset(node.what, node.operand));
  }

  pushInstruction(): void {
    this.builder.get(this.record);
  }

  /** Of 64-bit code the exception may be delivered at once. */
  leaveWithFault(): void {
    if (this.instruction.mode.codeWidth !== 64) {
      this.leaveToMachine();
      return;
    }
    this.builder.get(this.record);
    this.builder.get(this.budget);
    this.builder.returnCall(this.imports.deliver, HANDLER_SIGNATURE);
  }

  /** With the fault. */
  protected leaveToMachine(): void {
    this.storeCurrentRecord(0);
    this.leave(EXIT.fault);
  }

  leaveAfterTransfer(): void {
    this.countInstruction();
    this.builder.drop('i32');
    this.leave(EXIT.transfer);
  }

  goOn(): void {
    this.continueAt(RECORD_BYTES);
  }

  goAgain(): void {
    this.continueAt(0);
  }

  jump(pushTarget: () => void): void {
    const { builder } = this;
    const target = builder.local('i64');
    pushTarget();
    builder.set(target);
    this.leaveAtWhenSpent(target);
    builder.get(target);
    builder.get(this.budget);
    builder.returnCall(this.imports.lookup, LOOKUP_SIGNATURE);
  }

  branch(operand: Operand): void {
    const { builder } = this;
    const target = builder.local('i64');
    const link = builder.local('i32');
    builder.get(this.record);
    builder.memory(
      'i64.load',
      RECORD.immediate + 8 * immediateSlot(this.instruction.operands, operand),
    );
    builder.set(target);
    this.leaveAtWhenSpent(target);
    builder.get(this.record);
    builder.memory('i32.load', RECORD.link);
    builder.tee(link);
    builder.when(() => this.dispatch(() => builder.get(link), 0));
    builder.get(target);
    builder.get(this.budget);
    builder.returnCall(this.imports.lookup, LOOKUP_SIGNATURE);
  }

  /** Counts this instruction and goes on with the record at `displacement` from this one. */
  private continueAt(displacement: number): void {
    const { builder } = this;
    this.countInstruction();
    builder.i32(0);
    builder.emit('i32.le_s');
    builder.when(() => {
      this.storeCurrentRecord(displacement);
      this.leave(EXIT.budget);
    });
    this.dispatch(() => builder.get(this.record), displacement);
  }

  private dispatch(pushRecord: () => void, displacement: number): void {
    const { builder } = this;
    pushRecord();
    if (displacement !== 0) {
      builder.i32(displacement);
      builder.emit('i32.add');
    }
    builder.get(this.budget);
    pushRecord();
    builder.memory('i32.load', displacement + RECORD.handler);
    builder.returnCallIndirect(this.handlerType, HANDLER_SIGNATURE);
  }

  /** budget -= 1, and leaves it on the stack. */
  private countInstruction(): void {
    const { builder } = this;
    builder.get(this.budget);
    builder.i32(1);
    builder.emit('i32.sub');
    builder.tee(this.budget);
  }

  private leaveAtWhenSpent(target: Local): void {
    const { builder } = this;
    this.countInstruction();
    builder.i32(0);
    builder.emit('i32.le_s');
    builder.when(() => {
      builder.i32(0);
      builder.get(target);
      builder.memory('i64.store', fieldOffset('rip'));
      this.leave(EXIT.transfer);
    });
  }

  private storeCurrentRecord(displacement: number): void {
    const { builder } = this;
    builder.i32(0);
    builder.get(this.record);
    if (displacement !== 0) {
      builder.i32(displacement);
      builder.emit('i32.add');
    }
    builder.memory('i32.store', fieldOffset('currentRecord'));
  }

  private leave(exit: number): void {
    const { builder } = this;
    builder.i32(0);
    builder.get(this.budget);
    builder.memory('i32.store', fieldOffset('budget'));
    builder.i32(exit);
    builder.return();
  }

  /** Pushes an address; the result is to be added to it as a memory argument. */
  private pushRegisterAddress(place: RegisterPlace): number {
    switch (place.kind) {
      case 'fixed':
        this.builder.i32(0);
        return generalRegisterOffset(place.register);
      case 'base':
        this.pushSlot(RECORD.base);
        return 0;
      case 'index':
        this.pushSlot(RECORD.index);
        return 0;
      case 'operand':
        this.pushSlot(this.operandSlot(place.operand));
        return 0;
    }
  }

  private operandSlot(operand: Operand): number {
    return RECORD.operand + 2 * this.instruction.operands.indexOf(operand);
  }

  private pushSlot(offset: number): void {
    this.builder.get(this.record);
    this.builder.memory('i32.load16_u', offset);
  }

  private pushOwnRip(): void {
    const { builder } = this;
    builder.get(this.record);
    builder.memory('i64.load', RECORD.nextRip);
    builder.get(this.record);
    builder.memory('i64.load8_u', RECORD.length);
    builder.emit('i64.sub');
  }

  private encodedOffset(
    what: Exclude<EncodedNode['what'], 'rip'>,
    operand: Operand | undefined,
  ): number {
    switch (what) {
      case 'displacement':
        return RECORD.displacement;
      case 'next-rip':
        return RECORD.nextRip;
      case 'immediate':
        return RECORD.immediate + 8 * immediateSlot(this.instruction.operands, operand!);
    }
  }
}
