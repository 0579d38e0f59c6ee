/**
 * Runs SSE forms as the step engine's generated code, without a machine around it: one page of
 * memory is in the TLB, host operations are the floating-point ones.
 */
import { readRflags } from '../../../machine/cpu/rflags.ts';
import { FLOAT_HOST_OPERATIONS } from '../../../machine/cpu/float/host-operations.ts';
import { createDecoder, type Decode } from '../../../machine/decoder/decoder.ts';
import type { ExecutionMode } from '../../../machine/instructions/execution-mode.ts';
import type { FloatOperation } from '../../../machine/instructions/float-operations.ts';
import { HOST_OPERATIONS } from '../../../machine/instructions/host-operations.ts';
import {
  cpuStateOver,
  vectorRegisterOffset,
  type CpuState,
} from '../../../machine/state/fields.ts';
import { RAM_BASE, TLB_BASE, TLB_EMPTY, TLB_WRITE_TABLE } from '../../../machine/state/layout.ts';
import { Handlers } from '../../../machine/step-engine/handlers.ts';
import { ModuleHost } from '../../../machine/translation/module-host.ts';
import { RecordArena } from '../../../machine/translation/record.ts';
import { EXIT } from '../../../machine/translation/runtime.ts';
import { SSE_DEFINITIONS, SSE_FORMS } from './sse-forms.ts';
import { ARITHMETIC_FLAGS, type SseCase, type SseState } from './sse-state.ts';

const MEMORY_PAGES = RAM_BASE / 0x1_0000 + 1;
/** The linear page that is mapped, to the start of RAM, and what rdi points to. */
const DATA_PAGE = 0x1000n;
const DATA = DATA_PAGE + 0x80n;
const CODE = 0x40_0000n;

const USER_MODE: ExecutionMode = {
  codeWidth: 64,
  stackWidth: 64,
  longMode: true,
  cpl: 3,
  sse: 'enabled',
  x87: 'enabled',
};

type HandlerFunction = (record: number, budget: number) => number;

function unexpected(): never {
  throw new Error('generated code called what this test has not');
}

export class SseEngine {
  readonly state: CpuState;
  /** How often generated code asked the host. */
  hostCalls = 0;
  private readonly memory = new WebAssembly.Memory({ initial: MEMORY_PAGES });
  private readonly quads = new BigUint64Array(this.memory.buffer);
  private readonly modules: ModuleHost;
  private readonly arena = new RecordArena(this.memory);
  private readonly handlers: Handlers;
  private readonly decode: Decode = createDecoder(SSE_DEFINITIONS);
  private readonly records: readonly number[];

  constructor() {
    this.state = cpuStateOver(this.memory);
    this.state.cr4 = 1n << 10n;
    this.modules = new ModuleHost(MEMORY_PAGES, ({ table }) => this.imports(table));
    this.handlers = new Handlers(this.modules, 16);
    this.mapDataPage();
    this.records = SSE_FORMS.map(({ code }) => this.recordOf(code));
    this.handlers.compile();
  }

  run({ form, before }: SseCase): SseState {
    this.load(before);
    const record = this.records[form]!;
    const handler = this.modules.table.get(this.arena.handler(record)) as HandlerFunction;
    const exit = handler(record, 1);
    if (exit !== EXIT.budget && exit !== EXIT.fault)
      throw new Error(`the handler left with ${exit}`);
    return this.save(exit === EXIT.fault && this.state.faultVector === 19);
  }

  private recordOf(code: readonly number[]): number {
    const decoded = this.decode(Uint8Array.from(code), CODE, USER_MODE);
    if (decoded.kind !== 'instruction') throw new Error(`${code.join()} is ${decoded.kind}`);
    const { index } = this.handlers.handlerFor(decoded);
    return this.arena.append(index, decoded, CODE + BigInt(code.length));
  }

  private load(before: SseState): void {
    this.setVector(1, before.xmm1);
    this.setVector(2, before.xmm2);
    this.setWide(RAM_BASE + Number(DATA - DATA_PAGE), before.memory);
    const { rcx, rdx, mxcsr } = before;
    Object.assign(this.state, { rcx, rdx, rdi: DATA, mxcsr, rflagsSystem: 2n });
  }

  private save(hasFaulted: boolean): SseState {
    const { rcx, rdx, mxcsr } = this.state;
    return {
      xmm1: this.wide(vectorRegisterOffset(1)),
      xmm2: this.wide(vectorRegisterOffset(2)),
      memory: this.wide(RAM_BASE + Number(DATA - DATA_PAGE)),
      rcx,
      rdx,
      mxcsr,
      flags: readRflags(this.state) & ARITHMETIC_FLAGS,
      hasFaulted,
    };
  }

  private wide(offset: number): bigint {
    return this.quads[offset / 8]! | (this.quads[offset / 8 + 1]! << 64n);
  }

  private setWide(offset: number, value: bigint): void {
    this.quads[offset / 8] = BigInt.asUintN(64, value);
    this.quads[offset / 8 + 1] = value >> 64n;
  }

  private setVector(register: number, value: bigint): void {
    this.setWide(vectorRegisterOffset(register), value);
  }

  /** The first table of the TLB is the one in force, since tlbContext is 0. */
  private mapDataPage(): void {
    this.quads.fill(TLB_EMPTY, TLB_BASE / 8, (TLB_BASE + 2 * TLB_WRITE_TABLE) / 8);
    const entry = (TLB_BASE + Number(DATA_PAGE >> 12n) * 16) / 8;
    for (const table of [entry, entry + TLB_WRITE_TABLE / 8]) {
      this.quads[table] = DATA_PAGE;
      this.quads[table + 1] = BigInt(RAM_BASE) - DATA_PAGE;
    }
  }

  private imports(table: WebAssembly.Table): Record<string, unknown> {
    return {
      memory: this.memory,
      table,
      slowRead: unexpected,
      slowWrite: unexpected,
      lookup: unexpected,
      stepOn: unexpected,
      enter: unexpected,
      deliver: () => EXIT.fault,
      moveRun: unexpected,
      fillRun: unexpected,
      host: (operation: number) => this.host(HOST_OPERATIONS[operation] as FloatOperation),
    };
  }

  private host(operation: FloatOperation): number {
    this.hostCalls++;
    const fault = FLOAT_HOST_OPERATIONS[operation](this.state);
    if (fault === undefined) return 0;
    this.state.faultVector = fault.vector;
    return 1;
  }
}
