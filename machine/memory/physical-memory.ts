/**
 * The physical address space: RAM from 0 upwards, pages that devices decode, and nothing elsewhere.
 * Reading nothing gives all ones, writing it has no effect, as on a PC whose bus nobody answers.
 * A20 is always on. No page fault can happen here: addresses are physical.
 */
import { PAGE_SHIFT, PAGE_SIZE, type PhysicalAddress } from '../addresses.ts';
import type { Device } from '../devices/device.ts';
import { Notes } from '../notes.ts';
import { RAM_BASE } from '../state/layout.ts';
import { UsedFrames } from './used-frames.ts';

export class PhysicalMemory {
  readonly ramBytes: number;
  /** RAM, borrowed: index is the physical address. */
  readonly ram: Uint8Array;
  /** How many frames of 4 KiB RAM has. */
  readonly frames: number;
  /** RAM as 32-bit words, borrowed: for the walk through the page tables. */
  readonly words: Uint32Array;
  readonly usedFrames: UsedFrames;
  private readonly devices = new Map<number, Device>();
  private readonly notes: Notes;

  /** `ramBytes` is a multiple of the page size; `memory` must hold it from RAM_BASE on. */
  constructor(memory: WebAssembly.Memory, ramBytes: number, note: (text: string) => void) {
    this.ramBytes = ramBytes;
    this.frames = ramBytes / PAGE_SIZE;
    this.ram = new Uint8Array(memory.buffer, RAM_BASE, ramBytes);
    this.words = new Uint32Array(memory.buffer, RAM_BASE, ramBytes / 4);
    this.usedFrames = new UsedFrames(memory, ramBytes);
    this.notes = new Notes(note);
  }

  /** Lets a device answer for its page (`Device.page`, a page-aligned physical address). */
  attach(device: Device): void {
    if (device.page === undefined) throw new Error(`${device.name} decodes no page`);
    this.devices.set(device.page / PAGE_SIZE, device);
  }

  /** True if all `lengthBytes` from `physical` on are RAM. */
  isRam(physical: number, lengthBytes: number): boolean {
    return physical + lengthBytes <= this.ramBytes;
  }

  /** 32 bits at a multiple of 4: page-table entries. All ones outside RAM, also in device pages. */
  readWord(physical: number): number {
    return physical < this.ramBytes ? this.words[physical >>> 2]! : 0xffff_ffff;
  }

  writeWord(physical: number, value: number): void {
    if (physical < this.ramBytes) this.words[physical >>> 2] = value;
  }

  /** Fills `target` from one page; wide device registers are read 8, 4, 2 or 1 bytes at a time. */
  read(physical: PhysicalAddress, target: Uint8Array): void {
    if (this.isRam(physical, target.length)) {
      target.set(this.ram.subarray(physical, physical + target.length));
      return;
    }
    for (let done = 0; done < target.length;) {
      const lengthBytes = chunk(physical + done, target.length - done);
      let value = this.readDevice(physical + done, lengthBytes);
      for (let index = 0; index < lengthBytes; index++, value >>= 8n) {
        target[done + index] = Number(value & 0xffn);
      }
      done += lengthBytes;
    }
  }

  /** Stores `source` within one page. */
  write(physical: PhysicalAddress, source: Uint8Array): void {
    if (this.isRam(physical, source.length)) {
      this.ram.set(source, physical);
      return;
    }
    for (let done = 0; done < source.length;) {
      const lengthBytes = chunk(physical + done, source.length - done);
      let value = 0n;
      for (let index = lengthBytes - 1; index >= 0; index--) {
        value = (value << 8n) | BigInt(source[done + index]!);
      }
      this.writeDevice(physical + done, lengthBytes, value);
      done += lengthBytes;
    }
  }

  private readDevice(physical: number, lengthBytes: number): bigint {
    const device = this.devices.get(Math.floor(physical / PAGE_SIZE));
    const value = device?.readPage?.(physical % PAGE_SIZE, lengthBytes);
    if (value !== undefined) return value;
    this.notes.once(`read of unmapped physical page 0x${pageText(physical)}: all ones`);
    return (1n << BigInt(lengthBytes * 8)) - 1n;
  }

  private writeDevice(physical: number, lengthBytes: number, value: bigint): void {
    const device = this.devices.get(Math.floor(physical / PAGE_SIZE));
    if (device?.writePage !== undefined) {
      device.writePage(physical % PAGE_SIZE, lengthBytes, value);
      return;
    }
    this.notes.once(`write to unmapped physical page 0x${pageText(physical)}: ignored`);
  }
}

/** The largest naturally aligned access of 8 bytes or less that fits. */
function chunk(physical: number, lengthBytes: number): number {
  for (const size of [8, 4, 2]) {
    if (size <= lengthBytes && physical % size === 0) return size;
  }
  return 1;
}

function pageText(physical: number): string {
  return (Math.floor(physical / PAGE_SIZE) * 2 ** PAGE_SHIFT).toString(16);
}
