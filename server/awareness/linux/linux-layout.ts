/**
 * Where a Linux kernel keeps its tasks: addresses from its symbols, offsets from its BTF. Both are of the
 * image file, so that they hold before the first instruction. 64-bit kernels since 3.14, as far as they
 * have BTF (since 5.2).
 */
import { type ElfFile, readLoaded, stringAt } from '../../symbols/elf-file.ts';
import type { SymbolTable } from '../../symbols/symbol-table.ts';
import { BtfTypes } from './btf.ts';

export interface LinuxLayout {
  readonly kernelName: string;
  /** Of the variables. */
  readonly initTask: bigint;
  /** The kernel's own top-level page table. */
  readonly kernelTables: bigint;
  readonly currentTask: bigint;
  /** Absent where there are no per-CPU areas. */
  readonly perCpuOffsets: bigint | undefined;
  readonly physBase: bigint | undefined;
  /** Absent: the direct map is where it always was. */
  readonly pageOffsetBase: bigint | undefined;
  readonly task: TaskLayout;
  /** `struct mm_struct`, `pgd`. */
  readonly pageTable: number;
  /** `struct signal_struct`, `thread_head`. */
  readonly threadHead: number;
}

/** Offsets in `struct task_struct`. */
export interface TaskLayout {
  readonly state: number;
  readonly exitState: number;
  readonly exitCode: number;
  readonly pid: number;
  readonly tgid: number;
  readonly name: number;
  readonly stack: number;
  readonly mm: number;
  readonly next: number;
  readonly nextOfProcess: number;
  readonly signal: number;
  readonly parent: number;
  readonly stackPointer: number;
  readonly voluntarySwitches: number;
  readonly involuntarySwitches: number;
  readonly startTime: number;
}

const TASK_MEMBERS: Readonly<Record<keyof TaskLayout, readonly (readonly string[])[]>> = {
  // Renamed in 5.14.
  state: [['__state'], ['state']],
  exitState: [['exit_state']],
  exitCode: [['exit_code']],
  pid: [['pid']],
  tgid: [['tgid']],
  name: [['comm']],
  stack: [['stack']],
  mm: [['mm']],
  next: [['tasks', 'next']],
  nextOfProcess: [['thread_node', 'next']],
  signal: [['signal']],
  parent: [['real_parent']],
  stackPointer: [['thread', 'sp']],
  voluntarySwitches: [['nvcsw']],
  involuntarySwitches: [['nivcsw']],
  startTime: [['start_time']],
};

const BANNER_BYTES = 256;

/** Undefined: no Linux, or one without BTF, or nobody gave its symbols. */
export function findLayout(file: ElfFile, symbols: SymbolTable): LinuxLayout | undefined {
  const address = (name: string): bigint | undefined => symbols.find(name)?.address;
  const section = file.sections.find(({ name }) => name === '.BTF');
  const initTask = address('init_task');
  const kernelTables = address('init_top_pgt') ?? address('swapper_pg_dir');
  // Since 6.2 the pointer was in a structure of what is hot, until 6.15.
  const currentTask = address('current_task') ?? address('pcpu_hot');
  if (section === undefined || initTask === undefined) return undefined;
  if (kernelTables === undefined || currentTask === undefined) return undefined;
  const types = BtfTypes.read(section.content);
  const task = types && taskLayout(types);
  const pageTable = types?.offsetOf('mm_struct', 'pgd');
  const threadHead = types?.offsetOf('signal_struct', 'thread_head');
  if (task === undefined || pageTable === undefined || threadHead === undefined) return undefined;
  return {
    kernelName: kernelName(file, address('linux_banner')),
    initTask,
    kernelTables,
    currentTask,
    perCpuOffsets: address('__per_cpu_offset'),
    physBase: address('phys_base'),
    pageOffsetBase: address('page_offset_base'),
    task,
    pageTable,
    threadHead,
  };
}

function taskLayout(types: BtfTypes): TaskLayout | undefined {
  const layout: Record<string, number> = {};
  for (const [name, paths] of Object.entries(TASK_MEMBERS)) {
    const offsets = paths.map((path) => types.offsetOf('task_struct', ...path));
    const offset = offsets.find((candidate) => candidate !== undefined);
    if (offset === undefined) return undefined;
    layout[name] = offset;
  }
  return layout as Record<keyof TaskLayout, number>;
}

/** `Linux 6.1.0`, of "Linux version 6.1.0 (builder@host) …". */
function kernelName(file: ElfFile, banner: bigint | undefined): string {
  const text = banner === undefined ? '' : stringAt(readLoaded(file, banner, BANNER_BYTES), 0);
  const version = /^Linux version ([!-~]{1,64})/.exec(text)?.[1];
  return version === undefined ? 'Linux' : `Linux ${version}`;
}
