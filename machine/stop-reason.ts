/**
 * Why `Machine.run` came back. A closed union: the server turns each kind into a stop reply.
 */
export type WatchKind = 'write' | 'read' | 'access';

export type StopReason =
  /** The instruction budget is used up; nothing else happened. */
  | { readonly kind: 'budget' }
  /** A HLT waits for an interrupt: `ticks` virtual ticks until the next timer event, or
   *  `undefined` when none is armed (only input from outside can wake the guest). */
  | { readonly kind: 'idle'; readonly ticks: bigint | undefined }
  /** Control reached a breakpoint; rip equals `address` and nothing of it has executed. */
  | { readonly kind: 'breakpoint'; readonly address: bigint }
  /** The instruction before rip, or the delivery that led to rip, touched a watched location. */
  | {
      readonly kind: 'watchpoint';
      readonly address: bigint;
      readonly watch: WatchKind;
    }
  /** A single step has retired (or its exception or interrupt was delivered). */
  | { readonly kind: 'step' }
  /** A system call has been entered, or one that was entered has returned; that has retired. */
  | ({ readonly kind: 'system-call' } & SystemCallStop)
  /** An exception that a debugger catches is about to be delivered; the last of the chain is it. */
  | { readonly kind: 'exception'; readonly report: TripleFaultReport }
  /** The guest wrote `value` to the debug-exit port; the write has retired. */
  | { readonly kind: 'debug-exit'; readonly value: number }
  /** The guest asked for a reset (8042, port 0x92 or 0xcf9). */
  | { readonly kind: 'reset-request' }
  /** The guest has switched the PC off by ACPI; the write has retired. */
  | { readonly kind: 'power-off' }
  /** An exception during the delivery of a double fault. The state is that before delivery. */
  | { readonly kind: 'triple-fault'; readonly report: TripleFaultReport };

export interface SystemCallStop {
  readonly phase: 'entry' | 'return';
  readonly number: number;
}

export interface TripleFaultReport {
  /**
   * The exceptions that led here, first first; each with its error code if it has one, #PF with the
   * linear address that faulted.
   */
  readonly chain: readonly RaisedException[];
  readonly rip: bigint;
  readonly rsp: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
}

export interface RaisedException {
  readonly vector: number;
  readonly errorCode?: number;
  /** #PF only: what goes to CR2. */
  readonly address?: bigint;
}
