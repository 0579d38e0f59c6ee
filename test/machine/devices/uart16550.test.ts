import { describe, expect, test } from 'vitest';
import { Uart16550 } from '../../../machine/devices/uart16550.ts';
import { ManualClock } from './manual-clock.ts';

const [RBR, IER, IIR, LCR, MCR, LSR, MSR, SCR] = [0, 1, 2, 3, 4, 5, 6, 7].map(
  (offset) => 0x3f8 + offset,
) as [number, number, number, number, number, number, number, number];
const [THR, FCR, DLL, DLM] = [RBR, IIR, RBR, IER];
const NONE = 0x01;
/** 8 data bits, no parity, one stop bit at 115200 baud: 10 bits take 86.8 µs. */
const CHARACTER_TICKS = 86_805n;

function createUart() {
  const clock = new ManualClock();
  const sent: number[] = [];
  const line = { level: false, rises: 0 };
  const set = (asserted: boolean): void => {
    if (asserted && !line.level) line.rises++;
    line.level = asserted;
  };
  const uart = new Uart16550(clock, { set }, (byte) => sent.push(byte));
  uart.reset();
  uart.writePort(LCR, 0x83);
  uart.writePort(DLL, 1);
  uart.writePort(DLM, 0);
  uart.writePort(LCR, 0x03);
  return { uart, clock, sent, line };
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

/** Reads while LSR says that there is data. */
function drain(uart: Uart16550): string {
  let result = '';
  while ((uart.readPort(LSR) & 1) !== 0) result += String.fromCharCode(uart.readPort(RBR));
  return result;
}

describe('the 16550 transmitter', () => {
  test('hands a byte over at the instruction that writes it, and is empty again', () => {
    const { uart, sent } = createUart();
    uart.writePort(THR, 0x41);
    expect(sent).toEqual([0x41]);
    expect(uart.readPort(LSR) & 0x60).toBe(0x60);
  });

  test('does not send the divisor', () => {
    const { uart, sent } = createUart();
    uart.writePort(LCR, 0x80);
    uart.writePort(DLL, 0x34);
    uart.writePort(DLM, 0x12);
    expect([uart.readPort(DLL), uart.readPort(DLM)]).toEqual([0x34, 0x12]);
    expect(sent).toEqual([]);
  });

  test('raises the THRE interrupt when it is enabled and after each byte, until IIR is read', () => {
    const { uart, line } = createUart();
    uart.writePort(IER, 0x02);
    expect(line.level).toBe(true);
    expect(uart.readPort(IIR)).toBe(0x02);
    expect(line.level).toBe(false);
    expect(uart.readPort(IIR)).toBe(NONE);
    uart.writePort(THR, 0x42);
    expect(line.level).toBe(true);
    expect(uart.readPort(IIR)).toBe(0x02);
    expect(line.level).toBe(false);
  });

  test('withdraws the THRE interrupt when it is disabled', () => {
    const { uart, line } = createUart();
    uart.writePort(IER, 0x02);
    uart.writePort(IER, 0x00);
    expect(line.level).toBe(false);
  });
});

describe('the 16550 receiver', () => {
  test('lets typed bytes arrive one character time after the other', () => {
    const { uart, clock } = createUart();
    uart.receive(text('ab'));
    expect(uart.readPort(LSR) & 1).toBe(0);
    clock.run(CHARACTER_TICKS + 10n);
    expect(drain(uart)).toBe('a');
    clock.run(CHARACTER_TICKS + 10n);
    expect(drain(uart)).toBe('b');
  });

  test('loses nothing when the guest does not read: bytes wait on the wire', () => {
    const { uart, clock } = createUart();
    uart.writePort(FCR, 0x01);
    const typed = 'x'.repeat(50) + 'end';
    uart.receive(text(typed));
    clock.run(1_000_000_000n);
    expect(uart.readPort(LSR) & 0x03).toBe(1);
    let received = '';
    for (let round = 0; round < 100; round++) {
      received += drain(uart);
      clock.run(CHARACTER_TICKS * 2n);
    }
    expect(received).toBe(typed);
  });

  test('holds 16 bytes with the FIFO and one without', () => {
    const { uart, clock } = createUart();
    uart.writePort(FCR, 0x01);
    uart.receive(text('0123456789abcdefgh'));
    clock.run(1_000_000_000n);
    expect(drain(uart)).toBe('0123456789abcdef');
    uart.writePort(FCR, 0x00);
    clock.run(1_000_000_000n);
    expect(drain(uart)).toBe('g');
  });

  test.each([
    [0x01, 1],
    [0x41, 4],
    [0x81, 8],
    [0xc1, 14],
  ])('with FCR %i asks for an interrupt at %i bytes', (fcr, level) => {
    const { uart, clock, line } = createUart();
    uart.writePort(FCR, fcr);
    uart.writePort(IER, 0x01);
    uart.receive(new Uint8Array(level));
    clock.run(CHARACTER_TICKS * BigInt(level - 1) + 100n);
    expect(line.level).toBe(false);
    clock.run(CHARACTER_TICKS);
    expect(line.level).toBe(true);
    expect(uart.readPort(IIR)).toBe(0xc4);
    uart.readPort(RBR);
    expect(line.level).toBe(false);
  });

  test('reports fewer bytes than the trigger level after four character times', () => {
    const { uart, clock, line } = createUart();
    uart.writePort(FCR, 0xc1);
    uart.writePort(IER, 0x01);
    uart.receive(text('hi'));
    clock.run(CHARACTER_TICKS * 5n);
    expect(line.level).toBe(false);
    clock.run(CHARACTER_TICKS * 2n);
    expect(line.level).toBe(true);
    expect(uart.readPort(IIR)).toBe(0xcc);
    uart.readPort(RBR);
    expect(uart.readPort(IIR)).toBe(0xc1);
    clock.run(CHARACTER_TICKS * 5n);
    expect(uart.readPort(IIR)).toBe(0xcc);
  });

  test('empties the FIFO on FCR bit 1 and when bit 0 changes', () => {
    const { uart, clock } = createUart();
    for (const fcr of [0x03, 0x00]) {
      uart.writePort(FCR, 0x01);
      uart.receive(text('abc'));
      clock.run(CHARACTER_TICKS * 4n);
      expect(uart.readPort(LSR) & 1).toBe(1);
      uart.writePort(FCR, fcr);
      expect(uart.readPort(LSR) & 1).toBe(0);
    }
  });

  test('gives 0 when there is nothing to read', () => {
    expect(createUart().uart.readPort(RBR)).toBe(0);
  });
});

describe('the 16550 interrupt identification', () => {
  test('orders line status, received data, transmitter and modem status', () => {
    const { uart, clock } = createUart();
    uart.writePort(FCR, 0x01);
    uart.receive(text('a'));
    clock.run(CHARACTER_TICKS + 10n);
    uart.writePort(MCR, 0x12); // loopback with RTS: DSR and DCD fall
    for (let byte = 0; byte < 16; byte++) uart.writePort(THR, byte); // the last one overruns
    uart.writePort(IER, 0x0f);
    expect(uart.readPort(IIR)).toBe(0xc6);
    expect(uart.readPort(LSR) & 0x02).toBe(0x02);
    expect(uart.readPort(IIR)).toBe(0xc4);
    drain(uart);
    expect(uart.readPort(IIR)).toBe(0xc2);
    expect(uart.readPort(IIR)).toBe(0xc0);
    expect(uart.readPort(MSR) & 0x0f).not.toBe(0);
    expect(uart.readPort(IIR)).toBe(0xc1);
  });

  test('shows a 16550A to the test that Linux does', () => {
    const { uart } = createUart();
    uart.writePort(FCR, 0x01);
    expect(uart.readPort(IIR) >> 6).toBe(3);
    uart.writePort(FCR, 0xe7);
    expect(uart.readPort(IIR) & 0xe0).toBe(0xc0);
    uart.writePort(FCR, 0x00);
    expect(uart.readPort(IIR) >> 6).toBe(0);
  });

  test('works without OUT2, as xv6 needs it', () => {
    const { uart, clock, line } = createUart();
    uart.writePort(MCR, 0);
    uart.writePort(IER, 0x01);
    uart.receive(text('x'));
    clock.run(CHARACTER_TICKS + 10n);
    expect(line.level).toBe(true);
  });
});

describe('the 16550 modem side', () => {
  test('shows a terminal that is connected and ready', () => {
    expect(createUart().uart.readPort(MSR)).toBe(0xb0);
  });

  test('in loopback returns a byte at once and sends nothing', () => {
    const { uart, sent } = createUart();
    uart.writePort(MCR, 0x1e);
    uart.writePort(THR, 0xae);
    expect(uart.readPort(RBR)).toBe(0xae);
    expect(sent).toEqual([]);
    uart.writePort(MCR, 0x0f);
    uart.writePort(THR, 0x41);
    expect(sent).toEqual([0x41]);
  });

  test.each([
    [0x10, 0x00],
    [0x11, 0x20],
    [0x12, 0x10],
    [0x14, 0x40],
    [0x18, 0x80],
    [0x1a, 0x90],
  ])('in loopback shows MCR %i as modem lines %i', (mcr, lines) => {
    const { uart } = createUart();
    uart.writePort(MCR, mcr);
    expect(uart.readPort(MSR) & 0xf0).toBe(lines);
  });

  test('reports the trailing edge of RI, and each change once', () => {
    const { uart } = createUart();
    uart.writePort(MCR, 0x1f);
    expect(uart.readPort(MSR) & 0x04).toBe(0);
    uart.writePort(MCR, 0x1b);
    expect(uart.readPort(MSR) & 0x0f).toBe(0x04);
    expect(uart.readPort(MSR) & 0x0f).toBe(0);
  });

  test('keeps input waiting during loopback and delivers it afterwards', () => {
    const { uart, clock } = createUart();
    uart.writePort(MCR, 0x10);
    uart.receive(text('k'));
    clock.run(CHARACTER_TICKS * 3n);
    expect(uart.readPort(LSR) & 1).toBe(0);
    uart.writePort(MCR, 0x00);
    clock.run(CHARACTER_TICKS * 2n);
    expect(drain(uart)).toBe('k');
  });

  test('shows a break that loopback brings back, and clears it with the read', () => {
    const { uart } = createUart();
    uart.writePort(MCR, 0x10);
    uart.writePort(LCR, 0x43);
    expect(uart.readPort(LSR) & 0x11).toBe(0x11);
    expect(uart.readPort(LSR) & 0x10).toBe(0);
  });

  test('has a scratch register and defined bits only', () => {
    const { uart } = createUart();
    uart.writePort(SCR, 0xa5);
    expect(uart.readPort(SCR)).toBe(0xa5);
    uart.writePort(IER, 0xff);
    expect(uart.readPort(IER)).toBe(0x0f);
    uart.writePort(MCR, 0xff);
    expect(uart.readPort(MCR)).toBe(0x1f);
  });
});
