/**
 * Tasks of a Linux kernel, as threads and processes. This folder is the only one in the server that
 * knows that kernel. Its forks are not followed.
 */
import { readElf } from '../../symbols/elf-file.ts';
import { SymbolTable } from '../../symbols/symbol-table.ts';
import type {
  GuestProcess,
  GuestSystemCall,
  GuestThread,
  KernelAwareness,
  Listing,
  RegisterValues,
} from '../awareness.ts';
import { hasBelievableTid, withoutTwins } from '../believable.ts';
import { StructureFields } from '../structure-fields.ts';
import { describeWaitStatus } from '../wait-status.ts';
import { readExactly, readU64, type Walk } from '../walk.ts';
import { findLayout, type LinuxLayout } from './linux-layout.ts';
import { systemCalls } from './system-calls.ts';
import { taskState } from './task-state.ts';

/** More are taken for a corrupt list. */
const MOST_TASKS = 4096;
const NAME_BYTES = 16;
/** THREAD_SIZE, without KASAN. */
const STACK_BYTES = 0x4000n;
/** `struct inactive_task_frame` (arch/x86/include/asm/switch_to.h), from the saved stack pointer up. */
const SWITCH_FRAME = ['r15', 'r14', 'r13', 'r12', 'rbx', 'rbp', 'rip'];
const SWITCH_FRAME_BYTES = 8 * SWITCH_FRAME.length;
/** __KERNEL_CS: a task that is not on the CPU has left it in the kernel. */
const KERNEL_CODE = 0x10n;
/** __START_KERNEL_map, where the image is mapped, and the direct map unless it is moved. */
const KERNEL_MAP = 0xffff_ffff_8000_0000n;
const DIRECT_MAP = 0xffff_8880_0000_0000n;
const NS_PER_CLOCK_TICK = 10_000_000n;

interface Task {
  readonly address: bigint;
  readonly fields: StructureFields;
}

type NextTask = (address: bigint) => Walk<Task | undefined>;

/** The awareness of a vmlinux with BTF; `symbols`: the image's, or those that the user gave for it. */
export function findLinuxKernel(
  image: Uint8Array,
  symbols?: SymbolTable,
): KernelAwareness | undefined {
  const file = readElf(image);
  if (file === undefined) return undefined;
  const names = symbols ?? SymbolTable.fromElf(file);
  const layout = findLayout(file, names);
  return layout && new LinuxAwareness(layout, systemCalls(file, names));
}

class LinuxAwareness implements KernelAwareness {
  readonly kernelName: string;
  readonly systemCalls: readonly GuestSystemCall[];
  readonly programs = [];
  readonly forkEntryPoints = [];
  readonly processEventPoints = [];
  readonly capturedRegisterNames = [];
  readonly forkRecordsKept = 0;
  readonly #layout: LinuxLayout;
  /** Where the image was last seen: its physical addresses less its linked ones. */
  #imageOffset = 0n;
  /** Of a task, all that is looked at. */
  readonly #taskBytes: number;

  constructor(layout: LinuxLayout, calls: readonly GuestSystemCall[]) {
    this.#layout = layout;
    this.kernelName = layout.kernelName;
    this.systemCalls = calls;
    this.#taskBytes = Math.max(...Object.values<number>({ ...layout.task })) + NAME_BYTES;
  }

  *currentThread(): Walk<{ tid: number; pid: number } | undefined> {
    const { currentTask, perCpuOffsets, task } = this.#layout;
    const cr3 = yield* this.#kernelCr3();
    const base = perCpuOffsets === undefined ? 0n : yield* readU64(perCpuOffsets, cr3);
    if (base === undefined) return undefined;
    const address = yield* readU64(BigInt.asUintN(64, currentTask + base), cr3);
    const current = address === undefined ? undefined : yield* this.#task(address, cr3);
    if (current === undefined) return undefined;
    return { tid: current.fields.u32(task.pid), pid: current.fields.u32(task.tgid) };
  }

  *threads(): Walk<Listing<GuestThread>> {
    const complaints: string[] = [];
    const cr3 = yield* this.#kernelCr3();
    const tasks = yield* this.#tasks(cr3, complaints);
    const directMap = yield* this.#directMap(cr3);
    const threads: GuestThread[] = [];
    for (const task of tasks) threads.push(yield* this.#thread(task, cr3, directMap));
    const believable = threads.filter((thread) => hasBelievableTid(thread, complaints));
    return { items: withoutTwins(believable, 'tid', complaints), complaints };
  }

  *processes(): Walk<Listing<GuestProcess>> {
    const complaints: string[] = [];
    const tasks = yield* this.#tasks(yield* this.#kernelCr3(), complaints);
    const { task: layout } = this.#layout;
    const pids = new Map(tasks.map(({ address, fields }) => [address, fields.u32(layout.tgid)]));
    const processes = tasks
      .filter(({ fields }) => fields.u32(layout.pid) === fields.u32(layout.tgid))
      .filter(({ fields }) => fields.u32(layout.pid) !== 0)
      .map((task) => this.#process(task, pids));
    return { items: withoutTwins(processes, 'pid', complaints), complaints };
  }

  *forkTotal(): Walk<undefined> {}

  *forkRecord(): Walk<undefined> {}

  /**
   * Where all that the kernel has is mapped. The tables in force may be a program's, which do not have it
   * (page-table isolation): then the image is where it was, or where it is linked.
   */
  *#kernelCr3(): Walk<bigint> {
    const { kernelTables, physBase } = this.#layout;
    const offset = physBase === undefined ? undefined : yield* readU64(physBase);
    if (offset !== undefined) this.#imageOffset = offset;
    return BigInt.asUintN(52, kernelTables - KERNEL_MAP + this.#imageOffset);
  }

  /** Where all physical memory is mapped. */
  *#directMap(cr3: bigint): Walk<bigint> {
    const { pageOffsetBase } = this.#layout;
    const base = pageOffsetBase === undefined ? undefined : yield* readU64(pageOffsetBase, cr3);
    return base ?? DIRECT_MAP;
  }

  *#task(address: bigint, cr3: bigint): Walk<Task | undefined> {
    const view = yield* readExactly(address, this.#taskBytes, cr3);
    return view && { address, fields: new StructureFields(view) };
  }

  /** All tasks, the idle one first. `complaints` gets a line for whatever ends the walk early. */
  *#tasks(cr3: bigint, complaints: string[]): Walk<Task[]> {
    const { initTask, task: layout } = this.#layout;
    const tasks = new Map<bigint, Task>();
    const next: NextTask = (address) => this.#next(address, { cr3, tasks, complaints });
    const idle = yield* this.#task(initTask, cr3);
    // Not mapped: the kernel has not come that far.
    for (let leader = idle; leader !== undefined;) {
      tasks.set(leader.address, leader);
      yield* this.#addThreads(leader, tasks, next);
      const address: bigint = containerOf(leader.fields.u64(layout.next), layout.next);
      leader = address === initTask ? undefined : yield* next(address);
    }
    return [...tasks.values()];
  }

  /** The other threads of a process: a circle through its `struct signal_struct`. */
  *#addThreads(leader: Task, tasks: Map<bigint, Task>, next: NextTask): Walk<void> {
    const { task: layout, threadHead } = this.#layout;
    const head = BigInt.asUintN(64, leader.fields.u64(layout.signal) + BigInt(threadHead));
    let link = leader.fields.u64(layout.nextOfProcess);
    while (link !== head) {
      const address = containerOf(link, layout.nextOfProcess);
      // A process whose first thread has ended: the circle comes back to it last.
      if (address === leader.address) break;
      const thread = yield* next(address);
      if (thread === undefined) return;
      tasks.set(address, thread);
      link = thread.fields.u64(layout.nextOfProcess);
    }
  }

  /** A task that a list goes on with; undefined: it cannot. */
  *#next(
    address: bigint,
    { cr3, tasks, complaints }: { cr3: bigint; tasks: Map<bigint, Task>; complaints: string[] },
  ): Walk<Task | undefined> {
    let problem: string | undefined;
    if (tasks.has(address)) problem = 'appears twice: the list is circular';
    else if (tasks.size >= MOST_TASKS)
      problem = `and what follows is left out: over ${MOST_TASKS} tasks`;
    const task = problem === undefined ? yield* this.#task(address, cr3) : undefined;
    if (task === undefined) {
      const where = address.toString(16);
      complaints.push(`task list: 0x${where} ${problem ?? 'is not mapped'}`);
    }
    return task;
  }

  *#thread({ address, fields }: Task, cr3: bigint, directMap: bigint): Walk<GuestThread> {
    const { task: layout } = this.#layout;
    const mm = fields.u64(layout.mm);
    return {
      tid: fields.u32(layout.pid),
      pid: fields.u32(layout.tgid),
      name: fields.text(layout.name, NAME_BYTES),
      state: taskState(fields.u32(layout.state), fields.u32(layout.exitState)),
      mode: mm === 0n ? 'kernel' : 'user',
      registers: yield* this.#registers(fields.u64(layout.stackPointer), cr3),
      cr3: mm === 0n ? cr3 : yield* this.#pageTable(mm, cr3, directMap),
      kernelStack: { base: fields.u64(layout.stack), sizeBytes: STACK_BYTES },
      switchCount: fields.u64(layout.voluntarySwitches) + fields.u64(layout.involuntarySwitches),
      address,
    };
  }

  /** What `__switch_to_asm` has left on the stack, and where it goes on. */
  *#registers(stackPointer: bigint, cr3: bigint): Walk<RegisterValues> {
    const view = yield* readExactly(stackPointer, SWITCH_FRAME_BYTES, cr3);
    const frame = view && new StructureFields(view);
    return new Map([
      ...(frame?.registers(0, SWITCH_FRAME) ?? []),
      ['rsp', BigInt.asUintN(64, stackPointer + BigInt(SWITCH_FRAME_BYTES))],
      ['cs', KERNEL_CODE],
    ]);
  }

  /** From `struct mm_struct` to CR3; where the tables cannot be found, the kernel's own. */
  *#pageTable(mm: bigint, cr3: bigint, directMap: bigint): Walk<bigint> {
    const table = yield* readU64(BigInt.asUintN(64, mm + BigInt(this.#layout.pageTable)), cr3);
    return table === undefined || table < directMap ? cr3 : BigInt.asUintN(52, table - directMap);
  }

  #process({ address, fields }: Task, pids: ReadonlyMap<bigint, number>): GuestProcess {
    const { task: layout } = this.#layout;
    const exitState = fields.u32(layout.exitState);
    return {
      pid: fields.u32(layout.pid),
      parentPid: pids.get(fields.u64(layout.parent)) ?? 0,
      name: fields.text(layout.name, NAME_BYTES),
      state: taskState(fields.u32(layout.state), exitState),
      ...(exitState === 0 ? {} : { ending: describeWaitStatus(fields.u32(layout.exitCode)) }),
      mode: fields.u64(layout.mm) === 0n ? 'kernel' : 'user',
      startTick: fields.u64(layout.startTime) / NS_PER_CLOCK_TICK,
      address,
    };
  }
}

/** Of a structure by the address of a member, which a hostile guest has below the member's offset. */
function containerOf(member: bigint, offset: number): bigint {
  return BigInt.asUintN(64, member - BigInt(offset));
}
