import { describe, expect, it } from 'vitest';
import { screenLines } from '../../../server/monitor/screen.ts';

function screenOf(rows: Readonly<Record<number, string>>): readonly string[] {
  const cells = new Uint8Array(80 * 25 * 2);
  for (const [row, text] of Object.entries(rows)) {
    const bytes = Buffer.from(text, 'latin1');
    bytes.forEach((byte, column) => (cells[(Number(row) * 80 + column) * 2] = byte));
  }
  const readPhysical = (physical: bigint, lengthBytes: number): Uint8Array => {
    expect([physical, lengthBytes]).toEqual([0xb_8000n, cells.length]);
    return cells;
  };
  return screenLines({ readPhysical });
}

describe('the VGA text screen', () => {
  it('has the rows down to the last one with text, without blanks behind it', () => {
    expect(screenOf({ 0: 'Hello  ', 2: ' world' })).toEqual(['Hello', '', ' world']);
  });

  it('shows frames as the font of the PC draws them', () => {
    expect(screenOf({ 0: '\xc9\xcd\xbb \x01 \xfe 100~\x7f' })).toEqual(['╔═╗ ☺ ■ 100~⌂']);
  });

  it('is empty when nothing has been printed', () => {
    expect(screenOf({})).toEqual([]);
  });
});
