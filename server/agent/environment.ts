/** What agent expressions see of the machine: registers, memory, variables, and a place to print. */

export type IntegerBytes = 1 | 2 | 4 | 8;

/** Where the operations of a tracepoint's expression put what they collect. */
export interface AgentTrace {
  memory(address: bigint, lengthBytes: number): void;
  /** Memory up to and with a zero byte, at most `lengthBytes`. */
  text(address: bigint, lengthBytes: number): void;
  variable(number: number): void;
}

export interface AgentEnvironment {
  /** A reader for the register with gdb's number; undefined: none, or wider than 64 bits. */
  register(number: number): (() => bigint) | undefined;
  /** A little-endian number; undefined where memory cannot be read. */
  integer(address: bigint, lengthBytes: IntegerBytes): bigint | undefined;
  /** As many bytes from `address` on as can be read. */
  bytes(address: bigint, lengthBytes: number): Uint8Array;
  /** Trace state variables by gdb's number; one that does not exist is 0. */
  readonly variables: Map<number, bigint>;
  /** The output of agent-printf. */
  print(text: string): void;
  /** Operations have been executed, or as much has been done otherwise. */
  spend?(steps: number): void;
  /** Absent: nothing is being traced, and what would collect has no effect. */
  readonly trace?: AgentTrace;
}
