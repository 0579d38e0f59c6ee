/** Holds what our machine did against a vector. */
import type { Outcome } from './emulated-cpu.ts';
import type { Form } from './forms.ts';
import { initialState } from './initial-state.ts';
import { undefinedFlags } from './undefined-flags.ts';
import type { MemoryBytes, Vector } from './vector-file.ts';

function memoryText(memory: readonly MemoryBytes[]): string {
  return memory
    .map(({ address, bytes }) => `${address.toString(16)}=${Buffer.from(bytes).toString('hex')}`)
    .join(' ');
}

/** One line per field or piece of memory that is not as the vector says; none if all is well. */
export function differences(form: Form, vector: Vector, outcome: Outcome): string[] {
  const { setup, after } = vector;
  const expected = initialState(setup.mode, setup.seed, setup.before.fields);
  for (const [name, value] of after.fields) expected.set(name, value);
  const isFault = after.fields.has('exception');
  const ignored = isFault ? 0n : undefinedFlags(form, setup);
  const lines: string[] = [];
  for (const [name, value] of outcome.state) {
    const mask = name === 'rflags' ? ~ignored : ~0n;
    const wanted = (expected.get(name) ?? 0n) & mask;
    if (wanted !== (value & mask))
      lines.push(`${name} is ${(value & mask).toString(16)}, not ${wanted.toString(16)}`);
  }
  const got = memoryText(outcome.memory);
  const wanted = memoryText(after.memory);
  if (got !== wanted) lines.push(`memory is ${got || 'unchanged'}, not ${wanted || 'unchanged'}`);
  return lines;
}
