/**
 * All frames one after the other in the form of gdb's trace files (GDB manual, "Trace File Format"):
 * tracepoint u16, length of the blocks u32, blocks R, M and V. What uploads reads from the front to
 * the end in pieces, so the place where the last piece ended is kept.
 */
import type { RegisterSet } from '../register-set.ts';
import { blocksOf, type FrameBlock } from './frame-blocks.ts';
import { BLOCK, FRAME, type TraceBuffer } from './trace-buffer.ts';

const HEADER_BYTES = 6;
const MOST_NUMBER = 0xffff;

/** What of the registers a block has: those of `g`, or all of the description. */
type BlockRegisters = 'g' | 'all';

interface Place {
  readonly created: number;
  readonly registers: BlockRegisters;
  readonly frame: number;
  /** Where that frame begins in the file. */
  readonly offsetBytes: number;
}

export class TraceFile {
  readonly #buffer: TraceBuffer;
  readonly #set: RegisterSet;
  #place: Place | undefined;

  constructor(buffer: TraceBuffer, set: RegisterSet) {
    this.#buffer = buffer;
    this.#set = set;
  }

  /** At most `lengthBytes` from `offsetBytes` on; empty behind the end. */
  read(offsetBytes: number, lengthBytes: number, registers: BlockRegisters): Uint8Array {
    const pieces: Uint8Array[] = [];
    let missing = lengthBytes;
    let { frame, offsetBytes: start } = this.#from(offsetBytes, registers);
    for (; missing > 0 && frame < this.#buffer.count; frame++) {
      this.#place = { created: this.#buffer.created, registers, frame, offsetBytes: start };
      const whole = this.#frame(frame, registers);
      const from = Math.max(0, offsetBytes - start);
      if (from < whole.length) {
        const piece = whole.subarray(from, from + missing);
        pieces.push(piece);
        missing -= piece.length;
      }
      start += whole.length;
    }
    return Buffer.concat(pieces);
  }

  /** Where to begin to look: the front, or where the last piece ended. */
  #from(offsetBytes: number, registers: BlockRegisters): Place {
    const { created } = this.#buffer;
    const place = this.#place;
    const isOf = place?.created === created && place.registers === registers;
    if (isOf && place.offsetBytes <= offsetBytes) return place;
    return { created, registers, frame: 0, offsetBytes: 0 };
  }

  #frame(number: number, registers: BlockRegisters): Uint8Array {
    const { bytes, view } = this.#buffer;
    const offset = this.#buffer.offsetOf(number)!;
    const blocks = [...blocksOf(view, offset, this.#buffer.sizeAt(offset), this.#set)];
    const extra = blocks.find(isExtra);
    const content = blocks
      .filter((block) => !isExtra(block))
      .flatMap(({ tag, offset: at, lengthBytes }) => {
        const block = bytes.subarray(at, at + lengthBytes);
        if (tag !== BLOCK.registers || registers === 'g') return [block];
        return [block, this.#extraRegisters(extra)];
      });
    const length = content.reduce((sum, block) => sum + block.length, 0);
    const header = new Uint8Array(HEADER_BYTES);
    const headerView = new DataView(header.buffer);
    // Number 0 would end the file.
    const tracepoint = view.getUint32(offset + FRAME.tracepoint, true);
    headerView.setUint16(0, Math.min(tracepoint, MOST_NUMBER), true);
    headerView.setUint32(2, length, true);
    return Buffer.concat([header, ...content]);
  }

  /** The registers outside g; 0 where they were not collected, as the form knows no unknown ones. */
  #extraRegisters(block: FrameBlock | undefined): Uint8Array {
    const { extraBytes } = this.#set;
    if (block === undefined) return new Uint8Array(extraBytes);
    return this.#buffer.bytes.subarray(block.offset + 1, block.offset + 1 + extraBytes);
  }
}

function isExtra({ tag }: FrameBlock): boolean {
  return tag === BLOCK.extra;
}
