/**
 * The two reset registers of a PC: system control port A at 0x92 (fast A20 and reset, IBM PS/2
 * technical reference) and the reset control register at 0xcf9 (82371AB datasheet §4.4.1). The A20
 * bit is stored only; see keyboard-controller-8042.ts.
 */
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device } from './device.ts';

const PORT_A = 0x92;
export const RESET_CONTROL_PORT = 0xcf9;
/** What a kernel writes there for a hard reset. */
export const RESET_HARD = 0x06;

const PORT_A_RESET = 0x01;
const PORT_A_A20 = 0x02;
const RESET_CPU = 0x04;
const RESET_CONTROL_WRITABLE = 0x0e;

function powerOnState() {
  return { portA: PORT_A_A20, resetControl: 0 };
}

export class SystemControl implements Device {
  readonly name = 'system-control';
  readonly version = 1;
  readonly ports = [
    { first: PORT_A, last: PORT_A },
    { first: RESET_CONTROL_PORT, last: RESET_CONTROL_PORT },
  ];
  private readonly requestReset: () => void;
  private state = powerOnState();

  constructor(requestReset: () => void) {
    this.requestReset = requestReset;
  }

  readPort(port: number): number {
    return port === PORT_A ? this.state.portA : this.state.resetControl;
  }

  /** A reset is a bit that rises; writing it again does nothing. */
  writePort(port: number, value: number): void {
    const { state } = this;
    if (port === PORT_A) {
      const rises = value & ~state.portA;
      state.portA = value & (PORT_A_A20 | PORT_A_RESET);
      if ((rises & PORT_A_RESET) !== 0) this.requestReset();
    } else {
      const rises = value & ~state.resetControl;
      state.resetControl = value & RESET_CONTROL_WRITABLE;
      if ((rises & RESET_CPU) !== 0) this.requestReset();
    }
  }

  reset(): void {
    this.state = powerOnState();
  }

  describe(): string {
    return `A20 ${(this.state.portA & PORT_A_A20) !== 0 ? 'open' : 'shut'}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved);
  }
}
