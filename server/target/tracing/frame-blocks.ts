/** Walks the blocks of a frame (trace-buffer.ts has the drawing). */
import { BLOCK, FRAME } from './trace-buffer.ts';
import { EXTRA_BYTES } from '../register-blocks.ts';
import { G_BLOCK_BYTES } from '../register-table.ts';

/** A block: its tag, where it begins with the tag, and its length with the tag. */
export interface FrameBlock {
  readonly tag: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

/** Bytes of an M block before its data, tag included. */
export const MEMORY_HEADER = 11;
export const VARIABLE_BYTES = 13;

/** The blocks of the frame at `offset`, `sizeBytes` long with its header. */
export function* blocksOf(
  view: DataView,
  offset: number,
  sizeBytes: number,
): Generator<FrameBlock, void> {
  for (let at = offset + FRAME.blocks; at < offset + sizeBytes;) {
    const tag = view.getUint8(at);
    const lengthBytes = lengthOfBlock(view, at, tag);
    yield { tag, offset: at, lengthBytes };
    at += lengthBytes;
  }
}

function lengthOfBlock(view: DataView, at: number, tag: number): number {
  switch (tag) {
    case BLOCK.registers:
      return 1 + G_BLOCK_BYTES;
    case BLOCK.extra:
      return 1 + EXTRA_BYTES;
    case BLOCK.memory:
      return MEMORY_HEADER + view.getUint16(at + 9, true);
    case BLOCK.variable:
      return VARIABLE_BYTES;
    default:
      throw new Error(`a trace frame has a block ${tag}`);
  }
}
