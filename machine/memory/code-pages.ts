/**
 * Which RAM pages hold decoded code. Stores to them take the slow path, and the engines hear of
 * them after the storing instruction has retired: self-modifying code, and a loader that writes
 * where code once was, both work without a flush (Intel SDM 3A §11.6).
 */
import { PAGE_SHIFT } from '../addresses.ts';

/**
 * `physicalPage` is the page number (address >> 12); `offset` and `lengthBytes` lie in the page.
 */
export type CodeWriteListener = (physicalPage: number, offset: number, lengthBytes: number) => void;

export class CodePages {
  private readonly flags: Uint8Array;
  private readonly listeners: CodeWriteListener[] = [];

  constructor(ramBytes: number) {
    this.flags = new Uint8Array(ramBytes >>> PAGE_SHIFT);
  }

  isCode(physicalPage: number): boolean {
    return this.flags[physicalPage] === 1;
  }

  set(physicalPage: number, isCode: boolean): void {
    if (physicalPage < this.flags.length) this.flags[physicalPage] = isCode ? 1 : 0;
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
