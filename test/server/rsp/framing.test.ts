import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketFraming, type FramingEvent } from '../../../server/rsp/framing.ts';
import { encodePacket, fittingLength } from '../../../server/rsp/packet-writer.ts';

const LIMIT = 4096;

function frame(text: string): Uint8Array {
  return encodePacket(Buffer.from(text, 'latin1'));
}

function feed(...chunks: (string | Uint8Array)[]): FramingEvent[] {
  const framing = new PacketFraming(LIMIT);
  return chunks.flatMap((chunk) =>
    framing.feed(typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : chunk),
  );
}

/** Kinds, and payloads where there are any. */
function summary(events: readonly FramingEvent[]): string[] {
  return events.map((event) =>
    'payload' in event
      ? `${event.kind} ${Buffer.from(event.payload).toString('latin1')}`
      : event.kind,
  );
}

describe('packet framing', () => {
  it('finds packets, acknowledgements and break-ins in one stream', () => {
    expect(summary(feed('+$g#67\x03-$OK#9a'))).toEqual([
      'ack',
      'packet g',
      'interrupt',
      'nack',
      'packet OK',
    ]);
  });

  it('gives the same events in every split, also inside a checksum', () => {
    const stream = Buffer.from('+$m0,4#fd\x03noise$X1,3:}\x03\x03#d7-$?#3f$g#00', 'latin1');
    const whole = summary(feed(stream));
    expect(whole).toContain('packet m0,4');
    for (let first = 0; first <= stream.length; first++) {
      for (let second = first; second <= stream.length; second++) {
        const parts = [
          stream.subarray(0, first),
          stream.subarray(first, second),
          stream.subarray(second),
        ];
        expect(summary(feed(...parts))).toEqual(whole);
      }
    }
  });

  it('takes 0x03 inside a packet as data', () => {
    expect(summary(feed(frame('X0,1:\x03')))).toEqual(['packet X0,1:\x03']);
  });

  it('reports a wrong checksum, and one that is no number', () => {
    expect(summary(feed('$g#68', '$g#6x', '$g#x7'))).toEqual([
      'damaged g',
      'damaged g',
      'damaged g',
    ]);
  });

  it('begins again at a dollar sign inside a packet or its checksum', () => {
    expect(summary(feed('$lost$g#67', '$lost#$g#67', '$lost#6$g#67'))).toEqual([
      'packet g',
      'packet g',
      'packet g',
    ]);
  });

  it('expands runs before it undoes escapes', () => {
    // '0* ' is the manual's example: 0000.
    expect(summary(feed('$0* #7a'))).toEqual(['packet 0000']);
    expect(summary(feed('$}\x03* #ca'))).toEqual(['packet #\x03\x03\x03']);
  });

  it('refuses a run that has no beginning or a count below three', () => {
    expect(summary(feed('$* #4a', '$0*\x1f#79'))).toEqual(['damaged ', 'damaged 0']);
  });

  it('keeps an escape with nothing behind it', () => {
    expect(summary(feed('$}#7d'))).toEqual(['packet }']);
  });

  it('drops a packet that is longer than its limit and goes on behind it', () => {
    const long = frame('m'.repeat(LIMIT + 1));
    expect(summary(feed(long, frame('g')))).toEqual(['too-long', 'packet g']);
    expect(feed(frame('m'.repeat(LIMIT)))[0]!.kind).toBe('packet');
  });

  it('bounds what a run can expand to', () => {
    expect(feed(`$0${'*~'.repeat(LIMIT)}#00`)[0]!.kind).toBe('too-long');
  });

  it('ignores noise between packets', () => {
    expect(summary(feed('GET / HTTP/1.1\r\n\r\n$g#67'))).toEqual(['packet g']);
  });

  it('reads back whatever the writer wrote, in any split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        (payloads, chunkBytes) => {
          const stream = Buffer.concat(payloads.map((payload) => encodePacket(payload)));
          const framing = new PacketFraming(LIMIT);
          const events: FramingEvent[] = [];
          for (let at = 0; at < stream.length; at += chunkBytes) {
            events.push(...framing.feed(stream.subarray(at, at + chunkBytes)));
          }
          expect(events.map(({ kind }) => kind)).toEqual(payloads.map(() => 'packet'));
          events.forEach((event, index) => {
            expect('payload' in event && Buffer.from(event.payload)).toEqual(
              Buffer.from(payloads[index]!),
            );
          });
        },
      ),
    );
  });

  it('lives through any bytes and still finds the packet behind them', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 500 }), (noise) => {
        const framing = new PacketFraming(64);
        framing.feed(noise);
        const events = framing.feed(Buffer.from('$g#67$g#67'));
        expect(summary(events)).toContain('packet g');
      }),
    );
  });
});

describe('packet writer', () => {
  it('escapes what frames are made of', () => {
    expect(Buffer.from(frame('a#$}*')).toString('latin1')).toBe('$a}\x03}\x04}]}\x0a#c3');
  });

  it('says how much fits a packet, escapes counted', () => {
    expect(fittingLength(Buffer.from('##ab'), 4)).toBe(2);
    expect(fittingLength(Buffer.from('abcd'), 4)).toBe(4);
    expect(fittingLength(Buffer.from('a#b'), 2)).toBe(1);
  });
});
