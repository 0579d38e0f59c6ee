/**
 * What the server and the processes of its sessions tell each other, over Node's channel between parent
 * and child. The debugger's own bytes never go here: they have a socket pair of their own.
 */
import type { BootModule } from '../../machine/index.ts';
import type { MachineArguments } from '../commands/machine-arguments.ts';
import type { SymbolArgument } from '../commands/symbol-arguments.ts';
import type { LogLevel } from '../log.ts';
import type { Architecture } from '../target/register-set.ts';

/** What a session's process begins with. The bytes are the server's: a file that changes meanwhile is no matter. */
export interface MachineOrder {
  readonly machine: MachineArguments;
  /** An image or a snapshot. */
  readonly file: Uint8Array;
  readonly modules: readonly BootModule[];
  readonly symbols: readonly SymbolArgument[];
  /** `none` or `file:PATH`; the session's number goes into PATH. */
  readonly serial: string;
  readonly logLevel: LogLevel;
  readonly tracePackets: boolean;
  /** gdb has the guest's processes as inferiors. */
  readonly processes: boolean;
  readonly architecture?: Architecture | undefined;
}

/** What the server wants to know of a session; each has its answer. */
export type SessionQuestion =
  { readonly kind: 'look' } | { readonly kind: 'monitor'; readonly commandLine: string };

export type ToSession =
  | { readonly kind: 'boot'; readonly order: MachineOrder }
  /** A debugger comes: bytes follow on the socket pair. */
  | { readonly kind: 'begin'; readonly session: number }
  | { readonly kind: 'ask'; readonly id: number; readonly question: SessionQuestion };

/** How a session is. */
export interface SessionLook {
  readonly state: string;
  /** Retired since power-on. */
  readonly instructions: bigint;
  /** What the process holds of the host's memory, guest RAM included. */
  readonly residentBytes: number;
}

/** Of a monitor command: what it printed, and why it failed. */
export interface MonitorOutcome {
  readonly text: string;
  readonly failure?: string;
}

export type FromSession =
  | { readonly kind: 'ready' }
  /** The image or an option is bad: what the user can mend, one line. */
  | { readonly kind: 'failed'; readonly reason: 'image' | 'usage'; readonly message: string }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: SessionLook | MonitorOutcome };
