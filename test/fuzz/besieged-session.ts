/**
 * A session of the real server over the real machine with the real kernel, in this process, that counts
 * what it answers: every request has exactly one answer, whatever the request is.
 */
import { setImmediate } from 'node:timers/promises';
import { Machine, RecordedMachine } from '../../machine/index.ts';
import { DebuggerSeat } from '../../server/debugger-seat.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { PACKET_SIZE } from '../../server/packets/packet-context.ts';
import { PacketRegistry } from '../../server/packets/registry.ts';
import { PacketFraming } from '../../server/rsp/framing.ts';
import { encodePacket } from '../../server/rsp/packet-writer.ts';
import { Session } from '../../server/session.ts';
import type { SessionLog } from '../../server/session-options.ts';
import { MachineTarget } from '../../server/target/machine-target.ts';
import { KERNEL_IMAGE } from '../server/fake-exo.ts';

const REGISTRY = new PacketRegistry(PACKET_CHAPTERS);
const MEMORY_BYTES = 32 << 20;
/** By then the kernel has its threads and has forked. */
const BOOT_INSTRUCTIONS = 3_000_000;
/** No answer within this many turns of the event loop is none. */
const PATIENCE_TURNS = 20_000;
/** Turns that a resumed guest is left running. */
const RUNNING_TURNS = 3;
const OF_GDB = 'multiprocess+;fork-events+;vfork-events+;exec-events+';
const READS_BYTES = 'x'.charCodeAt(0);
/** Packets that a misbehaviour is told with. */
const HISTORY = 20;
const BREAK_IN = Uint8Array.of(3);

export class Misbehaviour extends Error {
  override readonly name = 'Misbehaviour';
}

export class BesiegedSession {
  readonly machine: Machine;
  readonly target: MachineTarget;
  /** How often each kind of answer came. */
  answers: string[] = [];
  private session!: Session;
  private readonly seat = new DebuggerSeat();
  private readonly failures: unknown[] = [];
  private framing = new PacketFraming(4 * PACKET_SIZE);
  private isClosed = false;
  /** The last packets, the newest at the end. */
  private past: readonly Uint8Array[] = [];

  private constructor() {
    const options = { image: KERNEL_IMAGE, imageName: 'kernel.elf', memoryBytes: MEMORY_BYTES };
    const machine = new RecordedMachine(options);
    this.machine = machine;
    this.target = new MachineTarget({
      machine,
      recording: { machine, makeReplica: () => new Machine(options) },
      image: KERNEL_IMAGE,
      imageName: 'kernel.elf',
    });
    this.reboot();
  }

  /** `processes`: its client has the guest's processes as inferiors. */
  static async create({ processes = false } = {}): Promise<BesiegedSession> {
    const created = new BesiegedSession();
    created.target.processes!.isWanted = processes;
    await created.connect();
    return created;
  }

  /** Power cycle, and on to where the kernel has threads and forks. */
  reboot(): void {
    if (this.target.state().kind === 'running') this.target.interrupt();
    this.target.restart();
    this.machine.run({ budget: BOOT_INSTRUCTIONS, skipIdle: true });
  }

  /** A new connection in place of the present one, which vanishes. */
  async reconnect(): Promise<void> {
    await this.session.dispose();
    if (!this.seat.isFree) throw new Misbehaviour('a vanished debugger keeps its seat');
    await this.connect();
  }

  /** Sends packets and returns one answer for each; the guest is halted again afterwards. */
  async ask(...packets: readonly Uint8Array[]): Promise<string[]> {
    this.answers = [];
    this.past = [...this.past, ...packets].slice(-HISTORY);
    const frames = packets.map((packet) => encodePacket(packet));
    this.session.receive(Buffer.concat(frames));
    const expected = packets.filter((packet) => !isSilent(packet)).length;
    await this.settle(expected);
    return this.check(expected, packets);
  }

  /** Which definition answers a packet; none for an unknown one. */
  nameOf(packet: Uint8Array): string {
    return REGISTRY.find(packet, this.target)?.definition.name ?? 'unknown';
  }

  /** Bytes in any form; no answers are expected, only that the session lives. */
  async pour(bytes: Uint8Array): Promise<void> {
    this.answers = [];
    this.session.receive(bytes);
    await this.settle(0);
    this.checkFailures(bytes);
    if (this.isClosed) await this.reconnect();
  }

  private async settle(expected: number): Promise<void> {
    for (let turn = 0; turn < PATIENCE_TURNS; turn++) {
      // Handlers await a few times; most answers need no turn of the event loop.
      for (let tick = 0; tick < 40 && !this.isSettled(expected); tick++) await Promise.resolve();
      if (this.isSettled(expected) || this.isClosed) return;
      if (turn >= RUNNING_TURNS && this.target.state().kind === 'running') {
        // After half a packet the byte would be data.
        if (turn % 2 === 1) this.session.receive(BREAK_IN);
        else this.target.interrupt();
      }
      await setImmediate();
    }
  }

  private isSettled(expected: number): boolean {
    return (
      this.answers.length >= expected &&
      !this.session['isHandling'] &&
      this.target.state().kind !== 'running'
    );
  }

  private check(expected: number, packets: readonly Uint8Array[]): string[] {
    this.checkFailures(...packets);
    const { answers } = this;
    if (answers.length === expected) return answers;
    const state = `${this.target.state().kind}, ${this.session['isHandling'] ? 'handling' : 'idle'}`;
    throw new Misbehaviour(
      `${answers.length} answers, not ${expected}, to ${packets.map(show).join(' ')}: ` +
        `${answers.join(' ').slice(0, 200)} (${state}), after ${this.past.map(show).join(' ')}`,
    );
  }

  private checkFailures(...packets: readonly Uint8Array[]): void {
    const [failure] = this.failures;
    if (failure === undefined) return;
    throw new Misbehaviour(`internal error after ${packets.map(show).join(' ')}`, {
      cause: failure,
    });
  }

  private async connect(): Promise<void> {
    const ignore = (): void => undefined;
    const error = (fields: object, message: string): void =>
      void this.failures.push('err' in fields ? fields.err : message);
    const log: SessionLog = {
      trace: ignore,
      debug: ignore,
      info: ignore,
      warn: ignore,
      error,
      isLevelEnabled: () => false,
    };
    this.isClosed = false;
    this.framing = new PacketFraming(4 * PACKET_SIZE);
    const close = (): void => void (this.isClosed = true);
    this.session = new Session(
      {
        target: this.target,
        registry: REGISTRY,
        seat: this.seat,
        onDetach: 'halt',
        server: { name: 'exoscope', version: '0' },
        log,
      },
      { write: (bytes) => this.hear(bytes), backlogBytes: 0, close, abort: close },
    );
    this.answers = [];
    this.session.receive(encodePacket(Buffer.from('QStartNoAckMode')));
    await this.settle(1);
    if (this.answers.join() !== 'OK')
      throw new Misbehaviour(`a new client is answered ${this.answers.join()}`);
    if (this.target.processes?.isWanted !== true) return;
    await this.ask(Buffer.from(`qSupported:${OF_GDB}`), Buffer.from('Hg0'));
  }

  private hear(bytes: Uint8Array): void {
    for (const event of this.framing.feed(bytes)) {
      if (event.kind === 'damaged') throw new Misbehaviour('an answer with a wrong checksum');
      if (event.kind !== 'packet') continue;
      const text = Buffer.from(event.payload).toString('latin1');
      if (this.isAnswer(text)) this.answers.push(text);
    }
  }

  /** Text for the user comes besides the answer; lldb's x answers bare bytes, which may look like it. */
  private isAnswer(text: string): boolean {
    return !/^O(?!K$)/.test(text) || this.past.at(-1)?.[0] === READS_BYTES;
  }
}

/** The one packet without an answer. */
function isSilent(packet: Uint8Array): boolean {
  return packet[0] === 0x52;
}

export function show(packet: Uint8Array): string {
  const text = JSON.stringify(Buffer.from(packet.subarray(0, 300)).toString('latin1'));
  return packet.length > 300 ? `${text}… (${packet.length} bytes)` : text;
}
