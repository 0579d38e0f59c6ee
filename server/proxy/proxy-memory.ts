/**
 * The memory of a stub: as the CPU sees it, and through other page tables where the stub reads physical
 * memory (`Qqemu.PhyMemMode`, QEMU). Intel SDM 3A §4.5: 4-level paging.
 */
import type { MemoryRequest } from '../awareness/walk.ts';
import { bytesToHex } from '../rsp/hex.ts';
import type { PhysicalMemoryAccess } from '../target/target.ts';
import type { Ask, Upstream } from './upstream.ts';

const PHYSICAL = 'Qqemu.PhyMemMode:1';
const LINEAR = 'Qqemu.PhyMemMode:0';
const PAGE_BYTES = 0x1000n;
const PIECE_BYTES = 0x400;
const PRESENT = 1n;
const LARGE = 0x80n;
const ADDRESS_MASK = 0x000f_ffff_ffff_f000n;
/** Bits that each level's index begins at, from the top-level table down. */
const LEVELS = [39n, 30n, 21n, 12n];

export class ProxyMemory {
  private readonly physicalAccess: PhysicalMemoryAccess = {
    read: (address, lengthBytes) =>
      this.readPhysically((ask) => readPieces(ask, address, lengthBytes)),
    write: async (address, bytes) =>
      (await this.physically((ask) => writeBytes(ask, address, bytes))) ?? 0,
  };
  private hasPhysicalMode = false;
  private readonly upstream: Upstream;
  private readonly ask: Ask = (request) => this.upstream.ask(request);

  constructor(upstream: Upstream) {
    this.upstream = upstream;
  }

  /** Absent: the stub knows linear memory alone. */
  get physical(): PhysicalMemoryAccess | undefined {
    return this.hasPhysicalMode ? this.physicalAccess : undefined;
  }

  /** As many bytes as can be read. */
  read({ address, lengthBytes, cr3 }: MemoryRequest): Promise<Uint8Array> {
    return cr3 === undefined
      ? readPieces(this.ask, address, lengthBytes)
      : this.readPhysically((ask) => readThrough(ask, cr3, address, lengthBytes));
  }

  /** How many bytes were written; only where the CPU looks now. */
  write(address: bigint, bytes: Uint8Array): Promise<number> {
    return writeBytes(this.ask, address, bytes);
  }

  /** To a new connection: the stub's memory is linear, also if somebody left it physical. */
  async begin(): Promise<void> {
    const mode = await this.upstream.ask('qqemu.PhyMemMode');
    this.hasPhysicalMode = /^[01]$/.test(mode);
    if (mode === '1') await this.upstream.ask(LINEAR);
  }

  private async readPhysically(read: (ask: Ask) => Promise<Uint8Array>): Promise<Uint8Array> {
    return (await this.physically(read)) ?? new Uint8Array(0);
  }

  /**
   * Undefined: the stub knows linear memory alone. Its mode is one for all requests: nobody may read, and
   * the machine may not go on, before it is back.
   */
  private physically<Result>(use: (ask: Ask) => Promise<Result>): Promise<Result | undefined> {
    return this.upstream.together(async (ask) => {
      if ((await ask(PHYSICAL)) !== 'OK') return undefined;
      try {
        return await use(ask);
      } finally {
        await ask(LINEAR);
      }
    });
  }
}

async function readThrough(
  ask: Ask,
  cr3: bigint,
  address: bigint,
  lengthBytes: number,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  const end = address + BigInt(lengthBytes);
  for (let at = address; at < end;) {
    const physical = await translate(ask, cr3, at);
    if (physical === undefined) break;
    const pageEnd = (at & ~(PAGE_BYTES - 1n)) + PAGE_BYTES;
    const length = Number((pageEnd < end ? pageEnd : end) - at);
    const piece = await readPieces(ask, physical, length);
    pieces.push(piece);
    if (piece.length < length) break;
    at += BigInt(length);
  }
  return Buffer.concat(pieces);
}

async function translate(ask: Ask, cr3: bigint, address: bigint): Promise<bigint | undefined> {
  let table = cr3 & ADDRESS_MASK;
  for (const shift of LEVELS) {
    const index = (address >> shift) & 0x1ffn;
    const bytes = await readPieces(ask, table + 8n * index, 8);
    const entry = bytes.length < 8 ? 0n : Buffer.from(bytes).readBigUInt64LE();
    if ((entry & PRESENT) === 0n) return undefined;
    table = entry & ADDRESS_MASK;
    const offsetMask = (1n << shift) - 1n;
    const isLeaf = shift === 12n || (shift < 39n && (entry & LARGE) !== 0n);
    if (isLeaf) return (table & ~offsetMask) | (address & offsetMask);
  }
  return undefined;
}

async function readPieces(ask: Ask, address: bigint, lengthBytes: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for (let done = 0; done < lengthBytes; done += PIECE_BYTES) {
    const wanted = Math.min(PIECE_BYTES, lengthBytes - done);
    const text = await ask(`m${hex(address + BigInt(done))},${hex(wanted)}`);
    // An error is no byte at all; a stub may give fewer than were asked for, and is not believed more.
    const piece = Buffer.from(text.startsWith('E') ? '' : text, 'hex').subarray(0, wanted);
    pieces.push(piece);
    if (piece.length < wanted) break;
  }
  return Buffer.concat(pieces);
}

async function writeBytes(ask: Ask, address: bigint, bytes: Uint8Array): Promise<number> {
  const request = `M${hex(address)},${hex(bytes.length)}:${bytesToHex(bytes)}`;
  return (await ask(request)) === 'OK' ? bytes.length : 0;
}

function hex(value: bigint | number): string {
  return value.toString(16);
}
