/** Turns an expression's tree into the bytecode that gdb would send (GDB manual, "Bytecode Descriptions"). */
import type { BinaryOperator, Expression } from './expression-tree.ts';
import { OPCODE, OPERATIONS } from './operations.ts';
import { commonSign } from './value-type.ts';

const BY_NAME: ReadonlyMap<string, number> = new Map(
  [...OPERATIONS.values()].map(({ name, opcode }) => [name, opcode]),
);

/** Ends with `end`; the expression's value is then on the stack. */
export function bytecodeOf(expression: Expression): Uint8Array {
  const writer = new CodeWriter();
  writer.value(expression);
  writer.bytes.push(OPCODE.end);
  return Uint8Array.from(writer.bytes);
}

class CodeWriter {
  readonly bytes: number[] = [];

  value(expression: Expression): void {
    switch (expression.kind) {
      case 'constant':
        this.constant(expression.value);
        break;
      case 'register':
        this.operation('reg', expression.number >> 8, expression.number & 0xff);
        break;
      case 'load':
        this.load(expression);
        break;
      case 'convert':
        this.value(expression.value);
        this.narrow(expression);
        break;
      case 'unary':
        this.unary(expression);
        break;
      case 'binary':
        this.binary(expression);
        break;
      case 'logical':
        this.logical(expression);
    }
  }

  private constant(value: bigint): void {
    const lengthBytes = [1, 2, 4, 8].find((length) => value >> BigInt(8 * length) === 0n) ?? 8;
    const digits = value.toString(16).padStart(2 * lengthBytes, '0');
    this.operation(`const${lengthBytes * 8}`, ...Buffer.from(digits, 'hex'));
  }

  private load(expression: Expression & { kind: 'load' }): void {
    const { address, type } = expression;
    this.value(address);
    const bits = type.kind === 'pointer' ? 64 : type.bits;
    this.operation(`ref${bits}`);
    if (type.kind === 'integer' && type.sign === 'signed') this.narrow(expression);
  }

  /** Extends what is on the stack from the width of the expression's type. */
  private narrow({ type }: Expression): void {
    if (type.kind === 'pointer' || type.bits === 64) return;
    this.operation(type.sign === 'signed' ? 'ext' : 'zero_ext', type.bits);
  }

  private unary({ operator, value }: Expression & { kind: 'unary' }): void {
    if (operator === '-') this.constant(0n);
    this.value(value);
    this.operation({ '-': 'sub', '~': 'bit_not', '!': 'log_not' }[operator]);
  }

  private binary(expression: Expression & { kind: 'binary' }): void {
    const { operator, left, right } = expression;
    // There is only "less": a > b is b < a, and a <= b is its contrary.
    const isSwapped = operator === '>' || operator === '<=';
    this.value(left);
    this.value(right);
    if (isSwapped) this.operation('swap');
    this.operation(this.nameOf(operator, expression));
    if (operator === '!=' || operator === '<=' || operator === '>=') this.operation('log_not');
  }

  private nameOf(
    operator: BinaryOperator,
    { left, right }: Expression & { kind: 'binary' },
  ): string {
    const suffix = commonSign(left.type, right.type) === 'unsigned' ? 'unsigned' : 'signed';
    switch (operator) {
      case '==':
      case '!=':
        return 'equal';
      case '<':
      case '>':
      case '<=':
      case '>=':
        return `less_${suffix}`;
      case '/':
        return `div_${suffix}`;
      case '%':
        return `rem_${suffix}`;
      case '>>':
        return commonSign(left.type, left.type) === 'signed' ? 'rsh_signed' : 'rsh_unsigned';
      default:
        return PLAIN_OPERATIONS[operator];
    }
  }

  /**
   *     left          left
   *     if_goto A     log_not
   *     right         if_goto A
   *     !!            right
   *     goto B        !!
   *  A: 1             goto B
   *  B:            A: 0
   */
  private logical({ operator, left, right }: Expression & { kind: 'logical' }): void {
    this.value(left);
    if (operator === '&&') this.operation('log_not');
    const toShort = this.jump(OPCODE.if_goto);
    this.value(right);
    this.operation('log_not');
    this.operation('log_not');
    const toEnd = this.jump(OPCODE.goto);
    this.land(toShort);
    this.constant(operator === '||' ? 1n : 0n);
    this.land(toEnd);
  }

  /** The place of its target, which `land` fills in. */
  private jump(opcode: number): number {
    this.bytes.push(opcode, 0, 0);
    return this.bytes.length - 2;
  }

  private land(place: number): void {
    this.bytes[place] = this.bytes.length >> 8;
    this.bytes[place + 1] = this.bytes.length & 0xff;
  }

  private operation(name: string, ...operands: number[]): void {
    const opcode = BY_NAME.get(name);
    if (opcode === undefined) throw new Error(`no agent operation ${name}`);
    this.bytes.push(opcode, ...operands);
  }
}

const PLAIN_OPERATIONS = {
  '+': 'add',
  '-': 'sub',
  '*': 'mul',
  '&': 'bit_and',
  '|': 'bit_or',
  '^': 'bit_xor',
  '<<': 'lsh',
} as const;
