/**
 * The stacks of threads off the CPU at addresses of their own, for a client whose memory requests name no
 * thread and whose cache knows none (lldb): a kernel may have all threads' stacks at one linear address,
 * each in its own page tables.
 *
 *     0x0031_ff00_0001_3e68     0xffff_ff00_0001_3e68 as thread 0x31 sees it
 *
 * Bits 48–63 hold the thread's number. No linear address of 4-level paging has anything there but copies
 * of bit 47 (Intel SDM 1 §3.3.7.1). Pointers into such a stack that stand in it are given likewise, so
 * that a chain of frames can be followed.
 */
import type { MachineView } from '../../machine/index.ts';
import type { GuestThread } from '../awareness/awareness.ts';
import type { MachineThreads } from './machine-threads.ts';
import type { ThreadNumber } from './target.ts';

const TAG_SHIFT = 48n;
const NO_TAG = 0xffffn;
const POINTER_BYTES = 8;

/** What an address in a window stands for. */
export interface WindowPlace {
  readonly thread: ThreadNumber;
  readonly address: bigint;
}

export class StackWindows {
  readonly #machine: Pick<MachineView, 'translate'>;
  readonly #threads: MachineThreads;

  constructor(machine: Pick<MachineView, 'translate'>, threads: MachineThreads) {
    this.#machine = machine;
    this.#threads = threads;
  }

  /** Undefined: an address like any other, or of a thread that there is not. */
  find(address: bigint): WindowPlace | undefined {
    const place = placeInWindow(address);
    return place !== undefined && this.#threads.has(place.thread) ? place : undefined;
  }

  /** As `windowPointers`, for a thread of the machine. */
  pointersIn(thread: ThreadNumber, address: bigint, bytes: Uint8Array): Uint8Array {
    const stack = this.#ownStack(thread);
    return stack === undefined ? bytes : windowPointers(bytes, { thread, address }, stack);
  }

  /** Undefined: what the thread sees there is what everybody sees. */
  #ownStack(thread: ThreadNumber): GuestThread['kernelStack'] | undefined {
    const place = this.#threads.place(thread);
    if (place.kind === 'on cpu' || BigInt(thread) >= NO_TAG) return undefined;
    const { cr3, kernelStack } = place.thread;
    const seen = this.#machine.translate(kernelStack.base, cr3);
    const isOwn = seen !== undefined && seen !== this.#machine.translate(kernelStack.base);
    return isOwn ? kernelStack : undefined;
  }
}

/** Undefined: an address like any other. */
export function placeInWindow(address: bigint): WindowPlace | undefined {
  const tag = address >> TAG_SHIFT;
  if (tag === 0n || tag === NO_TAG) return undefined;
  const linear = BigInt.asUintN(64, BigInt.asIntN(Number(TAG_SHIFT), address));
  return { thread: Number(tag), address: linear };
}

/**
 * A copy of a thread's memory or registers, of which the first byte is at `place`, with each aligned
 * quadword that points into its own stack as the address of that in its window.
 */
export function windowPointers(
  bytes: Uint8Array,
  { thread, address }: WindowPlace,
  stack: GuestThread['kernelStack'],
): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const view = new DataView(copy.buffer);
  const first = Number(-address & BigInt(POINTER_BYTES - 1));
  for (let at = first; at + POINTER_BYTES <= copy.length; at += POINTER_BYTES) {
    const value = view.getBigUint64(at, true);
    // The end belongs to it: an empty stack points there.
    const isInside = value >= stack.base && value <= stack.base + stack.sizeBytes;
    if (isInside) view.setBigUint64(at, addressInWindow(thread, value), true);
  }
  return copy;
}

/** A linear address as `thread` sees it. */
export function addressInWindow(thread: ThreadNumber, address: bigint): bigint {
  return (BigInt(thread) << TAG_SHIFT) | BigInt.asUintN(Number(TAG_SHIFT), address);
}
