/**
 * Tracepoints as packets ask a target for them (GDB manual, "Tracepoint Packets"): a part of `target.ts`.
 * Types only.
 */
import type { Awaitable } from './awaitable.ts';

/** gdb gives several places the same number: a tracepoint is a number at an address. */
export interface TracepointPlace {
  readonly number: number;
  readonly address: bigint;
}

export type TraceAction =
  /** Bit n of `mask` asks for the register with gdb's number n. */
  | { readonly kind: 'registers'; readonly mask: bigint }
  /** `offset` counts from the register's value, or from 0 without one; it wraps at 64 bits. */
  | {
      readonly kind: 'memory';
      readonly baseRegister?: number;
      readonly offset: bigint;
      readonly lengthBytes: number;
    }
  /** An agent expression, whose `trace` operations collect. */
  | { readonly kind: 'expression'; readonly bytecode: Uint8Array }
  /** What comes after it, also in later calls, is collected after each step, not at the place. */
  | { readonly kind: 'while-stepping' };

export interface TracepointDefinition extends TracepointPlace {
  readonly isEnabled: boolean;
  /** Instructions to follow from the place on, collecting after each; 0: none. */
  readonly stepCount: number;
  /** The run ends when the place has counted this often; 0: it does not. */
  readonly passCount: number;
  /** An agent expression: the place counts where it is not 0. */
  readonly condition?: Uint8Array;
}

/** The text that a user wrote, for the debugger that uploads the tracepoint later. */
export interface TracepointSource {
  /** `at`, `cond` or `cmd`; other types are kept as they are. */
  readonly type: string;
  readonly text: string;
}

/** A tracepoint with all that was said about it. */
export interface TracepointDescription {
  readonly definition: TracepointDefinition;
  readonly actions: readonly TraceAction[];
  readonly sources: readonly TracepointSource[];
}

/** A trace state variable, `$name` in gdb; a signed number of 64 bits. */
export interface TraceVariable {
  readonly number: number;
  readonly name: string;
  /** What it is at the start of each run. */
  readonly initialValue: bigint;
}

/** Why no trace is running. */
export type TraceStop =
  | { readonly kind: 'never run' }
  | { readonly kind: 'stopped'; readonly note: string }
  | { readonly kind: 'buffer full' }
  | { readonly kind: 'disconnected' }
  | { readonly kind: 'pass count'; readonly tracepoint: number }
  | { readonly kind: 'error'; readonly text: string; readonly tracepoint: number };

export interface TraceStatus {
  readonly stop: TraceStop | 'running';
  readonly frames: number;
  /** Since the start of the run; more than `frames` when old ones were overwritten. */
  readonly framesCreated: number;
  readonly freeBytes: number;
  readonly bufferBytes: number;
  readonly isCircular: boolean;
  readonly isDisconnected: boolean;
  /** Microseconds of the target's own clock; absent before. */
  readonly startedAt?: bigint;
  readonly stoppedAt?: bigint;
  readonly user: string;
  readonly notes: string;
}

export interface TraceSettings {
  /** A full buffer overwrites its oldest frames; else it ends the run. */
  readonly isCircular?: boolean;
  /** 'default': what the target thinks best. Possible only while no trace runs. */
  readonly bufferBytes?: number | 'default';
  /** The run goes on when its debugger leaves. */
  readonly isDisconnected?: boolean;
  readonly user?: string;
  readonly notes?: string;
  /** Why the user ends the run, for who looks at it later. */
  readonly stopNote?: string;
}

/** Which frame to find, looking from the one after the present frame on. */
export type TraceFrameQuery =
  | { readonly kind: 'number'; readonly number: number }
  | { readonly kind: 'tracepoint'; readonly tracepoint: number }
  /** `end` still belongs to it. */
  | { readonly kind: 'inside' | 'outside'; readonly start: bigint; readonly end: bigint };

/** What was collected at one moment; it stays as it is while the target goes on. */
export interface TraceFrame {
  /** From 0, the oldest that is kept. */
  readonly number: number;
  readonly tracepoint: number;
  /** As `TargetRegisters.readAll` and `read`. */
  registers(): { readonly bytes: Uint8Array; readonly known?: readonly boolean[] };
  register(number: number): Uint8Array | 'unavailable' | undefined;
  /** As many bytes from `address` on as were collected; those of read-only regions are the present ones. */
  memory(address: bigint, lengthBytes: number): Uint8Array;
  /** Undefined: not collected. */
  variable(number: number): bigint | undefined;
  readonly memoryRanges: readonly { readonly start: bigint; readonly lengthBytes: number }[];
  readonly variableNumbers: readonly number[];
}

/**
 * Tracepoints (GDB manual, "Tracepoint Packets"): places where the target collects registers and
 * memory into a buffer and goes on. What is not possible is refused by `RemoteError`.
 */
export interface TargetTracepoints {
  /** Forgets all tracepoints, variables and frames, and ends the run. */
  clear(): Awaitable<void>;
  /** Defining again replaces what stood at that place under that number. */
  define(definition: TracepointDefinition): Awaitable<void>;
  /** Further actions of a tracepoint that is defined. */
  addActions(place: TracepointPlace, actions: readonly TraceAction[]): Awaitable<void>;
  /** The definition is whole: a trace that runs takes it in. */
  complete(place: TracepointPlace): Awaitable<void>;
  addSource(place: TracepointPlace, source: TracepointSource): Awaitable<void>;
  setEnabled(place: TracepointPlace, isEnabled: boolean): Awaitable<void>;
  describe(): Awaitable<readonly TracepointDescription[]>;
  /** How often it counted, and the bytes of all its frames since the start of the run. */
  usage(place: TracepointPlace): Awaitable<{ readonly hits: number; readonly bytes: number }>;

  defineVariable(variable: TraceVariable): Awaitable<void>;
  variables(): Awaitable<readonly TraceVariable[]>;
  /** The present value; undefined: no such variable. */
  variable(number: number): Awaitable<bigint | undefined>;

  /** Regions, ends excluded, that do not change: frames show them without having collected them. */
  setReadOnly(
    regions: readonly { readonly start: bigint; readonly end: bigint }[],
  ): Awaitable<void>;
  configure(settings: TraceSettings): Awaitable<void>;
  /** Begins a run with an empty buffer. */
  start(): Awaitable<void>;
  stop(): Awaitable<void>;
  /** The debugger has gone. */
  debuggerLeft(): Awaitable<void>;
  status(): Awaitable<TraceStatus>;

  /** `after`: the number of the present frame; absent: from the oldest on. */
  find(query: TraceFrameQuery, after?: number): Awaitable<TraceFrame | undefined>;
  /**
   * A piece of all frames one after the other, in the form of gdb's trace files; empty: the end. The
   * form does not say how many `registers` a block has: the reader has to know it.
   */
  upload(offsetBytes: number, lengthBytes: number, registers: 'g' | 'all'): Awaitable<Uint8Array>;
}
