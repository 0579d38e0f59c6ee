/**
 * Plain values as JSON: numbers, booleans, null, lists and fields as they are; a bigint is `"#"` and its
 * decimal digits, a text is `"="` and itself.
 */
import type { StateValue } from '../../machine/index.ts';

/** The states of machines nest four deep. */
const DEEPEST = 10;
const BIGINT = /^#-?\d{1,40}$/;

export function encodePlain(value: StateValue): string {
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === 'bigint') return `#${item}`;
    return typeof item === 'string' ? `=${item}` : item;
  });
}

/** Undefined: it is no such text. */
export function decodePlain(text: string): StateValue | undefined {
  try {
    return revive(JSON.parse(text), DEEPEST);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Throws `SyntaxError`. */
function revive(value: unknown, depth: number): StateValue {
  if (depth === 0) throw new SyntaxError('too deep');
  if (typeof value === 'string') return reviveText(value);
  if (Array.isArray(value)) return value.map((item) => revive(item, depth - 1));
  if (typeof value !== 'object' || value === null) return value as number | boolean | null;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, revive(item, depth - 1)]),
  );
}

function reviveText(text: string): string | bigint {
  if (text.startsWith('=')) return text.slice(1);
  if (BIGINT.test(text)) return BigInt(text.slice(1));
  throw new SyntaxError('neither a text nor a number');
}
