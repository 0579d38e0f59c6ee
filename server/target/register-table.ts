/**
 * Every register that a debugger sees, each once: its name, width, gdb number, place in lldb's
 * world and how it is found in the machine. Numbers 0–59 are gdb's own amd64-linux layout, 560
 * bytes (gdb, features/i386/64bit-core.xml, 64bit-sse.xml, 64bit-linux.xml, 64bit-segments.xml);
 * from 60 on come ours, served by `p` only. DWARF numbers: System V ABI AMD64, figure 3.36. What of
 * them an i386 has, and how, is in i386-registers.ts.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import { storeVectorRegister, x87RegisterStore } from './fxsave-registers.ts';

/** What lldb needs to know beyond gdb's description. */
export interface LldbRole {
  readonly generic?:
    'pc' | 'sp' | 'fp' | 'flags' | 'arg1' | 'arg2' | 'arg3' | 'arg4' | 'arg5' | 'arg6';
  readonly altName?: string;
  /** DWARF number, which eh_frame has as well. */
  readonly dwarf?: number;
}

/** What a register is computed from, besides the machine: the thread that is on the CPU. */
export interface RegisterContext {
  readonly machine: MachineView;
  /** The guest's process of the thread; 0 when there is none. */
  readonly guestPid: number;
  /** `machine.readFxsave()`, read once for the x87 and vector registers that come from it. */
  readonly fxsave: () => Uint8Array;
}

/** The context of one request. */
export function registerContext(machine: MachineView, guestPid: number): RegisterContext {
  let area: Uint8Array | undefined;
  return { machine, guestPid, fxsave: () => (area ??= machine.readFxsave()) };
}

export interface RegisterDefinition {
  readonly name: string;
  /** Its name in this table, under whatever name it is served. */
  readonly id: string;
  readonly bits: 32 | 64 | 80 | 128;
  readonly number: number;
  /** Type in gdb's target description. */
  readonly type: string;
  readonly feature: RegisterFeature;
  readonly group?: string;
  readonly lldb: LldbRole;
  /** Stores the value at `offset`, little endian, in as many bytes as the register has. */
  store(context: RegisterContext, into: DataView, offset: number): void;
  /** The value as a number, of a register that is computed: what `store` stores. */
  readonly compute?: (context: RegisterContext) => bigint;
  /** False: refused. Absent: read-only. */
  write?(machine: MachineView & MachineControl, bytes: Uint8Array): boolean;
  /** The name of this register in a saved context (`RegisterValues`), when it can be in one. */
  readonly savedAs?: string;
}

export const REGISTER_FEATURES = {
  core: 'org.gnu.gdb.i386.core',
  sse: 'org.gnu.gdb.i386.sse',
  linux: 'org.gnu.gdb.i386.linux',
  segments: 'org.gnu.gdb.i386.segments',
  system: 'org.exoscope.system',
} as const;
export type RegisterFeature = keyof typeof REGISTER_FEATURES;

const GENERAL: readonly (readonly [string, LldbRole, string?])[] = [
  ['rax', { dwarf: 0 }],
  ['rbx', { dwarf: 3 }],
  ['rcx', { dwarf: 2, generic: 'arg4', altName: 'arg4' }],
  ['rdx', { dwarf: 1, generic: 'arg3', altName: 'arg3' }],
  ['rsi', { dwarf: 4, generic: 'arg2', altName: 'arg2' }],
  ['rdi', { dwarf: 5, generic: 'arg1', altName: 'arg1' }],
  ['rbp', { dwarf: 6, generic: 'fp', altName: 'fp' }, 'data_ptr'],
  ['rsp', { dwarf: 7, generic: 'sp', altName: 'sp' }, 'data_ptr'],
  ['r8', { dwarf: 8, generic: 'arg5', altName: 'arg5' }],
  ['r9', { dwarf: 9, generic: 'arg6', altName: 'arg6' }],
  ['r10', { dwarf: 10 }],
  ['r11', { dwarf: 11 }],
  ['r12', { dwarf: 12 }],
  ['r13', { dwarf: 13 }],
  ['r14', { dwarf: 14 }],
  ['r15', { dwarf: 15 }],
  ['rip', { dwarf: 16, generic: 'pc', altName: 'pc' }, 'code_ptr'],
];

const SEGMENT_SELECTORS: readonly (readonly [string, number])[] = [
  ['cs', 51],
  ['ss', 52],
  ['ds', 53],
  ['es', 50],
  ['fs', 54],
  ['gs', 55],
];

const X87_CONTROL = ['fctrl', 'fstat', 'ftag', 'fiseg', 'fioff', 'foseg', 'fooff', 'fop'];

/** Numbers are given when all are together; ids but for a register that is another's lower half. */
type Unnumbered = Omit<RegisterDefinition, 'number' | 'id'>;

/** A register that the machine knows by name. */
function machineRegister(
  name: string,
  bits: 32 | 64,
  type: string,
  feature: RegisterFeature,
  options: { lldb?: LldbRole; machineName?: string; group?: string; isReadOnly?: boolean } = {},
): Unnumbered {
  const machineName = options.machineName ?? name;
  return {
    name,
    bits,
    type,
    feature,
    lldb: options.lldb ?? {},
    savedAs: machineName,
    ...(options.group === undefined ? {} : { group: options.group }),
    store: ({ machine }, into, offset) => {
      storeInteger(machine.readRegister(machineName) ?? 0n, bits, into, offset);
    },
    ...(options.isReadOnly === true
      ? {}
      : {
          write: (machine, bytes) => machine.writeRegister(machineName, fromLittleEndian(bytes)),
        }),
  };
}

/**
 * gdb writes every register back after a function that it called, also those that say nothing of the
 * guest's state, and gives up if that fails: a write is taken and changes nothing.
 */
function computedRegister(
  name: string,
  type: string,
  compute: (context: RegisterContext) => bigint,
  bits: 32 | 64 = 64,
): Unnumbered {
  return {
    name,
    bits,
    type,
    feature: 'system',
    lldb: {},
    compute,
    write: () => true,
    store: (context, into, offset) => storeInteger(compute(context), bits, into, offset),
  };
}

/** What is on top of the stack, a pointer of `bits`; 0 where it cannot be read. */
export function returnAddressRegister(name: string, bits: 32 | 64): Unnumbered {
  const top = ({ machine }: RegisterContext): bigint =>
    machine.readInteger(
      BigInt.asUintN(bits, machine.readRegister('rsp') ?? 0n),
      bits === 64 ? 8 : 4,
    ) ?? 0n;
  return computedRegister(name, 'code_ptr', top, bits);
}

function coreRegisters(): Unnumbered[] {
  return [
    ...GENERAL.map(([name, lldb, type]) =>
      machineRegister(name, 64, type ?? 'int64', 'core', { lldb }),
    ),
    machineRegister('eflags', 32, 'i386_eflags', 'core', {
      machineName: 'rflags',
      lldb: { dwarf: 49, generic: 'flags', altName: 'flags' },
    }),
    ...SEGMENT_SELECTORS.map(([name, dwarf]) =>
      machineRegister(name, 32, 'int32', 'core', { lldb: { dwarf }, isReadOnly: true }),
    ),
    ...Array.from({ length: 8 }, (_, index) => x87Register(`st${index}`, 80, 33 + index)),
    ...X87_CONTROL.map((name) => x87Register(name, 32)),
  ];
}

function x87Register(name: string, bits: 32 | 80, dwarf?: number): Unnumbered {
  const store = x87RegisterStore(name);
  return {
    name,
    bits,
    type: bits === 80 ? 'i387_ext' : 'int',
    feature: 'core',
    group: 'float',
    lldb: dwarf === undefined ? {} : { dwarf },
    store: ({ fxsave }, into, offset) => store(fxsave(), into, offset),
  };
}

function vectorRegister(index: number): Unnumbered {
  return {
    name: `xmm${index}`,
    bits: 128,
    type: 'vec128',
    feature: 'sse',
    lldb: { dwarf: 17 + index },
    store: ({ fxsave }, into, offset) => storeVectorRegister(fxsave(), index, into, offset),
    write: (machine, bytes) => {
      machine.writeVector(index, bytes);
      return true;
    },
  };
}

/**
 * orig_rax is the number at a stop of `catch syscall`, which gdb prints; elsewhere -1: no system call
 * that could be restarted. gdb writes -1 to it whenever it moves rip, and gives up if that fails.
 */
const ORIG_RAX: Unnumbered = {
  name: 'orig_rax',
  bits: 64,
  type: 'int',
  feature: 'linux',
  lldb: {},
  store: ({ machine }, into, offset) => {
    storeInteger(machine.readRegister('orig_rax') ?? -1n, 64, into, offset);
  },
  write: () => true,
};

function systemRegisters(): Unnumbered[] {
  const system = (name: string, type: string, isReadOnly = false): Unnumbered =>
    machineRegister(name, 64, type, 'system', { isReadOnly });
  return [
    system('k_gs_base', 'data_ptr'),
    system('cr0', 'x64_cr0', true),
    system('cr2', 'data_ptr'),
    system('cr3', 'int64', true),
    system('cr4', 'x64_cr4', true),
    system('cr8', 'int64'),
    system('efer', 'x64_efer', true),
    returnAddressRegister('ret_rsp', 64),
    computedRegister('icount', 'int64', ({ machine }) => machine.icount),
    computedRegister('guest_pid', 'int32', ({ guestPid }) => BigInt(guestPid), 32),
    computedRegister('cpl', 'int32', ({ machine }) => machine.readRegister('cpl') ?? 0n, 32),
  ];
}

/** All registers in the order of their gdb numbers. */
export const REGISTERS: readonly RegisterDefinition[] = [
  ...coreRegisters(),
  ...Array.from({ length: 16 }, (_, index) => vectorRegister(index)),
  machineRegister('mxcsr', 32, 'i386_mxcsr', 'sse', { group: 'vector' }),
  ORIG_RAX,
  machineRegister('fs_base', 64, 'int', 'segments', { lldb: { dwarf: 58 } }),
  machineRegister('gs_base', 64, 'int', 'segments', { lldb: { dwarf: 59 } }),
  ...systemRegisters(),
].map((register, number) => ({ ...register, id: register.name, number }));

/** The quadword in memory, 0 where it cannot be read. */
export function quadwordAt(machine: MachineView, address: bigint, cr3?: bigint): bigint {
  const bytes = machine.readLinear(address, 8, cr3);
  return bytes.length < 8 ? 0n : fromLittleEndian(bytes);
}

/** The register's value, little endian. */
export function registerBytes(register: RegisterDefinition, context: RegisterContext): Uint8Array {
  const bytes = new Uint8Array(register.bits / 8);
  register.store(context, new DataView(bytes.buffer), 0);
  return bytes;
}

/** `bits` is 32 or 64 for every register that is a number; what is above them is left out. */
function storeInteger(value: bigint, bits: number, into: DataView, offset: number): void {
  if (bits === 64) into.setBigUint64(offset, value, true);
  else into.setUint32(offset, Number(value & 0xffff_ffffn), true);
}

export function littleEndian(value: bigint, bits: number): Uint8Array {
  const bytes = new Uint8Array(bits / 8);
  storeInteger(value, bits, new DataView(bytes.buffer), 0);
  return bytes;
}

/** Up to 8 bytes as an unsigned number. */
export function fromLittleEndian(bytes: Uint8Array): bigint {
  if (bytes.length === 8) {
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  }
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
}
