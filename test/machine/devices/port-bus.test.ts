import { describe, expect, test } from 'vitest';
import type { Device, PortWidth } from '../../../machine/devices/device.ts';
import { PortBus } from '../../../machine/devices/port-bus.ts';
import { createBoard } from './test-board.ts';

function chip(name: string, first: number, last: number, portWidths: PortWidth[] = []) {
  const log: string[] = [];
  const device: Device = {
    name,
    ports: [{ first, last }],
    portWidths,
    version: 1,
    readPort: (port, width) => {
      log.push(`read ${port.toString(16)} ${width}`);
      return port & 0xff;
    },
    writePort: (port, value, width) => {
      log.push(`write ${port.toString(16)} ${value.toString(16)} ${width}`);
    },
    reset: () => undefined,
    describe: () => name,
    save: () => ({}),
    load: () => undefined,
  };
  return { device, log };
}

describe('the port bus', () => {
  test('reads all ones where nothing answers and notes each port once', () => {
    const notes: string[] = [];
    const bus = new PortBus((text) => notes.push(text));
    expect(bus.read(0x1ce, 8)).toBe(0xff);
    expect(bus.read(0x1ce, 16)).toBe(0xffff);
    expect(bus.read(0xcfc, 32)).toBe(0xffff_ffff);
    bus.write(0x1ce, 1, 8);
    bus.write(0x2f8, 1, 8);
    expect(notes).toEqual([
      'port 0x1ce: no device, reads all ones (first read)',
      'port 0xcfc: no device, reads all ones (first read)',
      'port 0x2f8: no device, the write is ignored (first write)',
    ]);
  });

  test('splits a wide access into bytes, low port first', () => {
    const { device, log } = chip('bytes', 0x10, 0x13);
    const bus = new PortBus();
    bus.add(device);
    expect(bus.read(0x10, 32)).toBe(0x1312_1110);
    bus.write(0x12, 0xabcd, 16);
    expect(log.slice(4)).toEqual(['write 12 cd 8', 'write 13 ab 8']);
  });

  test('hands a wide access whole to a chip that takes the width', () => {
    const { device, log } = chip('wide', 0x10, 0x13, [32]);
    const bus = new PortBus();
    bus.add(device);
    bus.write(0x10, 0xdead_beef, 32);
    bus.write(0x10, 0xbeef, 16);
    expect(log).toEqual(['write 10 deadbeef 32', 'write 10 ef 8', 'write 11 be 8']);
  });

  test('reads ones for the bytes beyond the chip', () => {
    const bus = new PortBus();
    bus.add(chip('small', 0x10, 0x10).device);
    bus.add(chip('next', 0x11, 0x11).device);
    expect(bus.read(0x10, 16)).toBe(0xff10);
    expect(bus.read(0xffff, 32)).toBe(0xffff_ffff);
  });

  test('refuses two chips on one port and ranges that do not exist', () => {
    const bus = new PortBus();
    bus.add(chip('first', 0x10, 0x1f).device);
    expect(() => bus.add(chip('second', 0x1f, 0x20).device)).toThrow(/0x1f.*first.*second/);
    expect(() => bus.add(chip('third', 0xffff, 0x1_0000).device)).toThrow(/third/);
  });
});

describe('the ports of the board', () => {
  test('a PCI probe finds nothing and resets nothing', () => {
    const { portBus, events } = createBoard();
    for (let slot = 0; slot < 32; slot++) {
      portBus.write(0xcf8, 0x8000_0000 | (slot << 11) | (7 << 8), 32);
      expect(portBus.read(0xcfc, 32)).toBe(0xffff_ffff);
    }
    expect(events.filter((event) => event === 'reset')).toEqual([]);
  });

  test.each([
    ['the 8042 pulse', [[0x64, 0xfe]]],
    [
      'the 8042 output port',
      [
        [0x64, 0xd1],
        [0x60, 0xfe],
      ],
    ],
    ['port 0x92', [[0x92, 0x03]]],
    [
      'port 0xcf9',
      [
        [0xcf9, 0x02],
        [0xcf9, 0x06],
      ],
    ],
  ])('%s asks for one reset', (_name, writes) => {
    const { portBus, events } = createBoard();
    for (const [port, value] of writes) portBus.write(port!, value!, 8);
    expect(events).toEqual(['reset']);
  });

  test.each([
    [8, 0x11, 'exit 17'],
    [16, 0x1234, 'exit 4660'],
    [32, 0xffff_ffff, 'exit 4294967295'],
  ] as const)('a write of %i bits to 0xf4 ends the run with the value', (width, value, event) => {
    const { portBus, events } = createBoard();
    portBus.write(0xf4, value, width);
    expect(events).toEqual([event]);
    expect(portBus.read(0xf4, 8)).toBe(0);
  });

  test('POST codes are silent', () => {
    const board = createBoard();
    board.portBus.write(0x80, 0xa5, 8);
    expect(board.events).toEqual([]);
    expect(board.device('post-code').describe()).toContain('a5');
  });

  test('COM1 takes a string of bytes', () => {
    const { portBus, output } = createBoard();
    for (const byte of new TextEncoder().encode('boot\n')) portBus.write(0x3f8, byte, 8);
    expect(String.fromCharCode(...output)).toBe('boot\n');
  });
});

describe('the keyboard controller', () => {
  test('passes the tests that kernels do and answers for no keyboard or mouse', () => {
    const { portBus } = createBoard();
    const command = (value: number): number => {
      portBus.write(0x64, value, 8);
      expect(portBus.read(0x64, 8) & 1).toBe(1);
      const answer = portBus.read(0x60, 8);
      expect(portBus.read(0x64, 8) & 1).toBe(0);
      return answer;
    };
    expect(command(0xaa)).toBe(0x55);
    expect(command(0xab)).toBe(0x00);
    expect(command(0xa9)).toBe(0x01);
    expect(command(0x20)).toBe(0x65);
    portBus.write(0x60, 0xff, 8); // reset the keyboard: nobody answers
    expect(portBus.read(0x64, 8) & 1).toBe(0);
  });

  test('keeps its command byte, its port lines and A20', () => {
    const { portBus } = createBoard();
    const read = (command: number): number => {
      portBus.write(0x64, command, 8);
      return portBus.read(0x60, 8);
    };
    portBus.write(0x64, 0x60, 8);
    portBus.write(0x60, 0x44, 8);
    portBus.write(0x64, 0xad, 8);
    portBus.write(0x64, 0xa7, 8);
    expect(read(0x20)).toBe(0x74);
    portBus.write(0x64, 0xae, 8);
    portBus.write(0x64, 0xa8, 8);
    expect(read(0x20)).toBe(0x44);
    expect(read(0xd0) & 2).toBe(2);
    portBus.write(0x64, 0xdd, 8);
    expect(read(0xd0) & 2).toBe(0);
    portBus.write(0x64, 0xdf, 8);
    expect(read(0xd0) & 2).toBe(2);
    expect(read(0xc0)).toBe(0x80);
  });

  test('raises IRQ 1 with an answer while the command byte allows it', () => {
    const { portBus, interruptController } = createBoard();
    portBus.write(0x21, 0xfd, 8);
    portBus.write(0x64, 0xd2, 8);
    portBus.write(0x60, 0x1c, 8);
    expect(interruptController.hasInterrupt()).toBe(true);
    expect(interruptController.acknowledge()).toBe(9);
    expect(portBus.read(0x60, 8)).toBe(0x1c);
    portBus.write(0x20, 0x20, 8);
    portBus.write(0x64, 0x60, 8);
    portBus.write(0x60, 0x44, 8);
    portBus.write(0x64, 0xaa, 8);
    expect(interruptController.hasInterrupt()).toBe(false);
  });
});
