/**
 * What the CPU remembers: every field once, name → offset. The generated code and TypeScript
 * read the same bytes. Registers are named as the Intel SDM names them.
 */
interface Field {
  readonly name: string;
  /** u64 fields are bigint in TypeScript, u32 fields are number. */
  readonly type: 'u64' | 'u32' | 'bytes';
  readonly offset: number;
  readonly lengthBytes: number;
}

const GENERAL = [
  'rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi',
  'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15',
] as const; // prettier-ignore

const U64 = [
  ...GENERAL,
  /** Written at every exit from generated code; stale while generated code runs. */
  'rip',
  /*
   * The arithmetic flags, in the form that is cheapest to make (cpu/rflags.ts puts RFLAGS together):
   * flagZero is 0 exactly when ZF = 1. flagSign: bit 63 is SF, PF is the even parity of its low
   * byte. flagCarry: bit 63 is CF, bit 63 xor bit 62 is OF, bit 3 is AF; other bits are 0.
   */
  'flagZero', 'flagSign', 'flagCarry',
  /** RFLAGS without CF PF AF ZF SF OF; bit 1 is set. */
  'rflagsSystem',
  'esBase', 'csBase', 'ssBase', 'dsBase', 'fsBase', 'gsBase', 'ldtrBase', 'trBase',
  'gdtrBase', 'idtrBase',
  'cr0', 'cr2', 'cr3', 'cr4', 'cr8', 'efer', 'xcr0',
  'dr0', 'dr1', 'dr2', 'dr3', 'dr6', 'dr7',
  'star', 'lstar', 'cstar', 'sfmask', 'kernelGsBase', 'tscAux', 'pat', 'apicBase',
  'sysenterCs', 'sysenterEsp', 'sysenterEip', 'miscEnable', 'mtrrDefType',
  /** Added to virtual time to make the TSC. */
  'tscOffset',
  /** Retired instructions since power-on; exact only outside generated code. */
  'icount',
  /** What it will be when the budget is used up; 0 outside generated code. */
  'icountAtEnd',
  /** STI, MOV SS and POP SS inhibit interrupts while icount equals this (Intel SDM 3A §6.8.3). */
  'shadowIcount',
  /** Arguments and results of host operations (instructions/host-operations.ts). */
  'host0', 'host1', 'host2', 'host3',
  /** Error code and linear address of a fault on its way out of generated code. */
  'faultAddress',
] as const; // prettier-ignore

const U32 = [
  'esSelector', 'csSelector', 'ssSelector', 'dsSelector', 'fsSelector', 'gsSelector',
  'ldtrSelector', 'trSelector',
  'esLimit', 'csLimit', 'ssLimit', 'dsLimit', 'fsLimit', 'gsLimit', 'ldtrLimit', 'trLimit',
  /* Descriptor bits 40–55 (type, S, DPL, P, AVL, L, D/B, G) shifted down to bit 0; Intel SDM 3A §3.4.5. */
  'esAttributes', 'csAttributes', 'ssAttributes', 'dsAttributes', 'fsAttributes', 'gsAttributes',
  'ldtrAttributes', 'trAttributes',
  'gdtrLimit', 'idtrLimit',
  'mxcsr',
  'cpl',
  /** Offset from TLB_BASE of the TLB tables in force (layout.ts, TLB_CONTEXT). */
  'tlbContext',
  /** Counts up whenever a linear address may have come to mean other code. */
  'mapGeneration',
  /** 1 if an interrupt may be waiting: setting IF must then let the machine look. */
  'interruptPending',
  /** Not 0: a debugger wants to hear of system calls or exceptions (cpu/transfer-watch.ts). */
  'watchedTransfers',
  /** 1 when the machine must leave generated code after the present instruction. */
  'exitRequest',
  /** Vector (0–31) and flags of a fault on its way out of generated code. */
  'faultVector', 'faultErrorCode', 'faultHasErrorCode',
  /** What is left of the instruction budget, and the engine's place, at an exit. */
  'budget', 'currentRecord',
  /** Tells the jump cache's entries of the present map and mode from others (translation/). */
  'lookupTag',
  /** 1 from MOV SS or POP SS to the end of the next instruction: #DB waits, too (SDM 3A §6.8.3). */
  'trapShadow',
  /** 1 from the delivery of an NMI to the next IRET: another one waits (SDM 3A §6.7.1). */
  'nmiBlocked',
] as const; // prettier-ignore

/** 16-byte fields; x87Area is bytes 0–31 and 32–159 of FXSAVE, kept as FXRSTOR brought them. */
const BYTES = [
  ...Array.from({ length: 16 }, (_, index) => [`xmm${index}`, 16] as const),
  ['x87Area', 160] as const,
] as const;

export type U64Field = (typeof U64)[number];
export type U32Field = (typeof U32)[number];
export type StateField = U64Field | U32Field;

function lay(): ReadonlyMap<string, Field> {
  const fields = new Map<string, Field>();
  let offset = 0;
  const put = (name: string, type: Field['type'], lengthBytes: number): void => {
    if (fields.has(name)) throw new Error(`CPU state field ${name} is declared twice`);
    fields.set(name, { name, type, offset, lengthBytes });
    offset += lengthBytes;
  };
  for (const name of U64) put(name, 'u64', 8);
  for (const name of U32) put(name, 'u32', 4);
  offset = (offset + 15) & ~15;
  for (const [name, lengthBytes] of BYTES) put(name, 'bytes', lengthBytes);
  return fields;
}

const FIELDS = lay();

/** Offset in linear memory of a state field; a name that does not exist is our error. */
export function fieldOffset(name: string): number {
  const field = FIELDS.get(name);
  if (field === undefined) throw new Error(`no CPU state field ${name}`);
  return field.offset;
}

/** Offset of general register 0–15 (rax rcx rdx rbx rsp rbp rsi rdi r8–r15). */
export function generalRegisterOffset(register: number): number {
  return register * 8;
}

export function vectorRegisterOffset(register: number): number {
  return fieldOffset('xmm0') + register * 16;
}

export const GENERAL_REGISTER_NAMES = GENERAL;
export const STATE_FIELDS: readonly Field[] = [...FIELDS.values()];

type Words = { readonly [name in StateField]: number };

/** Index in `CpuState.words` of a u32 field, or of the low half of a u64 field (the high half follows). */
export const WORD = Object.fromEntries(
  [...U64, ...U32].map((name) => [name, fieldOffset(name) / 4]),
) as Words;

/** The CPU's fields as properties: u64 are bigint, u32 are number. */
export type CpuState = { [name in U64Field]: bigint } & { [name in U32Field]: number } & {
  /** The whole memory as 32-bit words, for code that must not make bigints (`WORD`). */
  readonly words: Uint32Array;
  /** 16 bytes, borrowed: writing them writes the register. */
  xmm(register: number): Uint8Array;
  /** xmm0 to xmm15, one after the other: 256 bytes, borrowed. */
  readonly xmmArea: Uint8Array;
  /** 160 bytes, borrowed. */
  readonly x87Area: Uint8Array;
};

/** What the accessors below stand on; they make it a CpuState. */
class StateView {
  readonly u64: BigUint64Array;
  readonly words: Uint32Array;
  readonly bytes: Uint8Array;
  readonly xmmArea: Uint8Array;
  readonly x87Area: Uint8Array;

  constructor(memory: WebAssembly.Memory) {
    this.u64 = new BigUint64Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.xmmArea = this.bytes.subarray(vectorRegisterOffset(0), vectorRegisterOffset(16));
    const area = fieldOffset('x87Area');
    this.x87Area = this.bytes.subarray(area, area + 160);
  }

  xmm(register: number): Uint8Array {
    const offset = vectorRegisterOffset(register);
    return this.bytes.subarray(offset, offset + 16);
  }
}

/*
 * Accessors stand on the prototype: as a hundred properties of the object itself they were looked up
 * in a dictionary, and SYSCALL with its two dozen accesses took five times as long.
 */
for (const { name, type, offset, lengthBytes } of STATE_FIELDS) {
  const index = offset / lengthBytes;
  const isWide = type === 'u64';
  if (type === 'bytes') continue;
  Object.defineProperty(StateView.prototype, name, {
    get: isWide
      ? function (this: StateView) {
          return this.u64[index];
        }
      : function (this: StateView) {
          return this.words[index];
        },
    set: isWide
      ? function (this: StateView, value: bigint) {
          this.u64[index] = value;
        }
      : function (this: StateView, value: number) {
          this.words[index] = value;
        },
  });
}

/** Makes the property view over linear memory. The memory must not grow afterwards. */
export function cpuStateOver(memory: WebAssembly.Memory): CpuState {
  return new StateView(memory) as unknown as CpuState;
}
