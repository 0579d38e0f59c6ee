/**
 * Which RAM pages hold decoded code. Stores to them take the slow path, and the engines hear of
 * them after the storing instruction has retired: self-modifying code, and a loader that writes
 * where code once was, both work without a flush (Intel SDM 3A §11.6).
 */
import { PAGE_SIZE } from '../addresses.ts';
import { CODE_MAP_BASE } from '../state/layout.ts';

/**
 * `physicalPage` is the page number (address >> 12); `offset` and `lengthBytes` lie in the page.
 */
export type CodeWriteListener = (physicalPage: number, offset: number, lengthBytes: number) => void;

export class CodePages {
  /** CODE_MAP_BASE of the drawing: generated code looks there before it stores (translation/tlb-miss.ts). */
  private readonly map: Uint8Array;
  private readonly pages: number;
  private readonly listeners: CodeWriteListener[] = [];

  constructor(memory: WebAssembly.Memory, ramBytes: number) {
    this.pages = ramBytes / PAGE_SIZE;
    this.map = new Uint8Array(memory.buffer, CODE_MAP_BASE, Math.ceil(this.pages / 8));
  }

  isCode(physicalPage: number): boolean {
    return ((this.map[physicalPage >>> 3] ?? 0) & (1 << (physicalPage & 7))) !== 0;
  }

  set(physicalPage: number, isCode: boolean): void {
    if (physicalPage >= this.pages) return;
    const bit = 1 << (physicalPage & 7);
    if (isCode) this.map[physicalPage >>> 3]! |= bit;
    else this.map[physicalPage >>> 3]! &= ~bit;
  }

  /** The numbers of all of them. */
  list(): number[] {
    const pages: number[] = [];
    this.map.forEach((byte, index) => {
      if (byte === 0) return;
      for (let bit = 0; bit < 8; bit++) if ((byte & (1 << bit)) !== 0) pages.push(index * 8 + bit);
    });
    return pages;
  }

  clear(): void {
    this.map.fill(0);
  }

  listen(listener: CodeWriteListener): void {
    this.listeners.push(listener);
  }

  /** Tells of bytes that have been written, if the page holds code. */
  written(physicalPage: number, offset: number, lengthBytes: number): void {
    if (!this.isCode(physicalPage)) return;
    for (const listener of this.listeners) listener(physicalPage, offset, lengthBytes);
  }
}
