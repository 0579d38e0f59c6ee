/**
 * Agent expressions as bytes: decoded and validated once, when they come. What passes here needs no
 * check while it runs but a limit on its steps: all jumps go to the start of an instruction, no
 * value is taken from an empty stack, and wherever two ways meet the stack is equally deep. (GDB
 * manual, "Bytecode Descriptions".)
 */
import { AgentError } from './agent-error.ts';
import { OPCODE, OPERATIONS, type AgentOperation } from './operations.ts';
import { compileFormat, type Printer } from './printf.ts';

/** gdb's own limit on what it sends is 100 values (gdb/ax-general.c asks for no more either). */
export const DEEPEST_STACK = 100;
const LONGEST_EXPRESSION = 8192;

export type DecodedOperation =
  | {
      readonly kind: 'operation';
      readonly operation: AgentOperation;
      readonly operand: number;
      readonly wideOperand: bigint;
    }
  /** Indexes into the decoded list. */
  | { readonly kind: 'goto'; readonly target: number }
  | { readonly kind: 'if-goto'; readonly target: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'printf'; readonly argumentCount: number; readonly printer: Printer };

export interface DecodedExpression {
  readonly operations: readonly DecodedOperation[];
  /** Values on the stack before each operation; undefined where control never comes. */
  readonly depths: readonly (number | undefined)[];
}

/** Throws `AgentError` for bytes that are no valid expression. */
export function decodeExpression(bytes: Uint8Array): DecodedExpression {
  if (bytes.length > LONGEST_EXPRESSION) throw new AgentError('an expression beyond 8192 bytes');
  const operations = new Decoder(bytes).decode();
  return { operations, depths: findDepths(operations) };
}

class Decoder {
  private readonly bytes: Uint8Array;
  private at = 0;
  /** Offset in bytes → index of the operation that begins there. */
  private readonly starts = new Map<number, number>();

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  decode(): DecodedOperation[] {
    const decoded: DecodedOperation[] = [];
    while (this.at < this.bytes.length) {
      this.starts.set(this.at, decoded.length);
      decoded.push(this.next());
    }
    return decoded.map((each) =>
      each.kind === 'goto' || each.kind === 'if-goto'
        ? { ...each, target: this.indexAt(each.target) }
        : each,
    );
  }

  private indexAt(offset: number): number {
    const index = this.starts.get(offset);
    if (index === undefined) throw new AgentError(`a jump to ${offset}, where nothing begins`);
    return index;
  }

  private next(): DecodedOperation {
    const start = this.at;
    const opcode = Number(this.number(1));
    switch (opcode) {
      case OPCODE.goto:
        return { kind: 'goto', target: Number(this.number(2)) };
      case OPCODE.if_goto:
        return { kind: 'if-goto', target: Number(this.number(2)) };
      case OPCODE.end:
        return { kind: 'end' };
      case OPCODE.printf:
        return this.printf();
      default:
        return this.plain(opcode, start);
    }
  }

  private plain(opcode: number, start: number): DecodedOperation {
    const operation = OPERATIONS.get(opcode);
    if (operation === undefined) {
      throw new AgentError(`no operation 0x${opcode.toString(16)} (at ${start})`);
    }
    const wideOperand = this.number(operation.operandBytes);
    const operand = Number(wideOperand);
    const isWidth = operation.name === 'ext' || operation.name === 'zero_ext';
    if (isWidth && (operand < 1 || operand > 64)) throw new AgentError(`${operand} bits`);
    return { kind: 'operation', operation, operand, wideOperand };
  }

  /** Number of arguments, length of the format with its NUL, the format. */
  private printf(): DecodedOperation {
    const argumentCount = Number(this.number(1));
    const lengthBytes = Number(this.number(2));
    const end = this.at + lengthBytes;
    if (lengthBytes < 1 || this.bytes[end - 1] !== 0) {
      throw new AgentError('a format string without its NUL');
    }
    const format = Buffer.from(this.bytes.subarray(this.at, end - 1)).toString('utf8');
    this.at = end;
    return { kind: 'printf', argumentCount, printer: compileFormat(format, argumentCount) };
  }

  private number(lengthBytes: number): bigint {
    if (this.at + lengthBytes > this.bytes.length) throw new AgentError('an operation is cut off');
    let value = 0n;
    for (let count = 0; count < lengthBytes; count++) {
      value = (value << 8n) | BigInt(this.bytes[this.at++]!);
    }
    return value;
  }
}

/** Function and channel of printf lie above its arguments. */
const PRINTF_EXTRA = 2;

/** Follows all ways through the expression, each operation once. */
function findDepths(operations: readonly DecodedOperation[]): (number | undefined)[] {
  const depths = new Array<number | undefined>(operations.length).fill(undefined);
  const open: { readonly index: number; readonly depth: number }[] = [{ index: 0, depth: 0 }];
  for (let way = open.pop(); way !== undefined; way = open.pop()) {
    const { index, depth } = way;
    const decoded = operations[index];
    if (decoded === undefined) throw new AgentError('the expression does not end');
    const known = depths[index];
    if (known !== undefined && known !== depth) {
      throw new AgentError('the stack is not equally deep where two ways meet');
    }
    if (known !== undefined) continue;
    depths[index] = depth;
    const after = depthAfter(decoded, depth);
    for (const next of successors(decoded, index)) open.push({ index: next, depth: after });
  }
  return depths;
}

function depthAfter(decoded: DecodedOperation, depth: number): number {
  const [pops, pushes] = stackEffect(decoded);
  if (depth < pops) throw new AgentError('the stack is empty');
  const after = depth - pops + pushes;
  if (after > DEEPEST_STACK) throw new AgentError(`more than ${DEEPEST_STACK} values on the stack`);
  return after;
}

function stackEffect(decoded: DecodedOperation): readonly [pops: number, pushes: number] {
  switch (decoded.kind) {
    case 'if-goto':
      return [1, 0];
    case 'goto':
    case 'end':
      return [0, 0];
    case 'printf':
      return [decoded.argumentCount + PRINTF_EXTRA, 0];
    case 'operation': {
      const { operation, operand } = decoded;
      // The value that pick copies must be there.
      return operation.name === 'pick' ? [operand + 1, operand + 2] : [operation.pops, operation.pushes]; // prettier-ignore
    }
  }
}

function successors(decoded: DecodedOperation, index: number): readonly number[] {
  switch (decoded.kind) {
    case 'goto':
      return [decoded.target];
    case 'if-goto':
      return [decoded.target, index + 1];
    case 'end':
      return [];
    case 'operation':
    case 'printf':
      return [index + 1];
  }
}
