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
import type { TargetTracepoints } from './target-tracepoints.ts';

export type { Awaitable };
export type * from './target-tracepoints.ts';

/** Positive, unique in the whole target (not only in its process), never reused in a session. */
export type ThreadNumber = number;
/** Positive; 1 where the target has only one process. */
export type ProcessNumber = number;

export interface ThreadWhereabouts {
  readonly process: ProcessNumber;
  /** The CPU that it runs on or last ran on, from 0. */
  readonly core?: number;
}

export interface TargetThread extends ThreadWhereabouts {
  readonly id: ThreadNumber;
  readonly name: string;
  /** One line beside the name in `info threads`, e.g. `sleeping, waits for pid 4`. */
  readonly description: string;
  /** The thread that the CPU executes now: exactly one in the whole target has this. */
  readonly isOnCpu: boolean;
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
  readonly stackPointer?: number | undefined;
  readonly framePointer?: number | undefined;
}

export interface TargetMemory {
  /**
   * Memory as `thread` sees it: as many bytes from `address` on as can be read, none if the first
   * cannot. A copy that the caller owns; it may be in `into`, which has room for all of them, so that
   * a large read needs no new memory.
   */
  read(
    thread: ThreadNumber,
    address: bigint,
    lengthBytes: number,
    into?: Uint8Array,
  ): Awaitable<Uint8Array>;
  /** How many bytes were written, from the first on. */
  write(thread: ThreadNumber, address: bigint, bytes: Uint8Array): Awaitable<number>;
  /** The same by physical addresses (`Qqemu.PhyMemMode`), where the target offers it. */
  readonly physical?: PhysicalMemoryAccess | undefined;
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
  /** With 'all': only this process's, also those that it makes while it runs. See `TargetProcesses`. */
  readonly process?: ProcessNumber;
  /** With 'all', where the target has `isNonStop`: these are not meant. */
  readonly except?: readonly ThreadNumber[];
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
  /** All threads that were resumed have ended; the thread of the stop is another one. */
  | { readonly kind: 'no-resumed' }
  /** Going back, the target has come to where its past begins. */
  | { readonly kind: 'history-begin' }
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
  /** The thread's process has made another one, which the debugger has now too. */
  | {
      readonly kind: 'fork' | 'vfork';
      readonly child: { readonly process: ProcessNumber; readonly thread: ThreadNumber };
    }
  /** The child of the thread's vfork has executed a program or ended. */
  | { readonly kind: 'vfork-done' }
  /** The thread's process has become the program at `path`; nothing of it has executed. */
  | { readonly kind: 'exec'; readonly path: string }
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
  | { readonly kind: 'exited'; readonly status: number; readonly process: ProcessNumber }
  | ProcessExit;

/** One of the processes has ended; the debugger has it no longer, the target is halted. */
export interface ProcessExit {
  readonly kind: 'process-exited';
  readonly process: ProcessNumber;
  /** The exit code, or the number of the signal that ended it. */
  readonly ending: { readonly status: number } | { readonly signal: number };
}

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

/** One step back, or back to the last breakpoint or watchpoint. */
export type ReverseAction = 'step' | 'continue';

/** Going back in time (GDB manual, "Running programs backward"). */
export interface TargetReverse {
  /** As `resume`: the stop follows by itself. Throws `RemoteError` where it is not possible now. */
  resume(action: ReverseAction): void;
  /** The debugger goes: a search under way ends, and the target is halted where it was. */
  giveUp(): void;
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
  /** It has halted a machine that ran: with nobody attached that is to go on. */
  readonly hasHalted?: boolean;
  /** What must wait until the answer has left, e.g. ending the server. */
  readonly afterReply?: () => void;
}

export interface TargetMonitor {
  run(request: MonitorRequest): Awaitable<MonitorResult>;
}

/**
 * The guest's processes as processes of the debugger (GDB manual, "multiprocess extensions", fork and
 * exec events), where it was switched on before the debugger came. What is in no process of its own
 * belongs to process 1. Stops are told only of what was resumed.
 */
export interface TargetProcesses {
  /** The debugger that comes next is to have them. */
  readonly isWanted: boolean;
  /** The present debugger has them. */
  readonly isActive: boolean;
  /** A debugger that can take them has come: from now on it has every process of the guest. */
  begin(): void;
  /** It has gone. */
  end(): void;
  /** What a process has in its memory besides its program. */
  librariesOf(process: ProcessNumber): readonly TargetLibrary[];
  /** In which process a thread is. */
  of(thread: ThreadNumber): ProcessNumber;
  /** Lets one go, which runs on with the target. False: it was the last one. */
  detach(process: ProcessNumber): boolean;
  /** Takes one again that was let go; undefined: the guest has no such process. */
  attach(process: ProcessNumber): ThreadNumber | undefined;
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

/** A file on the server's host that debuggers may read there, if they run there too. */
export interface HostImage {
  /** Absolute. */
  readonly path: string;
  /** Where its first loaded segment is. */
  readonly address: bigint;
  /** Where lldb reads its symbols that has no such file: as if it were memory of the guest. */
  readonly memory: () => readonly { readonly address: bigint; readonly bytes: Uint8Array }[];
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

export interface Target {
  readonly registers: TargetRegisters;
  readonly memory: TargetMemory;
  readonly breakpoints: TargetBreakpoints;

  /** `qXfer:features:read`: the XML of `target.xml` and of what it includes, the same for both or not. */
  description(annex: string, client?: 'gdb' | 'lldb'): string | undefined;

  /** In the order of `info threads`; never empty while the target lives. */
  threads(): Awaitable<readonly TargetThread[]>;
  /**
   * Where one of them is, for targets that know it without listing them all: each stop asks. Undefined:
   * there is no such thread.
   */
  whereabouts?(thread: ThreadNumber): ThreadWhereabouts | undefined;
  /** The threads that the CPU runs on: stable, whether or not the guest has threads yet. */
  currentThread(): Awaitable<ThreadNumber>;

  state(): TargetState;
  /**
   * Sets the target going and returns; `onStop` listeners hear once how it ended. Only while halted.
   * The first matching element counts for a thread; threads without one stay where they are, as far as
   * that is possible.
   */
  resume(threads: readonly ThreadResume[]): void;
  /** Halts a running target; the stop's signal is SIGINT. No effect on a halted one. */
  interrupt(): void;
  /** Called at each transition from running to halted. Returns the remover. */
  onStop(listener: (stop: TargetStop) => void): () => void;
  /** Text for the debugger's user from a running target (breakpoint commands). */
  onOutput?(listener: (text: string) => void): () => void;

  /**
   * It may be asked for memory, threads and breakpoints while it runs, and `resume` understands `except`:
   * gdb's non-stop mode is offered.
   */
  readonly isNonStop?: boolean;
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
  /** What the machine executes, for lldb without a file; absent: nothing that helps. */
  readonly hostImage?: HostImage;
  readonly osData?: readonly OsDataTable[];
  /** Absent: there are none, and there is nothing to announce. */
  readonly libraries?: readonly TargetLibrary[];
  /** Stops at system calls by their numbers (gdb's `catch syscall`), in every process. */
  readonly catchSystemCalls?: (numbers: ReadonlySet<number> | 'all' | 'none') => void;
  readonly tracepoints?: TargetTracepoints;
  readonly reverse?: TargetReverse;
  readonly processes?: TargetProcesses;
  /**
   * The answer to a packet that we do not know, of a target that has a stub of its own; empty: it does
   * not know it either.
   */
  readonly passOn?: (packet: Uint8Array) => Awaitable<Uint8Array>;
  /** Power cycle (`R`, `vRun`); leaves the target halted. */
  readonly restart?: () => Awaitable<void>;
}
