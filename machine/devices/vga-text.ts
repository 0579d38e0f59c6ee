/**
 * The registers of a VGA in text mode 3, as its BIOS leaves them (IBM VGA technical reference; register
 * numbers as in QEMU's hw/display/vga.c). Kernels move the cursor, read it back to go on where the boot
 * loader stopped, and wait for the vertical retrace; nothing answering there sends them to row 819.
 * Registers are kept and read back; only the cursor and the retrace mean something. The text at 0xb8000
 * is plain memory, which `monitor screen` shows. Left out: graphics modes, fonts, Bochs VBE extensions.
 */
import type { Clock } from '../clock/virtual-clock.ts';
import { TICKS_PER_SECOND } from '../clock/virtual-clock.ts';
import type { DeviceState, FieldRules } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device } from './device.ts';

const ATTRIBUTE = 0x3c0;
const ATTRIBUTE_DATA = 0x3c1;
const MISCELLANEOUS_OR_STATUS_0 = 0x3c2;
const MISCELLANEOUS = 0x3cc;
const STATUS_1 = 0x3da;

const CURSOR_HIGH = 0x0e;
const CURSOR_LOW = 0x0f;
const COLUMNS = 80;

const RETRACE = 0x08;
const DISPLAY_DISABLED = 0x01;
/** 70 frames a second of 449 lines, 400 of them shown; the retrace takes 2 lines from line 412 on. */
const FRAME_TICKS = TICKS_PER_SECOND / 70n;
const LINES = 449n;
const SHOWN_LINES = 400n;
const RETRACE_LINE = 412n;
const RETRACE_LINES = 2n;

/** Index and data ports of the register files, beside the attribute controller's. */
const FILES = new Map([
  [0x3c4, 'sequencer'],
  [0x3ce, 'graphics'],
  [0x3d4, 'crtc'],
] as const);
type FileName = 'sequencer' | 'graphics' | 'crtc';

const CRTC_MODE_3 = [
  0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f,
  0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];

function powerOnState() {
  return {
    miscellaneous: 0x67,
    attributeIndex: 0x20,
    isAttributeData: false,
    attributes: [0, 1, 2, 3, 4, 5, 20, 7, 56, 57, 58, 59, 60, 61, 62, 63, 12, 0, 15, 8, 0],
    crtc: { index: 0, registers: [...CRTC_MODE_3] },
    sequencer: { index: 0, registers: [3, 0, 3, 0, 2] },
    graphics: { index: 0, registers: [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff] },
  };
}

const RULES: FieldRules = {
  ranges: {
    miscellaneous: [0, 0xff],
    attributeIndex: [0, 0x3f],
    attributes: [0, 0xff],
    index: [0, 0xff],
    registers: [0, 0xff],
  },
};

export class VgaText implements Device {
  readonly name = 'vga-text';
  readonly version = 1;
  readonly ports = [
    { first: ATTRIBUTE, last: MISCELLANEOUS_OR_STATUS_0 },
    { first: 0x3c4, last: 0x3c5 },
    { first: MISCELLANEOUS, last: MISCELLANEOUS },
    { first: 0x3ce, last: 0x3cf },
    { first: 0x3d4, last: 0x3d5 },
    { first: STATUS_1, last: STATUS_1 },
  ];
  private readonly clock: Clock;
  private state = powerOnState();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readPort(port: number): number {
    const { state } = this;
    switch (port) {
      case ATTRIBUTE:
        return state.isAttributeData ? 0 : state.attributeIndex;
      case ATTRIBUTE_DATA:
        return state.attributes[state.attributeIndex & 0x1f] ?? 0;
      case MISCELLANEOUS_OR_STATUS_0:
        return 0;
      case MISCELLANEOUS:
        return state.miscellaneous;
      case STATUS_1:
        state.isAttributeData = false;
        return this.status();
      default:
        return this.readFile(port);
    }
  }

  writePort(port: number, value: number): void {
    const { state } = this;
    if (port === ATTRIBUTE) this.writeAttribute(value);
    else if (port === MISCELLANEOUS_OR_STATUS_0) state.miscellaneous = value & ~0x10;
    else {
      const index = FILES.get((port & ~1) as 0x3c4);
      if (index === undefined) return;
      if ((port & 1) === 0) state[index].index = value;
      else this.writeFile(index, value);
    }
  }

  reset(): void {
    this.state = powerOnState();
  }

  describe(): string {
    const { registers } = this.state.crtc;
    const cursor = (registers[CURSOR_HIGH]! << 8) | registers[CURSOR_LOW]!;
    return `text mode, cursor at row ${Math.floor(cursor / COLUMNS)}, column ${cursor % COLUMNS}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved, RULES);
  }

  /** The controller has one port for both: index and data by turns, from the last read of status 1. */
  private writeAttribute(value: number): void {
    const { state } = this;
    const index = state.attributeIndex & 0x1f;
    if (!state.isAttributeData) state.attributeIndex = value & 0x3f;
    else if (index < state.attributes.length) state.attributes[index] = value;
    state.isAttributeData = !state.isAttributeData;
  }

  private readFile(port: number): number {
    const name = FILES.get((port & ~1) as 0x3c4);
    if (name === undefined) return 0xff;
    const { index, registers } = this.state[name];
    return (port & 1) === 0 ? index : (registers[index] ?? 0);
  }

  private writeFile(name: FileName, value: number): void {
    const { index, registers } = this.state[name];
    if (index < registers.length) registers[index] = value;
  }

  private status(): number {
    const line = ((this.clock.now() % FRAME_TICKS) * LINES) / FRAME_TICKS;
    if (line < SHOWN_LINES) return 0;
    const isRetrace = line >= RETRACE_LINE && line < RETRACE_LINE + RETRACE_LINES;
    return DISPLAY_DISABLED | (isRetrace ? RETRACE : 0);
  }
}
