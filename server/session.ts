/**
 * One connection: queues its packets, answers them one after the other, and keeps what the client has
 * negotiated. The only place that catches our own errors.
 *
 *     receive(bytes) → framing → queue → packets/… → reply value → one write
 *
 * A connection becomes the debugger with its first packet that only a debugger sends; until then it may
 * hand in monitor commands. GDB manual, "Overview" and "Packet Acknowledgment" of the remote protocol.
 */
import type { PacketDefinition } from './packets/definition.ts';
import { PACKET_SIZE } from './packets/packet-context.ts';
import type { FoundPacket, PacketRegistry } from './packets/registry.ts';
import { eventReply, stopReply } from './packets/stop-reply.ts';
import { ERRNO, RemoteError } from './rsp/errno.ts';
import { FieldReader } from './rsp/field-reader.ts';
import { PacketFraming, type FramingEvent } from './rsp/framing.ts';
import { MalformedPacket } from './rsp/malformed-packet.ts';
import { NEW_SPACE, ReusedSpace, type FrameSpace } from './rsp/frame-space.ts';
import {
  encodeBinaryPacket,
  encodeHexPacket,
  encodeNotification,
  encodePacket,
  encodeTextPacket,
} from './rsp/packet-writer.ts';
import { encodeReply, reply, type ImmediateReply, type Reply } from './rsp/reply.ts';
import { SessionContext } from './session-context.ts';
import type { SessionLog, SessionOptions, Transport } from './session-options.ts';
import type { TargetStop } from './target/target.ts';

/** A client may be slow to read, but not without end. */
const MAX_WRITE_BACKLOG_BYTES = 64 * 1024 * 1024;
/** Packets that wait for their turn; a client that sends more does not wait for replies. */
const MAX_QUEUED_BYTES = 4 * PACKET_SIZE;

/** What an empty packet counts for: the queue is looked through for each that arrives. */
const QUEUED_OVERHEAD_BYTES = 64;

const ACK = Buffer.from('+');
const NACK = Buffer.from('-');

type QueuedEvent = Extract<FramingEvent, { kind: 'packet' | 'damaged' | 'too-long' }>;

/** What a packet of a connection that is not the debugger is about. */
type PacketUse = 'any' | 'gdb-handshake' | 'lldb-handshake' | 'debugging';

/** What the client waits for. */
type Phase =
  /** Nothing, or the reply to the packet that is being handled. */
  | 'idle'
  /** A stop reply: the target runs for this client. */
  | 'resumed'
  | 'closed';

export class Session {
  private readonly options: SessionOptions;
  private readonly transport: Transport;
  private readonly log: SessionLog;
  private readonly registry: PacketRegistry;
  private readonly context: SessionContext;
  private readonly framing = new PacketFraming(PACKET_SIZE);
  private readonly frames: FrameSpace;
  private readonly removeListeners: () => void;

  private phase: Phase = 'idle';
  private acknowledges = true;
  private lastFrame: Uint8Array | undefined;
  private queue: QueuedEvent[] = [];
  private queuedBytes = 0;
  private isHandling = false;

  constructor(options: SessionOptions, transport: Transport) {
    this.options = options;
    this.transport = transport;
    this.log = options.log;
    this.registry = options.registry;
    this.frames = transport.lendsOnly === true ? new ReusedSpace() : NEW_SPACE;
    this.context = new SessionContext(options, this, {
      send: (answer) => this.send(answer),
      stopAcknowledging: () => (this.acknowledges = false),
      resumed: () => (this.phase = 'resumed'),
      isClosed: () => this.isClosed(),
      notify: () => this.notify(),
      detached: () => {
        if (this.phase === 'resumed') this.phase = 'idle';
      },
    });
    const removers = [
      options.target.onStop((stop) => void this.stopped(stop)),
      // Console output may only come while the client waits for a stop.
      options.target.onOutput?.((text) => this.isResumed() && this.context.output(text)),
    ];
    this.removeListeners = () => removers.forEach((remove) => remove?.());
  }

  /** Bytes from the client, in any pieces. */
  receive(bytes: Uint8Array): void {
    for (const event of this.framing.feed(bytes)) {
      if (this.phase === 'closed') return;
      this.take(event);
    }
    void this.handleQueue();
  }

  /** The connection is gone: the debugger's breakpoints go with it, the machine stays. */
  async dispose(): Promise<void> {
    if (this.phase === 'closed') return;
    this.phase = 'closed';
    this.queue = [];
    this.removeListeners();
    try {
      await this.context.detach();
    } catch (error) {
      this.log.error({ err: error }, 'detaching a vanished debugger failed');
    }
    this.afterReply();
  }

  private take(event: FramingEvent): void {
    switch (event.kind) {
      case 'ack':
        return;
      case 'nack':
        if (this.acknowledges && this.lastFrame !== undefined) this.write(this.lastFrame);
        return;
      case 'interrupt':
        this.interrupt();
        return;
      case 'packet':
      case 'too-long':
        if (this.acknowledges) this.write(ACK);
        this.enqueue(event);
        return;
      case 'damaged':
        this.takeDamaged(event);
    }
  }

  /** Without acknowledgements nobody would send it again: take it as it came, as gdbserver does. */
  private takeDamaged(event: QueuedEvent & { readonly kind: 'damaged' }): void {
    if (this.acknowledges) {
      this.write(NACK);
      return;
    }
    this.log.warn({ packet: printable(event.payload) }, 'packet with a wrong checksum');
    this.enqueue(event);
  }

  private interrupt(): void {
    this.log.trace({ direction: 'in' }, '<0x03>');
    if (this.context.nonStop.isOn) void this.context.nonStop.interrupt();
    // A break-in counts only while this client's resume is under way or waits in its queue.
    if (this.phase === 'resumed') this.options.target.interrupt();
    else if (this.queue.length > 0 || this.isHandling) this.context.hasPendingInterrupt = true;
  }

  private enqueue(event: QueuedEvent): void {
    this.queue.push(event);
    this.queuedBytes += sizeOf(event);
    if (this.queuedBytes > MAX_QUEUED_BYTES) this.giveUp('the client does not wait for replies');
  }

  /** Answers what can be answered now, strictly one after the other. */
  private async handleQueue(): Promise<void> {
    if (this.isHandling) return;
    this.isHandling = true;
    try {
      for (let event = this.nextEvent(); event !== undefined; event = this.nextEvent()) {
        await this.handleEvent(event);
      }
    } finally {
      this.isHandling = false;
      this.context.hasPendingInterrupt = false;
    }
  }

  /** While the client waits for a stop, only what is meant for a running target is taken. */
  private nextEvent(): QueuedEvent | undefined {
    const index =
      this.phase === 'resumed' ? this.queue.findIndex((event) => this.isForRunning(event)) : 0;
    const event = index < 0 ? undefined : this.queue.splice(index, 1)[0];
    if (event !== undefined) this.queuedBytes -= sizeOf(event);
    return event;
  }

  private isForRunning(event: QueuedEvent): boolean {
    const found = event.kind === 'too-long' ? undefined : this.find(event.payload);
    return found?.definition.isForRunningTarget === true;
  }

  private find(payload: Uint8Array): FoundPacket | undefined {
    return this.registry.find(payload, this.options.target);
  }

  private async handleEvent(event: QueuedEvent): Promise<void> {
    if (event.kind === 'too-long') {
      this.send(reply.error(ERRNO.E2BIG, `a packet has at most ${PACKET_SIZE} bytes`));
      return;
    }
    if (this.isTracing()) this.trace('in', event.payload);
    const answer = await this.answer(event.payload);
    if (!this.isClosed()) {
      if (answer.kind === 'resumed') this.resume();
      else if (answer.kind !== 'silent') this.send(answer);
    }
    this.afterReply();
  }

  /** What handlers have put off until the client has its answer, also if it is gone by now. */
  private afterReply(): void {
    try {
      this.context.runAfterReply();
    } catch (error) {
      this.log.error({ err: error }, 'internal error after answering a packet');
    }
  }

  /** Handlers end early here for the wrong client, a wrong packet, or an error of ours. */
  private async answer(payload: Uint8Array): Promise<Reply> {
    const found = this.find(payload);
    try {
      const refusal = await this.admit(payload, found?.definition);
      if (refusal !== undefined) return refusal;
      if (found === undefined) return await this.passOn(payload);
      const fields = new FieldReader(payload, found.fieldsAt);
      return await found.definition.handle(fields, this.context);
    } catch (error) {
      return this.errorReply(error, payload);
    }
  }

  /** To the stub that the target stands before, if it does, for the debugger alone. */
  private async passOn(payload: Uint8Array): Promise<Reply> {
    const { seat, target } = this.options;
    if (target.passOn === undefined || !seat.isHeldBy(this)) return reply.unsupported;
    return reply.binary(await target.passOn(payload));
  }

  /** Makes the connection the debugger when it first sends what only a debugger sends, or refuses. */
  private async admit(
    payload: Uint8Array,
    definition: PacketDefinition | undefined,
  ): Promise<Reply | undefined> {
    const { seat } = this.options;
    if (seat.isHeldBy(this)) return undefined;
    const use = this.useOf(payload, definition);
    if (!seat.isFreeFor(this)) return this.refuse(use);
    if (use === 'debugging') await this.attach();
    return undefined;
  }

  private useOf(payload: Uint8Array, definition: PacketDefinition | undefined): PacketUse {
    const isLldb = !this.context.client.hasNegotiated;
    if (definition?.name === 'QStartNoAckMode' && isLldb) return 'lldb-handshake';
    if (definition !== undefined) return definition.audience === 'anyone' ? 'any' : 'debugging';
    return Buffer.from(payload).toString('latin1') === 'vMustReplyEmpty' ? 'gdb-handshake' : 'any';
  }

  /**
   * gdb prints `E.text` given to `vMustReplyEmpty` and leaves. lldb 14 prints no text of ours; without
   * an answer to its first packet it says "Connection shut down by remote side while waiting for reply
   * to initial handshake packet", and later than that it would repeat qsThreadInfo without end.
   */
  private refuse(use: PacketUse): Reply | undefined {
    if (use === 'any') return undefined;
    this.log.info({}, 'refused a second debugger');
    const { refusal } = this.options.seat;
    if (use !== 'gdb-handshake') this.context.afterReply(() => this.transport.close());
    return use === 'lldb-handshake' ? reply.silent : reply.errorText(refusal);
  }

  /** A debugger finds a halted target, as every client expects of a stub. */
  private async attach(): Promise<void> {
    const { seat, target } = this.options;
    seat.take(this);
    this.context.afterReply(() => this.log.info({}, 'debugger attached'));
    if (target.state().kind !== 'halted') await this.halt();
    if (this.context.client.processes) target.processes?.begin();
  }

  private halt(): Promise<void> {
    const { target } = this.options;
    return new Promise<void>((resolve) => {
      const remove = target.onStop(() => {
        remove();
        resolve();
      });
      target.interrupt();
    });
  }

  private errorReply(error: unknown, payload: Uint8Array): Reply {
    const packet = printable(payload);
    if (error instanceof MalformedPacket) {
      this.log.debug({ packet }, error.message);
      return reply.error(ERRNO.EINVAL, error.message);
    }
    if (error instanceof RemoteError) return reply.error(error.errno, error.message);
    this.log.error({ err: error, packet }, 'internal error while answering a packet');
    return reply.error(ERRNO.EIO, 'internal error of the server; see its log');
  }

  /** The handler has set the target going; it may already have stopped again. */
  private resume(): void {
    if (this.context.hasPendingInterrupt) {
      this.context.hasPendingInterrupt = false;
      this.options.target.interrupt();
    }
  }

  private async stopped(stop: TargetStop): Promise<void> {
    if (this.context.nonStop.isOn) await this.context.nonStop.halted(stop);
    if (this.phase !== 'resumed') return;
    try {
      if (stop.kind === 'stopped' && stop.message !== undefined) this.context.output(stop.message);
      const known = stopReply(this.context, stop);
      const answer = known instanceof Promise ? await known : known;
      // It may have detached or gone meanwhile.
      if (!this.isResumed()) return;
      this.phase = 'idle';
      this.send(answer);
    } catch (error) {
      this.phase = 'idle';
      // A stub behind us that has just gone is no error of ours.
      if (error instanceof RemoteError) this.log.debug({}, error.message);
      else this.log.error({ err: error }, 'internal error while reporting a stop');
      this.send(reply.text('T05'));
    }
    await this.handleQueue();
  }

  /** A stop in non-stop mode; never between a packet and its answer. */
  private notify(): void {
    if (this.isHandling) this.context.afterReply(() => void this.sendNotification());
    else void this.sendNotification();
  }

  private async sendNotification(): Promise<void> {
    const { nonStop, client } = this.context;
    try {
      if (nonStop.event === undefined) return;
      const answer = await eventReply(this.context, nonStop.event);
      const payload = Buffer.concat([Buffer.from('Stop:'), encodeReply(answer, client)]);
      if (this.isTracing()) this.trace('out', payload);
      this.write(encodeNotification(payload));
    } catch (error) {
      this.log.error({ err: error }, 'internal error while telling of a stop');
    }
  }

  private send(answer: ImmediateReply): void {
    if (this.isTracing()) this.trace('out', encodeReply(answer, this.context.client));
    const frame = this.frameOf(answer);
    this.lastFrame = frame;
    this.write(frame);
    if (this.transport.backlogBytes > 0) this.frames.keep();
  }

  /** Good until the next one, if it is not kept. */
  private frameOf(answer: ImmediateReply): Uint8Array {
    switch (answer.kind) {
      case 'hex':
        return encodeHexPacket(answer.bytes, this.frames);
      case 'text':
        return encodeTextPacket(answer.text, this.frames);
      case 'binary':
        return encodeBinaryPacket(answer.prefix, answer.bytes, this.frames);
      default:
        return encodePacket(encodeReply(answer, this.context.client), this.frames);
    }
  }

  /** Making text of a packet costs more than answering it: only when somebody reads it. */
  private isTracing(): boolean {
    return this.log.isLevelEnabled?.('trace') ?? true;
  }

  private trace(direction: 'in' | 'out', payload: Uint8Array): void {
    this.log.trace({ direction }, printable(payload));
  }

  private write(bytes: Uint8Array): void {
    if (this.isClosed()) return;
    this.transport.write(bytes);
    if (this.transport.backlogBytes > MAX_WRITE_BACKLOG_BYTES) {
      this.giveUp('the client does not read its replies');
    }
  }

  private giveUp(why: string): void {
    this.log.warn({}, `connection closed: ${why}`);
    this.transport.abort();
    void this.dispose();
  }

  private isResumed(): boolean {
    return this.phase === 'resumed';
  }

  /** A method, so that the compiler does not take an earlier look at the phase for the present one. */
  private isClosed(): boolean {
    return this.phase === 'closed';
  }
}

function sizeOf(event: QueuedEvent): number {
  return QUEUED_OVERHEAD_BYTES + (event.kind === 'too-long' ? 0 : event.payload.length);
}

/** A payload for the log: ASCII as it is, the rest escaped, long ones cut. */
function printable(payload: Uint8Array): string {
  const text = Buffer.from(payload.subarray(0, 2000)).toString('latin1');
  const escaped = text.replace(/[^ -~]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return payload.length > 2000 ? `${escaped}… (${payload.length} bytes)` : escaped;
}
