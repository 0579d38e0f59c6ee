/**
 * A debugger that goes to and fro in time as a seed says, on the server's target, and looks each time
 * whether it is where a timeline says that it must be.
 */
import { setImmediate } from 'node:timers/promises';
import { expect } from 'vitest';
import { Machine, RecordedMachine, type MachineOptions } from '../../machine/index.ts';
import { positionOf } from '../../machine/time-travel/position.ts';
import { REGISTERS } from '../../server/target/register-table.ts';
import { MachineTarget } from '../../server/target/machine-target.ts';
import type { Breakpoint, ReverseAction, TargetStop } from '../../server/target/target.ts';
import { Random } from '../machine/block-engine/random-program.ts';
import { spotOf, textOf, type Spot } from './spot.ts';
import { Timeline, type Meeting, type Move, type Stops, type Watch } from './timeline.ts';

const OWNER = {};
/** Turns of the event loop: a search pauses every 200000 instructions. */
const PATIENCE_TURNS = 5000;
const WATCH_KINDS = { 2: 'write', 3: 'read', 4: 'access' } as const;
const WRITTEN_REGISTERS = ['rax', 'rcx', 'rsi', 'rdi', 'r8', 'r15'] as const;

/** What can be done; each is named in the report of a failure. */
const ACTIONS = [
  'step', 'step', 'step', 'continue', 'continue', 'continue', 'reverse-step', 'reverse-step', 'reverse-step', 'reverse-step',
  'reverse-continue', 'reverse-continue', 'reverse-continue', 'stop', 'stop', 'stop', 'unstop', 'poke', 'set', 'type',
  'type', 'doze', 'keep', 'save', 'load', 'reset',
] as const; // prettier-ignore
type Action = (typeof ACTIONS)[number];

export interface Journey {
  /** With what a state to begin from adds. */
  readonly options: MachineOptions;
  readonly seed: number;
  /** What the guest looks at, for breakpoints, watchpoints and writes. */
  readonly addresses: readonly bigint[];
}

export class TimeTraveller {
  /** The last of what was done, for the report of a failure. */
  readonly done: string[] = [];
  readonly #machine: RecordedMachine;
  readonly #target: MachineTarget;
  readonly #shadow: Machine;
  readonly #random: Random;
  readonly #addresses: readonly bigint[];
  readonly #stops: Breakpoint[] = [];
  #timeline: Timeline;
  /** The spot of the timeline at which the machine stands. */
  #at = 0;
  #saved: { readonly text: string } | undefined;
  #stop: TargetStop | undefined;
  #clockMs = 0;
  /** The machine has come from a state: its past begins with its first run, not before. */
  #isFresh = true;

  constructor({ options, seed, addresses }: Journey) {
    this.#random = new Random(seed);
    this.#addresses = addresses;
    this.#machine = new RecordedMachine(options);
    this.#shadow = new Machine({ ...options, engine: 'step' });
    this.#timeline = new Timeline(this.#shadow);
    this.#target = new MachineTarget({
      machine: this.#machine,
      recording: { machine: this.#machine, makeReplica: () => new Machine(options) },
      image: options.image,
      imageName: options.imageName,
      // A second passes with each look: slices are short, and no idle guest is waited for.
      now: () => (this.#clockMs += 1000),
    });
    this.#target.onStop((stop) => (this.#stop = stop));
  }

  dispose(): void {
    this.#target.dispose();
  }

  async act(): Promise<void> {
    const action = this.#random.pick(ACTIONS);
    this.done.push(action);
    await this.#actions[action]();
  }

  /** Going forward again as far as it went ends as it ended. */
  async returnToThePresent(): Promise<void> {
    this.#clearStops();
    const { end, spots } = this.#timeline;
    const text = this.#timeline.textAt(end);
    for (let turn = 0; turn < PATIENCE_TURNS && this.#at < end; turn++) {
      if (this.#machine.icount === spots[end]!.icount) await this.#step();
      else this.#run(Number(spots[end]!.icount - this.#machine.icount));
    }
    if (this.#at === end) expect(this.#text()).toBe(text);
  }

  readonly #actions: Readonly<Record<Action, () => void | Promise<void>>> = {
    step: () => this.#steps(),
    continue: () => this.#continue(),
    'reverse-step': () => this.#stepsBack(),
    'reverse-continue': () => this.#continueBack(),
    stop: () => this.#insertStop(),
    unstop: () => {
      const stop = this.#stops[this.#random.below(Math.max(1, this.#stops.length))];
      if (stop !== undefined) this.#removeStop(stop);
    },
    poke: () => this.#poke(),
    set: () => this.#set(),
    type: () => this.#type(),
    doze: () => this.#doze(),
    keep: () => this.#keep(),
    save: () => this.#save(),
    load: () => this.#load(),
    reset: () => this.#reset(),
  };

  async #steps(): Promise<void> {
    for (let count = 1 + this.#random.below(4); count > 0; count--) await this.#step();
  }

  async #step(): Promise<void> {
    const canMask = !this.#machine.isHalted();
    this.#stop = undefined;
    const thread = this.#target.currentThread();
    this.#target.resume([{ threads: thread, action: { kind: 'step' } }]);
    await this.#settle(2);
    this.#arrive(canMask);
  }

  async #continue(): Promise<void> {
    const from = this.#at;
    this.#stop = undefined;
    this.#target.resume([{ threads: 'all', action: { kind: 'continue' } }]);
    await this.#settle(this.#random.below(3));
    this.#arrive(false);
    this.#expectNothingMissed(from);
  }

  /** As the pump does, but for so many instructions. */
  #run(budget: number): void {
    const stop = this.#machine.run({ budget, passBreakpoint: true });
    if (stop.kind === 'idle') this.#machine.skipIdle(stop.ticks ?? 0n);
    this.#arrive(false);
  }

  async #stepsBack(): Promise<void> {
    for (let count = 1 + this.#random.below(3); count > 0; count--) await this.#stepBack();
  }

  async #stepBack(): Promise<void> {
    const timeline = this.#timeline;
    const steps = timeline.stepsBefore(this.#at);
    const { place } = timeline.spots[steps.at(-1) ?? this.#at]!;
    const isFirst = timeline.spots[this.#at]!.place === place;
    const stop = await this.#goBack('step');
    if (isFirst) {
      this.#expectCause(stop, 'history-begin');
      this.#expectAt([this.#at]);
      return;
    }
    this.#expectCause(stop, 'step');
    this.#expectAt(steps.flatMap((one) => timeline.sameAs(one)));
  }

  /** The last of the earlier meetings, or a later one that is in doubt. */
  async #continueBack(): Promise<void> {
    const meetings = this.#timeline.meetings(this.#stopsNow(), 0, this.#at);
    const last = meetings.filter(({ isDoubtful }) => !isDoubtful).at(-1);
    const possible = meetings.filter(({ told }) => told >= (last?.told ?? 0));
    const stop = await this.#goBack('continue');
    const cause = stop?.kind === 'stopped' ? stop.cause.kind : 'none';
    this.done.push(`(${cause})`);
    if (cause === 'history-begin') {
      expect(last, 'a stop that was not found').toBeUndefined();
      this.#expectCause(stop, cause);
      this.#expectAt([0]);
      return;
    }
    const places = possible.filter(({ kind }) => kind === cause).map(({ landing }) => landing);
    this.#expectAt(places.toReversed().flatMap((landing) => this.#timeline.sameAs(landing)));
  }

  async #goBack(action: ReverseAction): Promise<TargetStop | undefined> {
    this.#stop = undefined;
    this.#target.reverse!.resume(action);
    await this.#settle(PATIENCE_TURNS);
    return this.#stop;
  }

  #insertStop(): void {
    const kind = this.#random.pick([0, 0, 1, 2, 3, 4] as const);
    const isBreakpoint = kind < 2;
    const address = isBreakpoint ? this.#codeAddress() : this.#dataAddress();
    const lengthBytes = isBreakpoint ? 1 : this.#random.pick([1, 4, 8, 64]);
    const stop: Breakpoint = { kind, address: canonical(address), lengthBytes, process: 1 };
    this.done.push(`${kind}:${stop.address.toString(16)},${lengthBytes}`);
    this.#target.breakpoints.insert(OWNER, stop);
    this.#stops.push(stop);
  }

  #removeStop(stop: Breakpoint): void {
    this.#target.breakpoints.remove(OWNER, stop);
    const isOther = ({ kind, address, lengthBytes }: Breakpoint): boolean =>
      kind !== stop.kind || address !== stop.address || lengthBytes !== stop.lengthBytes;
    this.#stops.splice(0, this.#stops.length, ...this.#stops.filter(isOther));
  }

  #clearStops(): void {
    for (const stop of [...this.#stops]) this.#removeStop(stop);
  }

  #poke(): void {
    const address = this.#random.below(4) === 0 ? this.#codeAddress() : this.#dataAddress();
    const bytes = Uint8Array.from({ length: 1 + this.#random.below(8) }, () =>
      this.#random.below(256),
    );
    this.#target.memory.write(this.#target.currentThread(), address, bytes);
    this.#wrote((machine) => machine.writeLinear(address, bytes));
  }

  #set(): void {
    const isJump = this.#random.below(6) === 0;
    const name = isJump ? 'rip' : this.#random.pick(WRITTEN_REGISTERS);
    const value = isJump ? this.#codeAddress() : this.#dataAddress();
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    const { number } = REGISTERS.find((register) => register.name === name)!;
    this.#target.registers.write(this.#target.currentThread(), number, bytes);
    this.#wrote((machine) => machine.writeRegister(name, value));
  }

  #wrote(write: (machine: Machine) => void): void {
    this.#interfere({ kind: 'write', write });
  }

  /** Something else happens now than happened then. */
  #interfere(move: Move): void {
    this.#cutToHere();
    this.#timeline.add(move);
    if (this.#isFresh) this.#timeline = new Timeline(this.#shadow);
    else this.#add();
  }

  #type(): void {
    if (this.#timeline.isFaultingAgain(this.#at)) return;
    const bytes = Uint8Array.from({ length: 1 + this.#random.below(3) }, () =>
      this.#random.pick([0x61, 0x0d, 0x71]),
    );
    this.#target.enterSerialInput(bytes);
    this.#interfere({ kind: 'serial', bytes });
  }

  /** Only some of the time that a halted guest waits passes before somebody comes. */
  #doze(): void {
    const stop = this.#machine.run({ budget: 300, passBreakpoint: true });
    if (stop.kind === 'idle') this.#machine.skipIdle((stop.ticks ?? 3000n) / 3n);
    this.#arrive(false);
  }

  /** What the machine does by itself every so many million instructions. */
  #keep(): void {
    const { present, history } = this.#machine;
    const hasRun = this.#timeline.moves[this.#at - 1]?.kind === 'step';
    if (present !== undefined && hasRun) {
      history.checkpoint(positionOf(this.#machine), this.#machine.saveBeside(history.latestState));
    }
  }

  #save(): void {
    this.#monitor('snapshot save then');
    this.#saved = { text: this.#text() };
  }

  #load(): void {
    if (this.#saved === undefined) return;
    this.#monitor('snapshot load then');
    expect(this.#text() === this.#saved.text, 'the snapshot is another state').toBe(true);
    this.#beginAnew(() => this.#shadow.restore(this.#machine.save()));
    this.#isFresh = true;
  }

  #reset(): void {
    if (this.#random.below(4) !== 0) return;
    this.#target.restart();
    this.#beginAnew(() => this.#shadow.reset());
    expect(this.#text() === this.#timeline.textAt(0), 'a reset is another state').toBe(true);
  }

  #beginAnew(put: () => void): void {
    put();
    this.#timeline = new Timeline(this.#shadow);
    this.#at = 0;
    this.#isFresh = false;
  }

  #monitor(commandLine: string): void {
    const thread = this.#target.currentThread();
    const output = (): void => undefined;
    const result = this.#target.monitor.run({ commandLine, access: 'control', thread, output });
    expect(result.failure).toBeUndefined();
  }

  /** Until the target halts; one that runs is halted after so many turns of the event loop. */
  async #settle(turns: number): Promise<void> {
    for (let turn = 0; this.#target.state().kind === 'running'; turn++) {
      if (turn >= turns) this.#target.interrupt();
      else await setImmediate();
    }
  }

  /** The machine has gone forward: where it has been before, or to what nobody has seen. */
  #arrive(canMask: boolean): void {
    this.#isFresh = false;
    const [spot, text] = [spotOf(this.#machine), this.#text()];
    if (this.#hasBooted(spot)) return;
    const timeline = this.#timeline;
    const known = timeline.find(spot, text, this.#at);
    if (known !== undefined) {
      this.#at = known;
      return;
    }
    const end = timeline.spots[timeline.end]!;
    expect(spot.icount >= end.icount, this.#lost(spot, 'a state that was not there')).toBe(true);
    if (!this.#extend(spot, text, canMask)) this.#fail(spot, text);
    this.#add();
  }

  /** The guest asked for a reset, and the target has booted it again. */
  #hasBooted(spot: Spot): boolean {
    const cause = this.#stop?.kind === 'stopped' ? this.#stop.cause.kind : undefined;
    if (spot.icount !== 0n || cause !== 'reset') return false;
    this.#beginAnew(() => this.#shadow.reset());
    return true;
  }

  /** Where the last instruction and input of the past are behind it, a machine goes on as it likes. */
  #extend(spot: Spot, text: string, canMask: boolean): boolean {
    const timeline = this.#timeline;
    const { watches } = this.#stopsNow();
    const isPast = timeline.spots[timeline.end]!.icount > timeline.spots[this.#at]!.icount;
    const from = isPast ? timeline.end : timeline.afterInputs(this.#at);
    timeline.truncate(from);
    if (canMask) {
      timeline.add({ kind: 'step', isMasked: true, watches });
      const isThere = timeline.spots[timeline.end]!.key === spot.key;
      if (isThere && timeline.textAt(timeline.end) === text) return true;
      timeline.truncate(from);
    }
    return timeline.extendTo(spot, text, watches);
  }

  #cutToHere(): void {
    if (this.#at < this.#timeline.end) this.#timeline.truncate(this.#at);
  }

  #fail(spot: Spot, text: string): never {
    const own = this.#timeline.textAt(this.#timeline.end);
    throw new Error(this.#lost(spot, `another state (${differences(text, own).join(', ')})`));
  }

  #add(): void {
    this.#at = this.#timeline.end;
    this.#timeline.keepState();
  }

  /** The machine has been taken back: to one of these spots, and what lies behind a write is gone. */
  #expectAt(indices: readonly number[]): void {
    const [spot, text] = [spotOf(this.#machine), this.#text()];
    const timeline = this.#timeline;
    const at = indices.find((index) => {
      return timeline.spots[index]!.place === spot.place && timeline.textAt(index) === text;
    });
    if (at === undefined) {
      const [index] = indices;
      const some = indices.length > 5 ? `${indices.slice(0, 5).join(' ')} …` : indices.join(' ');
      const lines = index === undefined ? [] : differences(text, timeline.textAt(index));
      throw new Error(this.#lost(spot, `not one of ${some} (${lines.join(', ')})`));
    }
    this.#at = at;
    const end = timeline.endOfSegment(at);
    if (end < timeline.end) timeline.truncate(end);
  }

  #expectCause(stop: TargetStop | undefined, kind: string): void {
    const told = JSON.stringify(stop, (_, value: unknown) =>
      typeof value === 'bigint' ? `${value}` : value,
    );
    expect(stop, told).toMatchObject({ kind: 'stopped', cause: { kind } });
    expect(stop, told).not.toHaveProperty('message');
  }

  #expectNothingMissed(from: number): void {
    const meetings = this.#timeline.meetings(this.#stopsNow(), from, this.#at);
    const first = this.#timeline.moves.findIndex((move, at) => at >= from && move.kind === 'step');
    const isMissed = ({ kind, told, isDoubtful }: Meeting): boolean =>
      !isDoubtful && told < this.#at && (kind === 'watchpoint' || told > first);
    expect(meetings.filter(isMissed), 'stops that were run past').toEqual([]);
  }

  #stopsNow(): Stops {
    const breakpoints = this.#stops.filter(({ kind }) => kind < 2).map(({ address }) => address);
    const watches = this.#stops.flatMap(({ kind, address, lengthBytes }): Watch[] => {
      return kind < 2 ? [] : [[address, lengthBytes, WATCH_KINDS[kind as 2 | 3 | 4]]];
    });
    return { breakpoints: new Set(breakpoints), watches };
  }

  /** Where the guest has been, more likely than not. */
  #codeAddress(): bigint {
    return this.#random.below(5) === 0
      ? this.#random.pick(this.#addresses)
      : this.#random.pick(this.#timeline.spots).linear;
  }

  #dataAddress(): bigint {
    if (this.#random.below(2) === 0) return this.#random.pick(this.#addresses);
    return this.#random.pick(this.#timeline.spots).rsp - BigInt(8 * this.#random.below(6));
  }

  #text(): string {
    return textOf(this.#machine);
  }

  #lost(spot: Spot, what: string): string {
    return `${what} at ${spot.key}, from ${this.#at} of ${this.#timeline.end}: ${this.done.join(' ')}`;
  }
}

/** The first lines of two states that are not the same. */
function differences(one: string, other: string): readonly string[] {
  const others = other.split('\n');
  const pairs = one.split('\n').map((line, index) => `${line.trim()} not ${others[index]?.trim()}`);
  return pairs.filter((pair) => !/^(.*) not \1$/.test(pair)).slice(0, 8);
}

/** Where a breakpoint may be inserted. */
function canonical(address: bigint): bigint {
  return BigInt.asUintN(64, BigInt.asIntN(48, address));
}
