/**
 * What the debugger wants to know of a guest kernel, whichever it is: threads, processes, forks
 * and saved registers. Every answer is a walk through memory that may be half-booted, corrupt or
 * lying: walks are bounded, find cycles, and say in words what they could not believe.
 */
import type { Walk } from './walk.ts';

/** Values by register name, as `server/target/register-table.ts` and the machine name them. */
export type RegisterValues = ReadonlyMap<string, bigint>;

/** Debuggers number threads by tid + 1, in 31 bits; what is more is no thread of a sane kernel. */
export const MOST_TID = 0x7fff_fffe;

export interface GuestThread {
  /** At most `MOST_TID`. */
  readonly tid: number;
  readonly pid: number;
  readonly name: string;
  /** The kernel's own word, e.g. `ready`, `waiting`. */
  readonly state: string;
  /** What it waits for, e.g. `child 4`, `sleep until tick 812`; absent if for nothing. */
  readonly waitsFor?: string;
  readonly mode: 'kernel' | 'user';
  /** What the last switch away from it saved: old while it is on the CPU. */
  readonly registers: RegisterValues;
  /** Physical address of its top-level page table. */
  readonly cr3: bigint;
  readonly kernelStack: { readonly base: bigint; readonly sizeBytes: bigint };
  readonly switchCount: bigint;
  /** Where the kernel keeps it. */
  readonly address: bigint;
}

export interface GuestProcess {
  readonly pid: number;
  /** 0: made by the kernel itself. */
  readonly parentPid: number;
  readonly name: string;
  readonly state: string;
  /** In words, e.g. `exit 42`, `signal 9`; only when it has ended. */
  readonly ending?: string;
  readonly mode: 'kernel' | 'user';
  /** Absent: the kernel does not count them. */
  readonly forkCount?: number;
  readonly startTick: bigint;
  readonly address: bigint;
}

/** What a walk found, and what was wrong on the way: one line each, for the user. */
export interface Listing<Item> {
  readonly items: readonly Item[];
  readonly complaints: readonly string[];
}

/** A fork as the guest's own record tells it. Nothing of it is certain. */
export interface ForkRecord {
  /** From 0, in the kernel's counting. */
  readonly sequence: bigint;
  readonly tick: bigint;
  readonly kind: string;
  /** The kernel says that it made the child from the parent's stale context. */
  readonly isFromStale: boolean;
  readonly parentTid: number;
  readonly parentPid: number;
  readonly childTid: number;
  readonly childPid: number;
  readonly captured: RegisterValues;
  readonly derivedRip: bigint;
  readonly stale: RegisterValues;
  readonly child: RegisterValues;
}

/** Where control arrives when a thread forks, before anything of the function has executed. */
export interface ForkEntryPoint {
  readonly address: bigint;
  readonly kind: string;
}

/** A program that the guest can execute, as the image carries it. */
export interface GuestProgram {
  /** Where the guest finds it. */
  readonly path: string;
  readonly content: Uint8Array;
}

/** A system call that the kernel answers. */
export interface GuestSystemCall {
  /** What the program puts into rax. */
  readonly number: number;
  readonly name: string;
  /** The function that handles it. */
  readonly handler: bigint;
}

/** A function by which processes in kernel mode call the kernel: no instruction tells of it. */
export interface KernelModeGate {
  /** Its first instruction: the call's number is in edi, the return address at rsp. */
  readonly entry: bigint;
  /** Its only RET, with rsp as at the entry. */
  readonly exit: bigint;
}

/** What happens to processes in the kernel. `current` is the process of the thread on the CPU. */
export type ProcessEvent =
  /** `current` has made a child, which has not run yet. A vfork's parent is about to wait for it. */
  | { readonly kind: 'fork' | 'vfork'; readonly childPid: number }
  /** `current` goes on behind its vfork: the child has executed a program or ended. */
  | { readonly kind: 'vfork-done' }
  /** `current` has become another program, whose first instruction comes next. */
  | { readonly kind: 'exec'; readonly entry: bigint }
  /** A process ends. `waitStatus`: the low 7 bits are a signal, else the next 8 the exit code. */
  | { readonly kind: 'exit'; readonly pid: number; readonly waitStatus: number };

/** An instruction of the kernel at which something happens to a process. */
export interface ProcessEventPoint {
  readonly address: bigint;
  /** What it is, seen before that instruction; undefined: nothing this time. */
  readonly event: (register: (name: string) => bigint) => Walk<ProcessEvent | undefined>;
}

export interface KernelAwareness {
  /** e.g. `Exo-OS 0.1`. */
  readonly kernelName: string;
  readonly programs: readonly GuestProgram[];
  /** Ascending by number; empty where the image does not tell. */
  readonly systemCalls: readonly GuestSystemCall[];
  /** Absent: there is none, or the image does not tell. */
  readonly kernelModeGate?: KernelModeGate;
  /** Empty: its forks are not followed. */
  readonly forkEntryPoints: readonly ForkEntryPoint[];
  /** Empty where the image does not tell. */
  readonly processEventPoints: readonly ProcessEventPoint[];
  /** Names of the registers that a fork must carry over to the child unchanged, except rsp. */
  readonly capturedRegisterNames: readonly string[];
  /** Which thread the CPU executes; undefined: the kernel has none yet, or cannot be believed. */
  currentThread(): Walk<{ readonly tid: number; readonly pid: number } | undefined>;
  threads(): Walk<Listing<GuestThread>>;
  processes(): Walk<Listing<GuestProcess>>;
  /** How many forks the kernel has recorded; undefined while that cannot be read. */
  forkTotal(): Walk<bigint | undefined>;
  /** How many of them it keeps. */
  readonly forkRecordsKept: number;
  /** A recorded fork; undefined when it is overwritten, being written or unreadable. */
  forkRecord(sequence: bigint): Walk<ForkRecord | undefined>;
}
