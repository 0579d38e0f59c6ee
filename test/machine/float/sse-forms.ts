/**
 * Every form of every SSE definition as machine code with fixed registers: reg is xmm1 or rcx, r/m is
 * xmm2 or rdx, memory is at rdi; immediates are a choice that covers what they select.
 */
import { parseEncoding, type ParsedEncoding } from '../../../machine/decoder/encoding.ts';
import type { InstructionDefinition } from '../../../machine/instructions/definition.ts';
import { SSE_CONVERSIONS } from '../../../machine/instructions/sse-conversions.ts';
import { SSE_FLOAT_ARITHMETIC } from '../../../machine/instructions/sse-float-arithmetic.ts';
import { SSE_FLOAT_COMPARE } from '../../../machine/instructions/sse-float-compare.ts';
import { SSE_INTEGER } from '../../../machine/instructions/sse-integer.ts';
import { SSE_MOVES } from '../../../machine/instructions/sse-moves.ts';
import { SSE_SHUFFLES } from '../../../machine/instructions/sse-shuffles.ts';

export const SSE_DEFINITIONS: readonly InstructionDefinition[] = [
  ...SSE_MOVES,
  ...SSE_INTEGER,
  ...SSE_SHUFFLES,
  ...SSE_FLOAT_ARITHMETIC,
  ...SSE_FLOAT_COMPARE,
  ...SSE_CONVERSIONS,
];

export interface SseForm {
  readonly definition: InstructionDefinition;
  readonly code: readonly number[];
  readonly isMemory: boolean;
}

const SHIFT_COUNTS = [0, 1, 7, 8, 15, 16, 17, 31, 32, 63, 64, 255];
const SELECTORS = [0x00, 0x1b, 0x4e, 0x93, 0xb1, 0xe4, 0xff, 0x2d];
const PREDICATES = [0, 1, 2, 3, 4, 5, 6, 7, 0xf9];

function immediates({ mnemonic }: InstructionDefinition, encoding: ParsedEncoding): number[][] {
  const hasImmediate = encoding.operands.some(({ kind, ...rest }) => {
    return kind === 'coded' && 'letter' in rest && rest.letter === 'I';
  });
  if (!hasImmediate) return [[]];
  const values = mnemonic.startsWith('cmp') ? PREDICATES : SELECTORS;
  return (/^ps[rl]/.test(mnemonic) ? SHIFT_COUNTS : values).map((value) => [value]);
}

function operandText(encoding: ParsedEncoding): string {
  return encoding.operands
    .map((operand) => (operand.kind === 'coded' ? operand.letter + operand.size : operand.name))
    .join();
}

function modRmBytes(encoding: ParsedEncoding): { modrm: number; isMemory: boolean }[] {
  const { modrm, mod } = encoding;
  const reg = modrm.kind === 'digit' ? modrm.digit : 1;
  const register = { modrm: 0xc0 | (reg << 3) | 2, isMemory: false };
  const memory = { modrm: (reg << 3) | 7, isMemory: true };
  if (mod === 'memory') return [memory];
  return mod === 'register' ? [register] : [register, memory];
}

function encodingForms(definition: InstructionDefinition, text: string): SseForm[] {
  const encoding = parseEncoding(text);
  const hasVariableWidth = /[EGM]y/.test(operandText(encoding));
  const widths = hasVariableWidth ? [0, 1] : [encoding.rexW ?? 0];
  const { prefix } = encoding;
  const prefixes = prefix === undefined || prefix === 'NP' ? [] : [Number.parseInt(prefix, 16)];
  return widths.flatMap((wide) =>
    modRmBytes(encoding).flatMap(({ modrm, isMemory }) =>
      immediates(definition, encoding).map((immediate) => {
        const rex = wide === 1 ? [0x48] : [];
        const code = [...prefixes, ...rex, 0x0f, encoding.opcode, modrm, ...immediate];
        return { definition, code, isMemory };
      }),
    ),
  );
}

export const SSE_FORMS: readonly SseForm[] = SSE_DEFINITIONS.flatMap((definition) =>
  definition.encodings.flatMap((encoding) => encodingForms(definition, encoding)),
);
