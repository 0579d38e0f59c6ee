/**
 * Threads, processes and forks of the Exo kernel, through its descriptor. This folder is the only
 * one in the server that knows that kernel.
 */
import {
  MOST_TID,
  type ForkEntryPoint,
  type ForkRecord,
  type GuestProcess,
  type GuestProgram,
  type GuestSystemCall,
  type GuestThread,
  type KernelAwareness,
  type KernelModeGate,
  type Listing,
  type ProcessEventPoint,
} from '../awareness.ts';
import { readElf } from '../../symbols/elf-file.ts';
import { SymbolTable } from '../../symbols/symbol-table.ts';
import { type Walk, readExactly, readU64 } from '../walk.ts';
import { hasBelievableTid, withoutTwins } from '../believable.ts';
import { StructureFields } from '../structure-fields.ts';
import { describeWaitStatus } from '../wait-status.ts';
import {
  CAPTURED_REGISTERS,
  CONTEXT_REGISTERS,
  type ExoDescriptor,
  findDescriptor,
} from './descriptor.ts';
import { processEventPoints } from './process-event-points.ts';
import { embeddedPrograms } from './programs.ts';
import { kernelModeGate, systemCalls } from './system-calls.ts';
import { type ListElement, walkList } from './structures.ts';

/** `flags` bit 0 of a ring entry. */
const FROM_STALE = 1;
const FORK_KINDS = ['fork', 'vfork'];

/**
 * The awareness of an Exo kernel's image; undefined for any other image. `symbols`: the image's, or
 * those that the user gave for it.
 */
export function findExoKernel(
  image: Uint8Array,
  symbols?: SymbolTable,
): KernelAwareness | undefined {
  const descriptor = findDescriptor(image);
  const file = readElf(image);
  if (descriptor === undefined || file === undefined) return undefined;
  const names = symbols ?? SymbolTable.fromElf(file);
  const content = {
    programs: embeddedPrograms(file, names),
    systemCalls: systemCalls(file, names),
    kernelModeGate: kernelModeGate(file, names),
    processEventPoints: processEventPoints(file, names, descriptor),
  };
  return new ExoAwareness(descriptor, content);
}

class ExoAwareness implements KernelAwareness {
  readonly kernelName: string;
  readonly programs: readonly GuestProgram[];
  readonly systemCalls: readonly GuestSystemCall[];
  readonly kernelModeGate?: KernelModeGate;
  readonly forkEntryPoints: readonly ForkEntryPoint[];
  readonly processEventPoints: readonly ProcessEventPoint[];
  readonly forkRecordsKept: number;
  readonly capturedRegisterNames = CAPTURED_REGISTERS;
  readonly #descriptor: ExoDescriptor;

  constructor(
    descriptor: ExoDescriptor,
    content: Pick<KernelAwareness, 'programs' | 'systemCalls' | 'processEventPoints'> & {
      readonly kernelModeGate: KernelModeGate | undefined;
    },
  ) {
    this.programs = content.programs;
    this.systemCalls = content.systemCalls;
    this.processEventPoints = content.processEventPoints;
    if (content.kernelModeGate !== undefined) this.kernelModeGate = content.kernelModeGate;
    this.#descriptor = descriptor;
    this.kernelName = descriptor.kernelName;
    const { fork_entry_address, vfork_entry_address } = descriptor.header;
    this.forkEntryPoints = [fork_entry_address, vfork_entry_address]
      .map((address, kind) => ({ address, kind: FORK_KINDS[kind]! }))
      .filter(({ address }) => address !== 0n);
    this.forkRecordsKept = descriptor.forkRing.capacity;
  }

  *currentThread(): Walk<{ tid: number; pid: number } | undefined> {
    const { cpu, thread } = this.#descriptor;
    const pointer = yield* readU64(cpu.base_address + BigInt(cpu.current_thread_offset));
    if (pointer === undefined || pointer === 0n) return undefined;
    const first = Math.min(thread.tid_offset, thread.pid_offset);
    const span = Math.abs(thread.tid_offset - thread.pid_offset) + 4;
    const view = yield* readExactly(pointer + BigInt(first), span);
    if (view === undefined) return undefined;
    const tid = view.getUint32(thread.tid_offset - first, true);
    if (tid > MOST_TID) return undefined;
    return {
      tid,
      pid: view.getUint32(thread.pid_offset - first, true),
    };
  }

  *threads(): Walk<Listing<GuestThread>> {
    const complaints: string[] = [];
    const layout = this.#descriptor.thread;
    const elements = yield* walkList('thread', layout, (line) => complaints.push(line));
    const ticks = yield* readU64(this.#descriptor.cpu.ticks_address);
    const threads = elements
      .map((element) => this.#thread(element, ticks))
      .filter((thread) => hasBelievableTid(thread, complaints));
    return { items: withoutTwins(threads, 'tid', complaints), complaints };
  }

  #thread({ address, fields }: ListElement, ticks: bigint | undefined): GuestThread {
    const { thread: layout, threadStates } = this.#descriptor;
    const state = fields.u32(layout.state_offset);
    const waitsFor = this.#waitsFor(fields, ticks);
    let registers: ReadonlyMap<string, bigint> | undefined;
    return {
      tid: fields.u32(layout.tid_offset),
      pid: fields.u32(layout.pid_offset),
      name: fields.text(layout.name_offset, layout.name_length),
      state: threadStates[state] ?? `state ${state}?`,
      ...(waitsFor === undefined ? {} : { waitsFor }),
      mode: modeName(fields.u32(layout.mode_offset)),
      // Made when asked for: a debugger lists all threads at each stop and looks into few.
      get registers() {
        registers ??= fields.registers(layout.context_offset, CONTEXT_REGISTERS);
        return registers;
      },
      cr3: fields.u64(layout.cr3_offset),
      kernelStack: {
        base: fields.u64(layout.kernel_stack_base_offset),
        sizeBytes: fields.u64(layout.kernel_stack_size_offset),
      },
      switchCount: fields.u64(layout.switch_count_offset),
      address,
    };
  }

  #waitsFor(fields: StructureFields, ticks: bigint | undefined): string | undefined {
    const { thread: layout, waitReasons, cpu } = this.#descriptor;
    const reason = fields.u32(layout.wait_reason_offset);
    if (reason === 0) return undefined;
    const name = waitReasons[reason] ?? `reason ${reason}?`;
    const channel = fields.u64(layout.wait_channel_offset);
    const wakeTick = fields.u64(layout.wake_tick_offset);
    const parts = [name];
    // A sleeper's channel is its wake tick.
    if (channel !== 0n && channel !== wakeTick) parts.push(describeChannel(channel));
    if (wakeTick !== 0n) parts.push(describeWake(wakeTick, ticks, cpu.ticks_per_second));
    return parts.join(' ');
  }

  *processes(): Walk<Listing<GuestProcess>> {
    const complaints: string[] = [];
    const layout = this.#descriptor.process;
    const elements = yield* walkList('process', layout, (line) => complaints.push(line));
    const processes = elements.map((element) => this.#process(element));
    return { items: withoutTwins(processes, 'pid', complaints), complaints };
  }

  #process({ address, fields }: ListElement): GuestProcess {
    const { process: layout, processStates } = this.#descriptor;
    const stateNumber = fields.u32(layout.state_offset);
    const state = processStates[stateNumber] ?? `state ${stateNumber}?`;
    const status = fields.u32(layout.exit_status_offset) | 0;
    return {
      pid: fields.u32(layout.pid_offset),
      parentPid: fields.u32(layout.ppid_offset),
      name: fields.text(layout.name_offset, layout.name_length),
      state,
      ...(state === 'zombie' ? { ending: describeWaitStatus(status) } : {}),
      mode: modeName(fields.u32(layout.mode_offset)),
      forkCount: fields.u32(layout.fork_count_offset),
      startTick: fields.u64(layout.start_tick_offset),
      address,
    };
  }

  *forkTotal(): Walk<bigint | undefined> {
    return yield* readU64(this.#descriptor.forkRing.total_address);
  }

  *forkRecord(sequence: bigint): Walk<ForkRecord | undefined> {
    const ring = this.#descriptor.forkRing;
    const index = sequence % BigInt(ring.capacity);
    const view = yield* readExactly(
      ring.address + index * BigInt(ring.entry_size),
      ring.entry_size,
    );
    if (view === undefined) return undefined;
    const fields = new StructureFields(view);
    if (fields.u64(ring.sequence_offset) !== sequence) return undefined;
    const kind = fields.u32(ring.kind_offset);
    return {
      sequence,
      tick: fields.u64(ring.tick_offset),
      kind: FORK_KINDS[kind] ?? `kind ${kind}?`,
      isFromStale: (fields.u32(ring.flags_offset) & FROM_STALE) !== 0,
      parentTid: fields.u32(ring.parent_tid_offset),
      parentPid: fields.u32(ring.parent_pid_offset),
      childTid: fields.u32(ring.child_tid_offset),
      childPid: fields.u32(ring.child_pid_offset),
      captured: fields.registers(ring.captured_offset, CAPTURED_REGISTERS),
      derivedRip: fields.u64(ring.derived_rip_offset),
      stale: fields.registers(ring.stale_offset, CONTEXT_REGISTERS),
      child: fields.registers(ring.child_offset, CONTEXT_REGISTERS),
    };
  }
}

function modeName(mode: number): 'kernel' | 'user' {
  return mode === 0 ? 'kernel' : 'user';
}

/** Channels are addresses or pids; -1 is wait4's "any child". */
function describeChannel(channel: bigint): string {
  const signed = BigInt.asIntN(64, channel);
  if (signed === -1n) return 'any';
  return channel < 0x1_0000n ? `${channel}` : `0x${channel.toString(16)}`;
}

function describeWake(wakeTick: bigint, ticks: bigint | undefined, perSecond: number): string {
  const text = `until tick ${wakeTick}`;
  if (ticks === undefined || perSecond === 0 || wakeTick < ticks) return text;
  return `${text} (in ${(Number(wakeTick - ticks) / perSecond).toFixed(2)} s)`;
}
