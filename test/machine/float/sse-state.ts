/** What an SSE instruction may read and write, as both sides of the comparison exchange it. */
export interface SseState {
  readonly xmm1: bigint;
  readonly xmm2: bigint;
  readonly rcx: bigint;
  readonly rdx: bigint;
  /** The 16 bytes at rdi. */
  readonly memory: bigint;
  readonly mxcsr: number;
  /** The six arithmetic flags, in their places in RFLAGS. */
  readonly flags: number;
  readonly hasFaulted: boolean;
}

export interface SseCase {
  /** Index into SSE_FORMS. */
  readonly form: number;
  readonly before: SseState;
}

export const ARITHMETIC_FLAGS = 0x8d5;
