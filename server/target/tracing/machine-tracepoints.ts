/**
 * Tracepoints over the machine: who may collect when, and what has come of it. The places are the
 * machine's execution hooks, so a trace runs inside the slice and changes nothing of the guest; a run
 * ends inside a hook only by a flag, and its hooks leave when the slice is over.
 */
import type { MachineControl, MachineView } from '../../../machine/index.ts';
import { AgentError } from '../../agent/agent-error.ts';
import { ERRNO, RemoteError } from '../../rsp/errno.ts';
import type { MachineAgent } from '../machine-agent.ts';
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
import { FRAME, TraceBuffer } from './trace-buffer.ts';
import { TraceFile } from './trace-file.ts';
import { Tracepoint } from './tracepoint.ts';

const DEFAULT_BUFFER_BYTES = 64 << 20;
const MOST_BUFFER_BYTES = 1 << 30;
const MOST_TRACEPOINTS = 1000;
const MOST_VARIABLES = 1000;
const MOST_REGIONS = 1000;
const LONGEST_NOTE = 4096;
const NANOSECONDS_PER_MICROSECOND = 1000n;

interface Region {
  readonly start: bigint;
  readonly end: bigint;
}

export class MachineTracepoints implements TargetTracepoints {
  readonly #machine: MachineView & MachineControl;
  readonly #agent: MachineAgent;
  readonly #buffer = new TraceBuffer(DEFAULT_BUFFER_BYTES);
  readonly #file = new TraceFile(this.#buffer);
  readonly #collector: Collector;
  readonly #tracepoints = new Map<string, Tracepoint>();
  readonly #variables = new Map<number, TraceVariable>();
  #regions: readonly Region[] = [];
  #state: TraceStop | 'running' = { kind: 'never run' };
  /** Takes the hooks of a place out of the machine again. */
  readonly #hooks = new Map<Tracepoint, () => void>();
  #settings = { isDisconnected: false, user: '', notes: '', stopNote: '' };
  #startedAt: bigint | undefined;
  #stoppedAt: bigint | undefined;

  constructor(machine: MachineView & MachineControl, agent: MachineAgent) {
    this.#machine = machine;
    this.#agent = agent;
    this.#collector = new Collector({
      machine,
      buffer: this.#buffer,
      environment: agent,
      guestPid: () => agent.guestPid(),
    });
  }

  clear(): void {
    this.#disarm();
    this.#tracepoints.clear();
    for (const number of this.#variables.keys()) this.#agent.variables.delete(number);
    this.#variables.clear();
    this.#regions = [];
    this.#buffer.clear();
    this.#state = { kind: 'never run' };
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
    if (this.#state === 'running') this.#arm(this.#at(place));
  }

  addSource(place: TracepointPlace, source: TracepointSource): void {
    this.#at(place).addSource(source);
  }

  setEnabled(place: TracepointPlace, isEnabled: boolean): void {
    const tracepoint = this.#at(place);
    tracepoint.isEnabled = isEnabled;
    if (!isEnabled) this.#disarmOne(tracepoint);
    else if (this.#state === 'running') this.#arm(tracepoint);
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
    if (isCircular !== undefined) this.#buffer.isCircular = isCircular;
    this.#settings = { ...this.#settings, ...others };
  }

  start(): void {
    this.#disarm();
    this.#buffer.clear();
    for (const variable of this.#variables.values()) this.#resetVariable(variable);
    this.#state = 'running';
    this.#startedAt = this.#now();
    this.#stoppedAt = undefined;
    this.#settings.stopNote = '';
    for (const tracepoint of this.#tracepoints.values()) {
      tracepoint.forgetUse();
      if (tracepoint.isEnabled) this.#arm(tracepoint);
    }
  }

  stop(): void {
    this.#endBy({ kind: 'stopped', note: this.#settings.stopNote });
    this.#disarm();
  }

  debuggerLeft(): void {
    if (this.#settings.isDisconnected) return;
    this.#endBy({ kind: 'disconnected' });
    this.#disarm();
  }

  status(): TraceStatus {
    const { user, notes, isDisconnected, stopNote } = this.#settings;
    const stop = this.#state;
    return {
      // gdb gives the note of a `tstop` before it and after it.
      stop: stop !== 'running' && stop.kind === 'stopped' ? { ...stop, note: stopNote } : stop,
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

  find(query: TraceFrameQuery, after?: number): TraceFrame | undefined {
    const number = this.#numberOf(query, after === undefined ? 0 : after + 1);
    const offset = number === undefined ? undefined : this.#buffer.offsetOf(number);
    if (number === undefined || offset === undefined) return undefined;
    return new KeptFrame(this.#buffer, number, offset, (address, lengthBytes) =>
      this.#readUnchanging(address, lengthBytes),
    );
  }

  upload(offsetBytes: number, lengthBytes: number): Uint8Array {
    return this.#file.read(offsetBytes, lengthBytes);
  }

  /** The slice is over: what ended in it leaves the machine. */
  afterSlice(): void {
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
    const { address } = tracepoint.definition;
    const hook = (): void => this.#hit(tracepoint);
    this.#hooks.set(tracepoint, this.#machine.addExecutionHook(address, hook));
  }

  #disarmOne(tracepoint: Tracepoint): void {
    this.#hooks.get(tracepoint)?.();
    this.#hooks.delete(tracepoint);
  }

  #disarm(): void {
    for (const remove of this.#hooks.values()) remove();
    this.#hooks.clear();
  }

  #hit(tracepoint: Tracepoint): void {
    if (this.#state !== 'running') return;
    try {
      if (!tracepoint.isMet()) return;
    } catch (error) {
      this.#failed(error, tracepoint);
      return;
    }
    tracepoint.hits++;
    this.#collect(tracepoint, tracepoint.atPlace);
    const { passCount } = tracepoint.definition;
    if (passCount === 0 || tracepoint.hits < passCount) return;
    this.#endBy({ kind: 'pass count', tracepoint: tracepoint.definition.number });
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
  }

  #resize(bufferBytes: number | 'default'): void {
    const bytes = bufferBytes === 'default' ? DEFAULT_BUFFER_BYTES : bufferBytes;
    if (bytes === this.#buffer.limitBytes) return;
    if (this.#state === 'running') {
      throw new RemoteError(ERRNO.EBUSY, 'the buffer of a running trace keeps its size');
    }
    if (bytes < 1 || bytes > MOST_BUFFER_BYTES) {
      throw new RemoteError(ERRNO.EINVAL, `a trace buffer has at most ${MOST_BUFFER_BYTES} bytes`);
    }
    this.#buffer.clear(bytes);
  }

  #readUnchanging(address: bigint, lengthBytes: number): Uint8Array {
    const region = this.#regions.find(({ start, end }) => start <= address && address < end);
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
