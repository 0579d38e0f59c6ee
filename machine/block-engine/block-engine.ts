/**
 * The block engine: the step engine, with regions in the place of single instructions where time is
 * spent. It looks every few thousand instructions where control is, counted and not timed, and
 * compiles what it has seen often. What the guest sees does not depend on what is compiled.
 */
import { PAGE_SIZE } from '../addresses.ts';
import type { Engine, EngineExit } from '../engine.ts';
import type { Hotness, JitReport } from '../machine-interface.ts';
import type { CpuState } from '../state/fields.ts';
import type { CodeLocation } from '../translation/code-cache.ts';
import type { CodePage } from '../translation/code-page.ts';
import type { RecordEngine } from '../translation/record-engine.ts';
import { ControlFlow } from './control-flow.ts';
import { instructionLimit, planRegion, type PlanParts, type RegionPlan } from './region-plan.ts';
import { RegionCache, type Region } from './region-cache.ts';

/**
 * At full speed so many instructions take some 30 µs. A prime: the samples of a loop whose length divided
 * the interval would all see the same instruction of it, and never the part that is not compiled yet.
 */
const DEFAULT_HOTNESS: Hotness = { sampleInstructions: 16381, firstThreshold: 3 };

/** In units of that, when all that is seen is compiled. */
const LONGEST_INTERVAL = 16;

export interface BlockEngineOptions {
  readonly hotness?: Hotness | undefined;
  /** Milliseconds, for the report only. */
  readonly clock?: (() => number) | undefined;
}

/** What is known of where time goes on a page. */
interface Heat {
  /** Offset → how often it was seen. */
  readonly seen: Map<number, number>;
  mode: CodeLocation['mode'];
  /** Samples in uncompiled code since it was last compiled, and how many are enough. */
  waiting: number;
  threshold: number;
  /** The number of the first of those samples. */
  since: number;
}

export class BlockEngine implements Engine {
  private readonly step: RecordEngine;
  private readonly state: CpuState;
  private readonly clock: (() => number) | undefined;
  private readonly hotness: Hotness;
  private readonly regions: RegionCache;
  private readonly flows = new ControlFlow();
  private readonly heats = new Map<CodePage, Heat>();
  private untilSample: number;
  private interval: number;
  private samples = 0;
  private compileMs = 0;
  private longestCompileMs = 0;

  constructor(step: RecordEngine, state: CpuState, options: BlockEngineOptions = {}) {
    this.step = step;
    this.state = state;
    this.clock = options.clock;
    this.hotness = options.hotness ?? DEFAULT_HOTNESS;
    this.interval = this.hotness.sampleInstructions;
    this.untilSample = this.interval;
    this.regions = new RegionCache(step.cache, step.arena, step.modules);
    step.cache.listen({
      dropped: (page) => {
        this.regions.drop(page);
        this.heats.delete(page);
      },
      stopAdded: (page) => this.compileAgain(page),
      cleared: () => {
        this.regions.clear();
        this.heats.clear();
      },
    });
  }

  run(budget: number, passBreakpoint: boolean): EngineExit {
    let left = budget;
    let pass = passBreakpoint;
    for (;;) {
      const before = this.state.icount;
      const exit = this.step.run(Math.min(left, this.untilSample), pass);
      const done = Number(this.state.icount - before);
      left -= done;
      this.untilSample -= done;
      if (this.untilSample <= 0) this.sample();
      if (exit.kind !== 'budget' || left <= 0) return exit;
      pass = false;
    }
  }

  exactIcount(): bigint {
    return this.step.exactIcount();
  }

  addBreakpoint(linear: bigint): void {
    this.step.addBreakpoint(linear);
  }

  passBreakpointsIf(passes: (linear: bigint) => boolean): void {
    this.step.passBreakpointsIf(passes);
  }

  removeBreakpoint(linear: bigint): void {
    this.step.removeBreakpoint(linear);
  }

  forgetCode(): void {
    this.step.forgetCode();
  }

  report(): JitReport {
    const { counts } = this.regions;
    const isTimed = this.clock !== undefined;
    return {
      ...counts,
      regions: this.regions.all().map(describeRegion),
      codeBytes: this.regions.codeSizeBytes,
      samples: this.samples,
      compileMs: isTimed ? this.compileMs : undefined,
      longestCompileMs: isTimed ? this.longestCompileMs : undefined,
    };
  }

  private sample(): void {
    this.samples += 1;
    // As long as all is compiled one need not look so often.
    const { sampleInstructions } = this.hotness;
    const isCompiled = this.isInRegion();
    this.interval = isCompiled
      ? Math.min(this.interval * 2, sampleInstructions * LONGEST_INTERVAL)
      : sampleInstructions;
    this.untilSample = this.interval;
  }

  /** Notes where control is; false if that is worth another look soon. */
  private isInRegion(): boolean {
    const location = this.step.location();
    if (location === undefined) return false;
    const page = this.step.cache.pageAt(location);
    const offset = Number(location.linear % BigInt(PAGE_SIZE));
    if (page === undefined || !page.records.has(offset)) return false;
    const region = this.regions.of(page).find(({ offsets }) => offsets.has(offset));
    if (region !== undefined) {
      region.hits += 1;
      region.seenAt = this.samples;
      return true;
    }
    this.heat(page, location, offset);
    return false;
  }

  private heat(page: CodePage, { mode }: CodeLocation, offset: number): void {
    const heat = this.heats.get(page) ?? {
      seen: new Map<number, number>(),
      mode,
      waiting: 0,
      since: 0,
      threshold: this.hotness.firstThreshold,
    };
    this.heats.set(page, heat);
    heat.seen.set(offset, (heat.seen.get(offset) ?? 0) + 1);
    if (heat.waiting === 0) heat.since = this.samples;
    heat.waiting += 1;
    if (heat.waiting < heat.threshold) return;
    heat.waiting = 0;
    heat.threshold *= 2;
    this.timed(() => this.compile(page, heat));
  }

  /**
   * Compiles what is new. Where it runs into regions that there are, or takes turns with them, all
   * becomes one, if that is not too much; regions apart from it stay as they are.
   */
  private compile(page: CodePage, heat: Heat): void {
    const seeds = [...heat.seen].sort((left, right) => right[1] - left[1]).map(([at]) => at);
    const regions = this.regions.of(page);
    const covered = offsetsOf(regions);
    const newSeeds = seeds.filter((seed) => !covered.has(seed));
    const plan = this.planner(page, heat);
    const fresh = plan(newSeeds, new Set());
    if (fresh === undefined) return;
    const met = regions.filter(
      ({ offsets, seenAt }) => seenAt > heat.since || fresh.offsets.some((at) => offsets.has(at)),
    );
    if (met.length === 0) {
      this.regions.add(page, fresh, this.samples);
      return;
    }
    const apart = offsetsOf(regions.filter((region) => !met.includes(region)));
    const wanted = seeds.filter((seed) => !apart.has(seed));
    const whole = plan(wanted, apart);
    if (whole !== undefined && wanted.every((seed) => whole.offsets.includes(seed))) {
      this.regions.release(met);
      this.regions.add(page, whole, this.samples);
      return;
    }
    const rest = plan(newSeeds, covered);
    if (rest !== undefined) this.regions.add(page, rest, this.samples);
  }

  /** Plans regions of a page from seeds, without the offsets that are excluded. */
  private planner(
    page: CodePage,
    { mode }: Heat,
  ): (seeds: readonly number[], excluded: ReadonlySet<number>) => RegionPlan | undefined {
    const { cache, arena } = this.step;
    const base = page.linearPage * BigInt(PAGE_SIZE);
    const parts: Omit<PlanParts, 'seeds' | 'excluded'> = {
      page,
      bytes: cache.bytesOf(page),
      mode,
      arena,
      flows: this.flows,
      isStop: (offset) => cache.hasBeenStoppedAt(base + BigInt(offset)),
      known: new Map(),
      instructionLimit: instructionLimit(this.regions.counts.compiled),
    };
    return (seeds, excluded) => planRegion({ ...parts, seeds, excluded });
  }

  /** The page's regions do not look for a breakpoint that is new: others are made soon. */
  private compileAgain(page: CodePage): void {
    const regions = this.regions.of(page);
    if (regions.length === 0) return;
    this.regions.release(regions);
    const heat = this.heats.get(page);
    if (heat !== undefined) heat.threshold = Math.min(heat.threshold, 1);
  }

  private timed(work: () => void): void {
    const started = this.clock?.() ?? 0;
    work();
    const took = (this.clock?.() ?? 0) - started;
    this.compileMs += took;
    this.longestCompileMs = Math.max(this.longestCompileMs, took);
  }
}

function offsetsOf(regions: readonly Region[]): ReadonlySet<number> {
  return new Set(regions.flatMap(({ offsets }) => [...offsets]));
}

function describeRegion(region: Region): JitReport['regions'][number] {
  return {
    linear: region.page.linearPage << 12n,
    physical: BigInt(region.page.physicalPage) << 12n,
    instructions: region.instructionCount,
    entries: region.entries.length,
    codeBytes: region.codeBytes,
    hits: region.hits,
  };
}
