import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FRAME, TraceBuffer } from '../../../../server/target/tracing/trace-buffer.ts';

const BLOCK_BYTES = 76;
const FRAME_BYTES = FRAME.blocks + BLOCK_BYTES;

/** Writes one frame whose block is full of its tracepoint's number; false: there was no room. */
function write(buffer: TraceBuffer, tracepoint: number, blockBytes = BLOCK_BYTES): boolean {
  if (!buffer.begin(tracepoint, BigInt(tracepoint) << 4n, 7n)) {
    buffer.abandon();
    return false;
  }
  // In two rooms, so that a frame moves while it is open.
  for (const part of [blockBytes >> 1, blockBytes - (blockBytes >> 1)]) {
    const offset = buffer.room(part);
    if (offset < 0) {
      buffer.abandon();
      return false;
    }
    buffer.bytes.fill(tracepoint, offset, offset + part);
  }
  buffer.finish();
  return true;
}

/** The tracepoints of all frames, oldest first; throws where a frame is damaged. */
function contents(buffer: TraceBuffer): number[] {
  return Array.from({ length: buffer.count }, (_, number) => {
    const offset = buffer.offsetOf(number)!;
    const tracepoint = buffer.view.getUint32(offset + FRAME.tracepoint, true);
    const block = buffer.bytes.subarray(offset + FRAME.blocks, offset + buffer.sizeAt(offset));
    if (!block.every((byte) => byte === tracepoint)) throw new Error(`frame ${number} is damaged`);
    expect(buffer.view.getBigUint64(offset + FRAME.pc, true)).toBe(BigInt(tracepoint) << 4n);
    return tracepoint;
  });
}

describe('the trace buffer', () => {
  it('ends at its limit when it is not circular, and keeps what it has', () => {
    const buffer = new TraceBuffer(3 * FRAME_BYTES + 50);
    expect([1, 2, 3, 4, 5].map((number) => write(buffer, number))).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(contents(buffer)).toEqual([1, 2, 3]);
    expect(buffer.created).toBe(3);
    expect(buffer.freeBytes).toBe(50);
  });

  it('overwrites the oldest frames when it is circular, and numbers from the oldest that is left', () => {
    const buffer = new TraceBuffer(3 * FRAME_BYTES + 50);
    buffer.isCircular = true;
    for (let number = 1; number <= 100; number++) {
      expect(write(buffer, number)).toBe(true);
      const kept = Math.min(number, 3);
      const all = contents(buffer);
      expect(all.at(-1)).toBe(number);
      expect(all.length).toBeGreaterThanOrEqual(kept - 1);
      expect(all).toEqual([...all].sort((left, right) => left - right));
    }
    expect(buffer.created).toBe(100);
  });

  it('drops a frame that is larger than the whole buffer, and goes on with the next', () => {
    const buffer = new TraceBuffer(1000);
    buffer.isCircular = true;
    write(buffer, 1);
    expect(write(buffer, 2, 2000)).toBe(false);
    expect(write(buffer, 3)).toBe(true);
    expect(contents(buffer).at(-1)).toBe(3);
  });

  it('takes no more memory than it has frames', () => {
    const buffer = new TraceBuffer(64 << 20);
    expect(buffer.bytes.length).toBe(0);
    write(buffer, 1);
    expect(buffer.bytes.length).toBe(1 << 20);
    buffer.clear();
    expect(buffer.bytes.length).toBe(0);
  });

  it('finds frames in any order', () => {
    const buffer = new TraceBuffer(1 << 16);
    for (let number = 1; number <= 50; number++) write(buffer, number, number * 3);
    const at = (number: number): number =>
      buffer.view.getUint32(buffer.offsetOf(number)! + FRAME.tracepoint, true);
    expect([10, 11, 3, 49, 0].map(at)).toEqual([11, 12, 4, 50, 1]);
    expect(buffer.offsetOf(50)).toBeUndefined();
    expect(buffer.offsetOf(-1)).toBeUndefined();
  });

  it('holds the newest frames whole, whatever their sizes and whenever it becomes circular', () => {
    const sizes = fc.array(fc.nat(400), { minLength: 1, maxLength: 120 });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 450, max: 3000 }), fc.nat(60), (each, limit, turn) => {
        const buffer = new TraceBuffer(limit);
        const written: number[] = [];
        each.forEach((size, index) => {
          if (index === turn) buffer.isCircular = true;
          if (write(buffer, (index % 250) + 1, size)) written.push((index % 250) + 1);
        });
        const kept = contents(buffer);
        expect(kept).toEqual(written.slice(written.length - kept.length));
        expect(buffer.created).toBe(written.length);
        expect(buffer.freeBytes).toBeGreaterThanOrEqual(0);
        expect(buffer.bytes.length).toBeLessThanOrEqual(limit);
      }),
      { numRuns: 300 },
    );
  });
});
