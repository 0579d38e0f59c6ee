/**
 * The registers of an i386: those of the register table that a 32-bit CPU has, by other names and numbers and
 * in half their width. A register added there to the core or to the system registers is here as well.
 *
 * Numbers 0–41 are gdb's own i386-linux layout, 312 bytes (gdb, features/i386/32bit-core.xml,
 * 32bit-sse.xml, 32bit-linux.xml); then come ours. DWARF numbers: System V ABI Intel386, figure 2.14.
 */
import {
  REGISTERS,
  type LldbRole,
  type RegisterDefinition,
  type RegisterFeature,
  fromLittleEndian,
  littleEndian,
  returnAddressRegister,
} from './register-table.ts';

/** The lower half of a 64-bit register; the upper one stays when it is written. */
function lowerHalf(register: RegisterDefinition): RegisterDefinition {
  const { id, name, type, savedAs = id } = register;
  return {
    ...register,
    name: name.replace(/r(?=[a-z]{2}$)/, 'e'),
    bits: 32,
    type: type === 'int64' ? 'int32' : type,
    store: (context, into, offset) => {
      const whole = new DataView(new ArrayBuffer(8));
      register.store(context, whole, 0);
      into.setUint32(offset, whole.getUint32(0, true), true);
    },
    ...(register.write !== undefined && {
      write: (machine, bytes) => {
        const upper = ((machine.readRegister(savedAs) ?? 0n) >> 32n) << 32n;
        return register.write!(machine, littleEndian(upper | fromLittleEndian(bytes), 64));
      },
    }),
  };
}

function selected(id: string): RegisterDefinition {
  return REGISTERS.find((register) => register.id === id)!;
}

function allOf(feature: RegisterFeature): readonly RegisterDefinition[] {
  return REGISTERS.filter((register) => register.feature === feature);
}

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'rip'];

/** As on x86-64, but for arguments: these are on the stack. */
function roleOf({ generic, altName }: LldbRole, dwarf: number | undefined): LldbRole {
  const isArgument = generic?.startsWith('arg') === true;
  return {
    ...(dwarf === undefined ? {} : { dwarf }),
    ...(isArgument || generic === undefined ? {} : { generic }),
    ...(isArgument || altName === undefined ? {} : { altName }),
  };
}

/** By those of x86-64: runs of them have another beginning. */
function dwarfNumberOf({ id, lldb: { dwarf } }: RegisterDefinition): number | undefined {
  const general = GENERAL.indexOf(id);
  if (general >= 0) return general;
  if (id === 'eflags') return 9;
  if (id === 'mxcsr') return 39;
  if (dwarf === undefined) return undefined;
  if (id.startsWith('xmm')) return dwarf - 17 + 21;
  if (id.startsWith('st')) return dwarf - 33 + 11;
  return /^.s$/.test(id) ? dwarf - 50 + 40 : undefined;
}

/** A 32-bit kernel has no more of them than half, where they are addresses. */
function systemRegister(register: RegisterDefinition): RegisterDefinition {
  if (register.id === 'ret_rsp') return { ...register, ...returnAddressRegister('ret_esp', 32) };
  return register.type === 'data_ptr' ? lowerHalf(register) : register;
}

/** gdb has a number for them on x86-64 only. */
function segmentBase(id: string): RegisterDefinition {
  return { ...lowerHalf(selected(id)), feature: 'system' };
}

/** In the order of their numbers on an i386. */
export const I386_REGISTERS: readonly RegisterDefinition[] = [
  ...GENERAL.map((id) => lowerHalf(selected(id))),
  ...allOf('core').filter(({ number }) => number > selected('rip').number),
  ...REGISTERS.filter(({ id }) => /^xmm[0-7]$/.test(id)),
  selected('mxcsr'),
  lowerHalf(selected('orig_rax')),
  ...['fs_base', 'gs_base'].map(segmentBase),
  ...allOf('system').map(systemRegister),
].map((register, number) => ({
  ...register,
  number,
  lldb: roleOf(register.lldb, dwarfNumberOf(register)),
}));
