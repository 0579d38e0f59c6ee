/**
 * A machine of a few lines for the server's tests: registers in a map, RAM in an array, page tables
 * as a list of mappings, and instructions that are JavaScript functions. An address without a
 * function holds a one-byte instruction that does nothing.
 */
import type {
  CodeHold,
  ExecutionHook,
  MachineControl,
  MachineView,
  MappingWalkEnd,
  PageMapping,
  RamRun,
  RunOptions,
  StopPredicate,
  StopReason,
  WatchKind,
} from '../../machine/index.ts';

export type FakeInstruction = (machine: FakeMachine) => StopReason | undefined;

export interface FakeMapping {
  readonly linear: bigint;
  readonly physical: bigint;
  readonly lengthBytes: number;
  readonly isWritable?: boolean;
  readonly isUser?: boolean;
  readonly isNoExecute?: boolean;
}

export const FAKE_RAM_BYTES = 1 << 20;
const TICKS_PER_INSTRUCTION = 10n;

export class FakeMachine implements MachineView, MachineControl {
  readonly ram: Uint8Array;
  readonly registers = new Map<string, bigint>();
  readonly vectors = Array.from({ length: 16 }, () => new Uint8Array(16));
  readonly fxsave = new Uint8Array(512);
  /** What an address executes; it must move rip itself. */
  readonly program = new Map<bigint, FakeInstruction>();
  /** Per CR3; `undefined` stands for every CR3 that has no list of its own. */
  readonly tables = new Map<bigint | undefined, FakeMapping[]>();
  readonly breakpoints = new Set<bigint>();
  readonly predicates = new Map<bigint, StopPredicate>();
  readonly watchPredicates = new Map<bigint, StopPredicate>();
  readonly watchpoints = new Set<string>();
  readonly hooks = new Map<bigint, Set<ExecutionHook>>();
  readonly runs: RunOptions[] = [];
  mappingWalkEnd: MappingWalkEnd = 'complete';
  serialInput: number[] = [];
  serialText = '';
  /** The CPU waits; an event at this time wakes it. */
  halted: { readonly wakeAt: bigint | undefined } | undefined;
  /** Called when an event wakes the CPU: delivers the interrupt. */
  onWake: (machine: FakeMachine) => void = () => undefined;
  onReset: (machine: FakeMachine) => void = () => undefined;
  icount = 0n;
  resets = 0;
  #skipped = 0n;
  /** Where hooks ran last: once for each time that control arrives. */
  #hooked = '';

  constructor(ramBytes = FAKE_RAM_BYTES) {
    this.ram = new Uint8Array(ramBytes);
    this.tables.set(undefined, [{ linear: 0n, physical: 0n, lengthBytes: ramBytes }]);
    this.powerOn();
  }

  powerOn(): void {
    const zeros = ['rax', 'rbx', 'rcx', 'rdx', 'rsi', 'rdi', 'rbp', 'r8', 'r9', 'r10', 'r11'];
    for (const name of [...zeros, 'r12', 'r13', 'r14', 'r15', 'ss', 'ds', 'es', 'fs', 'gs']) {
      this.registers.set(name, 0n);
    }
    for (const name of ['fs_base', 'gs_base', 'k_gs_base', 'cr2', 'cr8', 'cpl', 'mxcsr']) {
      this.registers.set(name, 0n);
    }
    const set = { rip: 0x1000n, rsp: 0x8000n, rflags: 2n, cs: 8n, cr0: 0x8000_0011n, cr3: 0x3000n };
    for (const [name, value] of Object.entries(set)) this.registers.set(name, value);
    this.registers.set('cr4', 0x20n).set('efer', 0x500n);
  }

  get ticks(): bigint {
    return this.icount * TICKS_PER_INSTRUCTION + this.#skipped;
  }

  get ramBytes(): number {
    return this.ram.length;
  }

  usedRam(): readonly RamRun[] {
    const isUsed = (page: number): boolean =>
      this.ram.subarray(page, page + 0x1000).some((byte) => byte !== 0);
    const pages = Array.from({ length: this.ram.length / 0x1000 }, (_, index) => index * 0x1000);
    return pages.filter(isUsed).map((start) => ({ start, end: start + 0x1000 }));
  }

  get rip(): bigint {
    return this.registers.get('rip')!;
  }

  jump(address: bigint): undefined {
    this.registers.set('rip', address);
    return undefined;
  }

  run(options: RunOptions): StopReason {
    this.runs.push(options);
    for (let count = 0; count < options.budget; count++) {
      const idle = this.#passIdle(options);
      if (idle !== undefined) return idle;
      const isPassing = count === 0 && options.passBreakpoint === true;
      const stop = this.#execute(isPassing);
      if (stop !== undefined) return stop;
    }
    return { kind: options.step === true ? 'step' : 'budget' };
  }

  #passIdle(options: RunOptions): StopReason | undefined {
    if (this.halted === undefined) return undefined;
    const { wakeAt } = this.halted;
    if (wakeAt === undefined) return { kind: 'idle', ticks: undefined };
    const left = wakeAt - this.ticks;
    if (left > 0n && options.skipIdle !== true) return { kind: 'idle', ticks: left };
    if (left > 0n) this.#skipped += left;
    this.halted = undefined;
    this.onWake(this);
    return undefined;
  }

  #execute(isPassing: boolean): StopReason | undefined {
    const { rip } = this;
    const arrival = `${rip} ${this.icount}`;
    if (this.#hooked !== arrival) for (const hook of this.hooks.get(rip) ?? []) hook(this);
    this.#hooked = arrival;
    const isStop =
      !isPassing && this.breakpoints.has(rip) && (this.predicates.get(rip)?.(this) ?? true);
    if (isStop) return { kind: 'breakpoint', address: rip };
    const instruction = this.program.get(rip);
    this.icount++;
    if (instruction !== undefined) return instruction(this);
    this.jump(rip + 1n);
  }

  skipIdle(ticks: bigint): void {
    const left = this.halted?.wakeAt === undefined ? ticks : this.halted.wakeAt - this.ticks;
    this.#skipped += ticks < left ? ticks : left;
  }

  readRegister(name: string): bigint | undefined {
    return this.registers.get(name);
  }

  registerReader(name: string): (() => bigint) | undefined {
    return this.registers.has(name) ? () => this.registers.get(name)! : undefined;
  }

  readInteger(linear: bigint, lengthBytes: 1 | 2 | 4 | 8): bigint | undefined {
    const bytes = this.readLinear(linear, lengthBytes);
    if (bytes.length < lengthBytes) return undefined;
    return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n);
  }

  writeRegister(name: string, value: bigint): boolean {
    if (!this.registers.has(name)) return false;
    this.registers.set(name, value);
    return true;
  }

  readVector(register: number): Uint8Array {
    return this.vectors[register]!.slice();
  }

  writeVector(register: number, bytes: Uint8Array): void {
    this.vectors[register]!.set(bytes);
  }

  readFxsave(): Uint8Array {
    const area = this.fxsave.slice();
    this.vectors.forEach((bytes, index) => area.set(bytes, 160 + index * 16));
    return area;
  }

  translate(linear: bigint, cr3 = this.registers.get('cr3')): bigint | undefined {
    const mapping = this.#tablesOf(cr3).find(
      (candidate) =>
        linear >= candidate.linear && linear < candidate.linear + BigInt(candidate.lengthBytes),
    );
    return mapping === undefined ? undefined : mapping.physical + linear - mapping.linear;
  }

  #tablesOf(cr3: bigint | undefined): readonly FakeMapping[] {
    return this.tables.get(cr3) ?? this.tables.get(undefined)!;
  }

  readLinear(linear: bigint, lengthBytes: number, cr3?: bigint): Uint8Array {
    const bytes: number[] = [];
    for (let index = 0; index < lengthBytes; index++) {
      const physical = this.translate(linear + BigInt(index), cr3);
      const byte = physical === undefined ? undefined : this.ram[Number(physical)];
      if (byte === undefined) break;
      bytes.push(byte);
    }
    return Uint8Array.from(bytes);
  }

  copyLinear(linear: bigint, lengthBytes: number, into: Uint8Array, offset: number): number {
    const bytes = this.readLinear(linear, lengthBytes);
    into.set(bytes, offset);
    return bytes.length;
  }

  writeLinear(linear: bigint, bytes: Uint8Array, cr3?: bigint): number {
    for (const [index, byte] of bytes.entries()) {
      const physical = this.translate(linear + BigInt(index), cr3);
      if (physical === undefined || physical >= BigInt(this.ram.length)) return index;
      this.ram[Number(physical)] = byte;
    }
    return bytes.length;
  }

  /** For setting a scene: throws where nothing is mapped. */
  putU64(linear: bigint, value: bigint, cr3?: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    if (this.writeLinear(linear, bytes, cr3) !== 8) throw new Error(`${linear} is not mapped`);
  }

  putU32(linear: bigint, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    if (this.writeLinear(linear, bytes) !== 4) throw new Error(`${linear} is not mapped`);
  }

  readPhysical(physical: bigint, lengthBytes: number): Uint8Array {
    return this.ram.slice(Number(physical), Number(physical) + lengthBytes);
  }

  writePhysical(physical: bigint, bytes: Uint8Array): number {
    this.ram.set(bytes, Number(physical));
    return bytes.length;
  }

  *mappings(cr3 = this.registers.get('cr3')): Generator<PageMapping, MappingWalkEnd> {
    const sorted = [...this.#tablesOf(cr3)].sort((a, b) => (a.linear < b.linear ? -1 : 1));
    for (const mapping of sorted) {
      const { isWritable = true, isUser = false, isNoExecute = false } = mapping;
      const bits =
        1n | (isWritable ? 2n : 0n) | (isUser ? 4n : 0n) | (isNoExecute ? 1n << 63n : 0n);
      yield { ...mapping, isWritable, isUser, isNoExecute, entry: mapping.physical | bits };
    }
    return this.mappingWalkEnd;
  }

  addBreakpoint(linear: bigint, predicate?: StopPredicate): void {
    this.breakpoints.add(linear);
    if (predicate === undefined) this.predicates.delete(linear);
    else this.predicates.set(linear, predicate);
  }

  removeBreakpoint(linear: bigint): void {
    this.breakpoints.delete(linear);
  }

  addWatchpoint(
    linear: bigint,
    lengthBytes: number,
    watch: WatchKind,
    predicate?: StopPredicate,
  ): void {
    this.watchpoints.add(`${linear}:${lengthBytes}:${watch}`);
    if (predicate !== undefined) this.watchPredicates.set(linear, predicate);
  }

  removeWatchpoint(linear: bigint, lengthBytes: number, watch: WatchKind): void {
    this.watchpoints.delete(`${linear}:${lengthBytes}:${watch}`);
  }

  caughtExceptions: ReadonlySet<number> = new Set();
  caughtSystemCalls: ReadonlySet<number> | 'all' | 'none' = 'none';

  catchExceptions(vectors: ReadonlySet<number>): void {
    this.caughtExceptions = vectors;
  }

  catchSystemCalls(numbers: ReadonlySet<number> | 'all' | 'none'): void {
    this.caughtSystemCalls = numbers;
  }

  held: CodeHold | undefined;

  holdCode(hold: CodeHold | undefined): void {
    this.held = hold;
  }

  addExecutionHook(linear: bigint, hook: ExecutionHook): () => void {
    const hooks = this.hooks.get(linear) ?? new Set();
    this.hooks.set(linear, hooks.add(hook));
    return () => hooks.delete(hook);
  }

  enterSerialInput(bytes: Uint8Array): void {
    this.serialInput.push(...bytes);
    if (this.halted !== undefined) this.halted = undefined;
  }

  reset(): void {
    this.resets++;
    this.ram.fill(0);
    this.icount = 0n;
    this.#skipped = 0n;
    this.halted = undefined;
    this.powerOn();
    this.onReset(this);
  }

  describeDevices(): readonly { readonly name: string; readonly text: string }[] {
    return [{ name: 'uart16550', text: 'quiet' }];
  }

  serialHistory(): Uint8Array {
    return Buffer.from(this.serialText);
  }
}
