/**
 * A device keeps everything that changes in one plain object, its *state*, so that what a snapshot
 * saves is complete by construction: these two functions copy such an object out and in.
 */
import type { StateValue } from './device.ts';

export type DeviceState = { readonly [field: string]: StateValue };

/** A deep copy that shares nothing with `state`. */
export function copyState<State extends DeviceState>(state: State): State {
  return copyValue(state) as State;
}

/**
 * The saved state, copied, after checking it against the power-on state of the same device: same
 * fields, same kinds of values. A field that may be null is checked for presence only.
 * Throws an Error that names device and field.
 */
export function restoreState<State extends DeviceState>(
  deviceName: string,
  powerOn: State,
  saved: DeviceState,
): State {
  checkFields(deviceName, powerOn, saved);
  return copyValue(saved) as State;
}

function copyValue(value: StateValue): StateValue {
  if (isList(value)) return value.map(copyValue);
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copyValue(item)]));
}

function checkFields(path: string, expected: DeviceState, saved: DeviceState): void {
  for (const name of Object.keys(saved)) {
    if (!(name in expected)) throw new Error(`${path}: saved field ${name} is unknown`);
  }
  for (const [name, value] of Object.entries(expected)) {
    const savedValue = saved[name];
    if (savedValue === undefined) throw new Error(`${path}: saved state lacks field ${name}`);
    checkKind(`${path}.${name}`, value, savedValue);
  }
}

function checkKind(path: string, expected: StateValue, saved: StateValue): void {
  if (expected === null || saved === null) return;
  if (typeof expected !== typeof saved || isList(expected) !== isList(saved)) {
    throw new Error(`${path}: saved as ${typeof saved}, must be ${typeof expected}`);
  }
  if (isRecord(expected) && isRecord(saved)) checkFields(path, expected, saved);
}

function isList(value: StateValue): value is readonly StateValue[] {
  return Array.isArray(value);
}

function isRecord(value: StateValue): value is DeviceState {
  return typeof value === 'object' && value !== null && !isList(value);
}
