/**
 * The PCI configuration mechanism #1 (PCI Local Bus Specification 3.0, §3.2.2.3.2) with bus 0 on which
 * the host bridge is alone: an Intel 82441FX, as on QEMU's `pc` (290549, §3). Who enumerates the bus
 * finds that there is nothing to drive, instead of a machine without PCI.
 *
 *     0xcf8  CONFIG_ADDRESS (32 bits only: 0xcf9 is the reset register)   0xcfc  CONFIG_DATA
 */
import type { DeviceState } from './device-state.ts';
import { copyState, restoreState } from './device-state.ts';
import type { Device, PortWidth } from './device.ts';

const ADDRESS_PORT = 0xcf8;
const DATA_PORT = 0xcfc;

const ENABLE = 0x8000_0000;
/** Bits 30–24 and 1–0 read as 0. */
const ADDRESS_WRITABLE = 0x80ff_fffc;
/** Bus, device and function: the host bridge is 0 of all. */
const FUNCTION_MASK = 0x00ff_ff00;

/** Of the configuration space of 256 bytes what is not 0, by dword. */
const HOST_BRIDGE = new Map([
  [0x00, 0x1237_8086],
  // Command: memory space and bus master, as after reset. Status: medium DEVSEL#, fast back-to-back.
  [0x04, 0x0280_0006],
  // Class: host bridge; revision 2.
  [0x08, 0x0600_0002],
]);

function powerOnState() {
  return { address: 0 };
}

export class PciHost implements Device {
  readonly name = 'pci-host';
  readonly version = 1;
  readonly ports = [
    { first: ADDRESS_PORT, last: ADDRESS_PORT },
    // Of mechanism #2 nothing; who looks for it reads and writes here.
    { first: ADDRESS_PORT + 2, last: ADDRESS_PORT + 3 },
    { first: DATA_PORT, last: DATA_PORT + 3 },
  ];
  readonly portWidths = [32] as const;
  private state = powerOnState();

  /** Where there is no function, and with another width at CONFIG_ADDRESS, all ones. */
  readPort(port: number, width: PortWidth): number {
    if (port < DATA_PORT) {
      return port === ADDRESS_PORT && width === 32 ? this.state.address : 0xff;
    }
    const { address } = this.state;
    const isBridge = (address & ENABLE) !== 0 && (address & FUNCTION_MASK) === 0;
    if (!isBridge) return 0xffff_ffff;
    const value = HOST_BRIDGE.get(address & 0xfc) ?? 0;
    return value >>> (8 * (port - DATA_PORT));
  }

  /** The bridge's registers are read-only: no memory is shadowed, nothing masters the bus. */
  writePort(port: number, value: number, width: PortWidth): void {
    if (port === ADDRESS_PORT && width === 32) {
      this.state.address = (value & ADDRESS_WRITABLE) >>> 0;
    }
  }

  reset(): void {
    this.state = powerOnState();
  }

  describe(): string {
    const { address } = this.state;
    const isEnabled = (address & ENABLE) !== 0;
    const place = `${(address >>> 16) & 0xff}:${(address >>> 11) & 0x1f}.${(address >>> 8) & 7}`;
    const selected = isEnabled ? `${place} register 0x${(address & 0xfc).toString(16)}` : 'nothing';
    return `host bridge 8086:1237 alone on bus 0; selected: ${selected}`;
  }

  save(): DeviceState {
    return copyState(this.state);
  }

  load(saved: DeviceState): void {
    this.state = restoreState(this.name, powerOnState(), saved);
  }
}
