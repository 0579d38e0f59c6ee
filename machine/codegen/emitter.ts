/**
 * Turns recorded statements into WebAssembly: values, the TLB probe at each access, fault exits,
 * host calls. Shared by both engines; what they decide differently is behind EngineBinding.
 */
import { assertNever } from '../assert-never.ts';
import { HOST_OPERATIONS } from '../instructions/host-operations.ts';
import { fieldOffset } from '../state/fields.ts';
import { TLB_BASE, TLB_ENTRIES, TLB_WRITE_TABLE } from '../state/layout.ts';
import type { Local, Signature } from '../wasm/function-builder.ts';
import type { EngineBinding } from './binding.ts';
import { storeField } from './field-access.ts';
import { needsLocal } from './node-recorder.ts';
import type { LoadNode, LocationNode, Node, PureNode, Statement } from './nodes.ts';

/** Bits of the third argument of slowRead and slowWrite (memory/slow-path.ts, SLOW_ACCESS). */
const SLOW_STACK = 0x100;
const SLOW_ALIGNED = 0x200;
const SLOW_MODIFY = 0x400;

/**
 * Taken from the budget to make the present instruction the last one; the machine adds it back.
 * Budgets are smaller than half of it.
 */
export const BUDGET_FORCED_EXIT = 0x4000_0000;

export const SLOW_ACCESS_SIGNATURE: Signature = {
  parameters: ['i32', 'i32', 'i32'],
  results: ['i32'],
};
export const HOST_SIGNATURE: Signature = { parameters: ['i32', 'i32', 'i32'], results: ['i32'] };
export const STRING_RUN_SIGNATURE: Signature = {
  parameters: ['i64', 'i64', 'i64', 'i32', 'i32'],
  results: ['i64'],
};

const LOAD_NAMES = new Map([
  [1, 'i64.load8_u'],
  [2, 'i64.load16_u'],
  [4, 'i64.load32_u'],
  [8, 'i64.load'],
  [16, 'v128.load'],
]);
const STORE_NAMES = new Map([
  [1, 'i64.store8'],
  [2, 'i64.store16'],
  [4, 'i64.store32'],
  [8, 'i64.store'],
  [16, 'v128.store'],
]);

interface Access {
  readonly linear: Node;
  readonly lengthBytes: number;
  readonly isStack: boolean;
  readonly isAligned: boolean;
  readonly isWrite: boolean;
  readonly isModify: boolean;
}

export class Emitter {
  private readonly binding: EngineBinding;

  constructor(binding: EngineBinding) {
    this.binding = binding;
  }

  /** Emits an instruction whole; control goes on to the next one where nothing else is said. */
  instruction(statements: readonly Statement[]): void {
    if (!this.list(statements)) this.binding.goOn();
  }

  /** Emits statements; true when control cannot come out at their end. */
  private list(statements: readonly Statement[]): boolean {
    for (const statement of statements) {
      if (this.statement(statement)) return true;
    }
    return false;
  }

  private statement(statement: Statement): boolean {
    switch (statement.kind) {
      case 'define':
        this.define(statement.node);
        return false;
      case 'write-register':
        this.binding.writeRegister(statement.place, statement.width, () =>
          this.push(statement.value),
        );
        return false;
      case 'write-vector-register':
        this.binding.writeVector(statement.operand, statement.width, () =>
          this.push(statement.value),
        );
        return false;
      case 'write-field':
        this.binding.writeField(statement.name, () => this.push(statement.value));
        return false;
      case 'store':
        this.store(statement);
        return false;
      case 'located-store':
        this.pushPlace(statement.place);
        this.push(statement.value);
        this.builder.memory(STORE_NAMES.get(statement.lengthBytes)!, statement.offsetBytes);
        return false;
      case 'when':
        this.when(statement);
        return false;
      case 'raise':
        this.raise(statement.vector, statement.errorCode);
        return true;
      case 'jump':
        this.binding.jump(() => this.push(statement.target));
        return true;
      case 'branch':
        return this.branch(statement);
      case 'again':
        this.push(statement.condition);
        this.builder.when(() => this.binding.goAgain());
        return false;
      case 'host':
        return this.host(statement);
      case 'string-run':
        this.stringRun(statement);
        return false;
      default:
        return assertNever(statement);
    }
  }

  private get builder(): EngineBinding['builder'] {
    return this.binding.builder;
  }

  private define(node: Node): void {
    if (!needsLocal(node)) return;
    if (node.kind === 'load') {
      this.load(node);
      return;
    }
    this.compute(node);
    node.local = this.builder.local(node.valueType);
    this.builder.set(node.local);
  }

  /** Pushes a node's value. */
  push(node: Node): void {
    if (node.local === undefined) this.compute(node);
    else this.builder.get(node.local);
  }

  private compute(node: Node): void {
    const { builder } = this;
    switch (node.kind) {
      case 'constant':
        if (node.valueType === 'i32') builder.i32(Number(node.value));
        else builder.i64(node.value);
        return;
      case 'vector-constant':
        builder.v128(node.low, node.high);
        return;
      case 'pure':
        this.computePure(node);
        return;
      case 'encoded':
        this.binding.readEncoded(node);
        return;
      case 'register':
        this.binding.readRegister(node.place, node.width);
        return;
      case 'vector-register':
        this.binding.readVector(node.operand, node.width);
        return;
      case 'field':
        this.binding.readField(node.name);
        return;
      case 'location':
        this.location(node);
        return;
      case 'budget':
        builder.get(this.binding.budget);
        builder.emit('i64.extend_i32_s');
        return;
      case 'located-load':
        this.pushPlace(node.place);
        builder.memory(LOAD_NAMES.get(node.lengthBytes)!, node.offsetBytes);
        return;
      case 'load':
      case 'result':
        throw new Error(`a ${node.kind} was used outside the branch that made it`);
      default:
        assertNever(node);
    }
  }

  private computePure(node: PureNode): void {
    for (const operand of node.operands) this.push(operand);
    if (node.name === 'select') this.builder.select(node.valueType);
    else if (node.indexes !== undefined) this.builder.shuffle(node.indexes);
    else if (node.lane !== undefined) this.builder.lane(node.name, node.lane);
    else this.builder.emit(node.name);
  }

  private load(node: LoadNode): void {
    const host = this.access({ ...node, isWrite: node.isForStore, isModify: !node.isProbe });
    node.hostAddress = host;
    if (node.isProbe || node.uses === 0) return;
    this.builder.get(host);
    this.builder.memory(LOAD_NAMES.get(node.lengthBytes)!);
    node.local = this.builder.local(node.valueType);
    this.builder.set(node.local);
  }

  private store(statement: Extract<Statement, { kind: 'store' }>): void {
    const host =
      statement.after?.hostAddress ?? this.access({ ...statement, isWrite: true, isModify: false });
    this.builder.get(host);
    this.push(statement.value);
    this.builder.memory(STORE_NAMES.get(statement.lengthBytes)!);
  }

  private pushPlace(place: Node): void {
    this.push(place);
    this.builder.emit('i32.wrap_i64');
  }

  /** The TLB probe without what follows a miss: the host address or 0. */
  private location(node: LocationNode): void {
    const { builder } = this;
    const linear = this.inLocal(node.linear);
    const entry = builder.local('i32');
    const table = TLB_BASE + (node.isWrite ? TLB_WRITE_TABLE : 0);
    this.pushEntry(linear, () => {
      if (node.context === undefined) this.binding.pushTlbContext();
      else this.pushPlace(node.context);
    });
    builder.set(entry);
    builder.get(linear);
    builder.emit('i32.wrap_i64');
    builder.get(entry);
    builder.memory('i32.load', table + 8);
    builder.emit('i32.add');
    builder.i32(0);
    builder.get(entry);
    builder.memory('i64.load', table);
    this.pushPageOf(linear, { lengthBytes: node.lengthBytes, isAligned: false });
    builder.emit('i64.eq');
    builder.select('i32');
    builder.emit('i64.extend_i32_u');
  }

  /** Pushes the offset of the linear address's entry in a TLB table. */
  private pushEntry(linear: Local, pushContext: () => void): void {
    const { builder } = this;
    builder.get(linear);
    builder.i64(8n);
    builder.emit('i64.shr_u');
    builder.emit('i32.wrap_i64');
    builder.i32((TLB_ENTRIES - 1) << 4);
    builder.emit('i32.and');
    pushContext();
    builder.emit('i32.add');
  }

  /** The TLB probe: leaves the host address of the bytes in a local variable. */
  private access(access: Access): Local {
    const { builder } = this;
    const linear = this.inLocal(access.linear);
    const entry = builder.local('i32');
    const host = builder.local('i32');
    const table = TLB_BASE + (access.isWrite ? TLB_WRITE_TABLE : 0);
    this.pushEntry(linear, () => this.binding.pushTlbContext());
    builder.tee(entry);
    builder.memory('i64.load', table);
    this.pushPageOf(linear, access);
    builder.emit('i64.eq');
    builder.when(
      () => {
        builder.get(linear);
        builder.emit('i32.wrap_i64');
        builder.get(entry);
        builder.memory('i32.load', table + 8);
        builder.emit('i32.add');
        builder.set(host);
      },
      () => this.slowAccess(access, linear, host),
    );
    return host;
  }

  /**
   * The page of the last byte: an access that crosses into another page does not match. Where
   * alignment is demanded the low bits stay in, and a misaligned address does not match either.
   */
  private pushPageOf(linear: Local, access: Pick<Access, 'lengthBytes' | 'isAligned'>): void {
    const { builder } = this;
    builder.get(linear);
    let keep = BigInt.asUintN(64, ~0xfffn);
    if (access.isAligned) keep |= BigInt(access.lengthBytes - 1);
    else if (access.lengthBytes > 1) {
      builder.i64(BigInt(access.lengthBytes - 1));
      builder.emit('i64.add');
    }
    builder.i64(keep);
    builder.emit('i64.and');
  }

  private slowAccess(access: Access, linear: Local, host: Local): void {
    const { builder } = this;
    if (this.leaveUndone()) return;
    const flags =
      access.lengthBytes |
      (access.isStack ? SLOW_STACK : 0) |
      (access.isAligned ? SLOW_ALIGNED : 0) |
      (access.isWrite && access.isModify ? SLOW_MODIFY : 0);
    // A device that is read asks what time it is.
    builder.i32(0);
    builder.get(this.binding.budget);
    builder.memory('i32.store', fieldOffset('budget'));
    builder.get(linear);
    builder.emit('i32.wrap_i64');
    builder.get(linear);
    builder.i64(32n);
    builder.emit('i64.shr_u');
    builder.emit('i32.wrap_i64');
    builder.i32(flags);
    const { slowRead, slowWrite } = this.binding.imports;
    builder.call(access.isWrite ? slowWrite : slowRead, SLOW_ACCESS_SIGNATURE);
    builder.tee(host);
    builder.i32(-1);
    builder.emit('i32.eq');
    builder.when(() => this.binding.leaveWithFault());
    this.heedExitRequest();
  }

  /** What was called may want the machine's attention after this instruction. */
  private heedExitRequest(): void {
    const { builder } = this;
    const { budget } = this.binding;
    builder.i32(0);
    builder.memory('i32.load', fieldOffset('exitRequest'));
    builder.get(budget);
    builder.i32(0);
    builder.emit('i32.gt_s');
    builder.emit('i32.and');
    builder.when(() => {
      builder.get(budget);
      builder.i32(BUDGET_FORCED_EXIT);
      builder.emit('i32.sub');
      builder.set(budget);
    });
  }

  private when(statement: Extract<Statement, { kind: 'when' }>): void {
    this.push(statement.condition);
    const otherwise =
      statement.otherwise.length > 0 ? (): boolean => this.list(statement.otherwise) : undefined;
    this.builder.when(
      () => void this.list(statement.then),
      otherwise && ((): void => void otherwise()),
    );
  }

  /** True if the path ends here because somebody else executes the instruction. */
  private leaveUndone(): boolean {
    this.binding.leaveUndone?.();
    return this.binding.leaveUndone !== undefined;
  }

  private raise(vector: number, errorCode: number | undefined): void {
    const { builder } = this;
    if (this.leaveUndone()) return;
    const put = (name: string, value: number): void => {
      builder.i32(0);
      builder.i32(value);
      builder.memory('i32.store', fieldOffset(name));
    };
    put('faultVector', vector);
    put('faultHasErrorCode', errorCode === undefined ? 0 : 1);
    put('faultErrorCode', errorCode ?? 0);
    this.binding.leaveWithFault();
  }

  private branch(statement: Extract<Statement, { kind: 'branch' }>): boolean {
    if (statement.condition === undefined) {
      this.binding.branch(statement.operand);
      return true;
    }
    this.push(statement.condition);
    this.builder.when(() => this.binding.branch(statement.operand));
    return false;
  }

  private host(statement: Extract<Statement, { kind: 'host' }>): boolean {
    const { builder } = this;
    if (this.leaveUndone()) return true;
    statement.operands.forEach((operand, index) =>
      storeField(builder, `host${index}`, () => this.push(operand)),
    );
    builder.i32(HOST_OPERATIONS.indexOf(statement.operation));
    this.binding.pushInstruction();
    builder.get(this.binding.budget);
    builder.call(this.binding.imports.host, HOST_SIGNATURE);
    builder.when(() => this.binding.leaveWithFault());
    if (statement.isTransfer) {
      this.binding.leaveAfterTransfer();
      return true;
    }
    statement.results.forEach((result, index) => {
      if (result.uses === 0) return;
      result.local = builder.local('i64');
      builder.i32(0);
      builder.memory('i64.load', fieldOffset(`host${index}`));
      builder.set(result.local);
    });
    this.heedExitRequest();
    return false;
  }

  private stringRun(statement: Extract<Statement, { kind: 'string-run' }>): void {
    const { builder } = this;
    const { budget, imports } = this.binding;
    const done = builder.local('i64');
    this.push(statement.count);
    this.push(statement.destination);
    this.push(statement.source ?? statement.fill!);
    builder.i32(statement.width / 8);
    builder.get(budget);
    builder.call(
      statement.source === undefined ? imports.fillRun : imports.moveRun,
      STRING_RUN_SIGNATURE,
    );
    builder.set(done);
    // The instruction's end counts one of the elements.
    builder.get(done);
    builder.emit('i64.eqz');
    builder.emit('i32.eqz');
    builder.when(() => {
      builder.get(budget);
      builder.get(done);
      builder.emit('i32.wrap_i64');
      builder.emit('i32.sub');
      builder.i32(1);
      builder.emit('i32.add');
      builder.set(budget);
    });
    statement.result.local = done;
  }

  private inLocal(node: Node): Local {
    if (node.local !== undefined) return node.local;
    const local = this.builder.local(node.valueType);
    this.push(node);
    this.builder.set(local);
    node.local = local;
    return local;
  }
}
