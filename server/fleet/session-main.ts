/**
 * The process of one session of `exoscope serve --sessions`: boots a machine when it is told to, and
 * serves the debugger whose bytes come through the socket pair. It ends with its connection, or with
 * the server, whichever is first.
 */
import { Socket } from 'node:net';
import { ImageError } from '../../machine/index.ts';
import { openSource } from '../commands/machine-source.ts';
import { SerialOutput } from '../commands/serial-output.ts';
import { serveMachine, type ServedMachine } from '../commands/served-machine.ts';
import { toSymbolFile } from '../commands/symbol-arguments.ts';
import { connectSession, type Connection } from '../connection.ts';
import { UsageError } from '../listen-address.ts';
import { openLogs } from '../log.ts';
import type { TargetState } from '../target/target.ts';
import type { FromSession, MachineOrder, MonitorOutcome, SessionLook, SessionQuestion, ToSession } from './messages.ts'; // prettier-ignore
import { serialOf } from './serial-of-session.ts';

/** Where the server has put its end of the debugger's bytes. */
const DEBUGGER_FD = 3;
/** Of the host's memory that each session may take beside its guest (commands/serve-fleet.ts). */
const SNAPSHOT_BYTES = 64 * 2 ** 20;

class SessionProcess {
  private readonly channel = new Socket({ fd: DEBUGGER_FD, readable: true, writable: true });
  private readonly order: MachineOrder;
  private readonly logs: Awaited<ReturnType<typeof openLogs>>;
  private readonly session: ServedMachine;
  private serial = SerialOutput.open('none');
  private connection: Connection | undefined;
  private isLeaving = false;

  /** Throws `ImageError` or `UsageError`. */
  constructor(order: MachineOrder, logs: Awaited<ReturnType<typeof openLogs>>) {
    this.order = order;
    this.logs = logs;
    this.session = serveMachine({
      machine: order.machine,
      source: openSource(order.file, order.machine, order.modules),
      symbolFiles: order.symbols.map(toSymbolFile),
      onDetach: 'halt',
      snapshotBytes: SNAPSHOT_BYTES,
      processes: order.processes,
      architecture: order.architecture,
      onSerialOutput: (bytes) => this.serial.write(bytes),
      onQuit: () => this.channel.destroySoon(),
      log: logs.main,
    });
    this.channel.on('error', (error) => logs.main.debug({ err: error }, 'connection failed'));
    this.channel.once('close', () => void this.leave());
  }

  begin(session: number): void {
    this.serial = SerialOutput.open(serialOf(this.order.serial, session));
    const log = this.logs.forConnection(session, 'session');
    const connection = connectSession(this.session)(this.channel, log);
    this.connection = connection;
    this.channel.on('data', (bytes: Buffer) => connection.receive(bytes));
  }

  answer(question: SessionQuestion): SessionLook | MonitorOutcome {
    return question.kind === 'look' ? this.look() : this.runMonitor(question.commandLine);
  }

  async leave(): Promise<void> {
    if (this.isLeaving) return;
    this.isLeaving = true;
    this.session.target.dispose();
    await this.connection?.closed();
    await this.serial.dispose();
    process.exit();
  }

  private look(): SessionLook {
    const { target, machine } = this.session;
    return {
      state: describe(target.state()),
      instructions: machine.icount,
      residentBytes: process.memoryUsage.rss(),
    };
  }

  /** Its debugger has the machine: others may look. */
  private runMonitor(commandLine: string): MonitorOutcome {
    const { target } = this.session;
    let text = '';
    const { failure } = target.monitor.run({
      commandLine,
      access: 'look',
      thread: target.currentThread(),
      output: (piece) => (text += piece),
    });
    return failure === undefined ? { text } : { text, failure };
  }
}

function describe(state: TargetState): string {
  if (state.kind === 'running') return 'running';
  if (state.hasEnded === true) return 'guest ended';
  return state.stop.kind === 'stopped' ? `halted: ${state.stop.cause.kind}` : 'guest ended';
}

function tell(message: FromSession): void {
  // The server may have gone meanwhile; with a callback that is no error of the process.
  process.send?.(message, undefined, undefined, () => undefined);
}

/** Undefined, and told to the server: the machine cannot be made. */
async function boot(order: MachineOrder): Promise<SessionProcess | undefined> {
  const logs = await openLogs(order.logLevel, order.tracePackets);
  try {
    return new SessionProcess(order, logs);
  } catch (error) {
    const isImage = error instanceof ImageError;
    if (!isImage && !(error instanceof UsageError)) throw error;
    tell({ kind: 'failed', reason: isImage ? 'image' : 'usage', message: error.message });
    return undefined;
  }
}

let whenBooted: Promise<SessionProcess | undefined> = Promise.resolve(undefined);

async function obey(message: ToSession): Promise<void> {
  if (message.kind === 'boot') {
    whenBooted = boot(message.order);
    if ((await whenBooted) !== undefined) tell({ kind: 'ready' });
    return;
  }
  const session = await whenBooted;
  if (session === undefined) return;
  if (message.kind === 'begin') session.begin(message.session);
  else tell({ kind: 'answer', id: message.id, answer: session.answer(message.question) });
}

async function leave(): Promise<void> {
  const session = await whenBooted;
  if (session === undefined) process.exit();
  await session.leave();
}

process.on('message', (message: ToSession) => void obey(message));
process.once('disconnect', () => void leave());
// A terminal's Ctrl-C reaches all of them; the server tells its sessions itself.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
