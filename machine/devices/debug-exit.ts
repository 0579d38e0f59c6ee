/**
 * QEMU's isa-debug-exit at 0xf4–0xf7: the value written is how the guest ends the run. It takes 8, 16
 * and 32 bits; reading gives 0, as there.
 */
import type { DeviceState } from './device-state.ts';
import type { Device, PortWidth } from './device.ts';

const FIRST_PORT = 0xf4;
const LAST_PORT = 0xf7;

export class DebugExit implements Device {
  readonly name = 'debug-exit';
  readonly version = 1;
  readonly ports = [{ first: FIRST_PORT, last: LAST_PORT }];
  readonly portWidths: readonly PortWidth[] = [16, 32];
  private readonly exit: (value: number) => void;

  /** `exit` is called at the instruction that writes, with the whole value. */
  constructor(exit: (value: number) => void) {
    this.exit = exit;
  }

  readPort(): number {
    return 0;
  }

  writePort(port: number, value: number): void {
    if (port === FIRST_PORT) this.exit(value);
  }

  reset(): void {
    // nothing to forget
  }

  describe(): string {
    return `port 0x${FIRST_PORT.toString(16)}`;
  }

  save(): DeviceState {
    return {};
  }

  load(): void {
    // nothing was saved
  }
}
