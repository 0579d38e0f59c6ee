import { describe, expect, test } from 'vitest';
import { recordSemantics } from '../../../machine/codegen/recorder.ts';
import { createDecoder, decode } from '../../../machine/decoder/decoder.ts';
import { parseEncoding } from '../../../machine/decoder/encoding.ts';
import type { ExecutionMode } from '../../../machine/instructions/execution-mode.ts';
import { INSTRUCTIONS } from '../../../machine/instructions/index.ts';
import { encodeForm } from './encode-form.ts';
import { MODE_32, MODE_64 } from './modes.ts';

function modesOf(modes: 'only64' | 'not64' | undefined): ExecutionMode[] {
  if (modes === 'only64') return [MODE_64];
  return modes === 'not64' ? [MODE_32] : [MODE_64, MODE_32];
}

/** Every encoding in every mode where it exists, as register and as memory form. */
const FORMS = INSTRUCTIONS.flatMap((definition) =>
  definition.encodings.flatMap((text) =>
    modesOf(definition.modes)
      .filter((mode) => mode.codeWidth === 64 || parseEncoding(text).rexW !== 1)
      .flatMap((mode) => [false, true].map((memory) => ({ definition, text, mode, memory }))),
  ),
);

/** Forms of the whole reg field, some of whose codes belong to another instruction. */
const WINS_BY_STATING_MORE = new Set(['0F 18 /r Ev', '0F 0D /r Mb']);

describe('the list of instructions', () => {
  test('every encoding decodes to its definition, in all of its bytes', () => {
    for (const { definition, text, mode, memory } of FORMS) {
      const choice = { is64Bit: mode.codeWidth === 64, memory };
      const code = encodeForm(parseEncoding(text), choice);
      const decoded = decode(code, 0x1000n, mode);
      if (decoded.kind !== 'instruction') throw new Error(`'${text}' is ${decoded.kind}`);
      // The least specific form may give way to one that states more, at the same bytes.
      const actual = `${decoded.definition.mnemonic} ${decoded.definition.encodings[decoded.encoding]}`;
      const wins = WINS_BY_STATING_MORE.has(text) ? actual : `${definition.mnemonic} ${text}`;
      expect(actual).toBe(wins);
      expect(decoded.lengthBytes, text).toBe(code.length);
    }
  });

  test('every form of every operand size can be recorded, faults before changes', () => {
    const failures: string[] = [];
    for (const { text, mode, memory } of FORMS) {
      for (const size of [{}, { operandSize: true }, { rexW: true }]) {
        const choice = { is64Bit: mode.codeWidth === 64, memory, ...size };
        const code = encodeForm(parseEncoding(text), choice);
        const decoded = decode(code, 0x1000n, mode);
        if (decoded.kind !== 'instruction') continue;
        try {
          recordSemantics(decoded);
        } catch (error) {
          failures.push(`${decoded.definition.mnemonic} '${text}': ${String(error)}`);
        }
      }
    }
    expect([...new Set(failures)]).toEqual([]);
  });

  test('two definitions of the same code are refused, naming both', () => {
    const semantics = (): void => undefined;
    const first = { mnemonic: 'one', encodings: ['0F 05'], semantics };
    const second = { mnemonic: 'two', encodings: ['0F 05'], semantics };
    expect(() => createDecoder([first, second])).toThrow(/0F 05.*one.*two/);
  });

  test('an opcode cannot have a ModRM byte for one definition only', () => {
    const semantics = (): void => undefined;
    const first = { mnemonic: 'one', encodings: ['0F 05'], semantics };
    const second = { mnemonic: 'two', encodings: ['0F 05 /1 Eb'], semantics };
    expect(() => createDecoder([first, second])).toThrow(/only one has a ModRM/);
  });
});
