/** Registers by the names that debuggers use, over the CPU state: one table, both directions. */
import { readRflags, writeRflags } from './cpu/rflags.ts';
import type { GuestMemory } from './memory/guest-memory.ts';
import {
  GENERAL_REGISTER_NAMES,
  STATE_FIELDS,
  type CpuState,
  type U32Field,
  type U64Field,
} from './state/fields.ts';

interface RegisterAccess {
  read(state: CpuState): bigint;
  /** False when the value is refused. Absent for what a debugger must not write. */
  write?(state: CpuState, value: bigint): boolean;
  /** Where it is kept as it is read; absent for what is put together. */
  readonly field?: U64Field | U32Field;
}

const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'] as const;

const table = new Map<string, RegisterAccess>();

function wide(name: string, field: U64Field, isWritable = true): void {
  const write = (state: CpuState, value: bigint): boolean => {
    state[field] = BigInt.asUintN(64, value);
    return true;
  };
  table.set(name, { field, read: (state) => state[field], ...(isWritable ? { write } : {}) });
}

function narrow(name: string, field: U32Field, isWritable = false): void {
  const write = (state: CpuState, value: bigint): boolean => {
    state[field] = Number(BigInt.asUintN(32, value));
    return true;
  };
  table.set(name, {
    field,
    read: (state) => BigInt(state[field]),
    ...(isWritable ? { write } : {}),
  });
}

for (const name of GENERAL_REGISTER_NAMES) wide(name, name);
wide('rip', 'rip');
wide('fs_base', 'fsBase');
wide('gs_base', 'gsBase');
wide('k_gs_base', 'kernelGsBase');
wide('cr2', 'cr2');
wide('cr8', 'cr8');
// Control registers that change paging or mode are the guest's business: a debugger reads them.
for (const name of ['cr0', 'cr3', 'cr4', 'efer'] as const) wide(name, name, false);
for (const name of ['dr0', 'dr1', 'dr2', 'dr3', 'dr6', 'dr7'] as const) wide(name, name, false);
wide('gdtr_base', 'gdtrBase', false);
wide('idtr_base', 'idtrBase', false);
wide('ldtr_base', 'ldtrBase', false);
wide('tr_base', 'trBase', false);
narrow('gdtr_limit', 'gdtrLimit');
narrow('idtr_limit', 'idtrLimit');
narrow('mxcsr', 'mxcsr', true);
narrow('cpl', 'cpl');
for (const name of ['ldtr', 'tr'] as const) {
  narrow(name, `${name}Selector`);
  narrow(`${name}_limit`, `${name}Limit`);
  narrow(`${name}_attributes`, `${name}Attributes`);
}
for (const name of SEGMENTS) {
  narrow(name, `${name}Selector`);
  narrow(`${name}_limit`, `${name}Limit`);
  narrow(`${name}_attributes`, `${name}Attributes`);
  if (name !== 'fs' && name !== 'gs') wide(`${name}_base`, `${name}Base`, false);
}
table.set('rflags', {
  read: (state) => BigInt(readRflags(state)),
  write: (state, value) => {
    writeRflags(state, Number(BigInt.asUintN(32, value)));
    return true;
  },
});

/** The register's value, or undefined for a name that does not exist. */
export function readRegister(state: CpuState, name: string): bigint | undefined {
  return table.get(name)?.read(state);
}

/** Reads the register as it then is, whenever it is called. */
export function registerReader(state: CpuState, name: string): (() => bigint) | undefined {
  const access = table.get(name);
  return access === undefined ? undefined : () => access.read(state);
}

/** The bytes in which the register is kept, borrowed; see `MachineView.registerBytes`. */
export function registerBytes(state: CpuState, name: string): Uint8Array | undefined {
  if (name === 'x87') return state.x87Area;
  const vector = /^xmm(\d|1[0-5])$/.exec(name)?.[1];
  if (vector !== undefined) return state.xmm(Number(vector));
  const field = table.get(name)?.field;
  const place = STATE_FIELDS.find((candidate) => candidate.name === field);
  if (place === undefined) return undefined;
  return new Uint8Array(state.words.buffer, place.offset, place.lengthBytes);
}

/** False when the register does not exist, cannot be written or refuses the value. */
export function writeRegister(
  state: CpuState,
  memory: GuestMemory,
  name: string,
  value: bigint,
): boolean {
  const isWritten = table.get(name)?.write?.(state, value) ?? false;
  if (isWritten && name === 'rflags') memory.updateTlbContext(); // RFLAGS.AC is part of it
  return isWritten;
}
