/**
 * The emulated PC, put together: it owns the CPU, memory, devices, clock and engine, and runs the
 * loop in which they meet. Everything from outside enters here, between two instructions.
 */
import { PAGE_SIZE } from './addresses.ts';
import { BlockEngine } from './block-engine/block-engine.ts';
import { acpiTables } from './boot/acpi/acpi-tables.ts';
import type { BootPlan } from './boot/boot-protocol.ts';
import { planBoot } from './boot/loader.ts';
import { VirtualClock } from './clock/event-queue.ts';
import { Cpu } from './cpu/cpu.ts';
import { RFLAGS_IF } from './cpu/rflags.ts';
import { fxsaveImage } from './cpu/fxsave.ts';
import type { SystemCallFilter } from './cpu/transfer-watch.ts';
import { createDevices, type DeviceList } from './devices/device-list.ts';
import type { Engine } from './engine.ts';
import { ExecutionHooks } from './execution-hooks.ts';
import type {
  CodeHold,
  DeviceDescription,
  EngineKind,
  ExecutionHook,
  JitReport,
  MachineControl,
  MachineOptions,
  MachineView,
  MappingWalkEnd,
  PageMapping,
  RunOptions,
  StopPredicate,
} from './machine-interface.ts';
import { GuestMemory } from './memory/guest-memory.ts';
import type { RamRun } from './memory/used-frames.ts';
import { powerOn } from './power-on.ts';
import { readRegister, registerBytes, registerReader, writeRegister } from './register-access.ts';
import { RunLoop } from './run-loop.ts';
import { SerialHistory } from './serial-history.ts';
import { cpuStateOver, type CpuState } from './state/fields.ts';
import { RAM_BASE } from './state/layout.ts';
import { StepEngine } from './step-engine/step-engine.ts';
import type { StopReason, WatchKind } from './stop-reason.ts';
import type { CheckpointState } from './time-travel/checkpoint-state.ts';
import type { MachineState } from './time-travel/machine-state.ts';
import { loadState, saveCore, type SavedParts } from './time-travel/save-and-load.ts';
import { savePages, savePagesBeside, type PageRun } from './time-travel/saved-pages.ts';

const MIB = 1024 * 1024;
const WASM_PAGE = 65536;
export const DEFAULT_ENGINE: EngineKind = 'block';
export const DEFAULT_MEMORY_BYTES = 256 * MIB;

export class Machine implements MachineView, MachineControl {
  private readonly plan: BootPlan;
  private readonly state: CpuState;
  private readonly memory: GuestMemory;
  private readonly clock: VirtualClock;
  private readonly devices: DeviceList;
  private readonly cpu: Cpu;
  private readonly engine: Engine;
  private readonly blocks: BlockEngine | undefined;
  private readonly hooks: ExecutionHooks;
  private readonly loop: RunLoop;
  private readonly serial = new SerialHistory(MIB);

  /**
   * Builds the machine and loads the image into it.
   * @throws ImageError if the image cannot be booted, StateError if the state is not one of this PC.
   */
  constructor(options: MachineOptions) {
    const memoryBytes = options.memoryBytes ?? DEFAULT_MEMORY_BYTES;
    const note = options.onNote ?? ((): void => undefined);
    this.plan = planOf(options, memoryBytes);
    const pages = (RAM_BASE + memoryBytes) / WASM_PAGE;
    const linear = new WebAssembly.Memory({ initial: pages, maximum: pages });
    this.state = cpuStateOver(linear);
    this.memory = new GuestMemory({
      memory: linear,
      state: this.state,
      ramBytes: memoryBytes,
      note,
    });
    // Devices ask for the time when they are built, before there is an engine that counts.
    this.clock = new VirtualClock(
      () => (this.engine as Engine | undefined)?.exactIcount() ?? 0n,
      () => (this.state.exitRequest = 1),
    );
    this.devices = createDevices({
      clock: this.clock,
      memoryBytes,
      onSerialOutput: (byte) => this.sendSerial(byte, options),
      onDebugExit: (value) => this.loop.request({ kind: 'debug-exit', value }),
      onResetRequest: () => this.loop.request({ kind: 'reset-request' }),
      onPowerOff: () => this.loop.request({ kind: 'power-off' }),
      onNote: note,
    });
    for (const device of this.devices.pages.values()) this.memory.physical.attach(device);
    this.cpu = new Cpu({
      state: this.state,
      memory: this.memory,
      ports: this.portsThatRaiseInterrupts(),
      interrupts: this.devices.interruptController,
      clock: this.clock,
      apic: this.devices.localApic,
      note,
    });
    const step = new StepEngine(this.cpu, linear);
    const { hotness, hostClock: clock } = options;
    this.blocks =
      (options.engine ?? DEFAULT_ENGINE) === 'block'
        ? new BlockEngine(step, this.state, { hotness, clock })
        : undefined;
    this.engine = this.blocks ?? step;
    this.hooks = new ExecutionHooks(this.engine, this);
    this.loop = new RunLoop({
      cpu: this.cpu,
      engine: this.engine,
      clock: this.clock,
      interrupts: this.devices.interruptController,
      hooks: this.hooks,
      view: this,
    });
    if (options.state === undefined) this.load();
    else this.takeIn(options.state);
  }

  get icount(): bigint {
    return this.engine.exactIcount();
  }

  /** HLT: the CPU waits for an interrupt. */
  isHalted(): boolean {
    return this.cpu.halted;
  }

  get ticks(): bigint {
    return this.clock.now();
  }

  get ramBytes(): number {
    return this.memory.physical.ramBytes;
  }

  run(options: RunOptions): StopReason {
    return this.loop.run(options);
  }

  skipIdle(ticks: bigint): void {
    const next = this.clock.nextEventAt();
    const most = next === undefined ? ticks : next - this.clock.now();
    const step = ticks < most ? ticks : most;
    if (step > 0n) this.clock.skip(step);
  }

  readRegister(name: string): bigint | undefined {
    if (name === 'orig_rax') return this.loop.systemCallNumber();
    return readRegister(this.state, name);
  }

  registerReader(name: string): (() => bigint) | undefined {
    return registerReader(this.state, name);
  }

  registerBytes(name: string): Uint8Array | undefined {
    return registerBytes(this.state, name);
  }

  writeRegister(name: string, value: bigint): boolean {
    if (name === 'orig_rax') return this.loop.noteSystemCall(value);
    return writeRegister(this.state, this.memory, name, value);
  }

  readVector(register: number): Uint8Array {
    return this.state.xmm(register).slice();
  }

  writeVector(register: number, bytes: Uint8Array): void {
    this.state.xmm(register).set(bytes.subarray(0, 16));
  }

  readFxsave(): Uint8Array {
    return fxsaveImage(this.state);
  }

  translate(linear: bigint, cr3?: bigint): bigint | undefined {
    return this.memory.debug.translate(linear, cr3);
  }

  readLinear(linear: bigint, lengthBytes: number, cr3?: bigint, into?: Uint8Array): Uint8Array {
    return this.memory.debug.readLinear(linear, lengthBytes, cr3, into);
  }

  copyLinear(linear: bigint, lengthBytes: number, into: Uint8Array, offset: number): number {
    return this.memory.debug.copyLinear(linear, lengthBytes, into, offset);
  }

  readInteger(linear: bigint, lengthBytes: 1 | 2 | 4 | 8): bigint | undefined {
    return this.memory.debug.readInteger(linear, lengthBytes);
  }

  writeLinear(linear: bigint, bytes: Uint8Array, cr3?: bigint): number {
    return this.memory.debug.writeLinear(linear, bytes, cr3);
  }

  readPhysical(physical: bigint, lengthBytes: number): Uint8Array {
    return this.memory.debug.readPhysical(physical, lengthBytes);
  }

  writePhysical(physical: bigint, bytes: Uint8Array): number {
    return this.memory.debug.writePhysical(physical, bytes);
  }

  mappings(cr3?: bigint): Iterable<PageMapping, MappingWalkEnd> {
    return this.memory.debug.mappings(cr3);
  }

  usedRam(): readonly RamRun[] {
    return this.memory.physical.usedFrames.runs();
  }

  addBreakpoint(linear: bigint, predicate?: StopPredicate): void {
    this.hooks.addBreakpoint(linear, predicate);
  }

  removeBreakpoint(linear: bigint): void {
    this.hooks.removeBreakpoint(linear);
  }

  addExecutionHook(linear: bigint, hook: ExecutionHook): () => void {
    return this.hooks.addHook(linear, hook);
  }

  endSlice(): void {
    this.hooks.endSlice();
  }

  catchSystemCalls(numbers: SystemCallFilter): void {
    this.cpu.watch.systemCalls = numbers;
  }

  catchExceptions(vectors: ReadonlySet<number>): void {
    this.cpu.watch.exceptions = vectors;
  }

  holdCode(hold: CodeHold | undefined): void {
    this.loop.holdCode(hold);
  }

  addWatchpoint(
    linear: bigint,
    lengthBytes: number,
    kind: WatchKind,
    predicate?: StopPredicate,
  ): void {
    const watch = { linear, lengthBytes, kind, owner: 'debugger' } as const;
    this.memory.addWatchpoint(predicate === undefined ? watch : { ...watch, predicate });
  }

  removeWatchpoint(linear: bigint, lengthBytes: number, watch: WatchKind): void {
    this.memory.removeWatchpoint({ linear, lengthBytes, kind: watch, owner: 'debugger' });
  }

  enterSerialInput(bytes: Uint8Array): void {
    this.devices.uart.receive(bytes);
  }

  save(): MachineState {
    return this.stateWith(savePages(this.memory.physical));
  }

  /** As `save`, of a machine that keeps many: what is as in `previous` is shared with it. */
  saveBeside(previous: CheckpointState | undefined): CheckpointState {
    return this.stateWith(savePagesBeside(this.memory.physical, previous?.pages ?? []));
  }

  savedBytes(): number {
    const { usedFrames } = this.memory.physical;
    return usedFrames.list().length * PAGE_SIZE + this.serial.bytes().length;
  }

  restore(state: MachineState): void {
    this.forget();
    this.takeIn(state);
  }

  reset(): void {
    this.forget();
    this.load();
  }

  describeDevices(): readonly DeviceDescription[] {
    return this.devices.devices.map((device) => {
      const registers = device.registerLines?.();
      const description = { name: device.name, text: device.describe() };
      return registers === undefined ? description : { ...description, registers };
    });
  }

  describeJit(): JitReport | undefined {
    return this.blocks?.report();
  }

  serialHistory(): Uint8Array {
    return this.serial.bytes();
  }

  private stateWith(pages: readonly PageRun[]): CheckpointState {
    const lastHooks = this.hooks.lastRun;
    return { core: saveCore(this.savedParts()), pages, serial: this.serial.bytes(), lastHooks };
  }

  /** RAM, code and what the serial line has said. */
  private forget(): void {
    this.memory.reset();
    this.engine.forgetCode();
    this.cpu.halted = false;
    this.serial.clear();
  }

  private savedParts(): SavedParts {
    return { cpu: this.cpu, clock: this.clock, devices: this.devices.devices };
  }

  private takeIn(state: MachineState): void {
    loadState(this.savedParts(), state);
    for (const byte of state.serial) this.serial.append(byte);
    this.loop.reset();
    if (state.lastHooks !== undefined) this.hooks.lastRun = state.lastHooks;
  }

  private load(): void {
    powerOn(this.state, this.plan);
    this.clock.load({ skippedTicks: 0n, nextOrder: 0, events: [] });
    for (const device of this.devices.devices) device.reset();
    for (const { address, bytes } of [...acpiTables(), ...this.plan.writes]) {
      this.memory.debug.writePhysical(BigInt(address), bytes);
    }
    this.memory.updateTlbContext();
    this.loop.reset();
  }

  private sendSerial(byte: number, options: MachineOptions): void {
    this.serial.append(byte);
    options.onSerialOutput?.(Uint8Array.of(byte));
  }

  /**
   * An access to a port may raise an interrupt: the machine then looks before the next instruction, or,
   * while IF is 0, when that is set.
   */
  private portsThatRaiseInterrupts(): ConstructorParameters<typeof Cpu>[0]['ports'] {
    const { portBus, interruptController } = this.devices;
    const lookForInterrupts = (): void => {
      const hasNmi = interruptController.hasNmi();
      if (!hasNmi && !interruptController.hasInterrupt()) return;
      this.state.interruptPending = 1;
      if (hasNmi || (this.state.rflagsSystem & BigInt(RFLAGS_IF)) !== 0n)
        this.state.exitRequest = 1;
    };
    return {
      read: (port, width) => {
        const value = portBus.read(port, width);
        lookForInterrupts();
        return value;
      },
      write: (port, value, width) => {
        portBus.write(port, value, width);
        lookForInterrupts();
      },
    };
  }
}

function planOf(options: MachineOptions, memoryBytes: number): BootPlan {
  if (memoryBytes % MIB !== 0 || memoryBytes < 2 * MIB || memoryBytes > 2048 * MIB) {
    throw new RangeError('guest memory is 2 MiB to 2 GiB, in steps of 1 MiB');
  }
  return planBoot({
    image: options.image,
    imageName: options.imageName,
    commandLine: options.commandLine ?? '',
    modules: options.modules ?? [],
    memoryBytes,
  });
}
