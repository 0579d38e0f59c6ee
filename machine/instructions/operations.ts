/**
 * The typed builder that semantics are written with: the vocabulary of what an instruction may do.
 * An engine records the calls and makes code of them; nothing here computes.
 *
 * Rules that a recorder checks:
 * - integer values are kept zero-extended in 64 bits and know their width; operands of one operation
 *   have one width;
 * - whatever can fault comes before whatever changes state, so that a fault leaves the state as it
 *   was before the instruction (Intel SDM 3A §6.5). `host` operations keep that rule themselves.
 */
import type { ExecutionMode } from './execution-mode.ts';
import type { HostOperation } from './host-operations.ts';
import type { IntegerWidth, Operand, MemoryOperand, SegmentRegister } from './operand.ts';
import type { VectorOperation } from './vector-operations.ts';

/** An integer of `width` bits, zero-extended. Opaque: made and used by Operations only. */
export interface Value {
  readonly type: 'integer';
  readonly width: IntegerWidth;
}

/** True or false. */
export interface Condition {
  readonly type: 'condition';
}

/** 128 bits of an xmm register or of memory. */
export interface Vector {
  readonly type: 'vector';
}

/** A scalar floating-point number on its way between integer and vector. */
export interface Float {
  readonly type: 'float';
  readonly width: 32 | 64;
}

export type Flag = 'CF' | 'PF' | 'AF' | 'ZF' | 'SF' | 'OF';

/** RFLAGS bits that are not arithmetic flags, by bit number (Intel SDM 1 §3.4.3). */
export type SystemFlag = 'TF' | 'IF' | 'DF' | 'NT' | 'RF' | 'VM' | 'AC' | 'VIF' | 'VIP' | 'ID';

export type RegisterName =
  | 'rax' | 'rcx' | 'rdx' | 'rbx' | 'rsp' | 'rbp' | 'rsi' | 'rdi'
  | 'r8' | 'r9' | 'r10' | 'r11' | 'r12' | 'r13' | 'r14' | 'r15'; // prettier-ignore

/** What is known of the instruction that is being specialised. */
export interface InstructionContext {
  readonly mode: ExecutionMode;
  /** Operand size in force (66H, REX.W, mode; 64 for instructions that default to it). */
  readonly operandWidth: 16 | 32 | 64;
  readonly addressWidth: 16 | 32 | 64;
  readonly repeat: 'none' | 'repe' | 'repne';
  /** Segment override in force, if any. */
  readonly segment: SegmentRegister | undefined;
}

export interface Arithmetic {
  constant(value: bigint | number, width: IntegerWidth): Value;
  add(left: Value, right: Value): Value;
  subtract(left: Value, right: Value): Value;
  /** The low `width` bits of the product. */
  multiply(left: Value, right: Value): Value;
  /** The high half of the 2 × width product. */
  multiplyHighUnsigned(left: Value, right: Value): Value;
  multiplyHighSigned(left: Value, right: Value): Value;
  /** Division of equal widths; zero divisors and overflow must have been excluded. */
  divideUnsigned(left: Value, right: Value): Value;
  divideSigned(left: Value, right: Value): Value;
  remainderUnsigned(left: Value, right: Value): Value;
  remainderSigned(left: Value, right: Value): Value;
  and(left: Value, right: Value): Value;
  or(left: Value, right: Value): Value;
  xor(left: Value, right: Value): Value;
  not(value: Value): Value;
  negate(value: Value): Value;
  /** Shifts take any count (of any width): counts ≥ width give 0, or the sign for the signed one. */
  shiftLeft(value: Value, count: Value): Value;
  shiftRight(value: Value, count: Value): Value;
  shiftRightSigned(value: Value, count: Value): Value;
  /** Rotations take the count modulo the width. */
  rotateLeft(value: Value, count: Value): Value;
  rotateRight(value: Value, count: Value): Value;
  countLeadingZeros(value: Value): Value;
  countTrailingZeros(value: Value): Value;
  populationCount(value: Value): Value;
  byteSwap(value: Value): Value;
  zeroExtend(value: Value, width: IntegerWidth): Value;
  signExtend(value: Value, width: IntegerWidth): Value;
  truncate(value: Value, width: IntegerWidth): Value;
  /** `high` above `low`, both of 32 bits or less: a value of twice the width. */
  concatenate(high: Value, low: Value): Value;

  equal(left: Value, right: Value): Condition;
  notEqual(left: Value, right: Value): Condition;
  lessUnsigned(left: Value, right: Value): Condition;
  lessSigned(left: Value, right: Value): Condition;
  isZero(value: Value): Condition;
  isNegative(value: Value): Condition;
  /** Bit `index` (taken modulo 64) of the value. */
  bit(value: Value, index: Value | number): Condition;
  both(left: Condition, right: Condition): Condition;
  either(left: Condition, right: Condition): Condition;
  differs(left: Condition, right: Condition): Condition;
  negated(condition: Condition): Condition;
  always(value: boolean): Condition;
  /** Both are computed, one is taken; neither may fault. */
  select(condition: Condition, then: Value, otherwise: Value): Value;
  selectVector(condition: Condition, then: Vector, otherwise: Vector): Vector;
  /** 1 or 0. */
  fromCondition(condition: Condition, width: IntegerWidth): Value;
}

export interface StateAccess {
  /**
   * Reads a register, memory or immediate operand. When the same memory operand is written later in
   * the instruction, the read already asks for write permission, as the CPU's read-modify-write does.
   */
  read(operand: Operand): Value;
  /** Writing 32 bits of a register clears the upper half; 8 and 16 bits leave the rest. */
  write(operand: Operand, value: Value): void;
  readRegister(name: RegisterName, width: IntegerWidth): Value;
  writeRegister(name: RegisterName, value: Value): void;
  /** A field of machine/state/fields.ts, whole: u64 fields have 64 bits, u32 fields 32. */
  readField(name: string): Value;
  writeField(name: string, value: Value): void;
  /** Offset in CS of this instruction, and of the next. */
  ownRip(): Value;
  nextRip(): Value;
}

export interface Flags {
  flag(flag: Flag): Condition;
  setFlag(flag: Flag, condition: Condition): void;
  /** All six, from an addition (also with carry-in: `sum` tells). */
  setFlagsOfAdd(left: Value, right: Value, sum: Value): void;
  /** All six, from left − right (also with borrow). */
  setFlagsOfSubtract(left: Value, right: Value, difference: Value): void;
  /** ZF SF PF from the result; CF = OF = 0, AF = 0. */
  setFlagsOfLogic(result: Value): void;
  /** ZF SF PF from the result; the others keep their values. */
  setFlagsOfResult(result: Value): void;
  systemFlag(flag: SystemFlag): Condition;
  /** Only DF takes effect by this at once: AC has `setUserAccess`, the others host operations. */
  setSystemFlag(flag: SystemFlag, condition: Condition): void;
}

export interface Memory {
  /** The offset that a memory operand names, of the address width, without segment (LEA). */
  effectiveAddress(operand: MemoryOperand): Value;
  /** Segment base + offset: a 64-bit linear address, wrapped as the mode demands. */
  linearAddress(segment: SegmentRegister, offset: Value): Value;
  load(linear: Value, width: IntegerWidth): Value;
  store(linear: Value, value: Value): void;
  /** Load that asks for write permission, for a later `store` to the same place. */
  loadForStore(linear: Value, width: IntegerWidth): Value;
  /** Proves that a store to this place will not fault, so that state may change before it. */
  probeStore(linear: Value, width: IntegerWidth): void;
  /**
   * Pushes on the stack of the present mode. The store comes first, then rsp moves. For several
   * stack accesses in one instruction use readRegister('rsp'), load, store and write rsp last.
   */
  push(value: Value): void;
  /** Pops; rsp moves at once, so nothing may fault after it (see `peekStack`). */
  pop(width: 16 | 32 | 64): Value;
  /** Reads the stack at rsp + displacement bytes without moving rsp. */
  peekStack(displacementBytes: number, width: 16 | 32 | 64): Value;
  /** rsp += bytes, with the width of the stack pointer. */
  moveStackPointer(bytes: number | Value): void;
}

/** For the fast paths of what is otherwise the host's: nothing here faults. */
export interface FastPaths {
  /**
   * Where in the host `lengthBytes` bytes of one page are, if the TLB has that page for such an access; 0
   * if not. `present`: as the code that runs; `system`: as the CPU itself at its tables; `kernel`:
   * as code of level 0.
   */
  locate(
    linear: Value,
    lengthBytes: number,
    access: 'read' | 'write',
    by: 'present' | 'system' | 'kernel',
  ): Value;
  isLocated(place: Value): Condition;
  /** What is loaded where `isLocated` is false means nothing. */
  loadLocated(place: Value, offsetBytes: number, width: IntegerWidth): Value;
  /** Only where `isLocated` holds. */
  storeLocated(place: Value, offsetBytes: number, value: Value): void;
  /** CPL, 32 bits, and all that hangs on it; RFLAGS.AC has been set before. A jump must follow. */
  setPrivilegeLevel(level: Value): void;
  /** RFLAGS.AC at CPL 0, with what SMAP makes of it. A jump must follow. */
  setUserAccess(isOpen: boolean): void;
  /** Instructions retired before this one, 64 bits. Only beside a `hostTransfer`, which regions leave. */
  retired(): Value;
}

export interface ControlFlow {
  /**
   * Near jump to an offset in CS, of 64 bits. Ends the instruction and checks nothing: it stands behind
   * changes of state (RET moves rsp). The semantics raise #GP(0) for a target that is not canonical.
   */
  jump(target: Value): void;
  /** Near jump to a relative operand. */
  jumpRelative(operand: Operand): void;
  /** Jumps if the condition holds, else goes on with the next instruction. */
  branchIf(condition: Condition, operand: Operand): void;
  raise(vector: number, errorCode?: number): void;
  raiseIf(condition: Condition, vector: number, errorCode?: number): void;
  /** Code in the branches may do everything; values made inside do not leave. */
  when(condition: Condition, then: () => void, otherwise?: () => void): void;
  /**
   * The instruction executes once more if the condition holds (REP): rip stays. Each pass counts as
   * one instruction and is a position where interrupts may come.
   */
  again(condition: Condition): void;
  /**
   * Moves (source given) or fills as many whole elements of REP MOVS/STOS as lie in the present
   * pages, within `count` and the instruction budget, when that gives the same result as one after
   * another; `count`, then, is how many remain to be done at most. Result: elements done, 0 if none
   * could be; each counts as one instruction, the last of them as the pass itself, so that n elements are
   * n instructions however they were cut into runs. Semantics call it with DF = 0 only. Registers are
   * the caller's to update; nothing may fault after it in the same branch.
   */
  stringRun(run: {
    readonly count: Value;
    readonly destination: Value;
    readonly source?: Value;
    readonly fill?: Value;
    readonly width: IntegerWidth;
  }): Value;
  /**
   * Calls TypeScript (machine/cpu/) with up to four 64-bit arguments; up to two 64-bit results.
   * A fault it returns becomes the instruction's. Use for what is rare or bulky.
   */
  host(operation: HostOperation, ...argument: Value[]): readonly [Value, Value];
  /**
   * The same for what may change rip, the mode, the address map or pending interrupts: rip is the
   * next instruction's before the call, and execution goes on where the call left it.
   */
  hostTransfer(operation: HostOperation, ...argument: Value[]): void;
}

export interface VectorAccess {
  /** A whole xmm register or 128 bits of memory; unaligned memory is #GP(0) if `aligned`. */
  readVector(operand: Operand, alignment?: 'aligned' | 'unaligned'): Vector;
  writeVector(operand: Operand, value: Vector, alignment?: 'aligned' | 'unaligned'): void;
  /** 8–64 bits of an xmm register (lane 0) or of memory as an integer. */
  readVectorLow(operand: Operand, width: IntegerWidth): Value;
  /** Writes lane 0 of a register and leaves the rest, or writes memory. */
  writeVectorLow(operand: Operand, value: Value): void;
  vectorConstant(low: bigint, high: bigint): Vector;
  /** One operation of the list in vector-operations.ts. */
  vector(operation: VectorOperation, ...operand: Vector[]): Vector;
  /** Shifts of all lanes by a count that is given in the low bits of an integer, below the lane width. */
  vectorShift(operation: VectorOperation, vector: Vector, count: Value): Vector;
  /** Bytes of (left, right) by 16 constant indexes 0–31. */
  shuffleBytes(left: Vector, right: Vector, indexes: readonly number[]): Vector;
  extractLane(vector: Vector, lane: number, width: IntegerWidth): Value;
  replaceLane(vector: Vector, lane: number, value: Value): Vector;
  splat(value: Value): Vector;
  /** The sign bits of all lanes of `width` bits, lane 0 in bit 0: MOVMSKPS, PMOVMSKB. */
  signMask(vector: Vector, width: IntegerWidth): Value;
  floatFromBits(value: Value): Float;
  bitsFromFloat(value: Float): Value;
  /** IEEE 754 arithmetic, round to nearest even, on scalars of one width. */
  float(
    operation: 'add' | 'subtract' | 'multiply' | 'divide' | 'squareRoot',
    ...operand: Float[]
  ): Float;
  compareFloat(
    operation: 'equal' | 'less' | 'lessOrEqual' | 'unordered',
    left: Float,
    right: Float,
  ): Condition;
  floatFromSigned(value: Value, width: 32 | 64): Float;
  /** Rounds towards zero, saturating; NaN gives 0. */
  truncateFloatSaturating(value: Float, width: 32 | 64): Value;
  /** Rounds to an integral number: nearest even. */
  roundFloat(value: Float): Float;
  convertFloat(value: Float, width: 32 | 64): Float;
}

export interface Operations
  extends
    InstructionContext,
    Arithmetic,
    StateAccess,
    Flags,
    Memory,
    ControlFlow,
    FastPaths,
    VectorAccess {}
