/**
 * The compiled regions of all pages: makes records lead into them, drops them when their code
 * changes, and evicts the one not seen for longest when there are too many.
 */
import type { CodeCache } from '../translation/code-cache.ts';
import type { CodePage } from '../translation/code-page.ts';
import type { RecordArena } from '../translation/record.ts';
import type { ModuleHost } from '../translation/module-host.ts';
import { TABLE } from '../translation/runtime.ts';
import { compileRegion, type CompiledRegion } from './region-compiler.ts';
import type { RegionPlan } from './region-plan.ts';

/** Bytes of WebAssembly; machine code is about five times that. */
const CODE_LIMIT_BYTES = 8 << 20;

export interface Region extends CompiledRegion {
  readonly page: CodePage;
  readonly tableIndex: number;
  readonly instructionCount: number;
  /** How often time was seen to be spent in it, and the number of the sample that saw it last. */
  hits: number;
  seenAt: number;
}

export interface RegionCounts {
  compiled: number;
  evicted: number;
  dropped: number;
}

export class RegionCache {
  readonly counts: RegionCounts = { compiled: 0, evicted: 0, dropped: 0 };
  private readonly cache: CodeCache;
  private readonly arena: RecordArena;
  private readonly host: ModuleHost;
  private readonly regions = new Map<CodePage, Region[]>();
  private readonly free: number[] = [];
  private codeBytes = 0;

  constructor(cache: CodeCache, arena: RecordArena, host: ModuleHost) {
    this.cache = cache;
    this.arena = arena;
    this.host = host;
    for (let index = TABLE.regions - 1; index >= 0; index--) {
      this.free.push(TABLE.firstRegion + index);
    }
  }

  of(page: CodePage): readonly Region[] {
    return this.regions.get(page) ?? [];
  }

  all(): readonly Region[] {
    return [...this.regions.values()].flat();
  }

  get codeSizeBytes(): number {
    return this.codeBytes;
  }

  add(page: CodePage, plan: RegionPlan, sample: number): void {
    while (this.free.length === 0 || this.codeBytes > CODE_LIMIT_BYTES) this.evictOne();
    const tableIndex = this.free.pop()!;
    const compiled = compileRegion(plan, tableIndex, this.host);
    const { instructionCount } = plan;
    const region = { ...compiled, page, tableIndex, instructionCount, hits: 0, seenAt: sample };
    this.regions.set(page, [...this.of(page), region]);
    this.codeBytes += compiled.codeBytes;
    this.counts.compiled += 1;
    for (const { record, entry } of compiled.entries) {
      this.arena.setEntry(record, entry);
      this.cache.setHandler(record, tableIndex);
    }
  }

  /** Takes regions away; their records are executed one by one again. */
  release(regions: readonly Region[]): void {
    for (const region of regions) {
      this.retire(region);
      const others = this.of(region.page).filter((other) => other !== region);
      if (others.length === 0) this.regions.delete(region.page);
      else this.regions.set(region.page, others);
    }
  }

  /** Likewise when the page's records are gone. */
  drop(page: CodePage): void {
    for (const region of this.of(page)) this.discard(region);
    this.regions.delete(page);
  }

  clear(): void {
    for (const page of [...this.regions.keys()]) this.drop(page);
  }

  private evictOne(): void {
    const [oldest] = [...this.all()].sort((left, right) => left.seenAt - right.seenAt);
    if (oldest === undefined) throw new Error('no region can be evicted');
    this.release([oldest]);
    this.counts.evicted += 1;
  }

  private retire(region: Region): void {
    for (const { record } of region.entries) {
      this.cache.setHandler(record, this.arena.stepHandler(record));
    }
    this.discard(region);
  }

  private discard(region: Region): void {
    this.host.table.set(region.tableIndex, null);
    this.free.push(region.tableIndex);
    this.codeBytes -= region.codeBytes;
    this.counts.dropped += 1;
  }
}
