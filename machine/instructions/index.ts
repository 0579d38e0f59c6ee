/** The one list of instructions. The decoder, the tests and the README's table are made from it. */
import { ARITHMETIC } from './arithmetic.ts';
import { ATOMICS } from './atomics.ts';
import { BITS } from './bits.ts';
import { BRANCHES } from './branches.ts';
import { DECIMAL } from './decimal.ts';
import type { InstructionDefinition } from './definition.ts';
import { EXTENDED_STATE } from './extended-state.ts';
import { HINTS } from './hints.ts';
import { MOVES } from './moves.ts';
import { MULTIPLICATION } from './multiplication.ts';
import { FLAGS } from './rflags.ts';
import { SEGMENTS } from './segments.ts';
import { SHIFTS_AND_ROTATIONS } from './shifts.ts';
import { SSE_CONVERSIONS } from './sse-conversions.ts';
import { SSE_FLOAT_ARITHMETIC } from './sse-float-arithmetic.ts';
import { SSE_FLOAT_COMPARE } from './sse-float-compare.ts';
import { SSE_INTEGER } from './sse-integer.ts';
import { SSE_MOVES } from './sse-moves.ts';
import { SSE_SHUFFLES } from './sse-shuffles.ts';
import { STACK } from './stack.ts';
import { STRINGS } from './strings.ts';
import { SYSTEM } from './system.ts';

export const INSTRUCTIONS: readonly InstructionDefinition[] = [
  ...MOVES,
  ...ARITHMETIC,
  ...MULTIPLICATION,
  ...SHIFTS_AND_ROTATIONS,
  ...BITS,
  ...ATOMICS,
  ...STACK,
  ...BRANCHES,
  ...STRINGS,
  ...FLAGS,
  ...DECIMAL,
  ...SEGMENTS,
  ...SYSTEM,
  ...HINTS,
  ...EXTENDED_STATE,
  ...SSE_MOVES,
  ...SSE_INTEGER,
  ...SSE_SHUFFLES,
  ...SSE_FLOAT_ARITHMETIC,
  ...SSE_FLOAT_COMPARE,
  ...SSE_CONVERSIONS,
];
