/**
 * Floating-point comparison: CMPPS and its like with all eight predicates, COMIS and UCOMIS
 * (Intel SDM 2). Numbers that are no NaNs and no denormals compare without exceptions; the others go
 * to the host.
 */
import { defineInstruction, type InstructionDefinition } from './definition.ts';
import { FLOAT_TYPES, type FloatOrdering } from './float-operations.ts';
import type { Operand } from './operand.ts';
import type { Operations, Value, Vector } from './operations.ts';
import {
  FLOAT_LANES,
  hostResult,
  inAllLanes,
  isComparable,
  readSource,
  writeLanes,
  type FloatLanes,
} from './sse-lanes.ts';

/** Predicates 0–3; 4–7 are their complements, with the same exceptions. */
const PREDICATES = ['eq', 'lt', 'le', 'unord'] as const;

function bothComparable(o: Operations, lanes: FloatLanes, left: Vector, right: Vector): Vector {
  return o.vector('v128.and', isComparable(o, lanes, left), isComparable(o, lanes, right));
}

/** What a predicate gives for comparable numbers. */
function compareLanes(
  o: Operations,
  lanes: FloatLanes,
  predicate: (typeof PREDICATES)[number],
  left: Vector,
  right: Vector,
): Vector {
  if (predicate === 'unord') return o.vectorConstant(0n, 0n);
  return o.vector(`${lanes.float}.${predicate}`, left, right);
}

function compare(lanes: FloatLanes): InstructionDefinition {
  return defineInstruction({
    mnemonic: `cmp${lanes.type}`,
    encodings: [`${lanes.prefix} 0F C2 /r Vdq,${lanes.source},Ib`],
    sse: true,
    constantImmediate: true,
    semantics(o, destination, source, immediate) {
      const { predicate, isComplement } = predicateOf(immediate);
      const right = readSource(o, lanes, source);
      const left = o.readVector(destination);
      const write = (truths: Vector): void =>
        writeLanes(o, lanes, destination, isComplement ? o.vector('v128.not', truths) : truths);
      o.when(
        inAllLanes(o, lanes, bothComparable(o, lanes, left, right)),
        () => write(compareLanes(o, lanes, predicate, left, right)),
        () => write(hostResult(o, lanes, `cmp${predicate}${lanes.type}`, left, right)),
      );
    },
  });
}

/** Only the low three bits of the immediate are looked at without VEX. */
function predicateOf(immediate: Operand | undefined): {
  readonly predicate: (typeof PREDICATES)[number];
  readonly isComplement: boolean;
} {
  if (immediate?.kind !== 'immediate') throw new Error('a compare without its predicate');
  const number = Number(immediate.value) & 7;
  return { predicate: PREDICATES[number & 3]!, isComplement: number >= 4 };
}

/** COMISS, UCOMISD …: ZF, PF and CF from the relation of two scalars; OF, SF and AF are 0. */
function ordering(
  operation: FloatOrdering,
  opcode: string,
  prefix: 'NP' | '66',
  lanes: FloatLanes,
): InstructionDefinition {
  return defineInstruction({
    mnemonic: operation,
    encodings: [`${prefix} 0F ${opcode} /r Vdq,${lanes.source}`],
    flags: { writes: ['OF', 'SF', 'ZF', 'AF', 'PF', 'CF'] },
    sse: true,
    semantics(o, destination, source) {
      const right = readSource(o, lanes, source);
      const left = o.readVector(destination);
      o.when(
        inAllLanes(o, lanes, bothComparable(o, lanes, left, right)),
        () => {
          clearFlags(o);
          o.setFlag('ZF', lowestLane(o, lanes, o.vector(`${lanes.float}.eq`, left, right)));
          o.setFlag('CF', lowestLane(o, lanes, o.vector(`${lanes.float}.lt`, left, right)));
        },
        () => setOrderingFlags(o, hostOrdering(o, lanes, operation, left, right)),
      );
    },
  });
}

/** All six to 0: 1 is a result that is not zero, not negative and of odd parity. */
function clearFlags(o: Operations): void {
  o.setFlagsOfLogic(o.constant(1, 64));
}

function lowestLane(
  o: Operations,
  lanes: FloatLanes,
  truths: Vector,
): ReturnType<Operations['bit']> {
  return o.bit(o.signMask(truths, lanes.width), 0);
}

function hostOrdering(
  o: Operations,
  lanes: FloatLanes,
  operation: FloatOrdering,
  left: Vector,
  right: Vector,
): Value {
  const scalars = [left, right].map((value) => o.extractLane(value, 0, lanes.width));
  return o.host(operation, ...scalars)[0];
}

/** From the host's image of RFLAGS. */
function setOrderingFlags(o: Operations, image: Value): void {
  clearFlags(o);
  o.setFlag('CF', o.bit(image, 0));
  o.setFlag('PF', o.bit(image, 2));
  o.setFlag('ZF', o.bit(image, 6));
}

export const SSE_FLOAT_COMPARE: readonly InstructionDefinition[] = [
  ...FLOAT_TYPES.map((type) => compare(FLOAT_LANES[type])),
  ordering('ucomiss', '2E', 'NP', FLOAT_LANES.ss),
  ordering('ucomisd', '2E', '66', FLOAT_LANES.sd),
  ordering('comiss', '2F', 'NP', FLOAT_LANES.ss),
  ordering('comisd', '2F', '66', FLOAT_LANES.sd),
];
