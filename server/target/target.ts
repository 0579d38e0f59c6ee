/**
 * What the packets may ask of whatever is debugged: a core that every target has, and optional
 * capabilities. A capability that is absent means that its packets do not exist: they are neither
 * announced nor answered. Types only; nothing here knows the machine, a kernel or a socket, so that
 * an emulator by somebody else gets a debug server by implementing `Target`.
 *
 * Every function may answer at once or by a promise. It refuses by throwing `RemoteError`
 * (`server/rsp/errno.ts`) with an errno; anything else that is thrown is a bug and is logged.
 */

import type { Awaitable } from './awaitable.ts';

export type { Awaitable };

/** Positive, unique in the whole target (not only in its process), never reused in a session. */
export type ThreadNumber = number;
/** Positive; 1 where the target has only one process. */
export type ProcessNumber = number;

export interface TargetThread {
  readonly id: ThreadNumber;
  readonly process: ProcessNumber;
  readonly name: string;
  /** One line beside the name in `info threads`, e.g. `sleeping, waits for pid 4`. */
  readonly description: string;
  /** The thread that the CPU executes now: exactly one in the whole target has this. */
  readonly isOnCpu: boolean;
  /** The CPU that it runs on or last ran on, from 0. */
  readonly core?: number;
}

/** A register's bytes in target order, as `p` and `g` carry them. */
export interface RegisterValue {
  readonly number: number;
  readonly bytes: Uint8Array;
}

export interface TargetRegisters {
  /** gdb's number of the register that holds the address of the next instruction. */
  readonly programCounter: number;
  /**
   * The `g` block, a constant layout in all CPU modes (560 bytes on x86-64: gdb's default amd64
   * layout). `known[i]` false marks a byte as unavailable, sent as `xx`; absent: all are known.
   */
  readAll(
    thread: ThreadNumber,
  ): Awaitable<{ readonly bytes: Uint8Array; readonly known?: readonly boolean[] }>;
  /** Writes the block of `readAll`; never shorter or longer than that. */
  writeAll(thread: ThreadNumber, bytes: Uint8Array): Awaitable<void>;
  /** One register by gdb's number; undefined: no such register; 'unavailable': not known here. */
  read(thread: ThreadNumber, number: number): Awaitable<Uint8Array | 'unavailable' | undefined>;
  /** False: no such register, or it cannot be written. */
  write(thread: ThreadNumber, number: number, bytes: Uint8Array): Awaitable<boolean>;
  /** What a stop reply carries at once: rip, rsp and rbp save gdb the `g` of each step. */
  expedited(thread: ThreadNumber): Awaitable<readonly RegisterValue[]>;
  /**
   * gdb's numbers of the registers that lldb reads at nearly every stop, without the expedited ones;
   * and of those whose memory it reads then. Absent: it asks for each.
   */
  readonly general?: readonly number[];
  readonly stackPointer?: number;
  readonly framePointer?: number;
}

export interface TargetMemory {
  /**
   * Memory as `thread` sees it: as many bytes from `address` on as can be read, none if the first
   * cannot. A copy that the caller owns.
   */
  read(thread: ThreadNumber, address: bigint, lengthBytes: number): Awaitable<Uint8Array>;
  /** How many bytes were written, from the first on. */
  write(thread: ThreadNumber, address: bigint, bytes: Uint8Array): Awaitable<number>;
  /** The same by physical addresses (`Qqemu.PhyMemMode`), where the target offers it. */
  readonly physical?: PhysicalMemoryAccess;
}

/** RAM by physical addresses; device registers are not read, since reading may change them. */
export interface PhysicalMemoryAccess {
  read(address: bigint, lengthBytes: number): Awaitable<Uint8Array>;
  write(address: bigint, bytes: Uint8Array): Awaitable<number>;
}

/** What one thread does when the target is resumed. */
export type ResumeAction =
  | { readonly kind: 'continue'; readonly signal?: number }
  | { readonly kind: 'step'; readonly signal?: number }
  /** Steps on while `start <= rip < end`; may stop at any time, must stop outside. */
  | { readonly kind: 'range-step'; readonly start: bigint; readonly end: bigint };

export interface ThreadResume {
  readonly threads: ThreadNumber | 'all';
  readonly action: ResumeAction;
}

/**
 * The breakpoint or watchpoint is none of the client's own: it came from a monitor command. The client
 * must not hear `swbreak` or `watch`, or gdb takes it for one that is gone and silently goes on.
 */
export interface ForeignStop {
  /** What it was: one line. */
  readonly description: string;
}

/** Why a thread stopped. */
export type StopCause =
  /** rip equals `address`, and nothing there has executed. `isHardware`: it was inserted by Z1. */
  | {
      readonly kind: 'breakpoint';
      readonly address: bigint;
      readonly isHardware: boolean;
      /** See `ForeignStop`. */
      readonly foreign?: ForeignStop;
    }
  | {
      readonly kind: 'watchpoint';
      /** An address inside the watched range. */
      readonly address: bigint;
      readonly watch: 'write' | 'read' | 'access';
      readonly foreign?: ForeignStop;
    }
  | { readonly kind: 'step' }
  /** `interrupt()`, or a monitor command that halts. */
  | { readonly kind: 'interrupt' }
  /** Halted before its first instruction or after a reset. */
  | { readonly kind: 'reset' }
  /** Control has entered a system call, or has come back from one. */
  | {
      readonly kind: 'system-call';
      readonly phase: 'entry' | 'return';
      readonly number: number;
      /** As the guest's kernel calls it, where that is known. */
      readonly name?: string;
    }
  /** Something of the guest, e.g. a triple fault; `description` is one line. */
  | { readonly kind: 'exception'; readonly description: string };

export type TargetStop =
  | {
      readonly kind: 'stopped';
      /** A thread that was resumed: a step of one thread stops in that thread. */
      readonly thread: ThreadNumber;
      /** gdb's numbering, e.g. 5 SIGTRAP, 2 SIGINT, 11 SIGSEGV. */
      readonly signal: number;
      readonly cause: StopCause;
      /** Text that the debugger shows to its user before the stop; ends with a line feed. */
      readonly message?: string;
    }
  | { readonly kind: 'exited'; readonly status: number; readonly process: ProcessNumber };

export type TargetState =
  | { readonly kind: 'running' }
  | {
      readonly kind: 'halted';
      readonly stop: TargetStop;
      /** The guest has ended or crashed: only a debugger's user would let it go on. */
      readonly hasEnded?: boolean;
    };

/** Kinds by the digit of their packet (GDB manual, "Packets", `z`). */
export const BREAKPOINT_KIND = { software: 0, hardware: 1, write: 2, read: 3, access: 4 } as const;
export type BreakpointKind = (typeof BREAKPOINT_KIND)[keyof typeof BREAKPOINT_KIND];

export interface Breakpoint {
  readonly kind: BreakpointKind;
  readonly address: bigint;
  /** Watchpoints: bytes watched. Breakpoints: the length of a trap instruction, unused here. */
  readonly lengthBytes: number;
  readonly process: ProcessNumber;
}

/**
 * Agent expressions that a breakpoint carries (GDB manual, "The GDB Agent Expression Mechanism"), as
 * bytes. It counts when any condition is true, or there is none; an evaluation that fails is true.
 * With commands it runs them when it counts and does not stop.
 */
export interface AgentCode {
  readonly conditions: readonly Uint8Array[];
  readonly commands: readonly Uint8Array[];
}

/** Who inserted a breakpoint: compared by identity. A session uses itself. */
export type BreakpointOwner = object;

export interface TargetBreakpoints {
  readonly kinds: readonly BreakpointKind[];
  /** `insert` understands agent code; absent: conditions and commands are not announced. */
  readonly takesCode?: boolean;
  /**
   * Inserting twice is inserting once, with the later code. False: this kind or length is not
   * possible. Code that is not valid is refused by `RemoteError`.
   */
  insert(owner: BreakpointOwner, breakpoint: Breakpoint, code?: AgentCode): Awaitable<boolean>;
  /** Removing what is not there is no error. Other owners' breakpoints stay. */
  remove(owner: BreakpointOwner, breakpoint: Breakpoint): Awaitable<void>;
  removeAllOf(owner: BreakpointOwner): Awaitable<void>;
}

// --- Optional capabilities -----------------------------------------------------------------------

export interface TargetFile {
  readonly sizeBytes: number;
  /** Seconds since 1970. */
  readonly modifiedAt: number;
  read(offsetBytes: number, lengthBytes: number): Awaitable<Uint8Array>;
}

/** Files for the debugger, read-only: the image, the guest's programs, its /proc (`vFile`). */
export interface TargetFiles {
  /** Undefined: not offered, whatever else the host has at that path. */
  open(path: string, process: ProcessNumber): Awaitable<TargetFile | undefined>;
  /** Where a symbolic link leads; undefined: there is no such link. */
  readLink?(path: string): Awaitable<string | undefined>;
  /** The absolute path, openable with `open`, of what the process executes. */
  executableOf(process: ProcessNumber): Awaitable<string | undefined>;
}

export interface MemoryRegion {
  readonly start: bigint;
  readonly lengthBytes: bigint;
  /** Absent: nothing is mapped here; the region is then the whole gap. */
  readonly permissions?: {
    readonly read: boolean;
    readonly write: boolean;
    readonly execute: boolean;
  };
  readonly name?: string;
}

/** `look` may read only; `control` may also change or move the machine. */
export type MonitorAccess = 'look' | 'control';

export interface MonitorRequest {
  readonly commandLine: string;
  readonly access: MonitorAccess;
  /** The thread that the debugger has selected. */
  readonly thread: ThreadNumber;
  /** Streams text to the user. Lines end with a line feed. */
  readonly output: (text: string) => void;
}

export interface MonitorResult {
  /** Failure and its reason, one line without a line feed; success: absent. */
  readonly failure?: string;
  /** What must wait until the answer has left, e.g. ending the server. */
  readonly afterReply?: () => void;
}

export interface TargetMonitor {
  run(request: MonitorRequest): Awaitable<MonitorResult>;
}

/** A file with symbols beside the executable, at its own place (`qXfer:libraries-svr4`). */
export interface TargetLibrary {
  /** Openable with `TargetFiles.open`. */
  readonly path: string;
  /** Added to every address of the file, modulo 2^64. */
  readonly offset: bigint;
  /** Where its dynamic section is, if it has one: gdb checks that. */
  readonly dynamicAddress?: bigint;
}

/** A table of `info os` (`qXfer:osdata`). */
export interface OsDataTable {
  readonly name: string;
  readonly description: string;
  rows(): Awaitable<readonly ReadonlyMap<string, string>[]>;
}

/** What lldb asks of the system that is debugged (`qHostInfo`, `qProcessInfo`). */
export interface TargetIdentity {
  /** e.g. `x86_64-unknown-none-elf`. */
  readonly triple: string;
  readonly pointerBytes: number;
  readonly hostName: string;
}

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
  /** A piece of all frames one after the other, in the form of gdb's trace files; empty: the end. */
  upload(offsetBytes: number, lengthBytes: number): Awaitable<Uint8Array>;
}

export interface Target {
  readonly registers: TargetRegisters;
  readonly memory: TargetMemory;
  readonly breakpoints: TargetBreakpoints;

  /** `qXfer:features:read`: the XML of `target.xml` and of what it includes. */
  description(annex: string): string | undefined;

  /** In the order of `info threads`; never empty while the target lives. */
  threads(): Awaitable<readonly TargetThread[]>;
  /** The threads that the CPU runs on: stable, whether or not the guest has threads yet. */
  currentThread(): Awaitable<ThreadNumber>;

  state(): TargetState;
  /**
   * Sets the target going and returns; `onStop` listeners hear once how it ended. Only while halted.
   * The first matching element counts for a thread; threads without one stay where they are.
   */
  resume(threads: readonly ThreadResume[]): void;
  /** Halts a running target; the stop's signal is SIGINT. No effect on a halted one. */
  interrupt(): void;
  /** Called at each transition from running to halted. Returns the remover. */
  onStop(listener: (stop: TargetStop) => void): () => void;
  /** Text for the debugger's user from a running target (breakpoint commands). */
  onOutput?(listener: (text: string) => void): () => void;

  readonly identity?: TargetIdentity;
  readonly files?: TargetFiles;
  readonly monitor?: TargetMonitor;
  /** The region of virtual memory around `address`, as `thread` sees it. */
  readonly memoryRegion?: (thread: ThreadNumber, address: bigint) => Awaitable<MemoryRegion>;
  /**
   * Registers of a thread, one or the `g` block, with pointers to memory that another thread would see
   * otherwise as addresses under which all see the same: for lldb, whose memory requests name no thread.
   * Absent: all threads see the same memory.
   */
  readonly unambiguousPointers?: (
    thread: ThreadNumber,
    registers: Uint8Array,
  ) => Awaitable<Uint8Array>;
  /** The XML of `qXfer:memory-map`, in virtual addresses; outside it gdb reads nothing. */
  readonly memoryMap?: () => Awaitable<string>;
  readonly osData?: readonly OsDataTable[];
  /** Absent: there are none, and there is nothing to announce. */
  readonly libraries?: readonly TargetLibrary[];
  /** Stops at system calls by their numbers (gdb's `catch syscall`), in every process. */
  readonly catchSystemCalls?: (numbers: ReadonlySet<number> | 'all' | 'none') => void;
  readonly tracepoints?: TargetTracepoints;
  /** Power cycle (`R`, `vRun`); leaves the target halted. */
  readonly restart?: () => Awaitable<void>;
}
