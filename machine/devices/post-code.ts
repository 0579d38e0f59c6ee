/**
 * Port 0x80, the power-on self-test's diagnostic display: kernels write codes and write it to wait
 * a microsecond. It keeps the last code.
 */
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device } from './device.ts';

const POST_PORT = 0x80;

function powerOnState() {
  return { code: 0 };
}

export class PostCode implements Device {
  readonly name = 'post-code';
  readonly version = 1;
  readonly ports = [{ first: POST_PORT, last: POST_PORT }];
  private state = powerOnState();

  readPort(): number {
    return this.state.code;
  }

  writePort(_port: number, value: number): void {
    this.state.code = value;
  }

  reset(): void {
    this.state = powerOnState();
  }

  describe(): string {
    return `last code 0x${this.state.code.toString(16).padStart(2, '0')}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved);
  }
}
