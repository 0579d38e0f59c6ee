/**
 * The forms of which vectors are made: one per encoding of every definition. A form's name is what
 * headlines its vectors, so renaming a definition or changing an encoding asks for new vectors.
 */
import { parseEncoding, type ParsedEncoding } from '../../../machine/decoder/encoding.ts';
import type { InstructionDefinition } from '../../../machine/instructions/definition.ts';

export interface Form {
  /** `mnemonic | encoding`. */
  readonly name: string;
  readonly definition: InstructionDefinition;
  readonly encoding: ParsedEncoding;
}

export function formsOf(definitions: readonly InstructionDefinition[]): Form[] {
  return definitions.flatMap((definition) =>
    definition.encodings.map((text) => ({
      name: `${definition.mnemonic} | ${text}`,
      definition,
      encoding: parseEncoding(text),
    })),
  );
}
