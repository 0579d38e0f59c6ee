/**
 * The true registers of forks before a stub, when the user wants them: a breakpoint of our own at each
 * fork function of the guest's kernel, at which the stub stops, is asked for the registers, steps over it
 * and goes on. The debugger sees none of these stops; one of its own at the same place, a step that ends
 * there and a break-in meanwhile are its own as ever.
 *
 * Without, there is what the guest's ring holds, and what was true is not known.
 */
import type { ForkEntryPoint, KernelAwareness, RegisterValues } from '../awareness/awareness.ts';
import { ForkJournal, SIGHTED_REGISTERS, type Forks } from '../awareness/fork-journal.ts';
import type { Walk } from '../awareness/walk.ts';
import { RemoteError } from '../rsp/errno.ts';
import type { StopCause } from '../target/target.ts';
import type { ProxyRegisters } from './proxy-registers.ts';
import type { Upstream } from './upstream.ts';

export type UpstreamAction = 'continue' | 'step';

export interface ForkRecorderParts {
  readonly upstream: Upstream;
  readonly registers: ProxyRegisters;
  readonly walk: <Result>(walk: Walk<Result>) => Promise<Result>;
}

const LETTERS = { continue: 'c', step: 's' } as const;
/** `Z1` changes nothing in the guest's memory; not every stub has it. */
const KINDS = [1, 0];

export class ForkRecorder {
  private readonly parts: ForkRecorderParts;
  private readonly points: readonly ForkEntryPoint[];
  private readonly journal: ForkJournal | undefined;
  private isWanted: boolean;
  /** Our breakpoints in the stub: what follows `Z` and `z`, by address. */
  private inserted = new Map<bigint, string>();
  /** The breakpoint that is out while the CPU steps over it. */
  private steppedOver: string | undefined;
  private action: UpstreamAction = 'continue';
  private isBetweenStops = false;
  private hasBreakIn = false;

  /** `isWanted`: records as soon as the stub is there. */
  constructor(kernel: KernelAwareness | undefined, isWanted: boolean, parts: ForkRecorderParts) {
    this.parts = parts;
    this.isWanted = isWanted;
    this.points = kernel?.forkEntryPoints ?? [];
    this.journal = this.points.length > 0 && kernel ? new ForkJournal(kernel, false) : undefined;
  }

  get isRecording(): boolean {
    return this.inserted.size > 0;
  }

  /** With what the guest's ring has now; undefined: no kernel that is known. Only while halted. */
  async forks(): Promise<Forks | undefined> {
    if (this.journal !== undefined) await this.parts.walk(this.journal.readRecords());
    return this.journal;
  }

  /** Whether it is as wanted: a stub may refuse breakpoints. Only while halted. */
  async record(isWanted: boolean): Promise<boolean> {
    if (this.journal === undefined) return !isWanted;
    this.isWanted = isWanted;
    await this.removeAll();
    if (isWanted) await this.insert();
    if (this.inserted.size < this.points.length) await this.removeAll();
    await this.parts.walk(this.journal.watch(this.isRecording));
    return this.isRecording === isWanted;
  }

  /** A new machine is there, halted. */
  async connected(): Promise<void> {
    this.inserted.clear();
    this.steppedOver = undefined;
    this.isBetweenStops = false;
    this.journal?.clear();
    if (this.isWanted) await this.record(true);
  }

  /** Sets the stub's machine going: over our breakpoint, if it stands at one. */
  resume(action: UpstreamAction): void {
    this.action = action;
    this.hasBreakIn = false;
    if (this.isRecording) void this.leave().catch(ignoreLoss);
    else this.parts.upstream.resume(LETTERS[action]);
  }

  breakIn(): void {
    this.hasBreakIn = true;
    // What comes next is a stop in any case.
    if (!this.isBetweenStops) this.parts.upstream.breakIn();
  }

  /**
   * Looks at a stop of the stub: what it was for the debugger, `ours` when the machine is on its way
   * again.
   */
  async pass(cause: StopCause): Promise<StopCause | 'ours'> {
    if (!this.isRecording) return cause;
    this.isBetweenStops = true;
    try {
      const registers = await this.parts.registers.allOfCpu();
      const isOurs = await this.look(cause, registers);
      if (!isOurs) return cause;
      if (this.hasBreakIn) return { kind: 'interrupt' };
      await this.leave(registers);
      return 'ours';
    } finally {
      this.isBetweenStops = false;
    }
  }

  /** Whether the stop is one of ours alone, or the end of our own step. */
  private async look(cause: StopCause, registers: RegisterValues): Promise<boolean> {
    const wasStep = this.steppedOver !== undefined;
    if (wasStep) await this.parts.upstream.ask(`Z${this.steppedOver!}`);
    this.steppedOver = undefined;
    const point = this.points.find(({ address }) => address === registers.get('rip'));
    if (point !== undefined) await this.sight(point, registers);
    const isExpected = wasStep || point !== undefined;
    return isExpected && cause.kind === 'step' && this.action === 'continue';
  }

  private async sight({ kind }: ForkEntryPoint, all: RegisterValues): Promise<void> {
    const names = SIGHTED_REGISTERS.filter((name) => all.has(name));
    const registers = new Map(names.map((name) => [name, all.get(name)!] as const));
    if (this.journal !== undefined) await this.parts.walk(this.journal.sight({ kind, registers }));
  }

  private async leave(known?: RegisterValues): Promise<void> {
    const { upstream, registers } = this.parts;
    this.isBetweenStops = true;
    try {
      const rip = (known ?? (await registers.allOfCpu())).get('rip') ?? 0n;
      this.steppedOver = this.inserted.get(rip);
      if (this.steppedOver !== undefined) await upstream.ask(`z${this.steppedOver}`);
    } finally {
      this.isBetweenStops = false;
    }
    upstream.resume(LETTERS[this.steppedOver === undefined ? this.action : 'step']);
    if (this.hasBreakIn) upstream.breakIn();
  }

  private async removeAll(): Promise<void> {
    for (const key of this.inserted.values()) await this.parts.upstream.ask(`z${key}`);
    this.inserted.clear();
  }

  private async insert(): Promise<void> {
    for (const { address } of this.points) {
      for (const kind of KINDS) {
        const key = `${kind},${address.toString(16)},1`;
        if ((await this.parts.upstream.ask(`Z${key}`)) !== 'OK') continue;
        this.inserted.set(address, key);
        break;
      }
    }
  }
}

/** The new connection tells of a stop. */
function ignoreLoss(error: unknown): void {
  if (!(error instanceof RemoteError)) throw error;
}
