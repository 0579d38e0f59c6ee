/**
 * What the machine asks of an engine: run the code at CS:rip until something needs attention.
 * Two engines implement it, over the same definitions.
 */
import type { GuestFault } from './guest-fault.ts';

export type EngineExit =
  /** The budget is used up; state.rip is the next instruction. */
  | { readonly kind: 'budget' }
  /** Something asked for the machine's attention (state.exitRequest), between two instructions. */
  | { readonly kind: 'attention' }
  /** The instruction at state.rip faulted and has not happened. */
  | { readonly kind: 'fault'; readonly fault: GuestFault }
  /** state.rip stands on a breakpoint. */
  | { readonly kind: 'breakpoint' };

export interface Engine {
  /**
   * Runs at most `budget` instructions (1 to 2^29) and keeps state.rip and state.icount exact.
   * `passBreakpoint` executes the first instruction even if a breakpoint stands on it.
   */
  run(budget: number, passBreakpoint: boolean): EngineExit;
  /** Retired instructions since power-on, exact also for a device that asks from inside `run`. */
  exactIcount(): bigint;
  /** Breakpoints by linear address. */
  addBreakpoint(linear: bigint): void;
  removeBreakpoint(linear: bigint): void;
  /**
   * Asked whenever control comes to a breakpoint, with the state as at an exit: true goes on as if
   * there were none, without leaving generated code; false leaves.
   */
  passBreakpointsIf(passes: (linear: bigint) => boolean): void;
  /** Forgets all code: after the whole of memory has been replaced (reset, snapshot). */
  forgetCode(): void;
}
