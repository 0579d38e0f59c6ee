/** Records reads and writes of registers, fields and flags (state/fields.ts draws the flags' form). */
import type { IntegerWidth, Operand } from '../instructions/operand.ts';
import type {
  Condition,
  Flag,
  Flags,
  RegisterName,
  SystemFlag,
  Value,
} from '../instructions/operations.ts';
import { GENERAL_REGISTER_NAMES, STATE_FIELDS } from '../state/fields.ts';
import { ArithmeticRecorder } from './arithmetic-recorder.ts';
import type { Node, RegisterPlace } from './nodes.ts';

export const FLAG_FIELDS = ['flagZero', 'flagSign', 'flagCarry'] as const;
export type FlagField = (typeof FLAG_FIELDS)[number];

/** The flags are those of left − right, and nothing has changed any of them since. */
interface Comparison {
  readonly left: Value;
  readonly right: Value;
}

/**
 * What is known of the flags at some point: the nodes that the fields hold, and the comparison they
 * come from. It passes from one instruction of a block to the next.
 */
export interface FlagKnowledge {
  readonly nodes: ReadonlyMap<FlagField, Node>;
  readonly comparison: Comparison | undefined;
}

/** A condition that has been read off a comparison's flags; `less` is SF ≠ OF. */
interface Origin {
  readonly flag: Flag | 'less';
  readonly comparison: Comparison;
}

/** Carry out of, and into, the top bit; carry out of bit 3. */
const CARRY_BITS = 0xc000_0000_0000_0008n;
const TOP = 63n;

/** RFLAGS bit numbers (Intel SDM 1 figure 3-8). */
const SYSTEM_FLAG_BITS: Record<SystemFlag, bigint> = {
  TF: 8n, IF: 9n, DF: 10n, NT: 14n, RF: 16n, VM: 17n, AC: 18n, VIF: 19n, VIP: 20n, ID: 21n,
}; // prettier-ignore

export abstract class StateRecorder extends ArithmeticRecorder implements Flags {
  /** What the flag fields hold at this point, as far as this instruction has set or read them. */
  private flagNodes = new Map<FlagField, Node>();
  private comparison: Comparison | undefined;
  private readonly origins = new Map<Node, Origin>();

  get flagKnowledge(): FlagKnowledge {
    return { nodes: this.flagNodes, comparison: this.comparison };
  }

  readRegister(name: RegisterName, width: IntegerWidth): Value {
    return this.value(this.register(fixed(name), width), width);
  }

  writeRegister(name: RegisterName, value: Value): void {
    this.writePlace(fixed(name), value);
  }

  readField(name: string): Value {
    const width = fieldWidth(name);
    return this.value(this.field(name), width);
  }

  writeField(name: string, value: Value): void {
    if (value.width !== fieldWidth(name)) throw new Error(`${name} is not of ${value.width} bits`);
    this.change({ kind: 'write-field', name, value: this.node(value) });
  }

  flag(flag: Flag): Condition {
    return this.condition(this.flagNode(flag));
  }

  setFlag(flag: Flag, condition: Condition): void {
    const set = this.pure('i64.extend_i32_u', this.node(condition));
    switch (flag) {
      case 'ZF':
        this.writeFlagField('flagZero', this.pure('i64.eqz', set), 'condition');
        break;
      case 'SF':
        this.replaceBits('flagSign', 0xffn, this.at(set, TOP));
        break;
      case 'PF':
        this.replaceBits('flagSign', 1n << TOP, this.flip(set));
        break;
      case 'AF':
        this.replaceBits('flagCarry', CARRY_BITS & ~8n, this.at(set, 3n));
        break;
      case 'CF':
        this.setCarryAndOverflow(set, this.widened(this.flagNode('OF')));
        break;
      case 'OF':
        this.setCarryAndOverflow(this.widened(this.flagNode('CF')), set);
        break;
    }
  }

  setFlagsOfAdd(left: Value, right: Value, sum: Value): void {
    const [l, r] = [this.node(left), this.node(right)];
    const both = this.pure('i64.and', l, r);
    const either = this.pure('i64.or', l, r);
    const carry = this.pure('i64.and', either, this.inverted(this.node(sum)));
    this.writeCarry(this.pure('i64.or', both, carry), sum.width);
    this.setFlagsOfResult(sum);
  }

  setFlagsOfSubtract(left: Value, right: Value, difference: Value): void {
    const [notLeft, r] = [this.inverted(this.node(left)), this.node(right)];
    const both = this.pure('i64.and', notLeft, r);
    const either = this.pure('i64.or', notLeft, r);
    const borrow = this.pure('i64.and', either, this.node(difference));
    this.writeCarry(
      this.mask(this.pure('i64.or', both, borrow), difference.width),
      difference.width,
    );
    this.setFlagsOfResult(difference);
    if (this.isDifference(this.node(difference), this.node(left), r)) {
      this.comparison = { left, right };
    }
  }

  setFlagsOfLogic(result: Value): void {
    this.writeFlagField('flagCarry', this.constantNode(0n));
    this.setFlagsOfResult(result);
  }

  setFlagsOfResult(result: Value): void {
    const signed = this.signed(result);
    this.writeFlagField('flagZero', signed);
    this.writeFlagField('flagSign', signed);
  }

  systemFlag(flag: SystemFlag): Condition {
    const bit = this.pure('i64.shr_u', this.field('rflagsSystem'), this.bitOf(flag));
    const low = this.pure('i64.and', bit, this.constantNode(1n));
    return this.condition(this.pure('i32.wrap_i64', low));
  }

  setSystemFlag(flag: SystemFlag, condition: Condition): void {
    const others = BigInt.asUintN(64, ~(1n << SYSTEM_FLAG_BITS[flag]));
    const kept = this.pure('i64.and', this.field('rflagsSystem'), this.constantNode(others));
    const set = this.pure('i64.shl', this.widened(this.node(condition)), this.bitOf(flag));
    this.change({
      kind: 'write-field',
      name: 'rflagsSystem',
      value: this.pure('i64.or', kept, set),
    });
  }

  protected register(place: RegisterPlace, width: IntegerWidth): Node {
    return this.define({ kind: 'register', place, width, valueType: 'i64', uses: 0 });
  }

  protected writePlace(place: RegisterPlace, value: Value): void {
    const { width } = value;
    this.change({ kind: 'write-register', place, width, value: this.node(value) });
  }

  protected operandRegister(operand: Operand, width: IntegerWidth): Node {
    return this.register({ kind: 'operand', operand }, width);
  }

  /** The field as it is stored, as a 64-bit integer. */
  protected field(name: string): Node {
    return this.define({ kind: 'field', name, valueType: 'i64', uses: 0 });
  }

  /** SF ≠ OF after a comparison is one comparison of signed numbers. */
  override differs(left: Condition, right: Condition): Condition {
    const [first, second] = [this.origin(left), this.origin(right)];
    if (first?.flag === 'SF' && second?.flag === 'OF' && first.comparison === second.comparison) {
      const { comparison } = first;
      return this.ofComparison('less', comparison, this.compareSigned('i64.lt_s', comparison));
    }
    return super.differs(left, right);
  }

  /** CF or ZF, and ZF or SF ≠ OF, likewise. */
  override either(left: Condition, right: Condition): Condition {
    const [first, second] = [this.origin(left), this.origin(right)];
    if (first !== undefined && first.comparison === second?.comparison) {
      const { comparison } = first;
      const pair = `${first.flag} ${second.flag}`;
      if (pair === 'CF ZF') return this.condition(this.compareUnsigned('i64.le_u', comparison));
      if (pair === 'ZF less') return this.condition(this.compareSigned('i64.le_s', comparison));
    }
    return super.either(left, right);
  }

  protected override nested(record: () => void): ReturnType<ArithmeticRecorder['nested']> {
    const { flagNodes, comparison } = this;
    this.flagNodes = new Map(flagNodes);
    const result = super.nested(record);
    this.flagNodes = flagNodes;
    this.comparison = comparison;
    return result;
  }

  /** To be called before anything is recorded. */
  protected knowFlags({ nodes, comparison }: FlagKnowledge): void {
    this.flagNodes = new Map(nodes);
    this.comparison = comparison;
  }

  /** After a branch that may have set flags, what was known of them is known no more. */
  protected forgetFlags(): void {
    this.flagNodes.clear();
    this.comparison = undefined;
  }

  private flagNode(flag: Flag): Node {
    const { comparison } = this;
    if (comparison === undefined) return this.flagNodeOfFields(flag);
    const node =
      flag === 'CF'
        ? this.compareUnsigned('i64.lt_u', comparison)
        : flag === 'ZF'
          ? this.compareUnsigned('i64.eq', comparison)
          : this.flagNodeOfFields(flag);
    this.origins.set(node, { flag, comparison });
    return node;
  }

  private origin(condition: Condition): Origin | undefined {
    return this.origins.get(this.node(condition));
  }

  private ofComparison(flag: Origin['flag'], comparison: Comparison, node: Node): Condition {
    this.origins.set(node, { flag, comparison });
    return this.condition(node);
  }

  private compareUnsigned(name: string, { left, right }: Comparison): Node {
    return this.pure(name, this.node(left), this.node(right));
  }

  private compareSigned(name: string, { left, right }: Comparison): Node {
    return this.pure(name, this.signed(left), this.signed(right));
  }

  /** Is the node left − right and nothing more (no borrow), apart from the cut to the width? */
  private isDifference(node: Node, left: Node, right: Node): boolean {
    if (node.kind !== 'pure') return false;
    const [first, second] = node.operands;
    if (node.name === 'i64.and') return this.isDifference(first!, left, right);
    return node.name === 'i64.sub' && first === left && second === right;
  }

  private flagNodeOfFields(flag: Flag): Node {
    switch (flag) {
      case 'ZF':
        return this.pure('i64.eqz', this.flagField('flagZero'));
      case 'SF':
        return this.isTopSet(this.flagField('flagSign'));
      case 'PF':
        return this.parity(this.flagField('flagSign'));
      case 'CF':
        return this.isTopSet(this.flagField('flagCarry'));
      case 'AF':
        return this.pure(
          'i32.wrap_i64',
          this.pure('i64.shr_u', this.maskedBit(3n), this.constantNode(3n)),
        );
      case 'OF': {
        const carries = this.flagField('flagCarry');
        const below = this.pure('i64.shl', carries, this.constantNode(1n));
        return this.isTopSet(this.pure('i64.xor', carries, below));
      }
    }
  }

  private maskedBit(bit: bigint): Node {
    return this.pure('i64.and', this.flagField('flagCarry'), this.constantNode(1n << bit));
  }

  private parity(result: Node): Node {
    const low = this.pure('i64.and', result, this.constantNode(0xffn));
    const ones = this.pure('i32.wrap_i64', this.pure('i64.popcnt', low));
    const isOdd = this.pure('i32.and', ones, this.constantNode(1n, 'i32'));
    return this.pure('i32.eqz', isOdd);
  }

  private isTopSet(node: Node): Node {
    return this.pure('i64.lt_s', node, this.constantNode(0n));
  }

  private flagField(name: FlagField): Node {
    const known = this.flagNodes.get(name);
    if (known !== undefined) return known;
    const read = this.field(name);
    this.flagNodes.set(name, read);
    return read;
  }

  private writeFlagField(
    name: FlagField,
    value: Node,
    kind: 'value' | 'condition' = 'value',
  ): void {
    const node = kind === 'condition' ? this.widened(value) : value;
    this.comparison = undefined;
    // The last write of an instruction is the one that counts.
    const earlier = this.statements.findIndex(
      (statement) => statement.kind === 'write-field' && statement.name === name,
    );
    if (earlier >= 0) this.statements.splice(earlier, 1);
    this.change({ kind: 'write-field', name, value: node });
    this.flagNodes.set(name, node);
  }

  private replaceBits(name: FlagField, keep: bigint, bits: Node): void {
    const kept = this.pure('i64.and', this.flagField(name), this.constantNode(keep));
    this.writeFlagField(name, this.pure('i64.or', kept, bits));
  }

  private setCarryAndOverflow(carry: Node, overflow: Node): void {
    const into = this.at(this.pure('i64.xor', carry, overflow), TOP - 1n);
    this.replaceBits('flagCarry', 8n, this.pure('i64.or', this.at(carry, TOP), into));
  }

  /** Puts the carries out of each bit, of a `width`-bit addition, into the stored form. */
  private writeCarry(carries: Node, width: IntegerWidth): void {
    let aligned = carries;
    if (width < 64) {
      const top = this.pure('i64.shl', carries, this.constantNode(BigInt(64 - width)));
      aligned = this.pure('i64.or', top, carries);
    }
    this.writeFlagField('flagCarry', this.pure('i64.and', aligned, this.constantNode(CARRY_BITS)));
  }

  private bitOf(flag: SystemFlag): Node {
    return this.constantNode(SYSTEM_FLAG_BITS[flag]);
  }

  private at(bit: Node, position: bigint): Node {
    return this.pure('i64.shl', bit, this.constantNode(position));
  }

  private flip(bit: Node): Node {
    return this.pure('i64.xor', bit, this.constantNode(1n));
  }

  private inverted(node: Node): Node {
    return this.pure('i64.xor', node, this.constantNode(0xffff_ffff_ffff_ffffn));
  }

  private widened(condition: Node): Node {
    return this.pure('i64.extend_i32_u', condition);
  }
}

function fixed(name: RegisterName): RegisterPlace {
  return { kind: 'fixed', register: GENERAL_REGISTER_NAMES.indexOf(name) };
}

function fieldWidth(name: string): 32 | 64 {
  const field = STATE_FIELDS.find((candidate) => candidate.name === name);
  if (field === undefined || field.type === 'bytes') throw new Error(`no integer field ${name}`);
  return field.type === 'u64' ? 64 : 32;
}
