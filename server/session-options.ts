/** What a session is given: its target, its connection and what sessions of one server share. */
import type { DebuggerSeat } from './debugger-seat.ts';
import type { PacketRegistry } from './packets/registry.ts';
import type { Target } from './target/target.ts';

/** The connection's other end. The session never reads: the listener calls `receive`. */
export interface Transport {
  /** Takes `bytes` over; one call is one packet. */
  write(bytes: Uint8Array): void;
  /** Bytes taken over and not yet sent. */
  readonly backlogBytes: number;
  /** True: when `backlogBytes` is 0, nobody needs the memory of what was written any more. */
  readonly lendsOnly?: boolean;
  /** Closes once everything written has left. */
  close(): void;
  /** Closes at once: the other side does not read. */
  abort(): void;
}

type LogMethod = (fields: object, message: string) => void;

/** The part of a pino logger that sessions use. */
export interface SessionLog {
  readonly trace: LogMethod;
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  /** Absent: every level is. */
  readonly isLevelEnabled?: (level: string) => boolean;
}

export interface SessionOptions {
  readonly target: Target;
  readonly registry: PacketRegistry;
  /** One for all sessions of a target. */
  readonly seat: DebuggerSeat;
  /** What the target does when its debugger detaches or vanishes. */
  readonly onDetach: 'run' | 'halt';
  readonly server: { readonly name: string; readonly version: string };
  readonly log: SessionLog;
}
