/** Makes code from a parsed encoding: the reverse of the decoder, for tests. */
import { MAP_BYTES } from '../../../machine/decoder/encoding.ts';
import type { OperandToken, ParsedEncoding } from '../../../machine/decoder/encoding.ts';

export interface FormChoice {
  readonly is64Bit: boolean;
  /** Whether an r/m operand that may be both is memory: [rbx]. */
  readonly memory: boolean;
  /** 66H, where it is not part of the opcode. */
  readonly operandSize?: boolean;
  readonly rexW?: boolean;
}

const PREFIX_BYTES = { NP: [], '66': [0x66], F3: [0xf3], F2: [0xf2] } as const;

function operandWidth(parsed: ParsedEncoding, choice: FormChoice): 16 | 32 | 64 {
  const isW = choice.is64Bit && (parsed.rexW === 1 || choice.rexW === true);
  if (isW) return 64;
  if (choice.is64Bit && parsed.operandSize64 === 'f64') return 64;
  if (choice.operandSize === true) return 16;
  return choice.is64Bit && parsed.operandSize64 === 'd64' ? 64 : 32;
}

function immediateBytes(size: string, width: 16 | 32 | 64): number {
  if (size === 'b' || size === 'bs') return 1;
  if (size === 'w') return 2;
  return size === 'v' ? width / 8 : Math.min(width, 32) / 8;
}

/** How many bytes an operand takes behind ModRM. */
function inlineBytes(token: OperandToken, width: 16 | 32 | 64, choice: FormChoice): number {
  if (token.kind === 'fixed') return 0;
  const offset = width === 16 ? 2 : 4;
  if (token.letter === 'I') return immediateBytes(token.size, width);
  if (token.letter === 'J') return token.size === 'b' ? 1 : offset;
  if (token.letter === 'A') return 2 + offset;
  return token.letter === 'O' ? (choice.is64Bit ? 8 : 4) : 0;
}

function modrmByte({ modrm, mod }: ParsedEncoding, memory: boolean): number[] {
  const isRegister = mod === 'register' || mod === 'ignored' || (mod === 'any' && !memory);
  const form = (reg: number): number[] => [(isRegister ? 0xc0 : 0) | (reg << 3) | 3];
  switch (modrm.kind) {
    case 'none':
      return [];
    case 'fixed':
      return [modrm.byte];
    case 'digit':
      return form(modrm.digit);
    case 'register':
      // reg 0: rax, xmm0, es, cr0.
      return form(0);
  }
}

/** The ModRM byte of [rbx] or rbx, or the opcode of +r with rbx, with small positive immediates. */
export function encodeForm(parsed: ParsedEncoding, choice: FormChoice): Uint8Array {
  const width = operandWidth(parsed, choice);
  const rexW = choice.is64Bit && (parsed.rexW === 1 || choice.rexW === true);
  const inline = parsed.operands.flatMap((token) => {
    const length = inlineBytes(token, width, choice);
    return Array.from({ length }, (_, index) => (index === 0 ? 0x11 : 0));
  });
  return Uint8Array.from([
    ...(choice.operandSize === true ? [0x66] : []),
    ...PREFIX_BYTES[parsed.prefix ?? 'NP'],
    ...(rexW ? [0x48] : []),
    ...MAP_BYTES[parsed.map],
    parsed.opcode + (parsed.hasRegisterInOpcode ? 3 : 0),
    ...modrmByte(parsed, choice.memory),
    ...inline,
  ]);
}
