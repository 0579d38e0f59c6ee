/**
 * Our machine as a bench for cases: its CPU, memory and an engine, without devices, in the world of
 * world.ts. An exception is delivered through the IDT like any other and its frame is then read back,
 * so that a wrong frame is a difference as well.
 */
import { PAGE_SIZE, type PhysicalAddress } from '../../../machine/addresses.ts';
import { Cpu } from '../../../machine/cpu/cpu.ts';
import { deliverException } from '../../../machine/cpu/exceptions.ts';
import { readRflags, writeRflags } from '../../../machine/cpu/rflags.ts';
import type { Engine } from '../../../machine/engine.ts';
import { GuestMemory } from '../../../machine/memory/guest-memory.ts';
import { cpuStateOver, STATE_FIELDS, type CpuState } from '../../../machine/state/fields.ts';
import { RAM_BASE } from '../../../machine/state/layout.ts';
import { StepEngine } from '../../../machine/step-engine/step-engine.ts';
import type { HardwareState } from './hardware-fields.ts';
import { ALL_FIELDS, initialState } from './initial-state.ts';
import type { MemoryBytes, Setup } from './vector-file.ts';
import { PLACE, SELECTOR, START, WORLD_BYTES, worldImage } from './world.ts';

/** What a case came to: the state in the same fields as the hardware's, and changed memory. */
export interface Outcome {
  readonly state: HardwareState;
  /** Runs of changed bytes, ascending; up to three unchanged ones between two are taken in. */
  readonly memory: readonly MemoryBytes[];
}

/** A processor that cases can be run on. */
export interface CaseRunner {
  run(setup: Setup): Outcome;
}

/** The engine under test. */
export type MakeEngine = (cpu: Cpu, memory: WebAssembly.Memory) => Engine;

const WASM_PAGE = 65536;
/** More instructions than any case takes. */
const PATIENCE = 20_000;
const FILLER = 0xcc;
/** The frame of an exception on the exception stack, without and with an error code. */
const FRAME = PLACE.exceptionStackTop - 40;
const FRAME_WITH_CODE = FRAME - 8;

const U64_FIELDS = new Set<string>(
  STATE_FIELDS.filter(({ type }) => type === 'u64').map(({ name }) => name),
);
const U32_FIELDS = new Set<string>(
  STATE_FIELDS.filter(({ type }) => type === 'u32').map(({ name }) => name),
);
const IMAGE = worldImage();
/** FCW after FNINIT. */
const INITIAL_CONTROL_WORD = [0x7f, 0x03];

export class EmulatedCpu implements CaseRunner {
  private readonly state: CpuState;
  private readonly ram: Uint8Array;
  private readonly memory: GuestMemory;
  private readonly cpu: Cpu;
  private readonly engine: Engine;
  private readonly before = new Uint8Array(IMAGE);
  /** Pages that differ from the image. */
  private readonly touched = new Set<number>();
  /** The vector of the exception that ended the case. */
  private exception: number | undefined;
  private errorCode = 0n;

  constructor(makeEngine: MakeEngine = (cpu, memory) => new StepEngine(cpu, memory)) {
    const pages = (RAM_BASE + WORLD_BYTES) / WASM_PAGE;
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
    const note = (): void => undefined;
    this.state = cpuStateOver(memory);
    this.ram = new Uint8Array(memory.buffer, RAM_BASE, WORLD_BYTES);
    this.memory = new GuestMemory({ memory, state: this.state, ramBytes: WORLD_BYTES, note });
    this.cpu = new Cpu({
      state: this.state,
      memory: this.memory,
      ports: { read: (_, width) => 2 ** width - 1, write: note },
      interrupts: { hasInterrupt: () => false, acknowledge: () => 0 },
      clock: { now: () => 0n, schedule: note, cancel: note },
      note,
    });
    this.engine = makeEngine(this.cpu, memory);
    this.ram.set(IMAGE);
  }

  run(setup: Setup): Outcome {
    this.load(setup);
    this.step(setup.code);
    this.takeFrameBack();
    return { state: this.readState(), memory: this.readMemory() };
  }

  private load(setup: Setup): void {
    const state = initialState(setup.mode, setup.seed, setup.before.fields);
    this.restoreMemory();
    const code = { address: Number(state.get('rip') ?? START), bytes: setup.code };
    for (const { address, bytes } of [...setup.before.memory, code]) this.patch(address, bytes);
    for (const [name, value] of state) this.setField(name, value);
    this.state.x87Area.fill(0);
    this.state.x87Area.set(INITIAL_CONTROL_WORD);
    this.state.exitRequest = 0;
    this.state.shadowIcount = 0xffff_ffff_ffff_ffffn;
    this.cpu.halted = false;
    this.exception = undefined;
    this.errorCode = 0n;
    this.cpu.mappingChanged();
    this.memory.ramWritten(PLACE.code as PhysicalAddress, PLACE.codeEnd - PLACE.code);
    this.state.exitRequest = 0;
  }

  /** Only pages that the last case touched differ from the image. */
  private restoreMemory(): void {
    for (const page of this.touched) {
      const bytes = IMAGE.subarray(page, page + PAGE_SIZE);
      this.ram.set(bytes, page);
      this.before.set(bytes, page);
    }
    this.touched.clear();
  }

  private patch(address: number, bytes: Uint8Array): void {
    this.ram.set(bytes, address);
    this.before.set(bytes, address);
    this.touched.add(address & -PAGE_SIZE);
    this.touched.add((address + bytes.length - 1) & -PAGE_SIZE);
  }

  private setField(name: string, value: bigint): void {
    const vector = /^xmm(\d+)(h?)$/.exec(name);
    if (vector) {
      const bytes = this.state.xmm(Number(vector[1]));
      new DataView(bytes.buffer, bytes.byteOffset).setBigUint64(vector[2] ? 8 : 0, value, true);
    } else if (name === 'rflags') writeRflags(this.state, Number(value));
    else if (U64_FIELDS.has(name)) this.state[name as 'rax'] = value;
    else if (U32_FIELDS.has(name)) this.state[name as 'mxcsr'] = Number(value);
  }

  private getField(name: string): bigint {
    const vector = /^xmm(\d+)(h?)$/.exec(name);
    if (vector) {
      const bytes = this.state.xmm(Number(vector[1]));
      return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(vector[2] ? 8 : 0, true);
    }
    if (name === 'rflags') return BigInt(readRflags(this.state));
    if (name === 'exception') return this.exception === undefined ? 0n : BigInt(this.exception + 1);
    if (name === 'errorCode') return this.errorCode;
    if (U64_FIELDS.has(name)) return this.state[name as 'rax'];
    // The limit's high digit lies among the attributes and is the limit's business.
    if (name.endsWith('Attributes')) return BigInt(this.state[name as 'csAttributes'] & 0xf0ff);
    if (U32_FIELDS.has(name)) return BigInt(this.state[name as 'mxcsr']);
    throw new Error(`no field ${name}`);
  }

  /** Until control meets filler, an exception, or, at CPL 0, leaves the code pages. */
  private step(code: Uint8Array): void {
    const start = this.state.rip;
    for (let count = 0; count < PATIENCE; count++) {
      if (!this.runOnce()) return;
      const { rip, cpl } = this.state;
      const isOutside = rip < BigInt(PLACE.code) || rip >= BigInt(PLACE.codeEnd);
      if (isOutside && cpl === 0) return;
      const isOwn = rip >= start && rip < start + BigInt(code.length);
      if (!isOutside && !isOwn && this.ram[Number(rip)] === FILLER) return;
    }
  }

  /** False when an exception was delivered. */
  private runOnce(): boolean {
    const exit = this.engine.run(1, false);
    this.state.exitRequest = 0;
    if (exit.kind !== 'fault') {
      this.memory.commitPending();
      return true;
    }
    this.memory.discardPending();
    const report = deliverException(this.cpu, exit.fault, this.state.rip);
    this.memory.commitPending();
    if (report) throw new Error(`triple fault: ${JSON.stringify(report.chain)}`);
    return false;
  }

  /** What the frame on the exception stack holds becomes the state, and the frame goes away. */
  private takeFrameBack(): void {
    const { rip, rsp, csSelector } = this.state;
    const vector = Number(rip) - PLACE.handlers;
    const isEntered = rsp === BigInt(FRAME) || rsp === BigInt(FRAME_WITH_CODE);
    if (csSelector !== SELECTOR.kernelCode || vector < 0 || vector > 255 || !isEntered) return;
    const view = new DataView(this.ram.buffer, this.ram.byteOffset);
    const word = (index: number): bigint => view.getBigUint64(FRAME + index * 8, true);
    this.exception = vector;
    this.errorCode = rsp === BigInt(FRAME) ? 0n : view.getBigUint64(FRAME_WITH_CODE, true);
    this.state.rip = word(0);
    this.state.csSelector = Number(word(1));
    writeRflags(this.state, Number(word(2)));
    this.state.rsp = word(3);
    this.state.ssSelector = Number(word(4));
    const frame = this.before.subarray(FRAME_WITH_CODE, PLACE.exceptionStackTop);
    this.ram.set(frame, FRAME_WITH_CODE);
  }

  private readState(): HardwareState {
    return new Map(ALL_FIELDS.map((name) => [name, this.getField(name)]));
  }

  private readMemory(): MemoryBytes[] {
    const runs: { address: number; end: number }[] = [];
    for (let page = 0; page < WORLD_BYTES; page += PAGE_SIZE) {
      const now = this.ram.subarray(page, page + PAGE_SIZE);
      if (Buffer.compare(now, this.before.subarray(page, page + PAGE_SIZE)) === 0) continue;
      this.touched.add(page);
      for (let address = page; address < page + PAGE_SIZE; address++) {
        if (this.ram[address] === this.before[address]) continue;
        const last = runs.at(-1);
        if (last && address - last.end <= 3) last.end = address + 1;
        else runs.push({ address, end: address + 1 });
      }
    }
    return runs.map(({ address, end }) => ({ address, bytes: this.ram.slice(address, end) }));
  }
}
