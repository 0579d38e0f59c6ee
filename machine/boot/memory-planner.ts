/**
 * Finds room for what a boot loader leaves beside the kernel: information structures below 1 MiB,
 * modules on pages above the image. Nothing overlaps the image or the PC's reserved areas. What does
 * not fit low goes high.
 *
 *     0x0000_9000 – 0x0009_f000   information structures, command line
 *     above the image             symbol and string tables, then modules, each on its own pages
 */
import type { PhysicalAddress } from '../addresses.ts';
import { PAGE_SIZE } from '../addresses.ts';
import type { BootModule, BootWrite } from './boot-protocol.ts';
import { nulTerminated } from './byte-writer.ts';
import type { ImagePlace, LoadedImage } from './loaded-image.ts';
import { imageEnd } from './loaded-image.ts';
import { hex, refuseImage } from './refuse-image.ts';

const LOW_START = 0x9000;
const LOW_END = 0x9_f000;
const HIGH_START = 0x10_0000;
const MIB = 0x10_0000;
const INFO_ALIGNMENT = 16;

export interface PlacedModule {
  readonly start: number;
  readonly end: number;
  /** Name and arguments, as boot loaders pass them. */
  readonly text: string;
}

export class MemoryPlanner {
  readonly #place: ImagePlace;
  readonly #image: LoadedImage;
  readonly #writes: BootWrite[];
  #lowNext = LOW_START;
  #highNext: number;

  constructor(place: ImagePlace, image: LoadedImage) {
    this.#place = place;
    this.#image = image;
    this.#writes = image.parts
      .filter(({ bytes }) => bytes.length > 0)
      .map(({ address, bytes }) => ({ address: address as PhysicalAddress, bytes }));
    this.#highNext = Math.max(alignUp(imageEnd(image), PAGE_SIZE), HIGH_START);
  }

  /** The image and all that has been placed. */
  get writes(): readonly BootWrite[] {
    return this.#writes;
  }

  /** Places an information structure; returns its physical address, a multiple of 16. */
  placeLow(bytes: Uint8Array): number {
    let address = this.#lowNext;
    for (const part of this.#image.parts) {
      const isClear = part.address >= address + bytes.length;
      const isBelow = part.address + part.memoryBytes <= address;
      if (!isClear && !isBelow) address = alignUp(part.address + part.memoryBytes, INFO_ALIGNMENT);
    }
    if (address + bytes.length > LOW_END) return this.placeHigh(bytes, 'the boot information');
    this.#lowNext = alignUp(address + bytes.length, INFO_ALIGNMENT);
    this.#write(address, bytes);
    return address;
  }

  /** A string with its NUL. */
  placeText(text: string): number {
    return this.placeLow(nulTerminated(text));
  }

  /** Places `bytes` on pages of their own above the image. ImageError when RAM ends before. */
  placeHigh(bytes: Uint8Array, what: string): number {
    const address = this.#highNext;
    const end = address + bytes.length;
    if (end > this.#place.memoryBytes) this.#refuse(end, what);
    this.#highNext = alignUp(end, PAGE_SIZE);
    this.#write(address, bytes);
    return address;
  }

  /** Places `bytes` on pages of their own, as high in RAM as `limit` lets them end. ImageError without room. */
  placeTop(bytes: Uint8Array, limit: number, what: string): number {
    const top = Math.min(limit, this.#place.memoryBytes);
    const address = Math.floor((top - bytes.length) / PAGE_SIZE) * PAGE_SIZE;
    if (address < this.#highNext) {
      if (limit < this.#place.memoryBytes) {
        refuseImage(
          this.#place.imageName,
          `${what} does not fit below ${hex(limit)}; make it smaller`,
        );
      }
      this.#refuse(this.#highNext + bytes.length, what);
    }
    this.#write(address, bytes);
    return address;
  }

  /** Places `bytes` where nothing else is: below the information structures. */
  placeAt(address: number, bytes: Uint8Array): void {
    this.#write(address, bytes);
  }

  placeModules(modules: readonly BootModule[]): readonly PlacedModule[] {
    return modules.map(({ name, commandLine, content }) => {
      const start = this.placeHigh(content, `module ${name}`);
      const text = commandLine === '' ? name : `${name} ${commandLine}`;
      return { start, end: start + content.length, text };
    });
  }

  #refuse(wantedEnd: number, what: string): never {
    const advice = `start with --memory ${Math.ceil(wantedEnd / MIB)}M or more`;
    refuseImage(this.#place.imageName, `${what} does not fit into RAM; ${advice}`);
  }

  #write(address: number, bytes: Uint8Array): void {
    if (bytes.length > 0) this.#writes.push({ address: address as PhysicalAddress, bytes });
  }
}

function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}
