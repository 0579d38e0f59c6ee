/**
 * The operations that are too rare or too bulky to be generated code: they run in TypeScript,
 * machine/cpu/host-operations.ts has one function for each name. Arguments and results are in
 * the comment; what is not said is taken from the CPU state. Those called a transfer go through
 * `hostTransfer`: they find rip behind the instruction. All check what they must before they change
 * anything; CPL where it has to be 0 is checked before they are called.
 */
import { FLOAT_OPERATIONS } from './float-operations.ts';

export const HOST_OPERATIONS = [
  /** (low, high, divisor) of 64 bits: quotient, remainder of 128 / 64 bits; #DE. */
  'divideUnsigned',
  'divideSigned',
  /** (eax, ecx): ebx × 2³² + eax, edx × 2³² + ecx. */
  'cpuid',
  /** (): the TSC. #GP(0) by CR4.TSD. */
  'rdtsc',
  /** (): the TSC, TSC_AUX. */
  'rdtscp',
  /** (ecx): value. #GP(0) for an unknown MSR. */
  'rdmsr',
  /** (ecx, value). A transfer. */
  'wrmsr',
  /** (port, width): value. #GP(0) by IOPL and the I/O permission map. */
  'in',
  /** (port, value, width). */
  'out',
  /**
   * (width, address width, segment number): one element of INS to ES:rDI / OUTS from segment:rSI, the
   * pointer moved by DF. The semantics count rCX. The segment is 0–5 as es cs ss ds fs gs.
   */
  'ins',
  'outs',
  /** (8): CR8; the others are read as fields. */
  'readControlRegister',
  /** (number, value). A transfer. CR0, 2, 3, 4 and 8 only. */
  'writeControlRegister',
  /** (number): value. DR4 and DR5 by CR4.DE, #DB by DR7.GD. */
  'readDebugRegister',
  /** (number, value). A transfer. */
  'writeDebugRegister',
  /** (). A transfer. */
  'clts',
  /** (value of 16 bits). A transfer. */
  'lmsw',
  /** (). A transfer. */
  'hlt',
  /** (linear address). It asks for an exit if code may have changed. */
  'invlpg',
  /** (): INVD and WBINVD. */
  'invd',
  /**
   * (linear address of the descriptor, operand width): 16 bits of limit, then 64 bits of base for
   * width 64, 32 for 32, 24 for 16.
   */
  'lgdt',
  'lidt',
  /** (selector). */
  'lldt',
  'ltr',
  /**
   * (segment number, selector, 1 if interrupts are inhibited after it, bytes to release from the stack):
   * MOV to a segment register, POP, LDS …; 0–5 as es cs ss ds fs gs, never cs. The stack pointer moves
   * when nothing can fault any more. For ss it is a transfer, since the stack's width may change; LSS
   * alone calls it by `host`, to write its register afterwards: it asks for an exit (exitRequest) then.
   */
  'loadSegment',
  /** (selector, width): LAR, LSL: value, 1 if valid. VERR, VERW (selector): 1 if ok. */
  'lar',
  'lsl',
  'verr',
  'verw',
  /**
   * (value, width, bytes to release from the stack): the flags that POPF may change at this CPL and
   * IOPL. A transfer; it has no fault.
   */
  'popf',
  /** (): #GP(0) by IOPL. CLI at CPL 0 is generated. */
  'cli',
  /** (): the same; interrupts are inhibited for one instruction if IF was 0. A transfer. */
  'sti',
  /** (selector, offset, operand width). Transfers. */
  'farJump',
  'farCall',
  /** (operand width, bytes to release besides the pointer). A transfer. */
  'farReturn',
  /** (operand width). A transfer. */
  'iret',
  /** (vector, 1 for INT1, which no gate's DPL forbids): INT n, INT3 (3), INTO (4). A transfer. */
  'softwareInterrupt',
  /** (). A transfer. #UD by EFER.SCE. */
  'syscall',
  /** (operand width): 64 returns to 64-bit code, 32 to compatibility mode. A transfer. */
  'sysret',
  /** (). A transfer. */
  'sysenter',
  /** (operand width). A transfer. */
  'sysexit',
  /** (linear address, operand width): 512 bytes; #GP(0) if not 16-byte aligned. */
  'fxsave',
  'fxrstor',
  /** (value): LDMXCSR; #GP(0) for reserved bits. */
  'ldmxcsr',
  /** (bytes of locals, nesting level 0–31, operand width). */
  'enter',
  /** (ecx): value. #UD without CR4.OSXSAVE. */
  'xgetbv',
  /** (ecx, value). */
  'xsetbv',
  /** (): FNINIT: FCW 37Fh, FSW 0, tags empty, pointers 0 in `x87Area`. */
  'x87Reset',
  /** (byte offset): the 16-bit word of `x87Area` there: 0 is FCW, 2 FSW. */
  'x87ReadWord',
  /** (byte offset, value). */
  'x87WriteWord',
  /** Exact floating-point arithmetic: float-operations.ts has names, arguments and results. */
  ...FLOAT_OPERATIONS,
] as const;

export type HostOperation = (typeof HOST_OPERATIONS)[number];
