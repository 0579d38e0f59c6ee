/**
 * Tracepoints over the machine: who may collect when, and what has come of it. The places are the
 * machine's execution hooks, so a trace runs inside the slice and changes nothing of the guest; a run
 * ends inside a hook only by a flag, and its hooks leave when the slice is over.
 *
 * Until a debugger starts a trace the server runs one of its own. That one is told as stopped: gdb looks
 * at no frame of a trace that runs, and asks before each detach whether it is to go on. A debugger sees
 * it only while the machine is halted, when nothing is collected indeed.
 */
import type { MachineControl, MachineView } from '../../../machine/index.ts';
import { AgentError } from '../../agent/agent-error.ts';
import { ERRNO, RemoteError } from '../../rsp/errno.ts';
import type { MachineAgent } from '../machine-agent.ts';
import type { MachineBreakpoints } from '../machine-breakpoints.ts';
import type { RegisterSet } from '../register-set.ts';
import type {
  TargetTracepoints,
  TraceAction,
  TraceFrame,
  TraceFrameQuery,
  TracepointDefinition,
  TracepointDescription,
  TracepointPlace,
  TracepointSource,
  TraceSettings,
  TraceStatus,
  TraceStop,
  TraceVariable,
} from '../target.ts';
import { BufferFull, type Collect, Collector } from './collector.ts';
import { KeptFrame } from './kept-frame.ts';
import { FRAME, TraceBuffer, type SavedFrames } from './trace-buffer.ts';
import { TraceFile } from './trace-file.ts';
import { Tracepoint } from './tracepoint.ts';

const DEFAULT_BUFFER_BYTES = 64 << 20;
const MOST_BUFFER_BYTES = 1 << 30;
const MOST_TRACEPOINTS = 1000;
const MOST_VARIABLES = 1000;
const MOST_REGIONS = 1000;
const LONGEST_NOTE = 4096;
/** gdb prints it behind "Trace stopped by a tstop command". */
const OWN_NOTE = 'the machine is halted: its forks are traced whenever it runs';
const NANOSECONDS_PER_MICROSECOND = 1000n;

export interface TracingParts {
  readonly machine: MachineView & MachineControl;
  readonly agent: MachineAgent;
  /** What gdb's numbers of registers are. */
  readonly set: RegisterSet;
  readonly breakpoints: Pick<MachineBreakpoints, 'setTakeover'>;
  /** The trace that the server runs from the start, if any. */
  readonly own: TracepointDescription | undefined;
  /** The machine goes again where it has been: its frames are there. */
  readonly isRepeating?: () => boolean;
  /** What the kernel does not write to: frames show it without having collected it. */
  readonly readOnly: readonly Region[];
}

const TOO_MUCH = new AgentError('the tracepoints of one place take too long');

interface Stepping {
  readonly tracepoint: Tracepoint;
  left: number;
}

export interface Region {
  readonly start: bigint;
  readonly end: bigint;
}

export class MachineTracepoints implements TargetTracepoints {
  readonly #parts: TracingParts;
  readonly #machine: MachineView & MachineControl;
  readonly #agent: MachineAgent;
  readonly #buffer = new TraceBuffer(DEFAULT_BUFFER_BYTES);
  readonly #file: TraceFile;
  readonly #collector: Collector;
  readonly #tracepoints = new Map<string, Tracepoint>();
  readonly #variables = new Map<number, TraceVariable>();
  #regions: readonly Region[] = [];
  #state: TraceStop | 'running' = { kind: 'never run' };
  /** Takes the hooks of a place out of the machine again. */
  readonly #hooks = new Map<Tracepoint, () => void>();
  #stepping: Stepping | undefined;
  /** The run is the server's own. */
  #isOwn = false;
  #settings = {
    isCircular: false,
    bufferBytes: DEFAULT_BUFFER_BYTES,
    isDisconnected: false,
    user: '',
    notes: '',
    stopNote: '',
  };
  #startedAt: bigint | undefined;
  #stoppedAt: bigint | undefined;

  constructor(parts: TracingParts) {
    const { machine, agent, set } = parts;
    this.#parts = parts;
    this.#file = new TraceFile(this.#buffer, set);
    this.#machine = machine;
    this.#agent = agent;
    this.#collector = new Collector({
      machine,
      set,
      buffer: this.#buffer,
      environment: agent,
      guestPid: () => agent.guestPid(),
    });
    this.#startOwn();
  }

  /** The runner is to step, and to say so after each step. */
  get isStepping(): boolean {
    return this.#stepping !== undefined;
  }

  clear(): void {
    this.#disarm();
    this.#tracepoints.clear();
    for (const number of this.#variables.keys()) this.#agent.variables.delete(number);
    this.#variables.clear();
    this.#regions = [];
    this.#isOwn = false;
    this.#state = { kind: 'never run' };
    this.#buffer.clear(this.#settings.bufferBytes);
    this.#startedAt = this.#stoppedAt = undefined;
  }

  define(definition: TracepointDefinition): void {
    const key = keyOf(definition);
    const old = this.#tracepoints.get(key);
    if (old === undefined && this.#tracepoints.size >= MOST_TRACEPOINTS) {
      throw new RemoteError(ERRNO.E2BIG, `at most ${MOST_TRACEPOINTS} tracepoints`);
    }
    const tracepoint = new Tracepoint(definition, this.#collector);
    if (old !== undefined) this.#disarmOne(old);
    this.#tracepoints.set(key, tracepoint);
  }

  addActions(place: TracepointPlace, actions: readonly TraceAction[]): void {
    this.#at(place).add(actions);
  }

  complete(place: TracepointPlace): void {
    const tracepoint = this.#at(place);
    if (this.#state === 'running' && !this.#isOwn) this.#arm(tracepoint);
  }

  addSource(place: TracepointPlace, source: TracepointSource): void {
    this.#at(place).addSource(source);
  }

  setEnabled(place: TracepointPlace, isEnabled: boolean): void {
    const tracepoint = this.#at(place);
    tracepoint.isEnabled = isEnabled;
    if (!isEnabled) this.#disarmOne(tracepoint);
    else if (this.#state === 'running' && !this.#isOwn) this.#arm(tracepoint);
  }

  describe(): readonly TracepointDescription[] {
    return [...this.#tracepoints.values()].map(({ definition, isEnabled, actions, sources }) => ({
      definition: { ...definition, isEnabled },
      actions,
      sources,
    }));
  }

  usage(place: TracepointPlace): { hits: number; bytes: number } {
    const { hits, bytes } = this.#at(place);
    return { hits, bytes };
  }

  defineVariable(variable: TraceVariable): void {
    if (!this.#variables.has(variable.number) && this.#variables.size >= MOST_VARIABLES) {
      throw new RemoteError(ERRNO.E2BIG, `at most ${MOST_VARIABLES} trace state variables`);
    }
    this.#variables.set(variable.number, variable);
    this.#resetVariable(variable);
  }

  variables(): readonly TraceVariable[] {
    return [...this.#variables.values()];
  }

  variable(number: number): bigint | undefined {
    if (!this.#variables.has(number)) return undefined;
    return this.#agent.variables.get(number) ?? 0n;
  }

  setReadOnly(regions: readonly Region[]): void {
    if (regions.length > MOST_REGIONS) {
      throw new RemoteError(ERRNO.E2BIG, `at most ${MOST_REGIONS} read-only regions`);
    }
    this.#regions = regions;
  }

  configure(settings: TraceSettings): void {
    const { isCircular, bufferBytes, ...others } = settings;
    for (const text of [others.user, others.notes, others.stopNote]) {
      if ((text?.length ?? 0) > LONGEST_NOTE) {
        throw new RemoteError(ERRNO.E2BIG, `a note has at most ${LONGEST_NOTE} characters`);
      }
    }
    if (bufferBytes !== undefined) this.#resize(bufferBytes);
    if (isCircular !== undefined) {
      this.#settings.isCircular = isCircular;
      if (!this.#isOwn) this.#buffer.isCircular = isCircular;
    }
    this.#settings = { ...this.#settings, ...others };
  }

  start(): void {
    this.#settings.stopNote = '';
    this.#isOwn = false;
    this.#begin(this.#settings.isCircular);
  }

  /** The guest's clock begins anew, and so does the server's own trace; a debugger's goes on. */
  powerCycled(): void {
    if (this.#isOwn) this.#begin(true);
    else if (this.#startedAt !== undefined) this.#startedAt = this.#now();
  }

  /** The frames of the server's own trace, to be put back when the machine is; see `goneBack`. */
  ownFrames(): SavedFrames | undefined {
    return this.#isOwn ? this.#buffer.save() : undefined;
  }

  /** The machine has gone back: the server's own trace has the frames that it had there. */
  goneBack(frames: SavedFrames | undefined): void {
    if (!this.#isOwn || frames === undefined) {
      this.powerCycled();
      return;
    }
    this.#buffer.restore(frames);
    for (const tracepoint of this.#tracepoints.values()) {
      tracepoint.hits = frames.created;
      tracepoint.bytes = frames.bytes.length;
    }
  }

  #startOwn(): void {
    const { own } = this.#parts;
    if (own === undefined) return;
    this.define(own.definition);
    this.addActions(own.definition, own.actions);
    for (const source of own.sources) this.addSource(own.definition, source);
    this.#isOwn = true;
    this.#begin(true);
  }

  #begin(isCircular: boolean): void {
    this.#disarm();
    this.#buffer.clear(this.#settings.bufferBytes);
    this.#buffer.isCircular = isCircular;
    for (const variable of this.#variables.values()) this.#resetVariable(variable);
    this.#state = 'running';
    this.#startedAt = this.#now();
    this.#stoppedAt = undefined;
    for (const tracepoint of this.#tracepoints.values()) {
      tracepoint.forgetUse();
      if (tracepoint.isEnabled) this.#arm(tracepoint);
    }
  }

  stop(): void {
    this.#isOwn = false;
    this.#endBy({ kind: 'stopped', note: this.#settings.stopNote });
    this.#disarm();
  }

  debuggerLeft(): void {
    if (this.#isOwn || this.#settings.isDisconnected) return;
    this.#endBy({ kind: 'disconnected' });
    this.#disarm();
  }

  status(): TraceStatus {
    const { user, notes, isDisconnected, stopNote } = this.#settings;
    return {
      stop: this.#isOwn ? { kind: 'stopped', note: OWN_NOTE } : this.#toldStop(stopNote),
      frames: this.#buffer.count,
      framesCreated: this.#buffer.created,
      freeBytes: this.#buffer.freeBytes,
      bufferBytes: this.#buffer.limitBytes,
      isCircular: this.#buffer.isCircular,
      isDisconnected,
      ...(this.#startedAt === undefined ? {} : { startedAt: this.#startedAt }),
      ...(this.#stoppedAt === undefined ? {} : { stoppedAt: this.#stoppedAt }),
      user,
      notes,
    };
  }

  /** gdb gives the note of a `tstop` before it and after it. */
  #toldStop(note: string): TraceStop | 'running' {
    const stop = this.#state;
    return stop !== 'running' && stop.kind === 'stopped' ? { ...stop, note } : stop;
  }

  find(query: TraceFrameQuery, after?: number): TraceFrame | undefined {
    const number = this.#numberOf(query, after === undefined ? 0 : after + 1);
    const offset = number === undefined ? undefined : this.#buffer.offsetOf(number);
    if (number === undefined || offset === undefined) return undefined;
    const { set } = this.#parts;
    return new KeptFrame(this.#buffer, set, { number, offset }, (address, lengthBytes) =>
      this.#readUnchanging(address, lengthBytes),
    );
  }

  upload(offsetBytes: number, lengthBytes: number, registers: 'g' | 'all'): Uint8Array {
    return this.#file.read(offsetBytes, lengthBytes, registers);
  }

  /** The CPU has executed one instruction, or taken an interrupt, since the place or the last step. */
  afterStep(): void {
    const stepping = this.#stepping;
    if (stepping === undefined) return;
    const { tracepoint } = stepping;
    this.#collect(tracepoint, tracepoint.atStep);
    if (--stepping.left > 0) return;
    this.#stepping = undefined;
    if (tracepoint.hasPassed) this.#endByPassCount(tracepoint);
  }

  /** The slice is over: what ended in it leaves the machine. */
  afterSlice(): void {
    this.#agent.sliceIsOver();
    if (this.#state !== 'running' && this.#hooks.size > 0) this.#disarm();
  }

  dispose(): void {
    this.#disarm();
  }

  #numberOf(query: TraceFrameQuery, from: number): number | undefined {
    if (query.kind === 'number') return query.number;
    const { view } = this.#buffer;
    for (let number = from; number < this.#buffer.count; number++) {
      const offset = this.#buffer.offsetOf(number)!;
      if (matches(query, view, offset)) return number;
    }
    return undefined;
  }

  #arm(tracepoint: Tracepoint): void {
    if (!tracepoint.isEnabled || this.#hooks.has(tracepoint)) return;
    const { address, stepCount } = tracepoint.definition;
    const hook = (): void => this.#hit(tracepoint);
    this.#hooks.set(tracepoint, this.#machine.addExecutionHook(address, hook));
    if (stepCount > 0) this.#parts.breakpoints.setTakeover(address, () => this.isStepping);
  }

  #disarmOne(tracepoint: Tracepoint): void {
    const remove = this.#hooks.get(tracepoint);
    if (remove === undefined) return;
    remove();
    this.#hooks.delete(tracepoint);
    if (this.#stepping?.tracepoint === tracepoint) this.#stepping = undefined;
    const { address, stepCount } = tracepoint.definition;
    const isStill = [...this.#hooks.keys()].some(
      ({ definition }) => definition.address === address && definition.stepCount > 0,
    );
    if (stepCount > 0 && !isStill) this.#parts.breakpoints.setTakeover(address, undefined);
  }

  #disarm(): void {
    for (const tracepoint of [...this.#hooks.keys()]) this.#disarmOne(tracepoint);
    this.#stepping = undefined;
  }

  #hit(tracepoint: Tracepoint): void {
    if (this.#state !== 'running' || this.#parts.isRepeating?.() === true) return;
    try {
      if (this.#agent.isExhausted) throw TOO_MUCH;
      if (!tracepoint.isMet()) return;
    } catch (error) {
      this.#failed(error, tracepoint);
      return;
    }
    tracepoint.hits++;
    this.#collect(tracepoint, tracepoint.atPlace);
    const { stepCount } = tracepoint.definition;
    if (stepCount > 0) this.#stepping = { tracepoint, left: stepCount };
    else if (tracepoint.hasPassed) this.#endByPassCount(tracepoint);
  }

  #endByPassCount({ definition: { number } }: Tracepoint): void {
    this.#endBy({ kind: 'pass count', tracepoint: number });
  }

  #collect(tracepoint: Tracepoint, actions: readonly Collect[]): void {
    try {
      tracepoint.bytes += this.#collector.collect(tracepoint.definition.number, actions);
    } catch (error) {
      this.#failed(error, tracepoint);
    }
  }

  #failed(error: unknown, tracepoint: Tracepoint): void {
    const { number } = tracepoint.definition;
    if (error instanceof BufferFull) this.#endBy({ kind: 'buffer full' });
    else if (!(error instanceof AgentError)) throw error;
    else this.#endBy({ kind: 'error', text: error.message, tracepoint: number });
  }

  /** The run is over; its hooks stay until they may leave. */
  #endBy(stop: TraceStop): void {
    if (this.#state !== 'running') return;
    this.#state = stop;
    this.#stoppedAt = this.#now();
    this.#stepping = undefined;
  }

  #resize(wanted: number | 'default'): void {
    const bytes = wanted === 'default' ? DEFAULT_BUFFER_BYTES : wanted;
    if (bytes < 1 || bytes > MOST_BUFFER_BYTES) {
      throw new RemoteError(ERRNO.EINVAL, `a trace buffer has at most ${MOST_BUFFER_BYTES} bytes`);
    }
    if (this.#state === 'running' && !this.#isOwn && bytes !== this.#buffer.limitBytes) {
      throw new RemoteError(ERRNO.EBUSY, 'the buffer of a running trace keeps its size');
    }
    // What is in it stays until the next trace begins.
    this.#settings.bufferBytes = bytes;
    if (this.#buffer.count === 0 && !this.#isOwn) this.#buffer.clear(bytes);
  }

  #readUnchanging(address: bigint, lengthBytes: number): Uint8Array {
    const region = [...this.#regions, ...this.#parts.readOnly].find(
      ({ start, end }) => start <= address && address < end,
    );
    if (region === undefined) return new Uint8Array(0);
    const left = region.end - address;
    const most = left < BigInt(lengthBytes) ? Number(left) : lengthBytes;
    return this.#machine.readLinear(address, most);
  }

  #resetVariable({ number, initialValue }: TraceVariable): void {
    this.#agent.variables.set(number, BigInt.asUintN(64, initialValue));
  }

  #at(place: TracepointPlace): Tracepoint {
    const tracepoint = this.#tracepoints.get(keyOf(place));
    if (tracepoint !== undefined) return tracepoint;
    const address = place.address.toString(16);
    throw new RemoteError(ERRNO.ENOENT, `no tracepoint ${place.number} at 0x${address}`);
  }

  #now(): bigint {
    return this.#machine.ticks / NANOSECONDS_PER_MICROSECOND;
  }
}

function keyOf({ number, address }: TracepointPlace): string {
  return `${number}:${address.toString(16)}`;
}

function matches(
  query: Exclude<TraceFrameQuery, { kind: 'number' }>,
  view: DataView,
  offset: number,
): boolean {
  if (query.kind === 'tracepoint') {
    return view.getUint32(offset + FRAME.tracepoint, true) === query.tracepoint;
  }
  const pc = view.getBigUint64(offset + FRAME.pc, true);
  const isInside = query.start <= pc && pc <= query.end;
  return isInside === (query.kind === 'inside');
}
