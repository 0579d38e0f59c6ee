import { describe, expect, it } from 'vitest';
import { FieldReader } from '../../../server/rsp/field-reader.ts';
import { MalformedPacket } from '../../../server/rsp/malformed-packet.ts';

function reader(text: string): FieldReader {
  return new FieldReader(Buffer.from(text, 'latin1'));
}

describe('field reader', () => {
  it('reads addresses of up to 64 bits and says where more begin', () => {
    expect(reader('ffffffff80100000').hex()).toBe(0xffff_ffff_8010_0000n);
    expect(() => reader('1ffffffff80100000').hex()).toThrow('more than 64 bits at 0');
  });

  it('refuses a number that fills a packet without putting it together', () => {
    const fields = reader('f'.repeat(0x20000));
    expect(() => fields.hex()).toThrow('more than 64 bits at 0');
    expect(fields.position).toBe(16);
  });

  it('never makes NaN of what is not a number', () => {
    expect(() => reader('').hex()).toThrow(MalformedPacket);
    expect(() => reader('zz').hex()).toThrow('hex digits expected at 0');
    expect(() => reader('-1').length()).toThrow(MalformedPacket);
  });

  it('refuses lengths that JavaScript cannot count', () => {
    expect(reader('1fffffffffffff').length()).toBe(Number.MAX_SAFE_INTEGER);
    expect(() => reader('20000000000000').length()).toThrow(MalformedPacket);
  });

  it.each([
    ['p1.2', { process: 1, thread: 2 }],
    ['p1.-1', { process: 1, thread: 'all' }],
    ['p-1.-1', { process: 'all', thread: 'all' }],
    ['p0.0', { process: 'any', thread: 'any' }],
    ['p1f', { process: 31, thread: 'all' }],
    ['0001', { thread: 1 }],
    ['-1', { thread: 'all' }],
    ['0', { thread: 'any' }],
  ])('reads the thread id %s', (text, id) => {
    const fields = reader(text);
    expect(fields.threadId()).toEqual(id);
    fields.end();
  });

  it.each(['', 'p', 'p.1', 'p1.', '-2', 'p-2.1', 'fffffffff'])(
    'refuses the thread id "%s"',
    (text) => {
      expect(() => reader(text).threadId()).toThrow(MalformedPacket);
    },
  );

  it('decodes hex bytes in pairs only', () => {
    expect(reader('00fFzz').hexBytes()).toEqual(Uint8Array.of(0, 255));
    expect(() => reader('abc').hexBytes()).toThrow('even number of hex digits expected at 0');
    expect(reader('c3a9').hexText()).toBe('é');
  });

  it('says what it expected and where', () => {
    const fields = reader('1000;4');
    fields.hex();
    expect(() => fields.expect(',')).toThrow("',' expected at 4");
    fields.expect(';');
    expect(() => fields.end()).toThrow('end of packet expected at 5');
  });
});
