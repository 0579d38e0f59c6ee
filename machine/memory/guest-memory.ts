/**
 * All of the machine's memory system, put together: RAM and device pages, translation, the TLB that
 * generated code probes, the slow path behind it, code pages, watchpoints, and the debugger's view.
 */
import { linearAddress, PAGE_SHIFT, PAGE_SIZE, type PhysicalAddress } from '../addresses.ts';
import { fault, pageFault, VECTOR, type GuestFault } from '../guest-fault.ts';
import type { CpuState } from '../state/fields.ts';
import { TLB_CONTEXT } from '../state/layout.ts';
import { CodePages, type CodeWriteListener } from './code-pages.ts';
import { DebugAccess } from './debug-access.ts';
import { FetchTlb } from './fetch-tlb.ts';
import { LinearAccess } from './linear-access.ts';
import { PagingRegisters } from './paging-registers.ts';
import { PendingEffects } from './pending-effects.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { SlowPath } from './slow-path.ts';
import type { SavedTranslations } from './saved-translations.ts';
import { Tlb } from './tlb.ts';
import { Translator } from './translator.ts';
import { Watchpoints, type Watch, type WatchHit } from './watchpoints.ts';

export interface GuestMemoryOptions {
  /** Holds everything that state/layout.ts draws, RAM included; must not grow. */
  readonly memory: WebAssembly.Memory;
  readonly state: CpuState;
  /** A multiple of the page size. */
  readonly ramBytes: number;
  readonly note: (text: string) => void;
}

const HUGE_PAGE = 2 ** 30;

export class GuestMemory {
  /** Code has been fetched through a page of 1 GiB: INVLPG anywhere may change code. */
  hasHugeCode = false;
  readonly physical: PhysicalMemory;
  readonly registers: PagingRegisters;
  /** For the rules in machine/cpu/. */
  readonly linear: LinearAccess;
  /** For debuggers. */
  readonly debug: DebugAccess;
  readonly translator: Translator;
  private readonly tlb: Tlb;
  private readonly fetchTlb = new FetchTlb();
  private readonly codePages: CodePages;
  private readonly watchpoints = new Watchpoints();
  private readonly pending: PendingEffects;
  private readonly slowPath: SlowPath;
  private readonly state: CpuState;

  constructor({ memory, state, ramBytes, note }: GuestMemoryOptions) {
    this.state = state;
    this.physical = new PhysicalMemory(memory, ramBytes, note);
    this.registers = new PagingRegisters(state);
    this.translator = new Translator(this.physical, this.registers);
    this.tlb = new Tlb(state.words);
    this.codePages = new CodePages(memory, ramBytes);
    this.pending = new PendingEffects(memory, this.physical, this.codePages);
    const { physical, registers, translator, tlb, codePages, watchpoints, pending } = this;
    const parts = { state, physical, registers, translator, tlb, codePages, watchpoints, pending };
    this.slowPath = new SlowPath(parts);
    this.linear = new LinearAccess(memory, parts);
    this.debug = new DebugAccess(physical, registers, codePages);
  }

  /**
   * For generated code, when the TLB probe misses: where to read `sizeAndFlags & 0xff` bytes
   * (SLOW_ACCESS names the other bits), or -1 with the fault in state.faultVector and companions.
   */
  slowRead(linearLow: number, linearHigh: number, sizeAndFlags: number): number {
    return this.slowPath.slowRead(linearLow, linearHigh, sizeAndFlags);
  }

  /** Likewise where to write. If state.exitRequest became 1, `commitPending` has something to do. */
  slowWrite(linearLow: number, linearHigh: number, sizeAndFlags: number): number {
    return this.slowPath.slowWrite(linearLow, linearHigh, sizeAndFlags);
  }

  /** After an instruction retired (or an exception was delivered): carries out what it left. */
  commitPending(): void {
    this.pending.commit();
  }

  /** After an instruction faulted: what it left is not to happen. */
  discardPending(): void {
    this.pending.discard();
  }

  /** The hits of the debugger's watchpoints that were committed since the last call. */
  takeWatchHits(): readonly WatchHit[] {
    return this.pending.takeHits('debugger');
  }

  /** The hits of the guest's DR0–DR3; `owner` is the register. */
  takeGuestWatchHits(): readonly WatchHit[] {
    return this.pending.takeHits('guest');
  }

  addWatchpoint(watch: Watch): void {
    this.watchpoints.add(watch);
    this.tlb.setWatched(true);
  }

  removeWatchpoint(watch: Watch): void {
    this.watchpoints.remove(watch);
    this.tlb.setWatched(!this.watchpoints.isEmpty);
  }

  /** The data watches that the guest's debug registers ask for, all of them. */
  setGuestWatches(watches: readonly Watch[]): void {
    this.watchpoints.setGuestWatches(watches);
    this.tlb.setWatched(!this.watchpoints.isEmpty);
  }

  /** The physical address of an instruction byte, with execute permission at the present CPL. */
  fetchTranslate(linear: bigint): PhysicalAddress | GuestFault {
    const low = Number(linear & 0xffff_ffffn);
    const high = Number((linear >> 32n) & 0xffff_ffffn);
    if (!this.translator.isCanonical(high)) return fault(VECTOR.GP, 0);
    const { cpl } = this.state;
    const known = this.fetchTlb.find(cpl, low, high);
    if (known !== undefined) return (known + (low & (PAGE_SIZE - 1))) as PhysicalAddress;
    const { translator } = this;
    const physical = translator.translate(low, high, 'execute', this.registers.contextAt(cpl));
    if (translator.walk.pageBytes === HUGE_PAGE) this.hasHugeCode = true;
    if (physical < 0) return pageFault(linearAddress(linear), translator.errorCode);
    this.noteFetch(cpl, low, high);
    return physical as PhysicalAddress;
  }

  /** The walk has just found the page, for an instruction. */
  private noteFetch(cpl: number, low: number, high: number): void {
    if (this.fetchTlb.isFull) {
      this.fetchTlb.flush();
      // What has been found with one of them must be found again.
      this.state.mapGeneration = (this.state.mapGeneration + 1) >>> 0;
    }
    const { frame, pageBytes } = this.translator.walk;
    this.fetchTlb.add(cpl, low, high, frame, pageBytes);
  }

  /** `physicalPage` is a page number (address >> 12). From now on stores to it are reported. */
  markCodePage(physicalPage: number): void {
    if (this.codePages.isCode(physicalPage)) return;
    this.codePages.set(physicalPage, true);
    this.tlb.removeWriteEntries(physicalPage * PAGE_SIZE);
  }

  unmarkCodePage(physicalPage: number): void {
    this.codePages.set(physicalPage, false);
  }

  isCodePage(physicalPage: number): boolean {
    return this.codePages.isCode(physicalPage);
  }

  /** Hears of every store to a code page, by the guest (at commit) or the debugger (at once). */
  onCodeWrite(listener: CodeWriteListener): void {
    this.codePages.listen(listener);
  }

  /** Tells of RAM that a device or loader has changed behind the CPU's back. */
  ramWritten(physical: PhysicalAddress, lengthBytes: number): void {
    const last = (physical + lengthBytes - 1) >>> PAGE_SHIFT;
    for (let page = physical >>> PAGE_SHIFT; page <= last; page++) {
      this.codePages.written(page, 0, PAGE_SIZE);
    }
  }

  /** CR3 and the paging bits; whoever calls it counts `mapGeneration`. */
  flushTlb(): void {
    this.tlb.flush();
    this.fetchTlb.flush();
  }

  /** INVLPG. */
  invalidatePage(linear: bigint): void {
    this.invalidateHalves(Number(linear & 0xffff_ffffn), Number((linear >> 32n) & 0xffff_ffffn));
  }

  /** INVLPG of an address in halves. */
  invalidateHalves(linearLow: number, linearHigh: number): void {
    this.tlb.invalidatePage(linearLow, linearHigh);
    this.fetchTlb.invalidatePage(linearLow, linearHigh);
  }

  /** To be called whenever CPL, CR4.SMAP or RFLAGS.AC have changed. */
  updateTlbContext(): void {
    this.registers.updateContext();
  }

  isRam(physical: PhysicalAddress, lengthBytes: number): boolean {
    return this.physical.isRam(physical, lengthBytes);
  }

  /** What of the memory system beside RAM changes what the guest sees, between two instructions. */
  saveTranslations(): SavedTranslations {
    const watchHits = this.pending.guestHits().map(({ address, watch, owner }) => ({
      address,
      watch,
      register: owner as number,
    }));
    const { tlb, fetchTlb, codePages } = this;
    return { tlb: tlb.save(), fetches: fetchTlb.save(), codePages: codePages.list(), watchHits };
  }

  /**
   * Puts it back after a flush, the guest's watches being set. While a debugger watches something the
   * TLB stays empty: it was filled without it. Throws an Error for what was never saved.
   */
  loadTranslations({ tlb, fetches, codePages, watchHits }: SavedTranslations): void {
    if (!this.watchpoints.hasDebuggers) this.tlb.load(tlb, this.physical.ramBytes);
    this.fetchTlb.load(fetches);
    this.hasHugeCode ||= this.fetchTlb.hasHuge;
    for (const page of codePages) this.codePages.set(page, true);
    this.pending.restoreHits(
      watchHits.map(({ address, watch, register }) => {
        return { address, watch, owner: register as Watch['owner'] };
      }),
    );
  }

  /** Back to power-on: RAM is cleared, nothing is pending, and all decoded code is told to go. */
  reset(): void {
    this.pending.discard();
    this.ramWritten(0 as PhysicalAddress, this.physical.ramBytes);
    this.takeWatchHits();
    this.takeGuestWatchHits();
    this.flushTlb();
    this.codePages.clear();
    this.physical.usedFrames.clear(this.physical.ram);
    this.setGuestWatches([]);
    this.state.tlbContext = TLB_CONTEXT.user;
    this.updateTlbContext();
  }
}
