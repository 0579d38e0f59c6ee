/**
 * `exo_debug`, the descriptor that an Exo kernel exports (kernel/include/exo_debug.h): sizes,
 * offsets and addresses of all that a debugger reads. It is taken from the image file, not from
 * guest memory, so that it holds before the first instruction and nothing in the guest changes it.
 */
import { type ElfFile, readElf, readLoaded, readNotes, stringAt } from '../../symbols/elf-file.ts';
import { SymbolTable } from '../../symbols/symbol-table.ts';
import { printable } from '../../printable.ts';

type FieldType = 'u32' | 'u64';
type Fields = Readonly<Record<string, FieldType>>;
type Values<F extends Fields> = {
  readonly [Name in keyof F]: F[Name] extends 'u64' ? bigint : number;
};

const NAME_TABLE = { address: 'u64', count: 'u32', reserved: 'u32' } as const;

const CPU = {
  base_address: 'u64',
  size: 'u32',
  count: 'u32',
  current_thread_offset: 'u32',
  idle_thread_offset: 'u32',
  ticks_address: 'u64',
  ticks_per_second: 'u32',
  reserved: 'u32',
} as const;

const THREAD = {
  head_address: 'u64',
  size: 'u32',
  next_offset: 'u32',
  next_in_process_offset: 'u32',
  process_offset: 'u32',
  tid_offset: 'u32',
  pid_offset: 'u32',
  name_offset: 'u32',
  name_length: 'u32',
  state_offset: 'u32',
  wait_reason_offset: 'u32',
  wait_channel_offset: 'u32',
  wake_tick_offset: 'u32',
  context_offset: 'u32',
  kernel_stack_base_offset: 'u32',
  kernel_stack_size_offset: 'u32',
  cr3_offset: 'u32',
  mode_offset: 'u32',
  trap_frame_offset: 'u32',
  switch_count_offset: 'u32',
  run_ticks_offset: 'u32',
  reserved: 'u32',
} as const;

const PROCESS = {
  head_address: 'u64',
  size: 'u32',
  next_offset: 'u32',
  pid_offset: 'u32',
  ppid_offset: 'u32',
  name_offset: 'u32',
  name_length: 'u32',
  state_offset: 'u32',
  exit_status_offset: 'u32',
  threads_offset: 'u32',
  mode_offset: 'u32',
  fork_count_offset: 'u32',
  start_tick_offset: 'u32',
} as const;

const FORK_RING = {
  address: 'u64',
  total_address: 'u64',
  capacity: 'u32',
  entry_size: 'u32',
  sequence_offset: 'u32',
  tick_offset: 'u32',
  kind_offset: 'u32',
  flags_offset: 'u32',
  parent_tid_offset: 'u32',
  parent_pid_offset: 'u32',
  child_tid_offset: 'u32',
  child_pid_offset: 'u32',
  captured_offset: 'u32',
  derived_rip_offset: 'u32',
  stale_offset: 'u32',
  child_offset: 'u32',
} as const;

const HEADER = {
  version: 'u32',
  size: 'u32',
  context_register_count: 'u32',
  captured_register_count: 'u32',
  trap_frame_field_count: 'u32',
  reserved: 'u32',
  kernel_name_address: 'u64',
  direct_map_base: 'u64',
  text_start: 'u64',
  text_end: 'u64',
  fork_entry_address: 'u64',
  vfork_entry_address: 'u64',
  switch_window_start: 'u64',
  switch_window_end: 'u64',
} as const;

export type ThreadLayout = Values<typeof THREAD>;
export type ProcessLayout = Values<typeof PROCESS>;
export type ForkRingLayout = Values<typeof FORK_RING>;

export interface ExoDescriptor {
  readonly header: Values<typeof HEADER>;
  readonly kernelName: string;
  readonly threadStates: readonly string[];
  readonly processStates: readonly string[];
  readonly waitReasons: readonly string[];
  readonly cpu: Values<typeof CPU>;
  readonly thread: ThreadLayout;
  readonly process: ProcessLayout;
  readonly forkRing: ForkRingLayout;
}

const MAGIC = 'EXODEBUG';
const NOTE_OWNER = 'Exo';
const NOTE_TYPE = 0x45584f44;
/** sizeof(struct ExoDebug) in version 1; later ones only grow at the end. */
export const DESCRIPTOR_BYTES = 408;

export const CONTEXT_REGISTERS =
  'rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags cs'.split(' ');
export const CAPTURED_REGISTERS = 'rbx rbp r12 r13 r14 r15 rsp'.split(' ');

/** A structure or a name longer than this is a corrupt descriptor, not a kernel. */
const MAXIMUM_STRUCTURE_BYTES = 65536;
const MAXIMUM_NAMES = 64;
const MAXIMUM_NAME_BYTES = 256;

/** Reads fields one after the other with C's natural alignment. */
class StructureReader {
  readonly #view: DataView;
  #offset = MAGIC.length;

  constructor(bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Each structure holds a u64, so C aligns its start and its end to 8 bytes. */
  read<F extends Fields>(fields: F): Values<F> {
    const values: Record<string, bigint | number> = {};
    for (const [name, type] of Object.entries(fields)) values[name] = this.#next(type);
    this.#align(8);
    return values as Values<F>;
  }

  #next(type: FieldType): bigint | number {
    const lengthBytes = type === 'u64' ? 8 : 4;
    this.#align(lengthBytes);
    const offset = this.#offset;
    this.#offset += lengthBytes;
    return type === 'u64'
      ? this.#view.getBigUint64(offset, true)
      : this.#view.getUint32(offset, true);
  }

  #align(bytes: number): void {
    this.#offset = Math.ceil(this.#offset / bytes) * bytes;
  }
}

/** The descriptor of an image; undefined when it is no Exo kernel or its descriptor is unsound. */
export function findDescriptor(image: Uint8Array): ExoDescriptor | undefined {
  const file = readElf(image);
  if (file === undefined) return undefined;
  const candidates = [SymbolTable.fromElf(file).find('exo_debug')?.address, noteAddress(file)];
  for (const address of candidates) {
    if (address === undefined) continue;
    const descriptor = parseDescriptor(file, readLoaded(file, address, DESCRIPTOR_BYTES));
    if (descriptor !== undefined) return descriptor;
  }
  return undefined;
}

function noteAddress(file: ElfFile): bigint | undefined {
  const note = readNotes(file).find(
    ({ owner, type, description }) =>
      owner === NOTE_OWNER && type === NOTE_TYPE && description.length >= 8,
  );
  if (note === undefined) return undefined;
  const { buffer, byteOffset } = note.description;
  return new DataView(buffer, byteOffset).getBigUint64(0, true);
}

function parseDescriptor(file: ElfFile, bytes: Uint8Array): ExoDescriptor | undefined {
  if (bytes.length < DESCRIPTOR_BYTES) return undefined;
  if (Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC) return undefined;
  const reader = new StructureReader(bytes);
  const header = reader.read(HEADER);
  const threadStates = readNames(file, reader.read(NAME_TABLE));
  const processStates = readNames(file, reader.read(NAME_TABLE));
  const waitReasons = readNames(file, reader.read(NAME_TABLE));
  const descriptor = {
    header,
    kernelName: readName(file, header.kernel_name_address),
    threadStates,
    processStates,
    waitReasons,
    cpu: reader.read(CPU),
    thread: reader.read(THREAD),
    process: reader.read(PROCESS),
    forkRing: reader.read(FORK_RING),
  };
  return isSound(descriptor) ? descriptor : undefined;
}

function isSound({ header, cpu, thread, process, forkRing }: ExoDescriptor): boolean {
  const structureBytes = [cpu.size, thread.size, process.size, forkRing.entry_size];
  return (
    header.version >= 1 &&
    header.size >= DESCRIPTOR_BYTES &&
    header.context_register_count === CONTEXT_REGISTERS.length &&
    header.captured_register_count === CAPTURED_REGISTERS.length &&
    structureBytes.every((bytes) => bytes > 0 && bytes <= MAXIMUM_STRUCTURE_BYTES) &&
    forkRing.capacity > 0 &&
    forkRing.capacity <= 65536 &&
    fitsStructure(thread, thread.context_offset + CONTEXT_REGISTERS.length * 8) &&
    fitsStructure(process, process.name_offset + process.name_length) &&
    forkRing.child_offset + CONTEXT_REGISTERS.length * 8 <= forkRing.entry_size
  );
}

/** Whether every field that an `*_offset` names, and `end`, lies in the structure. */
function fitsStructure(layout: ThreadLayout | ProcessLayout, end: number): boolean {
  const offsets = Object.entries(layout).filter(([name]) => name.endsWith('_offset'));
  return (
    end <= layout.size &&
    layout.name_offset + layout.name_length <= layout.size &&
    offsets.every(([, offset]) => typeof offset === 'number' && offset + 4 <= layout.size)
  );
}

function readNames(file: ElfFile, table: Values<typeof NAME_TABLE>): string[] {
  const count = Math.min(table.count, MAXIMUM_NAMES);
  const pointers = readLoaded(file, table.address, count * 8);
  const view = new DataView(pointers.buffer, pointers.byteOffset, pointers.byteLength);
  return Array.from({ length: Math.floor(pointers.length / 8) }, (_, index) =>
    readName(file, view.getBigUint64(index * 8, true)),
  );
}

function readName(file: ElfFile, address: bigint): string {
  return printable(stringAt(readLoaded(file, address, MAXIMUM_NAME_BYTES), 0));
}
