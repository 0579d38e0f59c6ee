/** PCI configuration as kernels enumerate it: one host bridge, nothing else. */
import { describe, expect, it } from 'vitest';
import { createBoard } from './test-board.ts';

const ENABLE = 0x8000_0000;

function configuration() {
  const board = createBoard();
  const { portBus } = board;
  const select = (place: number, register: number): void =>
    portBus.write(0xcf8, (ENABLE | (place << 8) | register) >>> 0, 32);
  return { board, portBus, select };
}

describe('the PCI host bridge', () => {
  it('keeps CONFIG_ADDRESS, which Linux probes for, and lets bytes there alone', () => {
    const { portBus, board } = configuration();
    portBus.write(0xcfb, 1, 8);
    portBus.write(0xcf8, 0xffff_ffff, 32);
    expect(portBus.read(0xcf8, 32)).toBe(0x80ff_fffc);
    portBus.write(0xcf8, 0, 8);
    portBus.write(0xcf8, 0, 16);
    expect(portBus.read(0xcf8, 32)).toBe(0x80ff_fffc);
    expect(portBus.read(0xcf8, 8)).toBe(0xff);
    expect(board.events.filter((event) => event === 'reset')).toEqual([]);
  });

  it('is the only function of all buses', () => {
    const { portBus, select } = configuration();
    const found: number[] = [];
    for (let place = 0; place < 0x1_0000; place++) {
      select(place, 0);
      if (portBus.read(0xcfc, 16) !== 0xffff) found.push(place);
    }
    expect(found).toEqual([0]);
  });

  it('says who it is, in whatever width it is asked', () => {
    const { portBus, select } = configuration();
    select(0, 0);
    expect(portBus.read(0xcfc, 32)).toBe(0x1237_8086);
    expect(portBus.read(0xcfe, 16)).toBe(0x1237);
    expect(portBus.read(0xcfd, 8)).toBe(0x80);
    select(0, 8);
    expect(portBus.read(0xcfc, 32)).toBe(0x0600_0002);
    select(0, 0xfc);
    expect(portBus.read(0xcfc, 32)).toBe(0);
  });

  it('has no base addresses, whatever is written there', () => {
    const { portBus, select } = configuration();
    select(0, 0x10);
    portBus.write(0xcfc, 0xffff_ffff, 32);
    expect(portBus.read(0xcfc, 32)).toBe(0);
  });

  it('answers nothing while it is not enabled', () => {
    const { portBus } = configuration();
    portBus.write(0xcf8, 0, 32);
    expect(portBus.read(0xcfc, 32)).toBe(0xffff_ffff);
  });
});
