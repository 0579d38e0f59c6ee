/**
 * The CPU's fields in a snapshot: all of state/fields.ts but those that mean something only while
 * generated code runs, or that follow from others.
 */
import { clearState } from '../power-on.ts';
import { STATE_FIELDS, type CpuState, type U32Field, type U64Field } from '../state/fields.ts';
import type { SavedCpu } from './machine-state.ts';
import { StateError } from './state-error.ts';

/** A new field is saved unless it is named here. */
const NOT_SAVED: ReadonlySet<string> = new Set<U32Field | U64Field>([
  'icountAtEnd',
  'host0',
  'host1',
  'host2',
  'host3',
  'faultAddress',
  'faultVector',
  'faultErrorCode',
  'faultHasErrorCode',
  'budget',
  'currentRecord',
  'lookupTag',
  'exitRequest',
  // The machine's loop sets these before each run.
  'interruptPending',
  'watchedTransfers',
  // Follows from CPL, CR4 and RFLAGS.
  'tlbContext',
  // Counts on, so that no code from before is taken for code of now.
  'mapGeneration',
]);

const SAVED_FIELDS = STATE_FIELDS.filter(({ name }) => !NOT_SAVED.has(name));

/** Beyond it instructions and ticks could come to the end of 64 bits. */
const MOST_ICOUNT = 2n ** 62n;

export function saveCpu(state: CpuState): SavedCpu {
  const numbers = state as unknown as Readonly<Record<string, bigint | number>>;
  const saved = SAVED_FIELDS.map(
    ({ name, type, offset, lengthBytes }): [string, SavedCpu[string]] => {
      if (type !== 'bytes') return [name, numbers[name]!];
      return [name, toHex(bytesOf(state, offset, lengthBytes))];
    },
  );
  return Object.fromEntries(saved);
}

/** Puts them back; the fields that are not saved become 0. Throws `StateError`. */
export function loadCpu(state: CpuState, saved: SavedCpu): void {
  if (Object.keys(saved).length !== SAVED_FIELDS.length)
    throw new StateError('cpu: foreign fields');
  clearState(state);
  const target = state as unknown as Record<string, bigint | number>;
  for (const { name, type, offset, lengthBytes } of SAVED_FIELDS) {
    const value = Object.hasOwn(saved, name) ? saved[name] : undefined;
    if (type === 'bytes')
      bytesOf(state, offset, lengthBytes).set(fromHex(value, lengthBytes, name));
    else target[name] = checkedNumber(value, type, name);
  }
  const isSound = state.cpl <= 3 && state.icount < MOST_ICOUNT;
  if (!isSound) throw new StateError('cpu: a privilege level or a count that does not exist');
}

function checkedNumber(value: SavedCpu[string] | undefined, type: string, name: string) {
  const isWide = type === 'u64' && typeof value === 'bigint' && BigInt.asUintN(64, value) === value;
  const isNarrow = type === 'u32' && typeof value === 'number' && value >>> 0 === value;
  if (isWide || isNarrow) return value;
  throw new StateError(`cpu: ${name} is not there or is no ${type}`);
}

function bytesOf({ words }: CpuState, offset: number, lengthBytes: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset + offset, lengthBytes);
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(text: unknown, lengthBytes: number, name: string): number[] {
  const isSound = typeof text === 'string' && text.length === 2 * lengthBytes;
  const digits = isSound ? (/^[0-9a-f]*$/.exec(text)?.[0] ?? '') : '';
  if (digits === '') throw new StateError(`cpu: ${name} is not ${lengthBytes} bytes`);
  return Array.from({ length: lengthBytes }, (_, index) =>
    Number.parseInt(digits.slice(2 * index, 2 * index + 2), 16),
  );
}
