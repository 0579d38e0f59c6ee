/** Loads and stores of CPU state in generated code. */
import { fieldOffset, STATE_FIELDS } from '../state/fields.ts';
import type { FunctionBuilder } from '../wasm/function-builder.ts';

const WIDE_FIELDS = new Set(
  STATE_FIELDS.filter((field) => field.type === 'u64').map((field) => field.name),
);

/** Pushes a field as a 64-bit integer. */
export function loadField(builder: FunctionBuilder, name: string): void {
  builder.i32(0);
  builder.memory(WIDE_FIELDS.has(name) ? 'i64.load' : 'i64.load32_u', fieldOffset(name));
}

/** Stores a 64-bit integer into a field, cut to 32 bits where the field has no more. */
export function storeField(builder: FunctionBuilder, name: string, pushValue: () => void): void {
  builder.i32(0);
  pushValue();
  builder.memory(WIDE_FIELDS.has(name) ? 'i64.store' : 'i64.store32', fieldOffset(name));
}
