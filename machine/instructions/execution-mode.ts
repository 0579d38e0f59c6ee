/**
 * What of the CPU's state is fixed while a piece of code is decoded. Code is decoded anew when any
 * of it changes, so checks against it cost nothing when the code runs.
 */
export interface ExecutionMode {
  /** Default operand and address size of CS: 64 in long mode, else by CS.D. */
  readonly codeWidth: 16 | 32 | 64;
  /** Width of the stack pointer: 64 in 64-bit code, else by SS.B. */
  readonly stackWidth: 16 | 32 | 64;
  /** EFER.LMA: IA-32e mode (64-bit or compatibility). */
  readonly longMode: boolean;
  readonly cpl: 0 | 1 | 2 | 3;
  /** What an SSE instruction does: CR0.EM and CR4.OSFXSR give #UD, CR0.TS gives #NM. */
  readonly sse: 'enabled' | 'undefined' | 'not-available';
  /** What an x87 or WAIT instruction would check: CR0.EM or CR0.TS set. */
  readonly x87: 'enabled' | 'not-available';
}
