/**
 * All frames one after the other in the form of gdb's trace files (GDB manual, "Trace File Format"):
 * tracepoint u16, length of the blocks u32, blocks R, M and V. What uploads reads from the front to
 * the end in pieces, so the place where the last piece ended is kept.
 */
import { blocksOf, type FrameBlock } from './frame-blocks.ts';
import { BLOCK, FRAME, type TraceBuffer } from './trace-buffer.ts';

const HEADER_BYTES = 6;
const MOST_NUMBER = 0xffff;

interface Place {
  readonly created: number;
  readonly frame: number;
  /** Where that frame begins in the file. */
  readonly offsetBytes: number;
}

export class TraceFile {
  readonly #buffer: TraceBuffer;
  #place: Place | undefined;

  constructor(buffer: TraceBuffer) {
    this.#buffer = buffer;
  }

  /** At most `lengthBytes` from `offsetBytes` on; empty behind the end. */
  read(offsetBytes: number, lengthBytes: number): Uint8Array {
    const pieces: Uint8Array[] = [];
    let missing = lengthBytes;
    let { frame, offsetBytes: start } = this.#from(offsetBytes);
    for (; missing > 0 && frame < this.#buffer.count; frame++) {
      this.#place = { created: this.#buffer.created, frame, offsetBytes: start };
      const whole = this.#frame(frame);
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
  #from(offsetBytes: number): Place {
    const { created } = this.#buffer;
    const place = this.#place;
    const isOf = place?.created === created && place.offsetBytes <= offsetBytes;
    return isOf ? place : { created, frame: 0, offsetBytes: 0 };
  }

  #frame(number: number): Uint8Array {
    const { bytes, view } = this.#buffer;
    const offset = this.#buffer.offsetOf(number)!;
    const blocks = [...blocksOf(view, offset, this.#buffer.sizeAt(offset))].filter(isOfFile);
    const length = blocks.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
    const header = new Uint8Array(HEADER_BYTES);
    const headerView = new DataView(header.buffer);
    // Number 0 would end the file.
    const tracepoint = view.getUint32(offset + FRAME.tracepoint, true);
    headerView.setUint16(0, Math.min(tracepoint, MOST_NUMBER), true);
    headerView.setUint32(2, length, true);
    return Buffer.concat([
      header,
      ...blocks.map(({ offset: at, lengthBytes }) => bytes.subarray(at, at + lengthBytes)),
    ]);
  }
}

function isOfFile({ tag }: FrameBlock): boolean {
  return tag !== BLOCK.extra;
}
