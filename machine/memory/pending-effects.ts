/**
 * What an instruction's stores still have to do when it has retired: bytes that generated code put
 * into scratch go to RAM or a device, code pages are told, watch hits are reported. Until then
 * nothing has happened, so an instruction that faults after such a store leaves no trace.
 *
 * Scratch is a ring of 16-byte slots. An instruction has at most a few stores of this kind; should
 * all slots be taken, the oldest store is carried out early.
 */
import { PAGE_SHIFT, PAGE_SIZE, type PhysicalAddress } from '../addresses.ts';
import { SCRATCH_BASE, SCRATCH_BYTES } from '../state/layout.ts';
import type { CodePages } from './code-pages.ts';
import type { PhysicalMemory } from './physical-memory.ts';
import type { WatchHit } from './watchpoints.ts';

const SLOT_BYTES = 16;
const SLOTS = SCRATCH_BYTES / SLOT_BYTES;

/** One run of bytes within a physical page, from a place in scratch. */
interface PendingStore {
  readonly slot: number;
  readonly scratch: Uint8Array;
  readonly physical: PhysicalAddress;
}

interface PendingCodeWrite {
  readonly physicalPage: number;
  readonly offset: number;
  readonly lengthBytes: number;
}

export class PendingEffects {
  private readonly scratch: Uint8Array;
  private readonly physical: PhysicalMemory;
  private readonly codePages: CodePages;
  private stores: PendingStore[] = [];
  private codeWrites: PendingCodeWrite[] = [];
  private hits: WatchHit[] = [];
  private committedHits: WatchHit[] = [];
  private nextSlot = 0;

  constructor(memory: WebAssembly.Memory, physical: PhysicalMemory, codePages: CodePages) {
    this.scratch = new Uint8Array(memory.buffer, SCRATCH_BASE, SCRATCH_BYTES);
    this.physical = physical;
    this.codePages = codePages;
  }

  /** A free slot: 16 bytes of scratch, borrowed until commit or discard. */
  takeSlot(): { readonly slot: number; readonly bytes: Uint8Array; readonly host: number } {
    const slot = this.nextSlot;
    this.nextSlot = (slot + 1) % SLOTS;
    const occupied = this.stores.filter((store) => store.slot === slot);
    if (occupied.length > 0) {
      for (const store of occupied) this.carryOut(store);
      this.stores = this.stores.filter((store) => store.slot !== slot);
    }
    const start = slot * SLOT_BYTES;
    const bytes = this.scratch.subarray(start, start + SLOT_BYTES);
    return { slot, bytes, host: SCRATCH_BASE + start };
  }

  /** `scratch` (part of the slot) is to be stored at `physical`, within one page. */
  store(slot: number, scratch: Uint8Array, physical: PhysicalAddress): void {
    this.stores.push({ slot, scratch, physical });
  }

  codeWrite(physicalPage: number, offset: number, lengthBytes: number): void {
    this.codeWrites.push({ physicalPage, offset, lengthBytes });
  }

  watchHits(hits: readonly WatchHit[]): void {
    for (const hit of hits) this.hits.push(hit);
  }

  commit(): void {
    const { stores, codeWrites, hits } = this;
    this.discard();
    for (const store of stores) this.carryOut(store);
    for (const { physicalPage, offset, lengthBytes } of codeWrites) {
      this.codePages.written(physicalPage, offset, lengthBytes);
    }
    for (const hit of hits) this.committedHits.push(hit);
  }

  discard(): void {
    if (this.stores.length > 0) this.stores = [];
    if (this.codeWrites.length > 0) this.codeWrites = [];
    if (this.hits.length > 0) this.hits = [];
    this.nextSlot = 0;
  }

  /** The hits of the debugger's or the guest's watches since they were last taken. */
  takeHits(owner: 'debugger' | 'guest'): readonly WatchHit[] {
    if (this.committedHits.length === 0) return [];
    const isWanted = (hit: WatchHit) => (hit.owner === 'debugger') === (owner === 'debugger');
    const taken = this.committedHits.filter(isWanted);
    this.committedHits = this.committedHits.filter((hit) => !isWanted(hit));
    return taken;
  }

  /** The guest's hits that it has not been told of yet, for a snapshot. */
  guestHits(): readonly WatchHit[] {
    return this.committedHits.filter(({ owner }) => owner !== 'debugger');
  }

  /** Puts them back. */
  restoreHits(hits: readonly WatchHit[]): void {
    this.committedHits = [...hits];
  }

  private carryOut({ scratch, physical }: PendingStore): void {
    this.physical.write(physical, scratch);
    if (!this.physical.isRam(physical, scratch.length)) return;
    this.codePages.written(physical >>> PAGE_SHIFT, physical % PAGE_SIZE, scratch.length);
  }
}
