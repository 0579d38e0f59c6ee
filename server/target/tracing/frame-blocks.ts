/** Walks the blocks of a frame (trace-buffer.ts has the drawing). */
import { BLOCK, FRAME } from './trace-buffer.ts';
import type { RegisterSet } from '../register-set.ts';

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
  set: RegisterSet,
): Generator<FrameBlock, void> {
  for (let at = offset + FRAME.blocks; at < offset + sizeBytes;) {
    const tag = view.getUint8(at);
    const lengthBytes = lengthOfBlock(view, at, set);
    yield { tag, offset: at, lengthBytes };
    at += lengthBytes;
  }
}

function lengthOfBlock(view: DataView, at: number, set: RegisterSet): number {
  const tag = view.getUint8(at);
  switch (tag) {
    case BLOCK.registers:
      return 1 + set.generalBytes;
    case BLOCK.extra:
      return 1 + set.extraBytes;
    case BLOCK.memory:
      return MEMORY_HEADER + view.getUint16(at + 9, true);
    case BLOCK.variable:
      return VARIABLE_BYTES;
    default:
      throw new Error(`a trace frame has a block ${tag}`);
  }
}
