/** One frame, copied out of the buffer: what a debugger looks at after `tfind`. */
import type { RegisterSet } from '../register-set.ts';
import type { TraceFrame } from '../target.ts';
import { blocksOf, type FrameBlock, MEMORY_HEADER } from './frame-blocks.ts';
import { NO_PID } from './frame-registers.ts';
import { BLOCK, FRAME, type TraceBuffer } from './trace-buffer.ts';

/** Memory as it is now, for regions that do not change; as many bytes as can be read. */
export type ReadUnchanging = (address: bigint, lengthBytes: number) => Uint8Array;

interface Piece {
  readonly start: bigint;
  readonly bytes: Uint8Array;
}

export class KeptFrame implements TraceFrame {
  readonly number: number;
  readonly tracepoint: number;
  readonly #set: RegisterSet;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #blocks: readonly FrameBlock[];
  readonly #pieces: readonly Piece[];
  readonly #unchanging: ReadUnchanging;

  constructor(
    buffer: TraceBuffer,
    set: RegisterSet,
    { number, offset }: { readonly number: number; readonly offset: number },
    unchanging: ReadUnchanging,
  ) {
    this.#set = set;
    this.number = number;
    this.#bytes = buffer.bytes.slice(offset, offset + buffer.sizeAt(offset));
    this.#view = new DataView(this.#bytes.buffer);
    this.tracepoint = this.#view.getUint32(FRAME.tracepoint, true);
    this.#blocks = [...blocksOf(this.#view, 0, this.#bytes.length, set)];
    this.#pieces = this.#ofTag(BLOCK.memory).map(({ offset: at, lengthBytes }) => ({
      start: this.#view.getBigUint64(at + 1, true),
      bytes: this.#bytes.subarray(at + MEMORY_HEADER, at + lengthBytes),
    }));
    this.#unchanging = unchanging;
  }

  /** Where no registers were collected, rip at least is known. */
  registers(): { readonly bytes: Uint8Array; readonly known?: readonly boolean[] } {
    const block = this.#ofTag(BLOCK.registers)[0];
    if (block !== undefined) {
      return { bytes: this.#bytes.slice(block.offset + 1, block.offset + block.lengthBytes) };
    }
    const { generalBytes, programCounter } = this.#set;
    const bytes = new Uint8Array(generalBytes);
    const known = new Array<boolean>(generalBytes).fill(false);
    const { offset, lengthBytes } = this.#set.placeOf(programCounter)!;
    bytes.set(this.#programCounter(), offset);
    known.fill(true, offset, offset + lengthBytes);
    return { bytes, known };
  }

  register(number: number): Uint8Array | 'unavailable' | undefined {
    const place = this.#set.placeOf(number);
    if (place === undefined) return undefined;
    const block = this.#ofTag(place.isExtra ? BLOCK.extra : BLOCK.registers)[0];
    if (block === undefined) return this.#fromHeader(number);
    const start = block.offset + 1 + place.offset;
    const value = this.#bytes.slice(start, start + place.lengthBytes);
    const isPid = this.#set.registers[number]!.id === 'guest_pid';
    const isAbsent = isPid && this.#view.getUint32(start, true) === NO_PID;
    return isAbsent ? 'unavailable' : value;
  }

  /** One pass over what was collected, whatever it overlaps: an expression may have made many pieces. */
  memory(address: bigint, lengthBytes: number): Uint8Array {
    const result = new Uint8Array(lengthBytes);
    const isKnown = new Uint8Array(lengthBytes);
    for (const { start, bytes } of this.#pieces) {
      const from = Number(BigInt.asIntN(64, start - address));
      const first = Math.max(0, from);
      const end = Math.min(lengthBytes, from + bytes.length);
      if (first >= end) continue;
      result.set(bytes.subarray(first - from, end - from), first);
      isKnown.fill(1, first, end);
    }
    for (let gap = isKnown.indexOf(0); gap >= 0; gap = isKnown.indexOf(0, gap)) {
      const known = isKnown.indexOf(1, gap);
      const end = known < 0 ? lengthBytes : known;
      const found = this.#unchanging(BigInt.asUintN(64, address + BigInt(gap)), end - gap);
      if (found.length === 0) return result.slice(0, gap);
      result.set(found, gap);
      isKnown.fill(1, gap, gap + found.length);
    }
    return result;
  }

  variable(number: number): bigint | undefined {
    // The last one counts: an action may have changed it in between.
    const block = this.#variables().findLast(
      ({ offset }) => this.#view.getUint32(offset + 1, true) === number,
    );
    return block && this.#view.getBigUint64(block.offset + 5, true);
  }

  get memoryRanges(): readonly { readonly start: bigint; readonly lengthBytes: number }[] {
    return this.#pieces.map(({ start, bytes }) => ({ start, lengthBytes: bytes.length }));
  }

  get variableNumbers(): readonly number[] {
    const numbers = this.#variables().map(({ offset }) => this.#view.getUint32(offset + 1, true));
    return [...new Set(numbers)];
  }

  /** What is known of every frame. */
  #fromHeader(number: number): Uint8Array | 'unavailable' {
    const { id } = this.#set.registers[number]!;
    if (id === 'rip') return this.#programCounter();
    if (id === 'icount') return this.#bytes.slice(FRAME.icount, FRAME.icount + 8);
    return 'unavailable';
  }

  #programCounter(): Uint8Array {
    return this.#bytes.slice(FRAME.pc, FRAME.pc + this.#set.pointerBytes);
  }

  #variables(): readonly FrameBlock[] {
    return this.#ofTag(BLOCK.variable);
  }

  #ofTag(wanted: number): readonly FrameBlock[] {
    return this.#blocks.filter(({ tag }) => tag === wanted);
  }
}
