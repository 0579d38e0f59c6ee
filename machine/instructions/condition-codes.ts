/** The sixteen conditions of Jcc, SETcc and CMOVcc (Intel SDM 1 appendix B). */
import type { Condition, Flag, Operations } from './operations.ts';

interface ConditionCode {
  /** As GNU spells the suffix: `e`, `ae`. */
  readonly suffix: string;
  readonly reads: readonly Flag[];
  readonly test: (o: Operations) => Condition;
}

interface Pair {
  readonly suffixes: readonly [string, string];
  readonly reads: readonly Flag[];
  readonly test: (o: Operations) => Condition;
}

const less = (o: Operations): Condition => o.differs(o.flag('SF'), o.flag('OF'));

/** Each with its negation, in the order of the opcodes. */
const PAIRS: readonly Pair[] = [
  { suffixes: ['o', 'no'], reads: ['OF'], test: (o) => o.flag('OF') },
  { suffixes: ['b', 'ae'], reads: ['CF'], test: (o) => o.flag('CF') },
  { suffixes: ['e', 'ne'], reads: ['ZF'], test: (o) => o.flag('ZF') },
  {
    suffixes: ['be', 'a'],
    reads: ['CF', 'ZF'],
    test: (o) => o.either(o.flag('CF'), o.flag('ZF')),
  },
  { suffixes: ['s', 'ns'], reads: ['SF'], test: (o) => o.flag('SF') },
  { suffixes: ['p', 'np'], reads: ['PF'], test: (o) => o.flag('PF') },
  { suffixes: ['l', 'ge'], reads: ['SF', 'OF'], test: less },
  {
    suffixes: ['le', 'g'],
    reads: ['ZF', 'SF', 'OF'],
    test: (o) => o.either(o.flag('ZF'), less(o)),
  },
];

/** Indexed by the low four bits of the opcode. */
export const CONDITION_CODES: readonly ConditionCode[] = PAIRS.flatMap(
  ({ suffixes, reads, test }): ConditionCode[] => [
    { suffix: suffixes[0], reads, test },
    { suffix: suffixes[1], reads, test: (o) => o.negated(test(o)) },
  ],
);
