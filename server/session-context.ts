/** The `PacketContext` of one session: what its handlers see of it. */
import {
  unknownClient,
  type ClientHoldings,
  type PacketContext,
} from './packets/packet-context.ts';
import { NonStop } from './packets/non-stop.ts';
import { ThreadSelection } from './packets/thread-selection.ts';
import { ReusedSpace } from './rsp/frame-space.ts';
import { textToHex } from './rsp/hex.ts';
import { reply, type ImmediateReply, type Reply } from './rsp/reply.ts';
import type { SessionOptions } from './session-options.ts';
import type { BreakpointOwner, MonitorAccess, ReverseAction, Target, ThreadResume } from './target/target.ts'; // prettier-ignore

/** Text in one `O` packet; in hex it is twice as long, well below the packet size. */
const OUTPUT_CHARACTERS = 8192;

/** What handlers may change in the session. */
export interface SessionActions {
  send(answer: ImmediateReply): void;
  stopAcknowledging(): void;
  resumed(): void;
  detached(): void;
  isClosed(): boolean;
  /** In non-stop mode: there is a stop to be told. */
  notify(): void;
}

/** Lets a halted target go on without a debugger, unless its guest has ended. */
export function runUnattended(target: Target): void {
  const state = target.state();
  if (state.kind === 'running' || state.hasEnded === true || state.stop.kind === 'exited') return;
  target.resume([{ threads: 'all', action: { kind: 'continue' } }]);
}

export class SessionContext implements PacketContext {
  readonly target: Target;
  readonly client = unknownClient();
  readonly owner: BreakpointOwner;
  readonly server: SessionOptions['server'];
  readonly announcements: readonly string[];
  readonly holdings: ClientHoldings = {
    files: new Map(),
    savedRegisters: new Map(),
    transfers: new Map(),
    remainingThreads: [],
    tracepointPieces: [],
    variablePieces: [],
    traceFrame: undefined,
  };
  readonly nonStop: NonStop;
  readonly replyRoom = new ReusedSpace();
  selection: ThreadSelection;
  /** A break-in arrived before the resume that it is meant for was handled. */
  hasPendingInterrupt = false;
  private readonly options: SessionOptions;
  private readonly actions: SessionActions;
  private afterwards: (() => void)[] = [];

  constructor(options: SessionOptions, owner: BreakpointOwner, actions: SessionActions) {
    this.options = options;
    this.target = options.target;
    this.server = options.server;
    this.owner = owner;
    this.actions = actions;
    this.announcements = options.registry.announcements(options.target);
    this.selection = new ThreadSelection(options.target);
    this.nonStop = new NonStop(options.target, () => actions.notify());
  }

  /** Beside a debugger others may only look; with none, anybody may control. */
  get monitorAccess(): MonitorAccess {
    return this.options.seat.isFreeFor(this.owner) ? 'control' : 'look';
  }

  get isCancelled(): boolean {
    return this.hasPendingInterrupt || this.actions.isClosed();
  }

  output(text: string): void {
    for (let at = 0; at < text.length; at += OUTPUT_CHARACTERS) {
      const piece = text.slice(at, at + OUTPUT_CHARACTERS);
      this.actions.send(reply.text(`O${textToHex(piece)}`));
    }
  }

  stopAcknowledging(): void {
    this.afterReply(() => this.actions.stopAcknowledging());
  }

  resume(threads: readonly ThreadResume[]): Reply {
    return this.setGoing(() => this.target.resume(threads));
  }

  reverse(action: ReverseAction): Reply {
    return this.setGoing(() => this.target.reverse?.resume(action));
  }

  private setGoing(resume: () => void): Reply {
    this.holdings.traceFrame = undefined;
    // First the phase: a target may stop again before `resume` returns.
    this.actions.resumed();
    try {
      resume();
    } catch (error) {
      this.actions.detached();
      throw error;
    }
    return reply.resumed;
  }

  async detach(options?: { readonly stayHalted: boolean }): Promise<void> {
    const { seat, target, onDetach, log } = this.options;
    if (!seat.isHeldBy(this.owner)) return;
    this.actions.detached();
    target.reverse?.giveUp();
    this.selection = new ThreadSelection(target);
    this.holdings.files.clear();
    this.holdings.savedRegisters.clear();
    this.holdings.transfers.clear();
    this.holdings.traceFrame = undefined;
    this.nonStop.forget();
    await target.breakpoints.removeAllOf(this.owner);
    target.processes?.end();
    target.catchSystemCalls?.('none');
    await target.tracepoints?.debuggerLeft();
    seat.release(this.owner);
    // A debugger that leaves waits for the answer, not for the machine to be on its way again.
    this.afterReply(() => {
      log.info({}, 'debugger detached');
      if (!seat.isFree) return;
      const isToRun = options?.stayHalted !== true && onDetach === 'run';
      if (isToRun) runUnattended(target);
      else target.interrupt();
    });
  }

  runIfUnattended(): void {
    const { seat, target, onDetach } = this.options;
    if (seat.isFree && onDetach === 'run') runUnattended(target);
  }

  afterReply(action: () => void): void {
    this.afterwards.push(action);
  }

  runAfterReply(): void {
    const actions = this.afterwards;
    this.afterwards = [];
    for (const action of actions) action();
  }
}
