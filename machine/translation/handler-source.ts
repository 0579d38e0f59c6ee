/** What the code cache needs of the step engine: a function for each decoded instruction. */
import type { DecodedInstruction } from '../decoder/decoded-instruction.ts';

/** The function for an instruction's shape. */
export interface Handler {
  /** Its index in the function table. */
  readonly index: number;
  /** False if control never comes out at the instruction's end. */
  readonly goesOn: boolean;
}

export interface HandlerSource {
  /** The instruction's handler; it can be called after `compile`. */
  handlerFor(instruction: DecodedInstruction): Handler;
  /** So many have been made that all should be forgotten: a guest can ask for new shapes without end. */
  readonly isFull: boolean;
  /** Forgets all handlers; nothing leads to one any more. */
  clear(): void;
  /** Compiles all handlers that were asked for and are new. */
  compile(): void;
}
