/**
 * The step engine: decoded records, threaded by tail calls from handler to handler. It is exact to
 * the instruction everywhere; what it cannot decide alone it leaves to the machine's loop.
 */
import { PAGE_SIZE } from '../addresses.ts';
import { BUDGET_FORCED_EXIT } from '../codegen/emitter.ts';
import type { Cpu } from '../cpu/cpu.ts';
import { currentModeKey, modeOfKey } from '../cpu/execution-mode.ts';
import { HOST_FUNCTIONS } from '../cpu/host-operations.ts';
import type { EngineExit } from '../engine.ts';
import { isFault, VECTOR, fault, type GuestFault } from '../guest-fault.ts';
import type { ExecutionMode } from '../instructions/execution-mode.ts';
import { HOST_OPERATIONS } from '../instructions/host-operations.ts';
import type { CpuState } from '../state/fields.ts';
import { JUMP_CACHE_BASE, JUMP_CACHE_ENTRIES, RAM_BASE } from '../state/layout.ts';
import { CodeCache, type CodeLocation } from '../translation/code-cache.ts';
import { buildCoreModule, jumpCacheEntry, PSEUDO_HANDLER } from '../translation/core-module.ts';
import { buildDelivery } from './delivery.ts';
import { Handlers } from './handlers.ts';
import { RecordArena } from '../translation/record.ts';
import type { RecordEngine } from '../translation/record-engine.ts';
import { ModuleHost } from '../translation/module-host.ts';
import { EXIT, TABLE, type HostFunctions } from '../translation/runtime.ts';

const WASM_PAGE = 65536;
/** Map generations that a lookup tag can tell apart; the jump cache is emptied when they run out. */
const TAG_GENERATIONS = 0x10_0000;

type EnterAt = (record: number, budget: number, handler: number) => number;

export class StepEngine implements RecordEngine {
  private readonly cpu: Cpu;
  private readonly state: CpuState;
  private readonly bytes: Uint8Array;
  private readonly words: Uint32Array;
  private readonly quads: BigUint64Array;
  readonly arena: RecordArena;
  readonly cache: CodeCache;
  readonly modules: ModuleHost;
  /** The core module's: another one when the modules are renewed. */
  private enterAt!: EnterAt;
  private readonly hostOperations = HOST_OPERATIONS.map((name) => HOST_FUNCTIONS[name]);
  /** Present during `run`: icount at its start, and its budget. */
  private icountAtStart = 0n;
  private budgetAtStart = 0;
  private isRunning = false;
  private lastGeneration = -1;
  private passes: (linear: bigint) => boolean = () => false;

  constructor(cpu: Cpu, memory: WebAssembly.Memory) {
    this.cpu = cpu;
    this.state = cpu.state;
    this.bytes = new Uint8Array(memory.buffer);
    this.words = new Uint32Array(memory.buffer);
    this.quads = new BigUint64Array(memory.buffer);
    this.arena = new RecordArena(memory);
    const memoryPages = Math.floor(memory.buffer.byteLength / WASM_PAGE);
    this.modules = new ModuleHost(memoryPages, (host) => this.makeCore(host, memory));
    const handlers = new Handlers(this.modules, TABLE.firstHandler);
    this.cache = new CodeCache({
      arena: this.arena,
      handlers,
      pageBytes: (page) => this.pageBytes(page),
      markCodePage: (page) => this.cpu.memory.markCodePage(page),
    });
    cpu.mayChangeCode = (low, high) => this.cache.hasCodeNear(low, high);
    cpu.memory.onCodeWrite((page, offset, length) => this.cache.invalidate(page, offset, length));
  }

  run(budget: number, passBreakpoint: boolean): EngineExit {
    this.icountAtStart = this.state.icount;
    this.budgetAtStart = budget;
    this.state.budget = budget;
    this.state.icountAtEnd = this.icountAtStart + BigInt(budget);
    this.isRunning = true;
    const exit = this.runUntilExit(budget, passBreakpoint);
    this.isRunning = false;
    this.state.icountAtEnd = 0n;
    return exit;
  }

  /** Retired instructions, exact also while a device or host operation asks from inside. */
  exactIcount(): bigint {
    if (!this.isRunning) return this.state.icount;
    const left = this.budgetLeft(this.state.budget);
    return this.icountAtStart + BigInt(this.budgetAtStart - left);
  }

  /** The core module over a new table, and all that other modules import. */
  private makeCore(host: ModuleHost, memory: WebAssembly.Memory): Record<string, unknown> {
    const shared = { memory, table: host.table };
    const core = host.instantiate(buildCoreModule(host.memoryPages), {
      ...shared,
      ...this.slowAccesses(),
      passesBreakpoint: (record: number, left: number) =>
        this.passesBreakpoint(record, left) ? 1 : 0,
    });
    for (const [name, index] of Object.entries(PSEUDO_HANDLER)) host.table.set(index, core[name]);
    this.enterAt = core['enterAt'] as EnterAt;
    // The delivery of exceptions imports what handlers import, but nothing delivers its own.
    const functions = { ...core, ...shared, ...this.hostFunctions(core), deliver: core['invalid'] };
    return { ...functions, deliver: buildDelivery(host, functions) };
  }

  private runUntilExit(budget: number, passBreakpoint: boolean): EngineExit {
    let left = budget;
    let pass = passBreakpoint;
    for (;;) {
      const record = this.recordAtRip();
      if (isFault(record)) return { kind: 'fault', fault: record };
      const handler = pass ? this.arena.stepHandler(record) : this.arena.handler(record);
      pass = false;
      const exit = this.enterAt(record, left, handler);
      left = this.budgetLeft(this.state.budget);
      this.state.icount = this.icountAtStart + BigInt(budget - left);
      const result = this.afterExit(exit, left);
      if (result !== undefined) return result;
    }
  }

  addBreakpoint(linear: bigint): void {
    this.cache.addBreakpoint(linear);
  }

  passBreakpointsIf(passes: (linear: bigint) => boolean): void {
    this.passes = passes;
  }

  removeBreakpoint(linear: bigint): void {
    this.cache.removeBreakpoint(linear);
  }

  forgetCode(): void {
    this.cache.clear();
    this.clearJumpCache();
  }

  location(): CodeLocation | undefined {
    const { state } = this;
    const modeKey = currentModeKey(state);
    const mode = modeOfKey(modeKey);
    const linear = linearRip(state, mode);
    const physical = this.cpu.memory.debug.translate(linear);
    if (physical === undefined) return undefined;
    return { rip: state.rip, linear, physicalPage: Number(physical >> 12n), modeKey, mode };
  }

  private afterExit(exit: number, left: number): EngineExit | undefined {
    const { state } = this;
    switch (exit) {
      case EXIT.budget:
        state.rip = this.arena.rip(state.currentRecord);
        return this.pause(left);
      case EXIT.transfer:
        return this.pause(left);
      case EXIT.lookup:
        return undefined;
      case EXIT.invalid:
        state.rip = this.arena.rip(state.currentRecord);
        return undefined;
      case EXIT.breakpoint:
        state.rip = this.arena.rip(state.currentRecord);
        return { kind: 'breakpoint' };
      case EXIT.fault:
        state.rip = this.arena.rip(state.currentRecord);
        return { kind: 'fault', fault: this.pendingFault() };
      default:
        throw new Error(`generated code left with ${exit}`);
    }
  }

  private pause(left: number): EngineExit | undefined {
    if (this.state.exitRequest !== 0) return { kind: 'attention' };
    return left <= 0 ? { kind: 'budget' } : undefined;
  }

  private pendingFault(): GuestFault {
    const { state } = this;
    const { faultVector: vector } = state;
    return {
      kind: 'fault',
      vector,
      ...(state.faultHasErrorCode === 0 ? {} : { errorCode: state.faultErrorCode }),
      ...(vector === VECTOR.PF ? { address: state.faultAddress } : {}),
    };
  }

  /** A budget as generated code left it: a forced exit has made it negative. */
  private budgetLeft(raw: number): number {
    const signed = raw | 0;
    return signed < -BUDGET_FORCED_EXIT / 2 ? signed + BUDGET_FORCED_EXIT : signed;
  }

  /** The record for state.rip, decoded if need be; a fault if it cannot be fetched. */
  private recordAtRip(): number | GuestFault {
    const { state } = this;
    const key = currentModeKey(state);
    this.updateLookupTag(key);
    const entry = jumpCacheEntry(state.rip);
    if (this.quads[entry / 8] === state.rip && this.words[entry / 4 + 3] === state.lookupTag) {
      const known = this.words[entry / 4 + 2]!;
      if (this.arena.handler(known) !== PSEUDO_HANDLER.invalid) return known;
    }
    const record = this.resolve(key);
    if (isFault(record)) return record;
    // The fetch may have counted it.
    this.updateLookupTag(key);
    this.quads[entry / 8] = state.rip;
    this.words[entry / 4 + 2] = record;
    this.words[entry / 4 + 3] = state.lookupTag;
    return record;
  }

  private resolve(key: number): number | GuestFault {
    const { state } = this;
    const mode = modeOfKey(key);
    const linear = linearRip(state, mode);
    const physical = this.cpu.memory.fetchTranslate(linear);
    if (isFault(physical)) return physical;
    const physicalPage = Math.floor(physical / PAGE_SIZE);
    if (this.pageBytes(physicalPage) === undefined) {
      this.cpu.noteOnce(`code is fetched from 0x${physical.toString(16)}, where no RAM is`);
      return fault(VECTOR.UD);
    }
    if (!this.cache.hasRoom()) this.forgetCode();
    const location: CodeLocation = { rip: state.rip, linear, physicalPage, modeKey: key, mode };
    return this.decodedRecord(location);
  }

  private decodedRecord(location: CodeLocation): number | GuestFault {
    const known = this.cache.find(location);
    const crossing = known === undefined ? undefined : this.cache.crossingOf(location, known);
    if (known !== undefined && crossing === undefined) return known;
    if (!this.cache.crossesPage(location)) return this.cache.decodeRun(location, undefined);
    const next = this.cpu.memory.fetchTranslate((location.linear & ~0xfffn) + BigInt(PAGE_SIZE));
    if (isFault(next)) return next;
    const nextPage = Math.floor(next / PAGE_SIZE);
    if (known !== undefined && crossing === nextPage) return known;
    return this.cache.decodeRun(location, nextPage);
  }

  private updateLookupTag(key: number): void {
    const { state } = this;
    const generation = state.mapGeneration % TAG_GENERATIONS;
    if (state.mapGeneration !== this.lastGeneration) {
      if (generation === 0) this.clearJumpCache();
      this.lastGeneration = state.mapGeneration;
    }
    // Tag 0 is that of an empty entry.
    state.lookupTag = (generation * 1024 + key + 1) >>> 0;
  }

  private clearJumpCache(): void {
    this.words.fill(0, JUMP_CACHE_BASE / 4, JUMP_CACHE_BASE / 4 + JUMP_CACHE_ENTRIES * 4);
  }

  private pageBytes(physicalPage: number): Uint8Array | undefined {
    const start = RAM_BASE + physicalPage * PAGE_SIZE;
    if (start + PAGE_SIZE > this.bytes.length) return undefined;
    return this.bytes.subarray(start, start + PAGE_SIZE);
  }

  private slowAccesses(): Pick<HostFunctions, 'slowRead' | 'slowWrite'> {
    const { memory } = this.cpu;
    return {
      slowRead: (low, high, flags) => memory.slowRead(low, high, flags),
      slowWrite: (low, high, flags) => memory.slowWrite(low, high, flags),
    };
  }

  /** Ordinary TLB misses are served by the core module, which calls the host for the others. */
  private hostFunctions(core: Record<string, unknown>): HostFunctions {
    return {
      slowRead: core['readMiss'] as HostFunctions['slowRead'],
      slowWrite: core['writeMiss'] as HostFunctions['slowWrite'],
      host: (operation, record, budget) => this.callHost(operation, record, budget),
    };
  }

  /** Generated code stands on a breakpoint: the state is made exact for whoever decides. */
  private passesBreakpoint(record: number, budget: number): boolean {
    const { state } = this;
    state.budget = budget;
    state.icount = this.exactIcount();
    state.rip = this.arena.rip(record);
    return this.passes(linearRip(state, modeOfKey(currentModeKey(state))));
  }

  private callHost(operation: number, record: number, budget: number): number {
    const { state } = this;
    state.budget = budget;
    state.icount = this.exactIcount();
    state.rip = this.arena.nextRip(record);
    const raised = this.hostOperations[operation]!(this.cpu);
    if (raised === undefined) return 0;
    state.faultVector = raised.vector;
    state.faultHasErrorCode = raised.errorCode === undefined ? 0 : 1;
    state.faultErrorCode = raised.errorCode ?? 0;
    if (raised.address !== undefined) state.faultAddress = raised.address;
    return 1;
  }
}

function linearRip(state: CpuState, mode: ExecutionMode): bigint {
  return mode.codeWidth === 64 ? state.rip : BigInt.asUintN(32, state.csBase + state.rip);
}
