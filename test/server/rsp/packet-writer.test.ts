import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import {
  encodeHexPacket,
  encodePacket,
  encodeTextPacket,
  fittingLength,
} from '../../../server/rsp/packet-writer.ts';
import '../../seeded-properties.ts';

/** The frame by the manual's words, byte by byte. */
function frameOf(payload: Uint8Array): Buffer {
  const body = [...payload].flatMap((byte) => {
    return '#$}*'.includes(String.fromCharCode(byte)) ? [0x7d, byte ^ 0x20] : [byte];
  });
  const sum = body.reduce((total, byte) => (total + byte) & 0xff, 0);
  return Buffer.from([0x24, ...body, 0x23, ...Buffer.from(sum.toString(16).padStart(2, '0'))]);
}

const bytes = fc.uint8Array({ maxLength: 80 });
const manySpecial = fc.array(fc.constantFrom(0, 0x23, 0x24, 0x2a, 0x7d, 0xff), { maxLength: 80 });
/** At any place in its buffer, as pieces of larger reads are. */
const payloads = fc
  .tuple(fc.oneof(bytes, manySpecial.map(Uint8Array.from.bind(Uint8Array))), fc.nat(7))
  .map(([content, offset]) => {
    const whole = new Uint8Array(content.length + offset);
    whole.set(content, offset);
    return whole.subarray(offset);
  });

describe('the packet writer', () => {
  it('escapes what the protocol needs and sums what it writes', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        expect(Buffer.from(encodePacket(payload))).toEqual(frameOf(payload));
      }),
    );
  });

  it('frames text as its bytes', () => {
    const texts = payloads.map((payload) => Buffer.from(payload).toString('latin1'));
    fc.assert(
      fc.property(texts, (text) => {
        const frame = Buffer.from(encodeTextPacket(text));
        expect(frame).toEqual(frameOf(Buffer.from(text, 'latin1')));
      }),
    );
  });

  it('frames bytes in hex as their digits', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        const digits = Buffer.from(Buffer.from(payload).toString('hex'));
        expect(Buffer.from(encodeHexPacket(payload))).toEqual(frameOf(digits));
      }),
    );
  });

  it('fits as many bytes as there is room for, and not one more', () => {
    fc.assert(
      fc.property(payloads, fc.nat(100), (payload, limitBytes) => {
        const sizeOf = (length: number): number => frameOf(payload.subarray(0, length)).length - 4;
        const length = fittingLength(payload, limitBytes);
        expect(sizeOf(length)).toBeLessThanOrEqual(limitBytes);
        if (length < payload.length) expect(sizeOf(length + 1)).toBeGreaterThan(limitBytes);
      }),
    );
  });
});
