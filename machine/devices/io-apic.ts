/**
 * The I/O APIC (Intel 82093AA data sheet, 290566): 24 inputs, each with a redirection entry of 64 bits
 * that says as which message the local APIC hears of it. Two registers of its page reach all others:
 * IOREGSEL at 0 selects, IOWIN at 0x10 reads and writes.
 *
 *     63–56 destination  16 mask  15 level  14 remote IRR  13 active low  11 logical  10–8 mode  7–0 vector
 *
 * Lines carry whether they are asserted, not a voltage, so that the polarity bit is kept but changes
 * nothing, as on QEMU and KVM. An edge while an entry is masked is lost (data sheet, "Interrupt Mask").
 * SMI, INIT and ExtINT messages have no receiver here.
 */
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, InterruptLine } from './device.ts';
import { lineTo } from './interrupt-lines.ts';
import { noteOnce } from './note-once.ts';

export const IO_APIC_PAGE = 0xfec0_0000;
const PINS = 24;

const SELECT = 0x00;
const WINDOW = 0x10;
const ID = 0;
const VERSION = 1;
const ARBITRATION = 2;
const FIRST_ENTRY = 0x10;
/** Version 0x11, the last of 24 entries. */
const VERSION_VALUE = ((PINS - 1) << 16) | 0x11;
const ID_WRITABLE = 0x0f00_0000;

const MASKED = 0x1_0000;
const LEVEL = 0x8000;
const REMOTE_IRR = 0x4000;
const ACTIVE_LOW = 0x2000;
const LOGICAL = 0x0800;
const LOW_WRITABLE = 0x1_afff;
const MODES = ['fixed', 'lowest', 'SMI', 'reserved', 'NMI', 'INIT', 'reserved', 'ExtINT'];

/** What goes over the bus to the local APIC. */
export interface InterruptMessage {
  readonly vector: number;
  /** Bits 10–8 of the entry, as in the local APIC's own registers. */
  readonly mode: number;
  readonly destination: number;
  readonly isLogical: boolean;
  readonly isLevel: boolean;
}

function powerOnState() {
  return {
    id: 0,
    select: 0,
    /** Levels of the inputs, a bit each. */
    lines: 0,
    low: new Array<number>(PINS).fill(MASKED),
    high: new Array<number>(PINS).fill(0),
  };
}

export class IoApic implements Device {
  readonly name = 'io-apic';
  readonly version = 1;
  readonly ports = [];
  readonly page = IO_APIC_PAGE;
  private readonly deliver: (message: InterruptMessage) => boolean;
  private readonly note: (text: string) => void;
  private state = powerOnState();

  /** `deliver` says whether a local APIC has taken the message; `note` hears once of each oddity. */
  constructor(
    deliver: (message: InterruptMessage) => boolean,
    note: (text: string) => void = () => undefined,
  ) {
    this.deliver = deliver;
    this.note = noteOnce(note);
  }

  /** The input with this number, 0–23. */
  line(pin: number): InterruptLine {
    if (pin < 0 || pin >= PINS) throw new RangeError(`no input ${pin}`);
    const bit = 1 << pin;
    return lineTo((asserted) => {
      const { state } = this;
      if (asserted === ((state.lines & bit) !== 0)) return;
      state.lines ^= bit;
      if (asserted) this.request(pin);
    });
  }

  /** The EOI of a level-triggered vector: what is still asserted asks again. */
  endInterrupt(vector: number): void {
    const { low } = this.state;
    for (let pin = 0; pin < PINS; pin++) {
      const entry = low[pin] ?? MASKED;
      if ((entry & REMOTE_IRR) === 0 || (entry & 0xff) !== vector) continue;
      low[pin] = entry & ~REMOTE_IRR;
      this.requestLevel(pin);
    }
  }

  /** Registers are 32 bits; other bytes of the page read as 0. */
  readPage(offset: number, lengthBytes: number): bigint {
    const inRegister = offset & 0xf;
    if (inRegister >= 4) return 0n;
    const register = offset - inRegister;
    const { select } = this.state;
    const value = register === SELECT ? select : register === WINDOW ? this.readRegister() : 0;
    return BigInt.asUintN(8 * lengthBytes, BigInt(value) >> BigInt(8 * inRegister));
  }

  /** IOREGSEL is one byte, IOWIN takes whole registers. */
  writePage(offset: number, lengthBytes: number, value: bigint): void {
    const word = Number(BigInt.asUintN(32, value));
    if (offset === SELECT) this.state.select = word & 0xff;
    else if (offset === WINDOW && lengthBytes >= 4) this.writeRegister(word);
    else this.note(`I/O APIC: a write of ${lengthBytes} bytes at ${hex(offset)} is ignored`);
  }

  /** Input levels are forgotten: the other chips, reset after this one, drive their lines again. */
  reset(): void {
    this.state = powerOnState();
  }

  describe(): string {
    const open = this.state.low.flatMap((entry, pin) => ((entry & MASKED) === 0 ? [pin] : []));
    return open.length === 0 ? 'all inputs masked' : `inputs ${open.join(' ')} unmasked`;
  }

  registerLines(): readonly string[] {
    const { id, low, high } = this.state;
    const head = `I/O APIC: ID ${id >>> 24}, version ${hex(VERSION_VALUE & 0xff)}, ${PINS} inputs`;
    return [head, ...low.map((entry, pin) => this.entryLine(pin, entry, high[pin] ?? 0))];
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, {
      ranges: { select: [0, 0xff], lines: [0, 2 ** PINS - 1] },
    });
  }

  private readRegister(): number {
    const { id, select, low, high } = this.state;
    if (select === ID || select === ARBITRATION) return id;
    if (select === VERSION) return VERSION_VALUE;
    const halves = (select & 1) === 0 ? low : high;
    const value = halves[(select - FIRST_ENTRY) >> 1];
    if (value !== undefined) return value;
    this.note(`I/O APIC: no register ${hex(select)} (first read)`);
    return 0;
  }

  private writeRegister(value: number): void {
    const { state } = this;
    const { select } = state;
    const pin = (select - FIRST_ENTRY) >> 1;
    if (select === ID) state.id = value & ID_WRITABLE;
    else if (pin < 0 || pin >= PINS) this.note(`I/O APIC: register ${hex(select)} is not written`);
    else if ((select & 1) === 1) state.high[pin] = (value & 0xff00_0000) >>> 0;
    else {
      // An entry that becomes edge-triggered forgets that an EOI is due: Linux ends interrupts so.
      const kept = (value & LEVEL) === 0 ? 0 : (state.low[pin] ?? 0) & REMOTE_IRR;
      state.low[pin] = (value & LOW_WRITABLE) | kept;
      this.requestLevel(pin);
    }
  }

  private requestLevel(pin: number): void {
    const { low, lines } = this.state;
    if (((low[pin] ?? 0) & LEVEL) !== 0 && (lines & (1 << pin)) !== 0) this.request(pin);
  }

  /** The input asks: an edge has come, or a level stands. */
  private request(pin: number): void {
    const { low, high } = this.state;
    const entry = low[pin] ?? MASKED;
    if ((entry & (MASKED | REMOTE_IRR)) !== 0) return;
    const isLevel = (entry & LEVEL) !== 0;
    const isTaken = this.deliver({
      vector: entry & 0xff,
      mode: (entry >> 8) & 7,
      destination: (high[pin] ?? 0) >>> 24,
      isLogical: (entry & LOGICAL) !== 0,
      isLevel,
    });
    if (isTaken && isLevel) low[pin] = entry | REMOTE_IRR;
  }

  private entryLine(pin: number, low: number, high: number): string {
    const words = [
      `${MODES[(low >> 8) & 7]}`,
      `vector 0x${(low & 0xff).toString(16)}`,
      (low & LEVEL) === 0 ? 'edge' : 'level',
      (low & ACTIVE_LOW) === 0 ? '' : 'active low',
      `to ${(low & LOGICAL) === 0 ? 'APIC' : 'logical'} ${high >>> 24}`,
      (low & REMOTE_IRR) === 0 ? '' : 'remote IRR',
      (this.state.lines & (1 << pin)) === 0 ? '' : 'high',
      (low & MASKED) === 0 ? '' : 'masked',
    ];
    const text = words.filter((word) => word !== '').join(', ');
    return `input ${String(pin).padStart(2)}  ${hex32(high)} ${hex32(low)}  ${text}`;
  }
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}

function hex32(value: number): string {
  return value.toString(16).padStart(8, '0');
}
