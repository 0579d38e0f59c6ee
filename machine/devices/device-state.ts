/**
 * A device keeps everything that changes in one plain object, its *state*, so that what a snapshot
 * saves is complete by construction: these two functions copy such an object out and in. A saved state
 * may come from a hostile file: what a device could not have saved itself is refused.
 */
import type { StateValue } from './device.ts';

export type DeviceState = { readonly [field: string]: StateValue };

/** What the power-on state does not show of its fields, by their names at any depth. */
export interface FieldRules {
  /** Fields that are null at power-on: a value of the kind that they may hold else. */
  readonly nullable?: DeviceState;
  /** The least and the greatest value of a number; without a rule it is any of 32 bits. */
  readonly ranges?: { readonly [field: string]: readonly [number, number] };
}

const MOST_NUMBER = 2 ** 32 - 1;
/** Ticks, clocks and what is added to them: 64 bits and some. */
const MOST_BIGINT = 1n << 80n;
/** Bytes that wait on a serial line; all other lists are as long as at power-on. */
const LONGEST_LIST = 2 ** 20;
const LONGEST_TEXT = 100;

/** A deep copy that shares nothing with `state`. */
export function copyState<State extends DeviceState>(state: State): State {
  return copyValue(state) as State;
}

/**
 * The saved state, copied, after checking it against the power-on state of the same device: same
 * fields, same kinds of values, numbers in range. Throws an Error that names device and field.
 */
export function restoreState<State extends DeviceState>(
  deviceName: string,
  powerOn: State,
  saved: DeviceState,
  rules: FieldRules = {},
): State {
  checkFields(deviceName, powerOn, saved, rules);
  return copyValue(saved) as State;
}

function copyValue(value: StateValue): StateValue {
  if (isList(value)) return value.map(copyValue);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyValue(item)]));
}

function checkFields(
  path: string,
  expected: DeviceState,
  saved: DeviceState,
  rules: FieldRules,
): void {
  for (const name of Object.keys(saved)) {
    if (!Object.hasOwn(expected, name)) throw new Error(`${path}: saved field ${name} is unknown`);
  }
  for (const [name, value] of Object.entries(expected)) {
    const savedValue = Object.hasOwn(saved, name) ? saved[name] : undefined;
    if (savedValue === undefined) throw new Error(`${path}: saved state lacks field ${name}`);
    const nullable = rules.nullable?.[name];
    if (savedValue === null && (value === null || nullable !== undefined)) continue;
    checkValue(`${path}.${name}`, nullable ?? value, savedValue, rules, name);
  }
}

function checkValue(
  path: string,
  expected: StateValue,
  saved: StateValue,
  rules: FieldRules,
  name: string,
): void {
  if (kindOf(expected) !== kindOf(saved)) {
    throw new Error(`${path}: saved as ${kindOf(saved)}, must be ${kindOf(expected)}`);
  }
  if (isList(expected) && isList(saved)) {
    const most = expected.length === 0 ? LONGEST_LIST : expected.length;
    const isLength = expected.length === 0 ? saved.length <= most : saved.length === most;
    if (!isLength) throw new Error(`${path}: a list of ${saved.length}, must be ${most}`);
    const element = expected[0] ?? 0;
    for (const item of saved) checkValue(path, element, item, rules, name);
  } else if (isRecord(expected) && isRecord(saved)) checkFields(path, expected, saved, rules);
  else if (!isInRange(saved, rules.ranges?.[name])) throw new Error(`${path}: out of range`);
}

function isInRange(
  value: StateValue,
  [least, most]: readonly [number, number] = [0, MOST_NUMBER],
): boolean {
  switch (typeof value) {
    case 'number':
      return Number.isInteger(value) && value >= least && value <= most;
    case 'bigint':
      return value >= -MOST_BIGINT && value <= MOST_BIGINT;
    case 'string':
      return value.length <= LONGEST_TEXT;
    default:
      return true;
  }
}

function kindOf(value: StateValue): string {
  if (value === null) return 'null';
  return isList(value) ? 'list' : typeof value;
}

function isList(value: StateValue): value is readonly StateValue[] {
  return Array.isArray(value);
}

function isRecord(value: StateValue): value is DeviceState {
  return typeof value === 'object' && value !== null && !isList(value);
}
