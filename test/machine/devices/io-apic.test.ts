import { describe, expect, test } from 'vitest';
import type { InterruptMessage } from '../../../machine/devices/io-apic.ts';
import { IoApic } from '../../../machine/devices/io-apic.ts';
import { createBoard } from './test-board.ts';

const [MASKED, LEVEL, REMOTE_IRR, LOGICAL] = [0x1_0000, 0x8000, 0x4000, 0x800] as const;
const EOI = 0xb0;

function createIoApic(isTaken = true) {
  const messages: InterruptMessage[] = [];
  const apic = new IoApic((message) => {
    messages.push(message);
    return isTaken;
  });
  apic.reset();
  return { apic, messages, ...access(apic) };
}

function access(apic: {
  readPage?(offset: number, lengthBytes: number): bigint;
  writePage?(offset: number, lengthBytes: number, value: bigint): void;
}) {
  const select = (register: number): void => apic.writePage?.(0, 4, BigInt(register));
  const read = (register: number): number => {
    select(register);
    return Number(apic.readPage?.(0x10, 4));
  };
  const write = (register: number, value: number): void => {
    select(register);
    apic.writePage?.(0x10, 4, BigInt(value));
  };
  return { read, write };
}

describe('the registers of the I/O APIC', () => {
  test('are reached through IOREGSEL and IOWIN', () => {
    const { apic, read, write } = createIoApic();
    expect(read(1)).toBe(0x0017_0011);
    expect(apic.readPage(0, 4)).toBe(1n);
    write(0, 0xffff_ffff);
    expect([read(0), read(2)]).toEqual([0x0f00_0000, 0x0f00_0000]);
    expect(read(0x40)).toBe(0);
  });

  test('mask all inputs at power-on and keep read-only bits of an entry', () => {
    const { read, write } = createIoApic();
    expect(Array.from({ length: 24 }, (_, pin) => read(0x10 + 2 * pin))).toEqual(
      new Array<number>(24).fill(MASKED),
    );
    write(0x10, 0xffff_ffff);
    write(0x11, 0xffff_ffff);
    expect([read(0x10), read(0x11)]).toEqual([0x1_afff, 0xff00_0000]);
  });
});

describe('an edge-triggered input', () => {
  test('sends one message for each rising edge', () => {
    const { apic, messages, write } = createIoApic();
    write(0x10 + 2 * 4, LOGICAL | 0x24);
    write(0x11 + 2 * 4, 0x0300_0000);
    const line = apic.line(4);
    for (const level of [true, true, false, true]) line.set(level);
    const message = { vector: 0x24, mode: 0, destination: 3, isLogical: true, isLevel: false };
    expect(messages).toEqual([message, message]);
  });

  test('loses what comes while it is masked', () => {
    const { apic, messages, write } = createIoApic();
    apic.line(4).set(true);
    write(0x10 + 2 * 4, 0x24);
    expect(messages).toEqual([]);
  });
});

describe('a level-triggered input', () => {
  test('asks once until its EOI, then again while it is high', () => {
    const { apic, messages, read, write } = createIoApic();
    const entry = 0x10 + 2 * 9;
    write(entry, LEVEL | 0x29);
    const line = apic.line(9);
    line.set(true);
    line.set(false);
    line.set(true);
    expect(messages).toHaveLength(1);
    expect(read(entry)).toBe(LEVEL | REMOTE_IRR | 0x29);
    apic.endInterrupt(0x28);
    expect(messages).toHaveLength(1);
    apic.endInterrupt(0x29);
    expect(messages).toHaveLength(2);
    line.set(false);
    apic.endInterrupt(0x29);
    expect(messages).toHaveLength(2);
    expect(read(entry)).toBe(LEVEL | 0x29);
  });

  test('asks when it is unmasked, and forgets its EOI when made edge-triggered', () => {
    const { apic, messages, read, write } = createIoApic();
    apic.line(9).set(true);
    write(0x22, LEVEL | MASKED | 0x29);
    expect(messages).toEqual([]);
    write(0x22, LEVEL | 0x29);
    expect(messages).toHaveLength(1);
    write(0x22, MASKED | 0x29);
    expect(read(0x22)).toBe(MASKED | 0x29);
  });

  test('has no remote IRR when nobody takes the message', () => {
    const { apic, read, write } = createIoApic(false);
    write(0x22, LEVEL | 0x29);
    apic.line(9).set(true);
    expect(read(0x22)).toBe(LEVEL | 0x29);
  });
});

describe('on the board', () => {
  test('the PIT is input 2, beside IRQ 0 of the 8259 pair', () => {
    const board = createBoard();
    const { write } = access(board.device('io-apic'));
    board.portBus.write(0x21, 0xff, 8);
    board.portBus.write(0xa1, 0xff, 8);
    write(0x14, 0x40);
    board.clock.run(60_000_000n);
    expect(board.interruptController.hasInterrupt()).toBe(true);
    expect(board.interruptController.acknowledge()).toBe(0x40);
    expect(board.interruptController.hasInterrupt()).toBe(false);
    board.localApic.writePage(EOI, 4, 0n);
    board.clock.run(60_000_000n);
    expect(board.interruptController.acknowledge()).toBe(0x40);
  });

  test('the EOI of a level-triggered vector reaches it', () => {
    const board = createBoard();
    const { read, write } = access(board.device('io-apic'));
    board.portBus.write(0x21, 0xff, 8);
    write(0x18, LEVEL | 0x44);
    // Transmitter empty: COM1 asks from when it is allowed until IIR is read.
    board.portBus.write(0x3fc, 0x08, 8);
    board.portBus.write(0x3f9, 0x02, 8);
    expect(board.interruptController.acknowledge()).toBe(0x44);
    expect(read(0x18)).toBe(LEVEL | REMOTE_IRR | 0x44);
    board.portBus.read(0x3fa, 8);
    board.localApic.writePage(EOI, 4, 0n);
    expect(read(0x18)).toBe(LEVEL | 0x44);
    expect(board.interruptController.hasInterrupt()).toBe(false);
  });

  test('an NMI entry reaches the CPU as NMI', () => {
    const board = createBoard();
    access(board.device('io-apic')).write(0x14, 0x400);
    board.clock.run(60_000_000n);
    expect(board.interruptController.hasNmi()).toBe(true);
  });
});
