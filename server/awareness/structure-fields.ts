import { printable } from '../printable.ts';

/** A structure of a guest's kernel, by the offsets of its members; what lies outside of it is 0. */
export class StructureFields {
  readonly #view: DataView;

  constructor(view: DataView) {
    this.#view = view;
  }

  u32(offset: number): number {
    return this.#has(offset, 4) ? this.#view.getUint32(offset, true) : 0;
  }

  u64(offset: number): bigint {
    return this.#has(offset, 8) ? this.#view.getBigUint64(offset, true) : 0n;
  }

  text(offset: number, lengthBytes: number): string {
    const { buffer, byteOffset } = this.#view;
    const bytes = Buffer.from(buffer, byteOffset + offset, lengthBytes);
    const end = bytes.indexOf(0);
    return printable(bytes.toString('latin1', 0, end < 0 ? lengthBytes : end));
  }

  registers(offset: number, names: readonly string[]): ReadonlyMap<string, bigint> {
    return new Map(names.map((name, index) => [name, this.u64(offset + index * 8)]));
  }

  #has(offset: number, bytes: number): boolean {
    return offset >= 0 && offset + bytes <= this.#view.byteLength;
  }
}
