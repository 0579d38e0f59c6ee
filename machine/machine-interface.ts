/**
 * The emulated PC, whole: CPU, memory, devices, clock and boot, behind the interface that the debug
 * server and the tests use. Synchronous and deterministic: same image and inputs, same run.
 */
import type { BootModule } from './boot/boot-protocol.ts';
import type { RamRun } from './memory/used-frames.ts';
import type { StopReason, WatchKind } from './stop-reason.ts';
import type { MachineState } from './time-travel/machine-state.ts';

export type EngineKind = 'step' | 'block';

export interface Hotness {
  /** Instructions from one look at where control is to the next. */
  readonly sampleInstructions: number;
  /** How often uncompiled code of a page is seen before it is compiled; each time on it doubles. */
  readonly firstThreshold: number;
}

export interface MachineOptions {
  readonly image: Uint8Array;
  readonly imageName: string;
  readonly commandLine?: string;
  readonly modules?: readonly BootModule[];
  /** Guest RAM; a multiple of 1 MiB, at least 2 MiB, at most 2 GiB. */
  readonly memoryBytes?: number;
  /**
   * `block` compiles hot code, `step` executes instruction by instruction; the guest sees no difference.
   */
  readonly engine?: EngineKind;
  /** When the block engine compiles; the guest sees no difference. Left out or undefined: as is best. */
  readonly hotness?: Hotness | undefined;
  /** Milliseconds, from any moment on: only for what `describeJit` says of compiling. */
  readonly hostClock?: () => number;
  /**
   * Where to begin instead of at power-on: what `save` gave on a machine with this much memory. The
   * image is what a reset boots.
   */
  readonly state?: MachineState;
  /** Receives the bytes that the guest writes to COM1, at the instruction that writes them. */
  readonly onSerialOutput?: (bytes: Uint8Array) => void;
  /** Lines worth a log: unknown ports, MSRs, unimplemented instructions; each once. */
  readonly onNote?: (note: string) => void;
}

export interface RunOptions {
  /** Instructions to retire at most. */
  readonly budget: number;
  /** HLT with an armed timer skips virtual time at once instead of stopping with `idle`. */
  readonly skipIdle?: boolean;
  /**
   * Execute the first instruction even if a breakpoint stands on it (resuming from the stop that it
   * caused). False when rip was moved there by the debugger.
   */
  readonly passBreakpoint?: boolean;
  /** Stop after one instruction, or when an exception or interrupt has been delivered. */
  readonly step?: boolean;
  /** Deliver no external interrupts while running (a debugger's step). */
  readonly maskInterrupts?: boolean;
}

/** Where a snapshot of registers names what the debugger reads and writes. */
export type DebugRegisterName = string;

/** What happens when control reaches an address, without stopping: kernel awareness uses it. */
export type ExecutionHook = (machine: MachineView) => void;

/**
 * Asked inside the slice when control reaches a breakpoint or a watched byte has been touched: true
 * stops, false goes on as if nothing were there. It may look, print and count, but not change the
 * machine; it may be asked again at the same position.
 */
export type StopPredicate = (machine: MachineView) => boolean;

/** Code that is not executed while a debugger holds whom it belongs to; see `holdCode`. */
export interface CodeHold {
  /** Linear addresses in ring 0, with interrupts enabled, that are held as ring 3 is. */
  readonly places: ReadonlySet<bigint>;
  /** Whether what is about to be executed in ring 3, or at a place, is held now. */
  readonly isHeld: StopPredicate;
}

/** One mapping of the present page tables, for `info mem` and `info tlb`. */
export interface PageMapping {
  readonly linear: bigint;
  readonly physical: bigint;
  readonly lengthBytes: number;
  /** The leaf entry as it stands in memory. */
  readonly entry: bigint;
  /** All levels allow writing; all levels allow user access; some level forbids fetching. */
  readonly isWritable: boolean;
  readonly isUser: boolean;
  readonly isNoExecute: boolean;
}

/** `cut`: there are more mappings than the walk has looked at. */
export type MappingWalkEnd = 'complete' | 'cut';

/** A chip in words. */
export interface DeviceDescription {
  readonly name: string;
  readonly text: string;
  /** Its registers, a line each, where the chip offers them. */
  readonly registers?: readonly string[];
}

/** What the block engine has compiled, for `monitor jit`. */
export interface JitReport {
  readonly regions: readonly {
    readonly linear: bigint;
    readonly physical: bigint;
    readonly instructions: number;
    readonly entries: number;
    /** WebAssembly, not machine code. */
    readonly codeBytes: number;
    /** How many samples fell into it. */
    readonly hits: number;
  }[];
  /** Since power-on: regions compiled, evicted for room, and gone for any reason. */
  readonly compiled: number;
  readonly evicted: number;
  readonly dropped: number;
  readonly codeBytes: number;
  /** How often it was looked where control is. */
  readonly samples: number;
  /** Undefined without a clock. */
  readonly compileMs: number | undefined;
  readonly longestCompileMs: number | undefined;
}

export interface MachineView {
  /** Instructions retired since power-on. */
  readonly icount: bigint;
  /** Virtual ticks (nanoseconds) since power-on. */
  readonly ticks: bigint;
  /** Guest RAM; physical addresses from here on have none. */
  readonly ramBytes: number;

  /**
   * Registers by name: rax…r15 rip rflags es cs ss ds fs gs (selectors) fs_base gs_base k_gs_base
   * cr0 cr2 cr3 cr4 cr8 efer, gdtr_base, gdtr_limit, idtr_base, idtr_limit, ldtr, tr, dr0–dr7,
   * mxcsr, cpl, and the bases, limits and attributes of segments as `cs_base`, `cs_limit`,
   * `cs_attributes`. `undefined` for an unknown name.
   */
  readRegister(name: DebugRegisterName): bigint | undefined;
  /** Reads one register again and again: what `readRegister` gives, without finding the name. */
  registerReader(name: DebugRegisterName): (() => bigint) | undefined;
  /**
   * The bytes in which the machine keeps a register, least significant first, borrowed: they follow
   * it, for who reads hundreds of thousands of times a second. Also `xmm0`–`xmm15`, and `x87`: bytes
   * 0–159 of FXSAVE. Undefined for one that is put together (rflags) or does not exist.
   */
  registerBytes?(name: DebugRegisterName): Uint8Array | undefined;
  /** 16 bytes of xmm0–xmm15, a copy. */
  readVector(register: number): Uint8Array;
  /** The 512 bytes that FXSAVE would store, with x87 state as it stands. */
  readFxsave(): Uint8Array;

  /** Translates with the present CR3 or the given one; no permission is checked, no bit is set. */
  translate(linear: bigint, cr3?: bigint): bigint | undefined;
  /**
   * Reads linear memory without faulting: as many bytes from `linear` on as are mapped to RAM,
   * up to `lengthBytes`; none gives an empty array. A copy, in `into` if that is given, which has room for
   * all of them.
   */
  readLinear(linear: bigint, lengthBytes: number, cr3?: bigint, into?: Uint8Array): Uint8Array;
  /**
   * The same into `into` from `offset` on, for who reads often; how many bytes came. There must be
   * room for `lengthBytes`.
   */
  copyLinear(linear: bigint, lengthBytes: number, into: Uint8Array, offset: number): number;
  /** A little-endian number in linear memory, or undefined where it is not all mapped to RAM. */
  readInteger(linear: bigint, lengthBytes: 1 | 2 | 4 | 8): bigint | undefined;
  /** RAM at a physical address; shorter than asked at the end of RAM. A copy. */
  readPhysical(physical: bigint, lengthBytes: number): Uint8Array;
  /**
   * All mappings below `cr3` in ascending order, one per leaf entry. Ends early, and returns so, in
   * tables that describe more than a sound kernel has.
   */
  mappings(cr3?: bigint): Iterable<PageMapping, MappingWalkEnd>;
  /** RAM that holds anything but zeros, ascending, apart from each other. Looks through all of RAM. */
  usedRam(): readonly RamRun[];
  /** Undefined with the step engine. */
  describeJit?(): JitReport | undefined;
}

export interface MachineControl {
  /** Runs one slice. Breakpoints, watchpoints and hooks are in force. */
  run(options: RunOptions): StopReason;
  /** Lets a halted guest's time pass without waiting: at most `ticks`, at most to the next event. */
  skipIdle(ticks: bigint): void;
  /** False when the register cannot be written or the value is refused. */
  writeRegister(name: DebugRegisterName, value: bigint): boolean;
  writeVector(register: number, bytes: Uint8Array): void;
  /** Writes through page tables ignoring permissions: how many bytes were written. */
  writeLinear(linear: bigint, bytes: Uint8Array, cr3?: bigint): number;
  writePhysical(physical: bigint, bytes: Uint8Array): number;
  /**
   * Breakpoints by linear address in every address space; adding twice is once. With a predicate it
   * stops only where that says so; adding again replaces the predicate.
   */
  addBreakpoint(linear: bigint, predicate?: StopPredicate): void;
  removeBreakpoint(linear: bigint): void;
  /** The predicate, if any, is asked when the accessing instruction has retired. */
  addWatchpoint(
    linear: bigint,
    lengthBytes: number,
    watch: WatchKind,
    predicate?: StopPredicate,
  ): void;
  removeWatchpoint(linear: bigint, lengthBytes: number, watch: WatchKind): void;
  /** Run stops at entry to and return from these system calls, by whichever instruction. */
  catchSystemCalls(numbers: ReadonlySet<number> | 'all' | 'none'): void;
  /** Run stops before exceptions of these vectors are delivered; resuming delivers them. */
  catchExceptions(vectors: ReadonlySet<number>): void;
  /**
   * In ring 3 no instruction is executed while `isHeld` says so: time goes on as in HLT, interrupts come,
   * and the guest's kernel takes it for a program that waits in a loop. Undefined: nothing is held.
   */
  holdCode(hold: CodeHold | undefined): void;
  /** Calls `hook` whenever control reaches `linear`, before the instruction; returns its remover. */
  addExecutionHook(linear: bigint, hook: ExecutionHook): () => void;
  /**
   * From a hook or a predicate that has taken long: the run ends at this place, as if its budget were
   * used up there. A single step goes on. Optional: runs of a machine that cannot may take longer.
   */
  endSlice?(): void;
  /** Bytes for COM1's receiver, as if typed. */
  enterSerialInput(bytes: Uint8Array): void;
  /**
   * The whole machine as it stands between two runs; nothing changes. Not from within a run (a hook,
   * a predicate). Optional: a machine of somebody else's may have none.
   */
  save?(): MachineState;
  /** What `save` would copy now: RAM in use and the serial history. */
  savedBytes?(): number;
  /**
   * Goes on from a saved state, on this or another machine with as much memory; breakpoints,
   * watchpoints and hooks stay. Throws `StateError`, and is then of no use until a reset.
   */
  restore?(state: MachineState): void;
  /** Power cycle: the image is booted again; breakpoints, watchpoints and hooks stay. */
  reset(): void;
  /** Device descriptions for `monitor devices`. */
  describeDevices(): readonly DeviceDescription[];
  /** All that COM1 has sent since power-on, at most the last MiB. */
  serialHistory(): Uint8Array;
}
