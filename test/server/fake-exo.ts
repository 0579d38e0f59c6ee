/**
 * An Exo kernel's data in a fake machine's memory: the real image's descriptor says where the lists
 * lie, and tests put into them what they like, lies included.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import {
  CAPTURED_REGISTERS,
  CONTEXT_REGISTERS,
  type ExoDescriptor,
  findDescriptor,
} from '../../server/awareness/exo/descriptor.ts';
import { readElf } from '../../server/symbols/elf-file.ts';
import { SymbolTable } from '../../server/symbols/symbol-table.ts';
import { FakeMachine } from './fake-machine.ts';

export const KERNEL_PATH = fileURLToPath(
  new URL('../../kernel/images/kernel.elf', import.meta.url),
);
export const KERNEL_IMAGE: Uint8Array = readFileSync(KERNEL_PATH);
export const KERNEL_SYMBOLS = SymbolTable.fromElf(readElf(KERNEL_IMAGE));

const KERNEL_BASE = 0xffff_ffff_8000_0000n;
const HEAP = KERNEL_BASE + 0x20_0000n;
const STACK_BASE = 0xffff_ff00_0001_0000n;
const STACK_BYTES = 0x4000;
const RAM_BYTES = 4 << 20;
/** Where the fake threads' stacks lie in RAM, 64 KiB apart; CR3 is the same number. */
const STACKS = 0x30_0000n;

export interface FakeThread {
  readonly tid: number;
  readonly pid?: number;
  readonly name?: string;
  /** Index into thread_states: 1 ready, 2 running, 3 waiting, 4 zombie. */
  readonly state?: number;
  readonly waitReason?: number;
  readonly waitChannel?: bigint;
  readonly registers?: Readonly<Record<string, bigint>>;
}

export interface FakeFork {
  readonly parentTid: number;
  readonly childTid: number;
  readonly captured: Readonly<Record<string, bigint>>;
  readonly derivedRip: bigint;
  readonly stale?: Readonly<Record<string, bigint>>;
  readonly child?: Readonly<Record<string, bigint>>;
  readonly isFromStale?: boolean;
}

export function symbolAddress(name: string): bigint {
  const symbol = KERNEL_SYMBOLS.find(name);
  if (symbol === undefined) throw new Error(`the kernel has no symbol ${name}`);
  return symbol.address;
}

export class FakeExo {
  readonly machine = new FakeMachine(RAM_BYTES);
  readonly descriptor: ExoDescriptor;
  readonly #threads = new Map<number, bigint>();
  #heap = HEAP;
  #forks = 0n;

  constructor() {
    const descriptor = findDescriptor(KERNEL_IMAGE);
    if (descriptor === undefined) throw new Error('the kernel image has no descriptor');
    this.descriptor = descriptor;
    this.machine.tables.set(undefined, this.#tables(STACKS));
  }

  #tables(stack: bigint) {
    return [
      { linear: STACK_BASE, physical: stack, lengthBytes: STACK_BYTES, isNoExecute: true },
      { linear: KERNEL_BASE, physical: 0n, lengthBytes: RAM_BYTES },
    ];
  }

  /** Makes the list of threads; the order is that of the list. */
  setThreads(threads: readonly FakeThread[]): void {
    const { thread: layout } = this.descriptor;
    const addresses = threads.map((thread) => this.#putThread(thread));
    this.machine.putU64(layout.head_address, addresses[0] ?? 0n);
    for (const [index, address] of addresses.entries()) {
      this.setNextThread(address, addresses[index + 1] ?? 0n);
    }
  }

  setNextThread(address: bigint, next: bigint): void {
    this.machine.putU64(address + BigInt(this.descriptor.thread.next_offset), next);
  }

  threadAddress(tid: number): bigint {
    return this.#threads.get(tid)!;
  }

  cr3Of(tid: number): bigint {
    return STACKS + BigInt(tid) * 0x1_0000n;
  }

  /** Puts a thread on the CPU: pointer and page tables; the registers stay. */
  setCurrent(tid: number | undefined): void {
    const { cpu } = this.descriptor;
    const pointer = tid === undefined ? 0n : this.threadAddress(tid);
    this.machine.putU64(cpu.base_address + BigInt(cpu.current_thread_offset), pointer);
    if (tid !== undefined) this.machine.registers.set('cr3', this.cr3Of(tid));
  }

  #putThread(thread: FakeThread): bigint {
    const { thread: layout } = this.descriptor;
    const address = this.#allocate(layout.size);
    const { machine } = this;
    const at = (offset: number): bigint => address + BigInt(offset);
    machine.putU32(at(layout.tid_offset), thread.tid);
    machine.putU32(at(layout.pid_offset), thread.pid ?? thread.tid);
    machine.putU32(at(layout.state_offset), thread.state ?? 1);
    machine.putU32(at(layout.wait_reason_offset), thread.waitReason ?? 0);
    machine.putU64(at(layout.wait_channel_offset), thread.waitChannel ?? 0n);
    machine.putU64(at(layout.kernel_stack_base_offset), STACK_BASE);
    machine.putU64(at(layout.kernel_stack_size_offset), BigInt(STACK_BYTES));
    machine.putU64(at(layout.cr3_offset), this.cr3Of(thread.tid));
    machine.writeLinear(at(layout.name_offset), Buffer.from(thread.name ?? `task${thread.tid}`));
    this.#putRegisters(at(layout.context_offset), CONTEXT_REGISTERS, thread.registers ?? {});
    machine.tables.set(this.cr3Of(thread.tid), this.#tables(this.cr3Of(thread.tid)));
    this.#threads.set(thread.tid, address);
    return address;
  }

  setProcesses(
    processes: readonly { pid: number; ppid: number; state?: number; status?: number }[],
  ): void {
    const { process: layout } = this.descriptor;
    let link = layout.head_address;
    for (const { pid, ppid, state, status } of processes) {
      const address = this.#allocate(layout.size);
      this.machine.putU64(link, address);
      link = address + BigInt(layout.next_offset);
      this.machine.putU32(address + BigInt(layout.pid_offset), pid);
      this.machine.putU32(address + BigInt(layout.ppid_offset), ppid);
      this.machine.putU32(address + BigInt(layout.state_offset), state ?? 1);
      this.machine.putU32(address + BigInt(layout.exit_status_offset), status ?? 0);
      const name = Buffer.from(`process${pid}`);
      this.machine.writeLinear(address + BigInt(layout.name_offset), name);
    }
    this.machine.putU64(link, 0n);
  }

  /** Writes the kernel's record of a fork, true or not, and counts it. */
  recordFork(fork: FakeFork): void {
    const { forkRing: ring } = this.descriptor;
    const { machine } = this;
    const index = this.#forks % BigInt(ring.capacity);
    const entry = ring.address + index * BigInt(ring.entry_size);
    const at = (offset: number): bigint => entry + BigInt(offset);
    machine.putU64(at(ring.sequence_offset), this.#forks);
    machine.putU32(at(ring.flags_offset), fork.isFromStale === true ? 1 : 0);
    machine.putU32(at(ring.parent_tid_offset), fork.parentTid);
    machine.putU32(at(ring.parent_pid_offset), fork.parentTid);
    machine.putU32(at(ring.child_tid_offset), fork.childTid);
    machine.putU32(at(ring.child_pid_offset), fork.childTid);
    machine.putU64(at(ring.derived_rip_offset), fork.derivedRip);
    this.#putRegisters(at(ring.captured_offset), CAPTURED_REGISTERS, fork.captured);
    this.#putRegisters(at(ring.stale_offset), CONTEXT_REGISTERS, fork.stale ?? {});
    this.#putRegisters(at(ring.child_offset), CONTEXT_REGISTERS, fork.child ?? {});
    this.setForkTotal(++this.#forks);
  }

  setForkTotal(total: bigint): void {
    this.machine.putU64(this.descriptor.forkRing.total_address, total);
  }

  #putRegisters(
    address: bigint,
    names: readonly string[],
    values: Readonly<Record<string, bigint>>,
  ): void {
    for (const [index, name] of names.entries()) {
      this.machine.putU64(address + BigInt(index * 8), values[name] ?? 0n);
    }
  }

  #allocate(lengthBytes: number): bigint {
    const address = this.#heap;
    this.#heap += BigInt((lengthBytes + 15) & ~15);
    return address;
  }
}
