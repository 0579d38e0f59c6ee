/**
 * What a packet's handler may use besides its fields: the target, what this client has negotiated and
 * selected, and the few things only its session can do.
 */
import type {
  BreakpointOwner,
  MonitorAccess,
  ReverseAction,
  Target,
  TargetFile,
  TraceFrame,
  ThreadResume,
} from '../target/target.ts';
import type { ReusedSpace } from '../rsp/frame-space.ts';
import type { Reply } from '../rsp/reply.ts';
import type { NonStop } from './non-stop.ts';
import type { ThreadSelection } from './thread-selection.ts';

/** The longest payload in either direction, in bytes; announced in hex by `qSupported`. */
export const PACKET_SIZE = 0x20000;

/** What the client has told about itself. One object per session, changed by the handshake packets. */
export interface ClientFeatures {
  /** It has sent qSupported. lldb asks for QStartNoAckMode before that, gdb after it. */
  hasNegotiated: boolean;
  /** It sent what only lldb sends; decides the form of `x` and the extras of a stop reply. */
  isLldb: boolean;
  /** Thread ids are written `pPID.TID`. */
  multiprocess: boolean;
  swbreak: boolean;
  hwbreak: boolean;
  /** It knows the stop reply `N`. */
  noResumed: boolean;
  errorMessages: boolean;
  hexErrorStrings: boolean;
  /** It takes several processes and stops at their forks and execs, and the target offers them. */
  processes: boolean;
  /** lldb's `QListThreadsInStopReply`. */
  threadsInStopReply: boolean;
  /** It takes libraries from `qXfer:libraries` and has not read any yet. */
  lacksLibraries: boolean;
  /**
   * Whether lldb has a file of the kernel: without one it looks for a kernel, and for the library's file,
   * in memory. It has then what it could read there.
   */
  kernelFile: 'perhaps' | 'sought' | 'in memory';
  /** It has had an answer to `g`, and knows from it how long gdb's register block is. */
  knowsRegisterBlock: boolean;
  /** `Qqemu.PhyMemMode:1`: memory packets carry physical addresses. */
  physicalMemory: boolean;
}

export function unknownClient(): ClientFeatures {
  return {
    hasNegotiated: false,
    isLldb: false,
    multiprocess: false,
    swbreak: false,
    hwbreak: false,
    noResumed: false,
    errorMessages: false,
    hexErrorStrings: false,
    processes: false,
    threadsInStopReply: false,
    lacksLibraries: false,
    kernelFile: 'perhaps',
    knowsRegisterBlock: false,
    physicalMemory: false,
  };
}

/** Things with a handle that the client opens and the session forgets when it ends. */
export interface ClientHoldings {
  readonly files: Map<number, TargetFile>;
  readonly savedRegisters: Map<number, Uint8Array>;
  /** qXfer objects being read in several pieces, by packet and annex. */
  readonly transfers: Map<string, Uint8Array>;
  /** Thread ids that `qsThreadInfo` has still to name. */
  remainingThreads: readonly string[];
  /** What `qTsP` and `qTsV` have still to name. */
  tracepointPieces: readonly string[];
  variablePieces: readonly string[];
  /** Selected by `QTFrame`: registers and memory are read from it instead of the live target. */
  traceFrame: TraceFrame | undefined;
}

export interface PacketContext {
  readonly target: Target;
  readonly client: ClientFeatures;
  readonly selection: ThreadSelection;
  readonly holdings: ClientHoldings;
  /** Under which the client's breakpoints are registered. */
  readonly owner: BreakpointOwner;
  readonly server: { readonly name: string; readonly version: string };
  /** What this client's monitor commands may do now. */
  readonly monitorAccess: MonitorAccess;
  /** The text of `qSupported`, from all definitions that exist for this target. */
  readonly announcements: readonly string[];

  /** The client has broken in or is gone: what takes long ends. */
  readonly isCancelled: boolean;

  readonly nonStop: NonStop;
  /** What a reply is made of may be put here: it is free again when the next packet is handled. */
  readonly replyRoom: ReusedSpace;

  /** Sends text for the client's user at once, in `O` packets. */
  output(text: string): void;
  /** No more acknowledgements after the present reply. */
  stopAcknowledging(): void;
  /** Sets the target going; the handler answers `reply.resumed`, and the stop follows by itself. */
  resume(threads: readonly ThreadResume[]): Reply;
  /** Sets the target going backwards, likewise. */
  reverse(action: ReverseAction): Reply;
  /**
   * The connection ceases to be the debugger: its breakpoints go, and the target runs on or halts as
   * the server was told. `stayHalted` overrules that.
   */
  detach(options?: { readonly stayHalted: boolean }): Promise<void>;
  /** Lets a halted target go on if there is no debugger and the server was not told otherwise. */
  runIfUnattended(): void;
  /** Runs once the present reply has been handed to the transport. */
  afterReply(action: () => void): void;
}
