/**
 * Writes the body of one function and checks it while writing: every instruction finds the operand
 * types it needs, every block is closed, the function ends with its results. It knows nothing of x86.
 */
import { ByteWriter } from './byte-writer.ts';
import { opcodeOf, type Opcode, type ValueType } from './opcodes.ts';

/** A local variable of the function that declared it. */
export interface Local {
  readonly type: ValueType;
  readonly index: number;
}

export interface Signature {
  readonly parameters: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** An open block, to branch to. */
export interface Label {
  readonly depth: number;
}

const TYPE_CODES = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
const BLOCK_VOID = 0x40;

export function typeCode(type: ValueType): number {
  return TYPE_CODES[type];
}

interface Frame {
  readonly height: number;
  isUnreachable: boolean;
}

export class FunctionBuilder {
  readonly parameters: readonly Local[];
  private readonly signature: Signature;
  private readonly body = new ByteWriter();
  private readonly locals: ValueType[] = [];
  private readonly stack: ValueType[] = [];
  private readonly frames: Frame[] = [{ height: 0, isUnreachable: false }];

  constructor(signature: Signature) {
    this.signature = signature;
    this.parameters = signature.parameters.map((type, index) => ({ type, index }));
  }

  local(type: ValueType): Local {
    this.locals.push(type);
    return { type, index: this.parameters.length + this.locals.length - 1 };
  }

  /** An instruction of the table without immediate. */
  emit(name: string): void {
    const opcode = opcodeOf(name);
    if (opcode.immediate !== undefined) throw new Error(`${name} needs an immediate`);
    this.operate(opcode);
  }

  /** A load or store; the address on the stack is added to `offset`. */
  memory(name: string, offset = 0): void {
    const opcode = opcodeOf(name);
    if (opcode.immediate !== 'memory') throw new Error(`${name} has no memory argument`);
    this.operate(opcode);
    this.body.unsigned(0); // alignment hint: none
    this.body.unsigned(offset);
  }

  lane(name: string, lane: number): void {
    const opcode = opcodeOf(name);
    if (opcode.immediate !== 'lane') throw new Error(`${name} has no lane`);
    this.operate(opcode);
    this.body.byte(lane);
  }

  i32(value: number): void {
    this.body.byte(0x41);
    const word = value | 0;
    if (word >= -0x4000_0000 && word < 0x4000_0000) this.body.signedSmall(word);
    else this.body.signed(BigInt(word));
    this.push('i32');
  }

  i64(value: bigint): void {
    this.body.byte(0x42);
    this.body.signed(value);
    this.push('i64');
  }

  v128(low: bigint, high: bigint): void {
    this.body.byte(0xfd);
    this.body.unsigned(12);
    for (const half of [low, high]) {
      for (let shift = 0n; shift < 64n; shift += 8n)
        this.body.byte(Number((half >> shift) & 0xffn));
    }
    this.push('v128');
  }

  shuffle(indexes: readonly number[]): void {
    if (indexes.length !== 16) throw new Error('a shuffle has 16 indexes');
    this.pop('v128');
    this.pop('v128');
    this.body.byte(0xfd);
    this.body.unsigned(13);
    for (const index of indexes) this.body.byte(index);
    this.push('v128');
  }

  get(local: Local): void {
    this.body.byte(0x20);
    this.body.unsigned(local.index);
    this.push(local.type);
  }

  set(local: Local): void {
    this.pop(local.type);
    this.body.byte(0x21);
    this.body.unsigned(local.index);
  }

  tee(local: Local): void {
    this.pop(local.type);
    this.body.byte(0x22);
    this.body.unsigned(local.index);
    this.push(local.type);
  }

  drop(type: ValueType): void {
    this.pop(type);
    this.body.byte(0x1a);
  }

  /** then, otherwise, condition on the stack. */
  select(type: ValueType): void {
    this.pop('i32');
    this.pop(type);
    this.pop(type);
    this.body.byte(0x1c);
    this.body.unsigned(1);
    this.body.byte(typeCode(type));
    this.push(type);
  }

  /** `if` without results; the condition is on the stack. */
  when(then: () => void, otherwise?: () => void): void {
    this.pop('i32');
    this.open(0x04);
    then();
    this.closeArm();
    if (otherwise !== undefined) {
      this.body.byte(0x05);
      this.frames.push({ height: this.stack.length, isUnreachable: false });
      otherwise();
      this.closeArm();
    }
    this.body.byte(0x0b);
  }

  loop(body: (label: Label) => void): void {
    this.open(0x03);
    body({ depth: this.frames.length });
    this.closeArm();
    this.body.byte(0x0b);
  }

  block(body: (label: Label) => void): void {
    this.open(0x02);
    body({ depth: this.frames.length });
    this.closeArm();
    this.body.byte(0x0b);
  }

  branch(label: Label): void {
    this.body.byte(0x0c);
    this.body.unsigned(this.frames.length - label.depth);
    this.markUnreachable();
  }

  branchIf(label: Label): void {
    this.pop('i32');
    this.body.byte(0x0d);
    this.body.unsigned(this.frames.length - label.depth);
  }

  /** br_table: to the label that the number on the stack chooses, else to the last one. */
  branchTable(labels: readonly Label[], otherwise: Label): void {
    this.pop('i32');
    this.body.byte(0x0e);
    this.body.unsigned(labels.length);
    for (const label of [...labels, otherwise]) {
      this.body.unsigned(this.frames.length - label.depth);
    }
    this.markUnreachable();
  }

  call(index: number, signature: Signature): void {
    this.popAll(signature.parameters);
    this.body.byte(0x10);
    this.body.unsigned(index);
    for (const type of signature.results) this.push(type);
  }

  /** Tail call of a function of this module. */
  returnCall(index: number, signature: Signature): void {
    this.popAll(signature.parameters);
    this.body.byte(0x12);
    this.body.unsigned(index);
    this.markUnreachable();
  }

  /** Tail call through table 0; the table index is on top of the arguments. */
  returnCallIndirect(typeIndex: number, signature: Signature): void {
    this.pop('i32');
    this.popAll(signature.parameters);
    this.body.byte(0x13);
    this.body.unsigned(typeIndex);
    this.body.unsigned(0);
    this.markUnreachable();
  }

  return(): void {
    this.popAll(this.signature.results);
    this.body.byte(0x0f);
    this.markUnreachable();
  }

  /** memory.copy: destination, source, length on the stack. */
  memoryCopy(): void {
    this.popAll(['i32', 'i32', 'i32']);
    for (const byte of [0xfc, 0x0a, 0, 0]) this.body.byte(byte);
  }

  /** memory.fill: destination, byte, length on the stack. */
  memoryFill(): void {
    this.popAll(['i32', 'i32', 'i32']);
    for (const byte of [0xfc, 0x0b, 0]) this.body.byte(byte);
  }

  /** The code entry of the module's code section, with the local declarations. */
  finish(): Uint8Array {
    if (this.frames.length !== 1) throw new Error('a block is not closed');
    const frame = this.frames[0];
    if (!frame?.isUnreachable) this.popAll(this.signature.results);
    if (this.stack.length !== 0) throw new Error(`${this.stack.length} values are left over`);
    const code = new ByteWriter();
    code.unsigned(this.locals.length);
    for (const type of this.locals) {
      code.unsigned(1);
      code.byte(typeCode(type));
    }
    code.append(this.body.finish());
    code.byte(0x0b);
    return code.finish();
  }

  private operate(opcode: Opcode): void {
    this.popAll(opcode.operands, opcode.name);
    if (opcode.prefix === undefined) this.body.byte(opcode.code);
    else {
      this.body.byte(opcode.prefix);
      this.body.unsigned(opcode.code);
    }
    if (opcode.result !== undefined) this.push(opcode.result);
  }

  private open(code: number): void {
    this.body.byte(code);
    this.body.byte(BLOCK_VOID);
    this.frames.push({ height: this.stack.length, isUnreachable: false });
  }

  private closeArm(): void {
    const frame = this.frames.pop();
    if (frame === undefined) throw new Error('no block is open');
    if (this.stack.length !== frame.height) throw new Error('a block leaves values on the stack');
  }

  private markUnreachable(): void {
    const frame = this.top();
    frame.isUnreachable = true;
    this.stack.length = frame.height;
  }

  private push(type: ValueType): void {
    if (this.top().isUnreachable) throw new Error('code after a jump');
    this.stack.push(type);
  }

  private popAll(types: readonly ValueType[], name = 'call'): void {
    for (let index = types.length - 1; index >= 0; index--) this.pop(types[index]!, name);
  }

  private pop(type: ValueType, name = 'instruction'): void {
    if (this.stack.length === this.top().height) throw new Error(`${name}: ${type} is missing`);
    const found = this.stack.pop();
    if (found !== type) throw new Error(`${name}: ${type} expected, ${found} found`);
  }

  private top(): Frame {
    return this.frames[this.frames.length - 1]!;
  }
}
