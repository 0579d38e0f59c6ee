/**
 * The memory of a stub: as the CPU sees it, and through other page tables where the stub reads physical
 * memory (`Qqemu.PhyMemMode`, QEMU). Intel SDM 3A §4.5: 4-level paging.
 */
import type { MemoryRequest } from '../awareness/walk.ts';
import { bytesToHex } from '../rsp/hex.ts';
import type { PhysicalMemoryAccess } from '../target/target.ts';
import type { Upstream } from './upstream.ts';

const PAGE_BYTES = 0x1000n;
const PIECE_BYTES = 0x400;
const PRESENT = 1n;
const LARGE = 0x80n;
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n;
/** Bits that each level's index begins at, from the top-level table down. */
const LEVELS = [39n, 30n, 21n, 12n];

export class ProxyMemory {
  /** By `Qqemu.PhyMemMode`; the stub must have it. */
  readonly physical: PhysicalMemoryAccess = {
    read: (address, lengthBytes) =>
      this.readPhysically(() => this.readPieces(address, lengthBytes)),
    write: async (address, bytes) =>
      (await this.exclusively(() => this.physically(() => this.writeHere(address, bytes)))) ?? 0,
  };
  private readonly upstream: Upstream;
  /** The stub's mode is one for all requests: nobody may read while it is changed. */
  private lastUse: Promise<unknown> = Promise.resolve();

  constructor(upstream: Upstream) {
    this.upstream = upstream;
  }

  /** As many bytes as can be read. */
  read({ address, lengthBytes, cr3 }: MemoryRequest): Promise<Uint8Array> {
    return cr3 === undefined
      ? this.exclusively(() => this.readPieces(address, lengthBytes))
      : this.readPhysically(() => this.readThrough(cr3, address, lengthBytes));
  }

  private async readPhysically(read: () => Promise<Uint8Array>): Promise<Uint8Array> {
    return (await this.exclusively(() => this.physically(read))) ?? new Uint8Array(0);
  }

  /** How many bytes were written; only where the CPU looks now. */
  write(address: bigint, bytes: Uint8Array): Promise<number> {
    return this.exclusively(() => this.writeHere(address, bytes));
  }

  private async writeHere(address: bigint, bytes: Uint8Array): Promise<number> {
    const request = `M${hex(address)},${hex(bytes.length)}:${bytesToHex(bytes)}`;
    return (await this.upstream.ask(request)) === 'OK' ? bytes.length : 0;
  }

  private exclusively<Result>(use: () => Promise<Result>): Promise<Result> {
    const result = this.lastUse.then(use);
    this.lastUse = result.catch(() => undefined);
    return result;
  }

  private async readThrough(cr3: bigint, address: bigint, lengthBytes: number): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    const end = address + BigInt(lengthBytes);
    for (let at = address; at < end;) {
      const physical = await this.translate(cr3, at);
      if (physical === undefined) break;
      const pageEnd = (at & ~(PAGE_BYTES - 1n)) + PAGE_BYTES;
      const length = Number((pageEnd < end ? pageEnd : end) - at);
      const piece = await this.readPieces(physical, length);
      pieces.push(piece);
      if (piece.length < length) break;
      at += BigInt(length);
    }
    return Buffer.concat(pieces);
  }

  private async translate(cr3: bigint, address: bigint): Promise<bigint | undefined> {
    let table = cr3 & ADDRESS_MASK;
    for (const shift of LEVELS) {
      const index = (address >> shift) & 0x1ffn;
      const bytes = await this.readPieces(table + 8n * index, 8);
      const entry = bytes.length < 8 ? 0n : Buffer.from(bytes).readBigUInt64LE();
      if ((entry & PRESENT) === 0n) return undefined;
      table = entry & ADDRESS_MASK;
      const offsetMask = (1n << shift) - 1n;
      const isLeaf = shift === 12n || (shift < 39n && (entry & LARGE) !== 0n);
      if (isLeaf) return (table & ~offsetMask) | (address & offsetMask);
    }
    return undefined;
  }

  /** Undefined: the stub knows linear memory alone. */
  private async physically<Result>(use: () => Promise<Result>): Promise<Result | undefined> {
    if ((await this.upstream.ask('Qqemu.PhyMemMode:1')) !== 'OK') return undefined;
    try {
      return await use();
    } finally {
      await this.upstream.ask('Qqemu.PhyMemMode:0');
    }
  }

  private async readPieces(address: bigint, lengthBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
      const wanted = Math.min(PIECE_BYTES, lengthBytes - done);
      const text = await this.upstream.ask(`m${hex(address + BigInt(done))},${hex(wanted)}`);
      // An error is no byte at all; a stub may give fewer than were asked for, and is not believed more.
      const piece = Buffer.from(text.startsWith('E') ? '' : text, 'hex').subarray(0, wanted);
      pieces.push(piece);
      if (piece.length < wanted) break;
    }
    return Buffer.concat(pieces);
  }
}

function hex(value: bigint | number): string {
  return value.toString(16);
}
