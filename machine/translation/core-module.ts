/**
 * The step engine's fixed module: the way in, the jump cache, the pseudo-records' handlers and the
 * bulk part of REP MOVS and REP STOS.
 */
import { SLOW_ACCESS_SIGNATURE, STRING_RUN_SIGNATURE } from '../codegen/emitter.ts';
import { fieldOffset } from '../state/fields.ts';
import {
  JUMP_CACHE_BASE,
  JUMP_CACHE_ENTRIES,
  RAM_BASE,
  TLB_BASE,
  TLB_ENTRIES,
  TLB_WRITE_TABLE,
} from '../state/layout.ts';
import type { FunctionBuilder, Local } from '../wasm/function-builder.ts';
import { ModuleBuilder } from '../wasm/module-builder.ts';
import { RECORD } from './record.ts';
import { EXIT, HANDLER_SIGNATURE, LOOKUP_SIGNATURE } from './runtime.ts';
import { emitTlbMiss } from './tlb-miss.ts';

const WASM_PAGE = 65536;

/** The table indexes of the pseudo-records' handlers. */
export const PSEUDO_HANDLER = {
  /** A record that is not valid any more. */
  invalid: 0,
  /** Goes on at the record's next rip: the run of records ends here. */
  fallThrough: 1,
  /** Goes on at the record's link. */
  goto: 2,
  breakpoint: 3,
  /** Raises the exception in the immediate: vector, error code << 8, 1 << 32 if it has one. */
  raise: 4,
} as const;

const ENTER_AT_SIGNATURE = { parameters: ['i32', 'i32', 'i32'], results: ['i32'] } as const;
const PAGE_MASK = BigInt.asUintN(64, ~0xfffn);

export function buildCoreModule(memoryPages: number): Uint8Array {
  const module = new ModuleBuilder({ memoryPages });
  const passes = module.import('passesBreakpoint', HANDLER_SIGNATURE);
  const slowRead = module.import('slowRead', SLOW_ACCESS_SIGNATURE);
  const slowWrite = module.import('slowWrite', SLOW_ACCESS_SIGNATURE);
  const ramBytes = memoryPages * WASM_PAGE - RAM_BASE;
  const handlerType = module.type(HANDLER_SIGNATURE);
  const lookup = module.function('lookup', LOOKUP_SIGNATURE);
  emitLookup(lookup.builder, handlerType);
  emitEnterAt(module.function('enterAt', ENTER_AT_SIGNATURE).builder, handlerType);
  emitStop(module.function('invalid', HANDLER_SIGNATURE).builder, EXIT.invalid);
  emitFallThrough(module.function('fallThrough', HANDLER_SIGNATURE).builder, lookup.index);
  emitGoto(module.function('goto', HANDLER_SIGNATURE).builder, handlerType);
  emitStepOn(module.function('stepOn', HANDLER_SIGNATURE).builder, handlerType);
  emitEnter(module.function('enter', HANDLER_SIGNATURE).builder, handlerType);
  emitBreakpoint(module.function('breakpoint', HANDLER_SIGNATURE).builder, passes, handlerType);
  emitRaise(module.function('raise', HANDLER_SIGNATURE).builder);
  emitStringRun(module.function('moveRun', STRING_RUN_SIGNATURE).builder, true);
  emitStringRun(module.function('fillRun', STRING_RUN_SIGNATURE).builder, false);
  const read = module.function('readMiss', SLOW_ACCESS_SIGNATURE).builder;
  emitTlbMiss(read, { isWrite: false, slow: slowRead, ramBytes });
  const write = module.function('writeMiss', SLOW_ACCESS_SIGNATURE).builder;
  emitTlbMiss(write, { isWrite: true, slow: slowWrite, ramBytes });
  return module.finish();
}

/**
 * Jump cache entry: rip (8 bytes), record (4), lookup tag (4); the entry is chosen by the low bits
 * of rip. A miss leaves to the host, which fills the entry.
 */
export function jumpCacheEntry(rip: bigint): number {
  return JUMP_CACHE_BASE + Number(rip & BigInt(JUMP_CACHE_ENTRIES - 1)) * 16;
}

function emitLookup(builder: FunctionBuilder, handlerType: number): void {
  const [rip, budget] = builder.parameters as [Local, Local];
  const entry = builder.local('i32');
  const record = builder.local('i32');
  builder.get(rip);
  builder.emit('i32.wrap_i64');
  builder.i32(JUMP_CACHE_ENTRIES - 1);
  builder.emit('i32.and');
  builder.i32(4);
  builder.emit('i32.shl');
  builder.tee(entry);
  builder.memory('i64.load', JUMP_CACHE_BASE);
  builder.get(rip);
  builder.emit('i64.eq');
  builder.get(entry);
  builder.memory('i32.load', JUMP_CACHE_BASE + 12);
  builder.i32(0);
  builder.memory('i32.load', fieldOffset('lookupTag'));
  builder.emit('i32.eq');
  builder.emit('i32.and');
  builder.when(() => {
    builder.get(entry);
    builder.memory('i32.load', JUMP_CACHE_BASE + 8);
    builder.set(record);
    tailCall(builder, record, budget, RECORD.handler, handlerType);
  });
  builder.i32(0);
  builder.get(rip);
  builder.memory('i64.store', fieldOffset('rip'));
  leave(builder, budget, EXIT.lookup);
}

/** (record, budget, handler): enters a record with a handler that need not be its own. */
function emitEnterAt(builder: FunctionBuilder, handlerType: number): void {
  const [record, budget, handler] = builder.parameters as [Local, Local, Local];
  builder.get(record);
  builder.get(budget);
  builder.get(handler);
  builder.returnCallIndirect(handlerType, HANDLER_SIGNATURE);
}

/** Executes a record's one instruction if the budget allows it. */
function emitStepOn(builder: FunctionBuilder, handlerType: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  builder.get(budget);
  builder.i32(0);
  builder.emit('i32.le_s');
  builder.when(() => {
    storeCurrentRecord(builder, record);
    leave(builder, budget, EXIT.budget);
  });
  tailCall(builder, record, budget, RECORD.step, handlerType);
}

/** Goes on at a record. */
function emitEnter(builder: FunctionBuilder, handlerType: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  tailCall(builder, record, budget, RECORD.handler, handlerType);
}

function tailCall(
  builder: FunctionBuilder,
  record: Local,
  budget: Local,
  handlerField: number,
  handlerType: number,
): void {
  builder.get(record);
  builder.get(budget);
  builder.get(record);
  builder.memory('i32.load', handlerField);
  builder.returnCallIndirect(handlerType, HANDLER_SIGNATURE);
}

function emitStop(builder: FunctionBuilder, exit: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  storeCurrentRecord(builder, record);
  leave(builder, budget, exit);
}

/** Asks the host, which may know that the breakpoint's condition is false; then the record goes on. */
function emitBreakpoint(builder: FunctionBuilder, passes: number, handlerType: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  builder.get(record);
  builder.get(budget);
  builder.call(passes, HANDLER_SIGNATURE);
  builder.when(() => emitStepOn(builder, handlerType));
  emitStop(builder, EXIT.breakpoint);
}

function emitFallThrough(builder: FunctionBuilder, lookup: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  builder.get(record);
  builder.memory('i64.load', RECORD.nextRip);
  builder.get(budget);
  builder.returnCall(lookup, LOOKUP_SIGNATURE);
}

function emitGoto(builder: FunctionBuilder, handlerType: number): void {
  const [record, budget] = builder.parameters as [Local, Local];
  const target = builder.local('i32');
  builder.get(record);
  builder.memory('i32.load', RECORD.link);
  builder.set(target);
  tailCall(builder, target, budget, RECORD.handler, handlerType);
}

function emitRaise(builder: FunctionBuilder): void {
  const [record, budget] = builder.parameters as [Local, Local];
  const put = (field: string, offset: number, load: string): void => {
    builder.i32(0);
    builder.get(record);
    builder.memory(load, RECORD.immediate + offset);
    builder.memory('i32.store', fieldOffset(field));
  };
  put('faultVector', 0, 'i32.load8_u');
  put('faultErrorCode', 1, 'i32.load16_u');
  put('faultHasErrorCode', 4, 'i32.load8_u');
  storeCurrentRecord(builder, record);
  leave(builder, budget, EXIT.fault);
}

function storeCurrentRecord(builder: FunctionBuilder, record: Local): void {
  builder.i32(0);
  builder.get(record);
  builder.memory('i32.store', fieldOffset('currentRecord'));
}

function leave(builder: FunctionBuilder, budget: Local, exit: number): void {
  builder.i32(0);
  builder.get(budget);
  builder.memory('i32.store', fieldOffset('budget'));
  builder.i32(exit);
  builder.return();
}

/**
 * (count, destination, source or value, element bytes, budget) → elements done. Only whole elements
 * within the pages that the TLB has, and only where the result is that of one after another.
 */
function emitStringRun(builder: FunctionBuilder, isMove: boolean): void {
  const [count, destination, source, size, budget] = builder.parameters as [
    Local,
    Local,
    Local,
    Local,
    Local,
  ];
  const to = builder.local('i32');
  const from = builder.local('i32');
  const bytes = builder.local('i32');
  const most = builder.local('i32');
  // most = min(count, max(budget, 0)) elements
  builder.get(budget);
  builder.i32(0);
  builder.emit('i32.le_s');
  builder.when(() => giveUp(builder));
  builder.get(budget);
  builder.get(count);
  builder.emit('i32.wrap_i64');
  builder.get(count);
  builder.get(budget);
  builder.emit('i64.extend_i32_u');
  builder.emit('i64.gt_u');
  builder.select('i32');
  builder.set(most);
  translate(builder, destination, size, most, to, TLB_WRITE_TABLE);
  if (isMove) {
    translate(builder, source, size, most, from, 0);
    giveUpIfOverlapping(builder, { to, from, most, size, bytes });
    for (const local of [to, from, bytes]) builder.get(local);
    builder.memoryCopy();
  } else {
    emitFill(builder, { to, value: source, most, size, bytes });
  }
  builder.get(most);
  builder.emit('i64.extend_i32_u');
}

function giveUp(builder: FunctionBuilder): void {
  builder.i64(0n);
  builder.return();
}

/** host = host address of `linear`; most = min(most, whole elements to the page's end). */
function translate(
  builder: FunctionBuilder,
  linear: Local,
  size: Local,
  most: Local,
  host: Local,
  table: number,
): void {
  const entry = builder.local('i32');
  const fit = builder.local('i32');
  builder.get(linear);
  builder.i64(8n);
  builder.emit('i64.shr_u');
  builder.emit('i32.wrap_i64');
  builder.i32((TLB_ENTRIES - 1) << 4);
  builder.emit('i32.and');
  builder.i32(0);
  builder.memory('i32.load', fieldOffset('tlbContext'));
  builder.emit('i32.add');
  builder.tee(entry);
  builder.memory('i64.load', TLB_BASE + table);
  builder.get(linear);
  builder.i64(PAGE_MASK);
  builder.emit('i64.and');
  builder.emit('i64.ne');
  builder.when(() => giveUp(builder));
  builder.get(linear);
  builder.emit('i32.wrap_i64');
  builder.get(entry);
  builder.memory('i32.load', TLB_BASE + table + 8);
  builder.emit('i32.add');
  builder.set(host);
  builder.i32(4096);
  builder.get(linear);
  builder.emit('i32.wrap_i64');
  builder.i32(4095);
  builder.emit('i32.and');
  builder.emit('i32.sub');
  builder.get(size);
  builder.emit('i32.div_u');
  builder.tee(fit);
  builder.get(most);
  builder.get(fit);
  builder.get(most);
  builder.emit('i32.lt_u');
  builder.select('i32');
  builder.tee(most);
  builder.emit('i32.eqz');
  builder.when(() => giveUp(builder));
}

interface RunLocals {
  readonly to: Local;
  readonly most: Local;
  readonly size: Local;
  readonly bytes: Local;
}

/** An upward move into its own source repeats bytes, which memory.copy does not. */
function giveUpIfOverlapping(builder: FunctionBuilder, run: RunLocals & { from: Local }): void {
  setBytes(builder, run);
  builder.get(run.to);
  builder.get(run.from);
  builder.emit('i32.sub');
  builder.i32(1);
  builder.emit('i32.sub');
  builder.get(run.bytes);
  builder.i32(1);
  builder.emit('i32.sub');
  builder.emit('i32.lt_u');
  builder.when(() => giveUp(builder));
}

function setBytes(builder: FunctionBuilder, { most, size, bytes }: RunLocals): void {
  builder.get(most);
  builder.get(size);
  builder.emit('i32.mul');
  builder.set(bytes);
}

/** memory.fill where all bytes of the element are equal, else element by element. */
function emitFill(builder: FunctionBuilder, run: RunLocals & { value: Local }): void {
  const spread = builder.local('i64');
  const end = builder.local('i32');
  setBytes(builder, run);
  // The value repeated to 64 bits: element sizes are 1, 2, 4 or 8.
  builder.get(run.value);
  builder.set(spread);
  for (const size of [1, 2, 4]) {
    builder.get(run.size);
    builder.i32(size);
    builder.emit('i32.le_u');
    builder.when(() => {
      builder.get(spread);
      builder.get(spread);
      builder.i64(BigInt(8 * size));
      builder.emit('i64.shl');
      builder.emit('i64.or');
      builder.set(spread);
    });
  }
  builder.get(spread);
  builder.get(spread);
  builder.i64(8n);
  builder.emit('i64.rotl');
  builder.emit('i64.eq');
  builder.when(
    () => {
      builder.get(run.to);
      builder.get(spread);
      builder.emit('i32.wrap_i64');
      builder.get(run.bytes);
      builder.memoryFill();
    },
    () => {
      builder.get(run.to);
      builder.get(run.bytes);
      builder.emit('i32.add');
      builder.set(end);
      builder.loop((label) => emitFillLoop(builder, run, spread, end, label));
    },
  );
}

function emitFillLoop(
  builder: FunctionBuilder,
  run: RunLocals,
  spread: Local,
  end: Local,
  label: { readonly depth: number },
): void {
  for (const [size, store] of [
    [2, 'i64.store16'],
    [4, 'i64.store32'],
    [8, 'i64.store'],
  ] as const) {
    builder.get(run.size);
    builder.i32(size);
    builder.emit('i32.eq');
    builder.when(() => {
      builder.get(run.to);
      builder.get(spread);
      builder.memory(store);
    });
  }
  builder.get(run.to);
  builder.get(run.size);
  builder.emit('i32.add');
  builder.tee(run.to);
  builder.get(end);
  builder.emit('i32.lt_u');
  builder.branchIf(label);
}
