/**
 * What all WebAssembly modules of a machine share: signatures, exit codes, imports.
 */
import { HOST_SIGNATURE, SLOW_ACCESS_SIGNATURE, STRING_RUN_SIGNATURE } from '../codegen/emitter.ts';
import type { RuntimeImports } from '../codegen/binding.ts';
import type { Signature } from '../wasm/function-builder.ts';
import { ModuleBuilder } from '../wasm/module-builder.ts';

/** A handler: (record, budget) → exit code. */
export const HANDLER_SIGNATURE: Signature = { parameters: ['i32', 'i32'], results: ['i32'] };
/** (rip, budget) → exit code: goes on at rip, by the jump cache if it can. */
export const LOOKUP_SIGNATURE: Signature = { parameters: ['i64', 'i32'], results: ['i32'] };

/** Why generated code came back; state.budget and state.currentRecord or state.rip are set. */
export const EXIT = {
  /** The budget is used up; currentRecord is the next record. */
  budget: 0,
  /** currentRecord faulted. */
  fault: 1,
  /** state.rip is where to go on; it is not in the jump cache. */
  lookup: 2,
  /** state.rip is where to go on; mode, map or budget may have changed. */
  transfer: 3,
  /** currentRecord stands on a breakpoint. */
  breakpoint: 4,
  /** currentRecord is not valid any more. */
  invalid: 5,
} as const;

/** The functions that generated code imports from the host. */
export interface HostFunctions {
  slowRead(linearLow: number, linearHigh: number, sizeAndFlags: number): number;
  slowWrite(linearLow: number, linearHigh: number, sizeAndFlags: number): number;
  host(operation: number, record: number, budget: number): number;
}

export interface HandlerImports extends RuntimeImports {
  readonly lookup: number;
  /** Executes the record's own instruction and goes on, if the budget is not used up. */
  readonly stepOn: number;
  /** Goes on at a record; the budget is not used up. */
  readonly enter: number;
  /** The record's instruction has faulted, in 64-bit code. */
  readonly deliver: number;
}

/** Starts a module whose functions can call everything that handlers need. */
export function startHandlerModule(memoryPages: number): {
  module: ModuleBuilder;
  imports: HandlerImports;
} {
  const module = new ModuleBuilder({ memoryPages });
  const imports = {
    slowRead: module.import('slowRead', SLOW_ACCESS_SIGNATURE),
    slowWrite: module.import('slowWrite', SLOW_ACCESS_SIGNATURE),
    host: module.import('host', HOST_SIGNATURE),
    moveRun: module.import('moveRun', STRING_RUN_SIGNATURE),
    fillRun: module.import('fillRun', STRING_RUN_SIGNATURE),
    lookup: module.import('lookup', LOOKUP_SIGNATURE),
    stepOn: module.import('stepOn', HANDLER_SIGNATURE),
    enter: module.import('enter', HANDLER_SIGNATURE),
    deliver: module.import('deliver', HANDLER_SIGNATURE),
  };
  return { module, imports };
}

/** The functions at the table's beginning: pseudo-records' handlers, then regions. */
export const TABLE = { firstRegion: 16, regions: 1008, firstHandler: 1024 } as const;
