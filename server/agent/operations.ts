/**
 * The operations of agent expressions (GDB manual, "The GDB Agent Expression Mechanism", "Bytecode
 * Descriptions"), each once: opcode, operands, effect on the stack, meaning.
 *
 * An operation is compiled once per insertion to a closure over fixed places of the stack, because
 * validation has found its depth. The stack is a BigUint64Array: a store wraps to 64 bits, and V8
 * keeps such arithmetic in machine words instead of making bigints on the heap. Left out, because
 * gdb does not emit them: floating point (their evaluation fails, which counts as true).
 */
import { AgentError } from './agent-error.ts';
import type { AgentEnvironment, AgentTrace, IntegerBytes } from './environment.ts';

/** Where an operation stands: what its closure is made from. */
export interface OperationPlace {
  readonly stack: BigUint64Array;
  /** Values on the stack before the operation; the top is `stack[depth - 1]`. */
  readonly depth: number;
  /** The operand bytes, most significant first. */
  readonly operand: number;
  /** Of const64, whose operand does not fit a number. */
  readonly wideOperand: bigint;
  readonly environment: AgentEnvironment;
}

export interface AgentOperation {
  readonly name: string;
  readonly opcode: number;
  readonly operandBytes: 0 | 1 | 2 | 4 | 8;
  /** Values that must be on the stack, and how many there are instead of them afterwards. */
  readonly pops: number;
  readonly pushes: number;
  compile(place: OperationPlace): () => void;
}

const EVALUATION = {
  division: new AgentError('division by zero'),
  memory: new AgentError('memory cannot be read'),
  float: new AgentError('floating point is not supported'),
} as const;

type Compile = AgentOperation['compile'];
type Shape = readonly [operandBytes: 0 | 1 | 2 | 4 | 8, pops: number, pushes: number];

function operation(opcode: number, name: string, shape: Shape, compile: Compile): AgentOperation {
  const [operandBytes, pops, pushes] = shape;
  return { opcode, name, operandBytes, pops, pushes, compile };
}

/** Two values to one, where speed does not matter: `evaluate` makes bigints. */
function binary(
  opcode: number,
  name: string,
  evaluate: (left: bigint, right: bigint) => bigint,
): AgentOperation {
  return operation(opcode, name, [0, 2, 1], ({ stack, depth }) => {
    const left = depth - 2;
    return () => void (stack[left] = evaluate(stack[left]!, stack[left + 1]!));
  });
}

const signed = (value: bigint): bigint => BigInt.asIntN(64, value);

/** The shift count of a value whose upper bits count as well. */
function shiftCount(count: bigint): bigint {
  return count > 63n ? 64n : count;
}

function nonZero(divisor: bigint): bigint {
  if (divisor === 0n) throw EVALUATION.division;
  return divisor;
}

const ARITHMETIC: readonly AgentOperation[] = [
  operation(0x02, 'add', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! + stack[at + 1]!);
  }),
  operation(0x03, 'sub', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! - stack[at + 1]!);
  }),
  operation(0x04, 'mul', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! * stack[at + 1]!);
  }),
  binary(0x05, 'div_signed', (left, right) => signed(left) / nonZero(signed(right))),
  binary(0x06, 'div_unsigned', (left, right) => left / nonZero(right)),
  binary(0x07, 'rem_signed', (left, right) => signed(left) % nonZero(signed(right))),
  binary(0x08, 'rem_unsigned', (left, right) => left % nonZero(right)),
  binary(0x09, 'lsh', (left, count) => left << shiftCount(count)),
  binary(0x0a, 'rsh_signed', (left, count) => signed(left) >> shiftCount(count)),
  binary(0x0b, 'rsh_unsigned', (left, count) => left >> shiftCount(count)),
  operation(0x0f, 'bit_and', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! & stack[at + 1]!);
  }),
  operation(0x10, 'bit_or', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! | stack[at + 1]!);
  }),
  operation(0x11, 'bit_xor', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! ^ stack[at + 1]!);
  }),
  operation(0x12, 'bit_not', [0, 1, 1], ({ stack, depth }) => {
    const at = depth - 1;
    return () => void (stack[at] = ~stack[at]!);
  }),
  operation(0x16, 'ext', [1, 1, 1], ({ stack, depth, operand: bits }) => {
    const at = depth - 1;
    if (bits === 64) return () => undefined;
    return () => void (stack[at] = BigInt.asIntN(bits, stack[at]!));
  }),
  operation(0x2a, 'zero_ext', [1, 1, 1], ({ stack, depth, operand: bits }) => {
    const at = depth - 1;
    if (bits === 64) return () => undefined;
    return () => void (stack[at] = BigInt.asUintN(bits, stack[at]!));
  }),
];

const COMPARISON: readonly AgentOperation[] = [
  operation(0x0e, 'log_not', [0, 1, 1], ({ stack, depth }) => {
    const at = depth - 1;
    return () => void (stack[at] = stack[at] === 0n ? 1n : 0n);
  }),
  operation(0x13, 'equal', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at] === stack[at + 1] ? 1n : 0n);
  }),
  binary(0x14, 'less_signed', (left, right) => (signed(left) < signed(right) ? 1n : 0n)),
  operation(0x15, 'less_unsigned', [0, 2, 1], ({ stack, depth }) => {
    const at = depth - 2;
    return () => void (stack[at] = stack[at]! < stack[at + 1]! ? 1n : 0n);
  }),
];

function reference(opcode: number, lengthBytes: IntegerBytes): AgentOperation {
  const name = `ref${lengthBytes * 8}`;
  return operation(opcode, name, [0, 1, 1], ({ stack, depth, environment }) => {
    const at = depth - 1;
    return () => {
      const value = environment.integer(stack[at]!, lengthBytes);
      if (value === undefined) throw EVALUATION.memory;
      stack[at] = value;
    };
  });
}

function constant(opcode: number, operandBytes: 1 | 2 | 4 | 8): AgentOperation {
  const name = `const${operandBytes * 8}`;
  return operation(opcode, name, [operandBytes, 0, 1], ({ stack, depth, wideOperand }) => {
    return () => void (stack[depth] = wideOperand);
  });
}

const VALUES: readonly AgentOperation[] = [
  reference(0x17, 1),
  reference(0x18, 2),
  reference(0x19, 4),
  reference(0x1a, 8),
  constant(0x22, 1),
  constant(0x23, 2),
  constant(0x24, 4),
  constant(0x25, 8),
  operation(0x26, 'reg', [2, 0, 1], ({ stack, depth, operand, environment }) => {
    const read = environment.register(operand);
    const failure = new AgentError(`register ${operand} has no number's value`);
    if (read === undefined) return () => fail(failure);
    return () => void (stack[depth] = read());
  }),
  operation(0x2c, 'getv', [2, 0, 1], ({ stack, depth, operand, environment: { variables } }) => {
    return () => void (stack[depth] = variables.get(operand) ?? 0n);
  }),
  operation(0x2d, 'setv', [2, 1, 1], ({ stack, depth, operand, environment: { variables } }) => {
    return () => void variables.set(operand, stack[depth - 1]!);
  }),
];

const STACK: readonly AgentOperation[] = [
  operation(0x28, 'dup', [0, 1, 2], ({ stack, depth }) => {
    return () => void (stack[depth] = stack[depth - 1]!);
  }),
  operation(0x29, 'pop', [0, 1, 0], () => () => undefined),
  operation(0x2b, 'swap', [0, 2, 2], ({ stack, depth }) => () => {
    const top = stack[depth - 1]!;
    stack[depth - 1] = stack[depth - 2]!;
    stack[depth - 2] = top;
  }),
  operation(0x32, 'pick', [1, 0, 1], ({ stack, depth, operand }) => {
    return () => void (stack[depth] = stack[depth - 1 - operand]!);
  }),
  /** a b c → c a b */
  operation(0x33, 'rot', [0, 3, 3], ({ stack, depth }) => () => {
    const top = stack[depth - 1]!;
    stack[depth - 1] = stack[depth - 2]!;
    stack[depth - 2] = stack[depth - 3]!;
    stack[depth - 3] = top;
  }),
];

function floating(opcode: number, name: string): AgentOperation {
  return operation(opcode, name, [0, 1, 1], () => () => fail(EVALUATION.float));
}

const FLOATING: readonly AgentOperation[] = [
  operation(0x01, 'float', [0, 0, 0], () => () => fail(EVALUATION.float)),
  floating(0x1b, 'ref_float'),
  floating(0x1c, 'ref_double'),
  floating(0x1d, 'ref_long_double'),
  floating(0x1e, 'l_to_d'),
  floating(0x1f, 'd_to_l'),
];

/** Collects for a tracepoint; in a breakpoint's condition there is nothing to collect into. */
function tracing(
  opcode: number,
  name: string,
  shape: Shape,
  collect: (trace: AgentTrace, place: OperationPlace) => void,
): AgentOperation {
  return operation(opcode, name, shape, (place) => {
    const { trace } = place.environment;
    return trace === undefined ? () => undefined : () => collect(trace, place);
  });
}

const TRACING: readonly AgentOperation[] = [
  tracing(0x0c, 'trace', [0, 2, 0], (trace, { stack, depth }) =>
    trace.memory(stack[depth - 2]!, Number(stack[depth - 1]!)),
  ),
  tracing(0x0d, 'trace_quick', [1, 1, 1], (trace, { stack, depth, operand }) =>
    trace.memory(stack[depth - 1]!, operand),
  ),
  tracing(0x2e, 'tracev', [2, 0, 0], (trace, { operand }) => trace.variable(operand)),
  tracing(0x2f, 'tracenz', [0, 2, 0], (trace, { stack, depth }) =>
    trace.text(stack[depth - 2]!, Number(stack[depth - 1]!)),
  ),
  tracing(0x30, 'trace16', [2, 1, 1], (trace, { stack, depth, operand }) =>
    trace.memory(stack[depth - 1]!, operand),
  ),
];

function fail(error: AgentError): never {
  throw error;
}

/** Operations that run straight on; jumps, `end` and `printf` have forms of their own. */
export const OPERATIONS: ReadonlyMap<number, AgentOperation> = new Map(
  [...ARITHMETIC, ...COMPARISON, ...VALUES, ...STACK, ...FLOATING, ...TRACING].map((each) => [
    each.opcode,
    each,
  ]),
);

/** Opcodes by name, also for the assembler. */
export const OPCODE = { if_goto: 0x20, goto: 0x21, end: 0x27, printf: 0x34 } as const;
