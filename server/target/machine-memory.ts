/**
 * Memory as the machine's threads see it: the one on the CPU through the CPU's page tables, any
 * other through its own; an address in a stack's window (stack-windows.ts) as the stack's thread does.
 * Also what is mapped where, merged into regions.
 */
import type { MachineControl, MachineView, PageMapping } from '../../machine/index.ts';
import type { MachineThreads } from './machine-threads.ts';
import { addressInWindow, type StackWindows, type WindowPlace } from './stack-windows.ts';
import type { MemoryRegion, PhysicalMemoryAccess, TargetMemory, ThreadNumber } from './target.ts';

const END_OF_MEMORY = 1n << 64n;

export class MachineMemory implements TargetMemory {
  readonly physical: PhysicalMemoryAccess = {
    read: (address, lengthBytes) => this.#machine.readPhysical(address, lengthBytes),
    write: (address, bytes) => {
      const written = this.#machine.writePhysical(address, bytes);
      this.#onWrite();
      return written;
    },
  };
  readonly #machine: MachineView & MachineControl;
  readonly #threads: MachineThreads;
  readonly #windows: StackWindows;
  readonly #onWrite: () => void;

  constructor(
    machine: MachineView & MachineControl,
    threads: MachineThreads,
    windows: StackWindows,
    onWrite: () => void,
  ) {
    this.#machine = machine;
    this.#threads = threads;
    this.#windows = windows;
    this.#onWrite = onWrite;
  }

  read(thread: ThreadNumber, address: bigint, lengthBytes: number, into?: Uint8Array): Uint8Array {
    const place = this.#windows.find(address);
    if (place === undefined) return this.#read({ thread, address }, lengthBytes, into);
    const bytes = this.#read(place, lengthBytes, into);
    return this.#windows.pointersIn(place.thread, place.address, bytes);
  }

  #read({ thread, address }: WindowPlace, lengthBytes: number, into?: Uint8Array): Uint8Array {
    return this.#machine.readLinear(address, lengthBytes, this.#pageTables(thread), into);
  }

  write(thread: ThreadNumber, address: bigint, bytes: Uint8Array): number {
    const place = this.#windows.find(address) ?? { thread, address };
    const tables = this.#pageTables(place.thread);
    const written = this.#machine.writeLinear(place.address, bytes, tables);
    this.#onWrite();
    return written;
  }

  /** The run of pages with equal rights around an address, or the gap around it. */
  region(thread: ThreadNumber, address: bigint): MemoryRegion {
    const place = this.#windows.find(address);
    if (place === undefined) return this.#region(thread, address);
    const region = this.#region(place.thread, place.address);
    return { ...region, start: addressInWindow(place.thread, region.start) };
  }

  #region(thread: ThreadNumber, address: bigint): MemoryRegion {
    let gapStart = 0n;
    let region: RegionSoFar | undefined;
    for (const mapping of this.#machine.mappings(this.#pageTables(thread))) {
      if (region !== undefined && continues(region, mapping)) {
        region.end += BigInt(mapping.lengthBytes);
        continue;
      }
      if (region !== undefined && address < region.end) return finished(region);
      if (address < mapping.linear) return gap(region?.end ?? gapStart, mapping.linear);
      gapStart = region?.end ?? gapStart;
      region = { start: mapping.linear, end: endOf(mapping), mapping };
    }
    if (region !== undefined && address < region.end) return finished(region);
    return gap(region?.end ?? gapStart, END_OF_MEMORY);
  }

  #pageTables(thread: ThreadNumber): bigint | undefined {
    const place = this.#threads.place(thread);
    return place.kind === 'on cpu' ? undefined : place.thread.cr3;
  }
}

interface RegionSoFar {
  readonly start: bigint;
  end: bigint;
  readonly mapping: PageMapping;
}

function endOf(mapping: PageMapping): bigint {
  return mapping.linear + BigInt(mapping.lengthBytes);
}

function continues({ end, mapping }: RegionSoFar, next: PageMapping): boolean {
  return (
    next.linear === end &&
    next.isWritable === mapping.isWritable &&
    next.isUser === mapping.isUser &&
    next.isNoExecute === mapping.isNoExecute
  );
}

function finished({ start, end, mapping }: RegionSoFar): MemoryRegion {
  return {
    start,
    lengthBytes: end - start,
    permissions: { read: true, write: mapping.isWritable, execute: !mapping.isNoExecute },
  };
}

function gap(start: bigint, end: bigint): MemoryRegion {
  return { start, lengthBytes: end - start };
}
