/**
 * Which frames of RAM hold anything but zeros. A snapshot looks through all of RAM, which is mostly
 * untouched: generated code reads 64 bytes at a time, TypeScript takes ten times as long.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../addresses.ts';
import { RAM_BASE } from '../state/layout.ts';
import type { Local } from '../wasm/function-builder.ts';
import { ModuleBuilder } from '../wasm/module-builder.ts';

const WASM_PAGE = 65536;
/** What one turn of the loop looks at. */
const BLOCK_BYTES = 64;
const WORD_BYTES = 8;

/** Some pages of RAM, one after the other: physical addresses, multiples of 4096, `end` exclusive. */
export interface RamRun {
  readonly start: number;
  readonly end: number;
}

type NextUsed = (from: number, end: number) => number;

export class UsedFrames {
  private readonly memory: WebAssembly.Memory;
  private readonly ramBytes: number;
  /** Made when it is first wanted: most machines are never saved. */
  private nextUsed: NextUsed | undefined;

  constructor(memory: WebAssembly.Memory, ramBytes: number) {
    this.memory = memory;
    this.ramBytes = ramBytes;
  }

  /** Their numbers (physical address / 4096), ascending. Reading untouched RAM costs the host no memory. */
  list(): number[] {
    this.nextUsed ??= compile(this.memory);
    const end: number = RAM_BASE + this.ramBytes;
    const frames: number[] = [];
    for (let at: number = RAM_BASE; ; at += PAGE_SIZE) {
      at = this.nextUsed(at, end) >>> 0;
      if (at >= end) return frames;
      const frame = (at - RAM_BASE) >>> PAGE_SHIFT;
      frames.push(frame);
      at = RAM_BASE + frame * PAGE_SIZE;
    }
  }

  /** The same as runs of neighbours. */
  runs(): RamRun[] {
    const runs: { start: number; end: number }[] = [];
    for (const frame of this.list()) {
      const start = frame * PAGE_SIZE;
      const last = runs.at(-1);
      if (last?.end === start) last.end += PAGE_SIZE;
      else runs.push({ start, end: start + PAGE_SIZE });
    }
    return runs;
  }

  /** All zeros. Frames that are so already are not touched. */
  clear(ram: Uint8Array): void {
    for (const frame of this.list()) ram.fill(0, frame * PAGE_SIZE, (frame + 1) * PAGE_SIZE);
  }
}

/** (from, end): the first of the blocks from `from` on that is not all zero, or `end`. */
function compile(memory: WebAssembly.Memory): NextUsed {
  const module = new ModuleBuilder({ memoryPages: memory.buffer.byteLength / WASM_PAGE });
  const { builder } = module.function('nextUsed', { parameters: ['i32', 'i32'], results: ['i32'] });
  const [at, end] = builder.parameters as [Local, Local];
  builder.block((found) => {
    builder.loop((again) => {
      builder.get(at);
      builder.get(end);
      builder.emit('i32.ge_u');
      builder.branchIf(found);
      for (let offset = 0; offset < BLOCK_BYTES; offset += WORD_BYTES) {
        builder.get(at);
        builder.memory('i64.load', offset);
        if (offset > 0) builder.emit('i64.or');
      }
      builder.i64(0n);
      builder.emit('i64.ne');
      builder.branchIf(found);
      builder.get(at);
      builder.i32(BLOCK_BYTES);
      builder.emit('i32.add');
      builder.set(at);
      builder.branch(again);
    });
  });
  builder.get(at);
  const table = new WebAssembly.Table({ element: 'anyfunc', initial: 0 });
  const imports = { host: { memory, table } };
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module.finish()), imports);
  return instance.exports['nextUsed'] as NextUsed;
}
