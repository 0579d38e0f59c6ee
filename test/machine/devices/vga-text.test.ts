import { describe, expect, test } from 'vitest';
import { createBoard } from './test-board.ts';

function createVga() {
  const board = createBoard();
  const { portBus, clock } = board;
  const write = (port: number, value: number): void => portBus.write(port, value, 8);
  const read = (port: number): number => portBus.read(port, 8);
  const crtc = (index: number): number => {
    write(0x3d4, index);
    return read(0x3d5);
  };
  return { portBus, clock, write, read, crtc, describe: () => board.device('vga-text').describe() };
}

describe('the cursor of the VGA', () => {
  test('is at the top left at power-on, as xv6 reads it to go on there', () => {
    const vga = createVga();
    expect([vga.crtc(0x0e), vga.crtc(0x0f)]).toEqual([0, 0]);
    expect(vga.describe()).toBe('text mode, cursor at row 0, column 0');
  });

  test('is read back where it was set, with index and value in one 16-bit write too', () => {
    const vga = createVga();
    vga.portBus.write(0x3d4, 0x010e, 16);
    vga.portBus.write(0x3d4, 0x450f, 16);
    expect([vga.crtc(0x0e), vga.crtc(0x0f)]).toEqual([1, 0x45]);
    expect(vga.describe()).toBe('text mode, cursor at row 4, column 5');
  });
});

describe('the other registers of the VGA', () => {
  test('the vertical retrace comes once a frame and is over again', () => {
    const vga = createVga();
    const seen: boolean[] = [];
    for (let tenth = 0; tenth < 2000; tenth++) {
      vga.clock.skip(20_000n);
      seen.push((vga.read(0x3da) & 8) !== 0);
    }
    const rises = seen.filter((isRetrace, index) => isRetrace && seen[index - 1] === false);
    expect(rises.length).toBeGreaterThanOrEqual(2);
    expect(rises.length).toBeLessThanOrEqual(3); // 40 ms of 70 Hz
  });

  test('the attribute port takes index and data by turns, index again after status 1', () => {
    const vga = createVga();
    vga.write(0x3c0, 0x30);
    vga.write(0x3c0, 0x04); // blinking off: mode control without bit 3
    expect(vga.read(0x3c1)).toBe(0x04);
    vga.write(0x3c0, 0x31);
    vga.read(0x3da);
    vga.write(0x3c0, 0x30);
    expect(vga.read(0x3c1)).toBe(0x04);
  });

  test('a register that no VGA has reads as 0, and writing it changes nothing', () => {
    const vga = createVga();
    vga.write(0x3d4, 0xff);
    vga.write(0x3d5, 0x55);
    expect(vga.crtc(0xff)).toBe(0);
    expect(vga.crtc(0x00)).toBe(0x5f);
  });
});
