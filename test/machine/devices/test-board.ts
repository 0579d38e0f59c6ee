/** All chips on one board with a clock that the test runs, and a record of what they say. */
import type { Device } from '../../../machine/devices/device.ts';
import { createDevices } from '../../../machine/devices/device-list.ts';
import type { DeviceList } from '../../../machine/devices/device-list.ts';
import { ManualClock } from './manual-clock.ts';

export interface TestBoard extends DeviceList {
  readonly clock: ManualClock;
  /** Bytes on the serial line. */
  readonly output: number[];
  /** Exits, resets and notes, in order. */
  readonly events: string[];
  device(name: string): Device;
}

export const BOARD_MEMORY_BYTES = 256 * 2 ** 20;

export function createBoard(): TestBoard {
  const clock = new ManualClock();
  const output: number[] = [];
  const events: string[] = [];
  const list = createDevices({
    clock,
    memoryBytes: BOARD_MEMORY_BYTES,
    onSerialOutput: (byte) => output.push(byte),
    onDebugExit: (value) => events.push(`exit ${value}`),
    onResetRequest: () => events.push('reset'),
    onPowerOff: () => events.push('power off'),
    onNote: (text) => events.push(text),
  });
  const device = (name: string): Device => {
    const found = list.devices.find((candidate) => candidate.name === name);
    if (found === undefined) throw new Error(`no device ${name} on the board`);
    return found;
  };
  return { ...list, clock, output, events, device };
}
