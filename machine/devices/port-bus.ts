/**
 * The I/O port space (Intel SDM 1 §19): 65536 ports, each decoded by at most one chip. An access
 * belongs to the chip that decodes its first port. A chip that does not take the width gets it as
 * bytes, low port first, as an ISA bridge does; bytes beyond its own ports read as ones. So
 * `outl 0xcf8` (PCI configuration) never reaches the reset register at 0xcf9, as on a PC.
 */
import type { Device, PortWidth } from './device.ts';

const PORTS = 0x1_0000;

export class PortBus {
  readonly #devices: (Device | undefined)[] = new Array<Device | undefined>(PORTS).fill(undefined);
  readonly #noted = new Set<number>();
  readonly #note: (text: string) => void;

  /** `note` receives one line for each port, once, that nothing decodes. */
  constructor(note: (text: string) => void = () => undefined) {
    this.#note = note;
  }

  /** Gives the device its ports. Throws an Error when one of them is taken or out of range. */
  add(device: Device): void {
    for (const { first, last } of device.ports) {
      if (first < 0 || last >= PORTS || last < first) {
        throw new Error(`${device.name}: no such port range ${first}–${last}`);
      }
      for (let port = first; port <= last; port++) this.#claim(port, device);
    }
  }

  /** Reads 8, 16 or 32 bits, unsigned; all ones where nothing answers. */
  read(port: number, width: PortWidth): number {
    const device = this.#devices[port];
    if (device?.readPort === undefined) {
      this.#noteUnknown(port, device, 'read');
      return allOnes(width);
    }
    if (takesWidth(device, width)) return (device.readPort(port, width) & allOnes(width)) >>> 0;
    let value = 0;
    for (let index = 0; index < width / 8; index++) {
      const isOwn = this.#devices[port + index] === device;
      const byte = isOwn ? device.readPort(port + index, 8) & 0xff : 0xff;
      value |= byte << (8 * index);
    }
    return value >>> 0;
  }

  /** Writes the low `width` bits of `value`. */
  write(port: number, value: number, width: PortWidth): void {
    const device = this.#devices[port];
    if (device?.writePort === undefined) {
      this.#noteUnknown(port, device, 'write');
      return;
    }
    if (takesWidth(device, width)) {
      device.writePort(port, (value & allOnes(width)) >>> 0, width);
      return;
    }
    for (let index = 0; index < width / 8; index++) {
      if (this.#devices[port + index] !== device) continue;
      device.writePort(port + index, (value >>> (8 * index)) & 0xff, 8);
    }
  }

  #claim(port: number, device: Device): void {
    const owner = this.#devices[port];
    if (owner !== undefined) {
      throw new Error(`port 0x${port.toString(16)}: both ${owner.name} and ${device.name} want it`);
    }
    this.#devices[port] = device;
  }

  #noteUnknown(port: number, device: Device | undefined, access: 'read' | 'write'): void {
    // A chip that has no such direction on this port is quiet: reading a write-only port is usual.
    if (device !== undefined || this.#noted.has(port)) return;
    this.#noted.add(port);
    const effect = access === 'read' ? 'reads all ones' : 'the write is ignored';
    this.#note(`port 0x${port.toString(16)}: no device, ${effect} (first ${access})`);
  }
}

function takesWidth(device: Device, width: PortWidth): boolean {
  return width === 8 || (device.portWidths?.includes(width) ?? false);
}

function allOnes(width: PortWidth): number {
  return width === 32 ? 0xffff_ffff : (1 << width) - 1;
}
