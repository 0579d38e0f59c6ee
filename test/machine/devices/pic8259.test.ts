import { beforeEach, describe, expect, test } from 'vitest';
import type { InterruptLine } from '../../../machine/devices/device.ts';
import { Pic8259 } from '../../../machine/devices/pic8259.ts';

let pic: Pic8259;
let intPin: boolean;
let lines: (InterruptLine | undefined)[];

beforeEach(() => {
  pic = new Pic8259({ set: (asserted) => (intPin = asserted) });
  pic.reset();
  lines = Array.from({ length: 16 }, (_, irq) => (irq === 2 ? undefined : pic.line(irq)));
  initialize(0x20, 0x28, 0x01);
});

function initialize(master: number, slave: number, icw4: number): void {
  for (const [port, base, icw3] of [
    [0x20, master, 0x04],
    [0xa0, slave, 0x02],
  ] as const) {
    pic.writePort(port, 0x11);
    for (const word of [base, icw3, icw4]) pic.writePort(port + 1, word);
    pic.writePort(port + 1, 0x00);
  }
}

function pulse(irq: number): void {
  lines[irq]?.set(false);
  lines[irq]?.set(true);
}

function isr(port = 0x20): number {
  pic.writePort(port, 0x0b);
  return pic.readPort(port);
}

function irr(port = 0x20): number {
  pic.writePort(port, 0x0a);
  return pic.readPort(port);
}

describe('the 8259 pair', () => {
  test('starts as firmware leaves it: vectors 8 and 0x70, timer open, most masked', () => {
    pic.reset();
    expect([pic.readPort(0x21), pic.readPort(0xa1)]).toEqual([0xb8, 0x8e]);
    pic.line(0).set(true);
    expect(pic.acknowledge()).toBe(8);
    pic.writePort(0x20, 0x20);
    pic.line(8).set(true);
    expect(pic.acknowledge()).toBe(0x70);
  });

  test('gives the vector of a request and remembers it as in service', () => {
    expect(pic.hasInterrupt()).toBe(false);
    pulse(4);
    expect([pic.hasInterrupt(), intPin]).toEqual([true, true]);
    expect(irr()).toBe(0x10);
    expect(pic.acknowledge()).toBe(0x24);
    expect([irr(), isr()]).toEqual([0, 0x10]);
    expect(intPin).toBe(false);
    pic.writePort(0x20, 0x20);
    expect(isr()).toBe(0);
  });

  test('serves a slave request through the cascade with two acknowledges', () => {
    pulse(14);
    expect(irr()).toBe(0x04);
    expect(pic.acknowledge()).toBe(0x2e);
    expect([isr(0x20), isr(0xa0)]).toEqual([0x04, 0x40]);
    pic.writePort(0xa0, 0x20);
    pic.writePort(0x20, 0x20);
    expect([isr(0x20), isr(0xa0)]).toEqual([0, 0]);
  });

  test('puts IRQ 0 first, then 1, then the slave, then 3 to 7', () => {
    const order = [7, 3, 15, 8, 1, 0];
    order.forEach(pulse);
    const served: number[] = [];
    while (pic.hasInterrupt()) {
      served.push(pic.acknowledge());
      pic.writePort(0xa0, 0x20);
      pic.writePort(0x20, 0x20);
    }
    expect(served).toEqual([0x20, 0x21, 0x28, 0x2f, 0x23, 0x27]);
  });

  test('lets only higher levels interrupt one in service', () => {
    pulse(3);
    pic.acknowledge();
    pulse(5);
    expect(pic.hasInterrupt()).toBe(false);
    pulse(1);
    expect(pic.acknowledge()).toBe(0x21);
    pic.writePort(0x20, 0x20);
    expect(isr()).toBe(0x08);
    pic.writePort(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x25);
  });

  test('holds a masked request back and gives it when the mask is lifted', () => {
    pic.writePort(0x21, 0x10);
    pulse(4);
    expect(pic.hasInterrupt()).toBe(false);
    pic.writePort(0x21, 0x00);
    expect(pic.acknowledge()).toBe(0x24);
  });

  test('answers with the spurious IRQ 7 without an ISR bit when the request has gone', () => {
    pulse(4);
    pic.writePort(0x21, 0xff);
    expect(pic.acknowledge()).toBe(0x27);
    expect(isr()).toBe(0);
  });

  test('answers with the spurious IRQ 15 and the cascade in service when the slave has none', () => {
    pulse(10);
    pic.writePort(0xa1, 0xff); // the master has latched the edge
    expect(pic.acknowledge()).toBe(0x2f);
    expect([isr(0x20), isr(0xa0)]).toEqual([0x04, 0x00]);
  });

  test('takes one edge once, and a level as long as it stands', () => {
    pulse(5);
    pic.acknowledge();
    pic.writePort(0x20, 0x20);
    expect(pic.hasInterrupt()).toBe(false);

    pic.writePort(0x4d0, 0x20);
    expect(pic.readPort(0x4d0)).toBe(0x20);
    expect(pic.acknowledge()).toBe(0x25);
    pic.writePort(0x20, 0x20);
    expect(pic.hasInterrupt()).toBe(true);
    lines[5]?.set(false);
    expect(pic.hasInterrupt()).toBe(false);
  });

  test('keeps the timer, keyboard, cascade, clock and FPU lines edge-triggered', () => {
    pic.writePort(0x4d0, 0xff);
    pic.writePort(0x4d1, 0xff);
    expect([pic.readPort(0x4d0), pic.readPort(0x4d1)]).toEqual([0xf8, 0xde]);
  });

  test('needs a new edge after initialization', () => {
    pulse(4);
    initialize(0x20, 0x28, 0x01);
    expect(pic.hasInterrupt()).toBe(false);
    lines[4]?.set(true);
    expect(pic.hasInterrupt()).toBe(false);
    pulse(4);
    expect(pic.hasInterrupt()).toBe(true);
  });

  test('asks the master again for a second slave request', () => {
    pulse(9);
    pulse(12);
    expect(pic.acknowledge()).toBe(0x29);
    pic.writePort(0x20, 0x20);
    expect(pic.hasInterrupt()).toBe(false);
    pic.writePort(0xa0, 0x20);
    expect(pic.acknowledge()).toBe(0x2c);
  });
});

describe('the 8259 command words', () => {
  test('a specific EOI ends the named level', () => {
    pulse(3);
    pic.acknowledge();
    pulse(1);
    pic.acknowledge();
    pic.writePort(0x20, 0x63);
    expect(isr()).toBe(0x02);
  });

  test('automatic EOI leaves nothing in service', () => {
    initialize(0x20, 0x28, 0x03);
    pulse(4);
    expect(pic.acknowledge()).toBe(0x24);
    expect(isr()).toBe(0);
  });

  test('set priority makes the next level the highest', () => {
    pic.writePort(0x20, 0xc3); // level 3 lowest
    pulse(0);
    pulse(4);
    expect(pic.acknowledge()).toBe(0x24);
  });

  test('rotation on EOI gives the served level the lowest priority', () => {
    pulse(1);
    pic.acknowledge();
    pic.writePort(0x20, 0xa0);
    pulse(1);
    pulse(3);
    expect(pic.acknowledge()).toBe(0x23);
    pic.writePort(0x20, 0xe3); // rotate on specific EOI
    expect(pic.acknowledge()).toBe(0x21);
  });

  test('rotation in automatic EOI shares the levels round robin', () => {
    initialize(0x20, 0x28, 0x03);
    pic.writePort(0x20, 0x80);
    const served: number[] = [];
    for (let round = 0; round < 4; round++) {
      pulse(0);
      pulse(1);
      served.push(pic.acknowledge());
    }
    expect(served).toEqual([0x20, 0x21, 0x20, 0x21]);
    pic.writePort(0x20, 0x00);
    pulse(1);
    pic.acknowledge();
    pulse(0);
    expect(pic.acknowledge()).toBe(0x20);
  });

  test('special mask mode opens lower levels while a masked one is in service', () => {
    pulse(2 + 1);
    pic.acknowledge();
    pulse(6);
    expect(pic.hasInterrupt()).toBe(false);
    pic.writePort(0x21, 0x08);
    pic.writePort(0x20, 0x68);
    expect(pic.acknowledge()).toBe(0x26);
    pic.writePort(0x20, 0x20); // does not touch the masked level 3
    expect(isr()).toBe(0x08);
    pic.writePort(0x20, 0x48);
    pulse(6);
    expect(pic.hasInterrupt()).toBe(false);
  });

  test('special fully nested mode lets the slave interrupt its own level', () => {
    initialize(0x20, 0x28, 0x11);
    pulse(12);
    expect(pic.acknowledge()).toBe(0x2c);
    pulse(8);
    expect(pic.acknowledge()).toBe(0x28);
  });

  test('without it the slave waits for the EOI of the master', () => {
    pulse(12);
    pic.acknowledge();
    pulse(8);
    expect(pic.hasInterrupt()).toBe(false);
    pic.writePort(0x20, 0x20);
    expect(pic.acknowledge()).toBe(0x28);
  });

  test('poll mode acknowledges by reading', () => {
    pic.writePort(0x20, 0x0c);
    expect(pic.readPort(0x20)).toBe(0);
    pulse(6);
    pic.writePort(0x20, 0x0c);
    expect(pic.readPort(0x20)).toBe(0x86);
    expect(isr()).toBe(0x40);
  });

  test('an initialization without ICW4 takes no third word', () => {
    pic.writePort(0x20, 0x10);
    pic.writePort(0x21, 0x40);
    pic.writePort(0x21, 0x04);
    pic.writePort(0x21, 0x5a);
    expect(pic.readPort(0x21)).toBe(0x5a);
    pulse(0);
    expect(pic.acknowledge()).toBe(0x40);
  });

  test('the mask reads back and vectors are multiples of eight', () => {
    initialize(0x37, 0x28, 0x01);
    pic.writePort(0x21, 0xa5);
    expect(pic.readPort(0x21)).toBe(0xa5);
    pulse(1);
    expect(pic.acknowledge()).toBe(0x31);
  });

  test('the cascade is no input', () => {
    expect(() => pic.line(2)).toThrow(RangeError);
    expect(() => pic.line(16)).toThrow(RangeError);
  });
});
