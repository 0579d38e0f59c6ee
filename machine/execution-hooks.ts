/**
 * What happens when control reaches an address: a debugger's breakpoint stops, a hook only looks.
 * Both use the engine's breakpoints, which cost nothing elsewhere.
 */
import type { HookRun } from './time-travel/machine-state.ts';
import type { Engine } from './engine.ts';
import type { ExecutionHook, MachineView, StopPredicate } from './machine-interface.ts';

export class ExecutionHooks {
  private readonly engine: Engine;
  private readonly view: MachineView;
  private readonly breakpoints = new Map<bigint, StopPredicate | undefined>();
  private readonly hooks = new Map<bigint, Set<ExecutionHook>>();
  /** Where the guest's own DR0–DR3 want #DB before the instruction. */
  private guestBreakpoints = new Set<bigint>();
  /** Where the run loop decides whether anything is executed. */
  private heldPlaces: ReadonlySet<bigint> = new Set();
  /** Where the hooks ran last, and the icount then: the same call of them again is no other one. */
  private ranFor = -1n;
  private ranAt = -1n;
  /** The breakpoint, and the icount, at which a predicate was last asked; and what it said. */
  private asked: bigint | undefined;
  private askedAt = -1n;
  private answer = false;
  private isEnding = false;

  constructor(engine: Engine, view: MachineView) {
    this.engine = engine;
    this.view = view;
    engine.passBreakpointsIf((linear) => this.passes(linear));
  }

  addBreakpoint(linear: bigint, predicate?: StopPredicate): void {
    this.asked = undefined;
    this.breakpoints.set(linear, predicate);
    this.engine.addBreakpoint(linear);
  }

  removeBreakpoint(linear: bigint): void {
    this.breakpoints.delete(linear);
    this.releaseUnused(linear);
  }

  /** Result: takes the hook away again. */
  addHook(linear: bigint, hook: ExecutionHook): () => void {
    const hooks = this.hooks.get(linear) ?? new Set();
    this.hooks.set(linear, hooks.add(hook));
    this.engine.addBreakpoint(linear);
    return () => {
      hooks.delete(hook);
      if (hooks.size === 0) this.hooks.delete(linear);
      this.releaseUnused(linear);
    };
  }

  setGuestBreakpoints(addresses: readonly bigint[]): void {
    const old = this.guestBreakpoints;
    this.guestBreakpoints = new Set(addresses);
    this.exchange(old, this.guestBreakpoints);
  }

  setHeldPlaces(places: ReadonlySet<bigint>): void {
    const old = this.heldPlaces;
    this.heldPlaces = places;
    this.exchange(old, places);
  }

  private exchange(old: ReadonlySet<bigint>, present: ReadonlySet<bigint>): void {
    for (const linear of present) this.engine.addBreakpoint(linear);
    for (const linear of old) this.releaseUnused(linear);
  }

  /** Whether a breakpoint of the debugger's stands at an address and wants to stop now. */
  stopsAt(linear: bigint, view: MachineView): boolean {
    // Finding a bigint takes a while, and a tracepoint is asked hundreds of thousands of times a second.
    if (this.breakpoints.size === 0) return false;
    const predicate = this.breakpoints.get(linear);
    if (predicate === undefined) return this.breakpoints.has(linear);
    const { icount } = view;
    // A slice may end right here; the condition's commands are to run once all the same.
    if (this.asked === linear && this.askedAt === icount) return this.answer;
    this.asked = linear;
    this.askedAt = icount;
    return (this.answer = predicate(view));
  }

  isGuestBreakpoint(linear: bigint): boolean {
    return this.guestBreakpoints.has(linear);
  }

  /**
   * From generated code: hooks and a condition that is false need no way through the loop (a hook that
   * counts: 5 million times a second instead of 1.5); all else is decided there.
   */
  private passes(linear: bigint): boolean {
    if (this.guestBreakpoints.size > 0 && this.guestBreakpoints.has(linear)) return false;
    if (this.heldPlaces.has(linear)) return false;
    this.runHooks(linear, this.view);
    return !this.stopsAt(linear, this.view) && !this.isEnding;
  }

  /** From a hook or a predicate: the slice is to end at this place. */
  endSlice(): void {
    this.isEnding = true;
  }

  /** Whether it is to end; asked once, and at the beginning of a slice. */
  takeEnd(): boolean {
    const { isEnding } = this;
    this.isEnding = false;
    return isEnding;
  }

  /** Runs the hooks at an address, once for each time that control reaches it. */
  runHooks(linear: bigint, view: MachineView): void {
    const hooks = this.hooks.get(linear);
    if (hooks === undefined) return;
    const { icount } = view;
    if (this.ranAt === icount && this.ranFor === linear) return;
    this.ranAt = icount;
    this.ranFor = linear;
    for (const hook of hooks) hook(view);
  }

  /** Where the hooks ran last, for a machine that is saved there and goes on from there. */
  get lastRun(): HookRun {
    return { linear: this.ranFor, icount: this.ranAt };
  }

  set lastRun({ linear, icount }: HookRun) {
    this.ranFor = linear;
    this.ranAt = icount;
  }

  reset(): void {
    this.ranAt = -1n;
    this.asked = undefined;
  }

  private releaseUnused(linear: bigint): void {
    const isUsed = [this.breakpoints, this.hooks, this.guestBreakpoints, this.heldPlaces].some(
      (places) => places.has(linear),
    );
    if (!isUsed) this.engine.removeBreakpoint(linear);
  }
}
