/**
 * The operations that are too rare or too bulky to be generated code: they run in TypeScript,
 * machine/cpu/host-operations.ts has one function for each name. Arguments and results are in
 * the comment; what is not said is taken from the CPU state.
 */
import { FLOAT_OPERATIONS } from './float-operations.ts';

export const HOST_OPERATIONS = [
  /** (low, high, divisor, width): quotient, remainder of 2 × width / width; #DE. */
  'divideUnsigned',
  'divideSigned',
  /** eax, ecx in; eax ebx ecx edx out. */
  'cpuid',
  'rdtsc',
  'rdtscp',
  /** ecx; edx:eax. #GP(0) for an unknown MSR. */
  'rdmsr',
  'wrmsr',
  /** (port, width): value. */
  'in',
  /** (port, value, width). */
  'out',
  /** (width, addressWidth, segment number): one element of INS / OUTS, pointers moved. */
  'ins',
  'outs',
  /** (number): value; (number, value, operand width). */
  'readControlRegister',
  'writeControlRegister',
  'readDebugRegister',
  'writeDebugRegister',
  'clts',
  /** (value): LMSW. */
  'lmsw',
  'hlt',
  /** (linear address). */
  'invlpg',
  'invd',
  /** (linear address of the descriptor, operand width). */
  'lgdt',
  'lidt',
  /** (selector). */
  'lldt',
  'ltr',
  /** (segment number, selector): MOV to a segment register, POP, LDS …; 0–5 as es cs ss ds fs gs. */
  'loadSegment',
  /** (selector, width): LAR, LSL: value; second result 1 if valid. VERR, VERW: first result 1 if ok. */
  'lar',
  'lsl',
  'verr',
  'verw',
  /** Present RFLAGS with all bits: value. */
  'readRflags',
  /** (value, width, 0): POPF by the rules of CPL and IOPL. */
  'popf',
  'cli',
  'sti',
  /** (selector, offset, operand width). */
  'farJump',
  'farCall',
  /** (operand width, bytes to release). */
  'farReturn',
  /** (operand width). */
  'iret',
  /** (vector): INT n, INT3 (3), INTO (4); INT1 is 1. */
  'softwareInterrupt',
  'syscall',
  /** (operand width). */
  'sysret',
  'sysenter',
  'sysexit',
  'swapgs',
  /** (linear address, operand width). */
  'fxsave',
  'fxrstor',
  /** (value): LDMXCSR; #GP(0) for reserved bits. */
  'ldmxcsr',
  /** (linear low …): CMPXCHG16B is generated; ENTER with nesting levels is not: (size, level, width). */
  'enter',
  'xgetbv',
  'xsetbv',
  /** Exact floating-point arithmetic: float-operations.ts has names, arguments and results. */
  ...FLOAT_OPERATIONS,
] as const;

export type HostOperation = (typeof HOST_OPERATIONS)[number];
