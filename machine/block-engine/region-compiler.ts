/** From a plan to a function in the table: shape, emit, compile. */
import type { ModuleHost } from '../translation/module-host.ts';
import { HANDLER_SIGNATURE, startHandlerModule } from '../translation/runtime.ts';
import { RegionEmitter } from './region-emitter.ts';
import type { RegionPlan } from './region-plan.ts';
import { shapeRegion } from './region-shape.ts';

/** An entry: the record that leads in, and the number it brings. */
export interface RegionEntry {
  readonly record: number;
  readonly entry: number;
}

export interface CompiledRegion {
  readonly entries: readonly RegionEntry[];
  /** Offsets in the page of its instructions. */
  readonly offsets: ReadonlySet<number>;
  readonly codeBytes: number;
}

/** The region's module, and where it is entered. */
export function emitRegion(
  plan: RegionPlan,
  tableIndex: number,
  memoryPages: number,
): { readonly bytes: Uint8Array; readonly entries: readonly RegionEntry[] } {
  const { module, imports } = startHandlerModule(memoryPages);
  const handlerType = module.type(HANDLER_SIGNATURE);
  const { builder } = module.function('region', HANDLER_SIGNATURE);
  const shape = shapeRegion(plan);
  new RegionEmitter({ builder, imports, shape, tableIndex, handlerType }).emit();
  const entries = shape.entries.map((entry) => ({
    entry,
    record: plan.blocks[entry]!.instructions[0]!.record,
  }));
  return { bytes: module.finish(), entries };
}

/** Compiles the region and puts it into the table; nothing leads there yet. */
export function compileRegion(
  plan: RegionPlan,
  tableIndex: number,
  host: ModuleHost,
): CompiledRegion {
  const { bytes, entries } = emitRegion(plan, tableIndex, host.memoryPages);
  host.table.set(tableIndex, host.instantiate(bytes)['region']);
  return {
    entries,
    offsets: new Set(plan.offsets),
    codeBytes: bytes.length,
  };
}
