/** Records operands and memory: effective addresses, loads, stores and the stack. */
import type {
  IntegerWidth,
  MemoryOperand,
  Operand,
  SegmentRegister,
} from '../instructions/operand.ts';
import type { InstructionContext, Memory, StateAccess, Value } from '../instructions/operations.ts';
import type { EncodedNode, LoadNode, Node } from './nodes.ts';
import { StateRecorder } from './state-recorder.ts';

const RSP = 4;

/** What a load or store is told besides place and value. */
export interface AccessOptions {
  readonly isStack?: boolean;
  readonly isAligned?: boolean;
  readonly isForStore?: boolean;
  readonly isProbe?: boolean;
}

export abstract class MemoryRecorder extends StateRecorder implements Memory, StateAccess {
  abstract readonly context: InstructionContext;
  private addresses = new Map<MemoryOperand, Value>();
  private loads = new Map<Node, LoadNode>();
  private readonly stackAddresses = new Set<Node>();

  read(operand: Operand): Value {
    switch (operand.kind) {
      case 'register':
        return this.value(this.operandRegister(operand, operand.width), operand.width);
      case 'memory':
        return this.load(this.operandAddress(operand), integerWidth(operand));
      case 'immediate':
        return this.value(this.encoded('immediate', operand), operand.width);
      default:
        throw new Error(`a ${operand.kind} operand is not read`);
    }
  }

  write(operand: Operand, value: Value): void {
    if (operand.width !== value.width) {
      throw new Error(`${value.width} bits written to ${operand.width}`);
    }
    if (operand.kind === 'register') this.writePlace({ kind: 'operand', operand }, value);
    else if (operand.kind === 'memory') this.store(this.operandAddress(operand), value);
    else throw new Error(`a ${operand.kind} operand is not written`);
  }

  ownRip(): Value {
    return this.value(this.encoded('rip', undefined), 64);
  }

  nextRip(): Value {
    return this.value(this.encoded('next-rip', undefined), 64);
  }

  effectiveAddress(operand: MemoryOperand): Value {
    let address: Node | undefined;
    const plus = (term: Node): void => {
      address = address === undefined ? term : this.pure('i64.add', address, term);
    };
    if (operand.base !== undefined) plus(this.register({ kind: 'base', operand }, 64));
    if (operand.index !== undefined) {
      const index = this.register({ kind: 'index', operand }, 64);
      const scale = this.constantNode(BigInt(operand.scale));
      plus(operand.scale === 0 ? index : this.pure('i64.shl', index, scale));
    }
    if (operand.displacement !== 0n || address === undefined) {
      plus(this.encoded('displacement', operand));
    }
    return this.value(this.mask(address!, operand.addressWidth), operand.addressWidth);
  }

  linearAddress(segment: SegmentRegister, offset: Value): Value {
    const isFlat = this.context.mode.codeWidth === 64 && segment !== 'fs' && segment !== 'gs';
    let linear = this.node(offset);
    if (!isFlat) linear = this.pure('i64.add', this.field(`${segment}Base`), linear);
    if (this.context.mode.codeWidth !== 64) linear = this.mask(linear, 32);
    if (segment === 'ss') this.stackAddresses.add(linear);
    return this.value(linear, 64);
  }

  load(linear: Value, width: IntegerWidth): Value {
    return this.value(this.loadNode(linear, width / 8), width);
  }

  loadForStore(linear: Value, width: IntegerWidth): Value {
    return this.value(this.loadNode(linear, width / 8, { isForStore: true }), width);
  }

  probeStore(linear: Value, width: IntegerWidth): void {
    this.loadNode(linear, width / 8, { isForStore: true, isProbe: true });
  }

  store(linear: Value, value: Value): void {
    this.storeNode(linear, this.node(value), value.width / 8);
  }

  push(value: Value): void {
    const top = this.stackPointerPlus(-value.width / 8);
    this.store(this.linearAddress('ss', this.zeroExtend(top, 64)), value);
    this.writePlace({ kind: 'fixed', register: RSP }, top);
  }

  pop(width: 16 | 32 | 64): Value {
    const value = this.peekStack(0, width);
    this.moveStackPointer(width / 8);
    return value;
  }

  peekStack(displacementBytes: number, width: 16 | 32 | 64): Value {
    const top = this.stackPointerPlus(displacementBytes);
    return this.load(this.linearAddress('ss', this.zeroExtend(top, 64)), width);
  }

  moveStackPointer(bytes: number | Value): void {
    const moved =
      typeof bytes === 'number'
        ? this.stackPointerPlus(bytes)
        : this.add(this.stackPointer(), this.truncate(bytes, this.context.mode.stackWidth));
    this.writePlace({ kind: 'fixed', register: RSP }, moved);
  }

  /** The linear address of a memory operand; computed once in an instruction. */
  protected operandAddress(operand: MemoryOperand): Value {
    let address = this.addresses.get(operand);
    if (address === undefined) {
      const offset = this.zeroExtend(this.effectiveAddress(operand), 64);
      address = this.linearAddress(operand.segment, offset);
      this.addresses.set(operand, address);
    }
    return address;
  }

  protected loadNode(linear: Value, lengthBytes: number, options: AccessOptions = {}): LoadNode {
    this.mayFault('a load');
    const place = this.node(linear);
    const node: LoadNode = {
      kind: 'load',
      linear: place,
      lengthBytes,
      isStack: this.stackAddresses.has(place),
      isAligned: options.isAligned ?? false,
      isForStore: options.isForStore ?? false,
      isProbe: options.isProbe ?? false,
      valueType: lengthBytes === 16 ? 'v128' : 'i64',
      uses: 0,
    };
    this.loads.set(place, node);
    return this.define(node);
  }

  /** A store to the place of an earlier load of the same size uses its permission. */
  protected storeNode(
    linear: Value,
    value: Node,
    lengthBytes: number,
    options: AccessOptions = {},
  ): void {
    const place = this.node(linear);
    const earlier = this.loads.get(place);
    const after = earlier?.lengthBytes === lengthBytes ? earlier : undefined;
    if (after === undefined) this.mayFault('a store');
    else after.isForStore = true;
    this.change({
      kind: 'store',
      linear: place,
      lengthBytes,
      isStack: this.stackAddresses.has(place),
      isAligned: options.isAligned ?? false,
      value,
      after,
    });
  }

  protected override nested(record: () => void): ReturnType<StateRecorder['nested']> {
    const outer = { addresses: this.addresses, loads: this.loads };
    this.addresses = new Map(outer.addresses);
    this.loads = new Map(outer.loads);
    const result = super.nested(record);
    this.addresses = outer.addresses;
    this.loads = outer.loads;
    return result;
  }

  protected encoded(what: EncodedNode['what'], operand: Operand | undefined): Node {
    return this.define({ kind: 'encoded', what, operand, valueType: 'i64', uses: 0 });
  }

  protected stackPointer(): Value {
    const width = this.context.mode.stackWidth;
    return this.value(this.register({ kind: 'fixed', register: RSP }, width), width);
  }

  private stackPointerPlus(bytes: number): Value {
    return this.add(this.stackPointer(), this.constant(bytes, this.context.mode.stackWidth));
  }
}

function integerWidth(operand: MemoryOperand): IntegerWidth {
  if (operand.width === 128 || operand.width === 4096) {
    throw new Error(`${operand.width} bits of memory are not an integer`);
  }
  return operand.width;
}
