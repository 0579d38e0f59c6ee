/**
 * `exoscope serve`: boots an image and lets debuggers attach. Prints first, on stderr, where it listens
 * and what to type; the guest's serial console follows on stdout.
 */
import { relative } from 'node:path';
import type { Argv } from 'yargs';
import { DebuggerSeat } from '../debugger-seat.ts';
import { formatAddress, parseAddress, type ListenAddress } from '../listen-address.ts';
import { Listener, serveStdio } from '../listener.ts';
import { LOG_LEVELS, openLogs, type LogLevel, type Logs } from '../log.ts';
import { VERSION } from '../package-root.ts';
import { PACKET_CHAPTERS } from '../packets/index.ts';
import { PacketRegistry } from '../packets/registry.ts';
import { runUnattended } from '../session-context.ts';
import type { SessionOptions } from '../session-options.ts';
import { MachineTarget } from '../target/machine-target.ts';
import type { TargetStop } from '../target/target.ts';
import { banner } from './banner.ts';
import { TerminalConsole } from './console.ts';
import { EXIT } from './exit-status.ts';
import {
  bootMachine,
  machineArguments,
  readImage,
  type MachineArguments,
} from './machine-arguments.ts';
import { SerialOutput } from './serial-output.ts';
import { readSymbolFiles } from './symbol-arguments.ts';

export const SERVE_EXAMPLES: readonly [string, string][] = [
  ['$0 serve', 'boot the example kernel, listen on 127.0.0.1:1234'],
  ['$0 serve kernel.elf --wait --listen 127.0.0.1:0', 'halt at the entry; any free port'],
  ['$0 serve --listen unix:/tmp/exo.sock --console', 'a Unix socket; type to the guest'],
  ['$0 serve stripped.elf --symbols kernel.elf', 'symbols from another file'],
  ["gdb -ex 'target remote | $0 serve --listen stdio'", 'let gdb start the server'],
];

export function serveOptions<Arguments>(parser: Argv<Arguments>) {
  return machineArguments(parser)
    .option('listen', {
      type: 'string',
      describe: 'HOST:PORT (port 0 picks one), unix:PATH or stdio',
      default: '127.0.0.1:1234',
      requiresArg: true,
    })
    .option('allow-remote', {
      type: 'boolean',
      describe: 'Serve other hosts too. There is no authentication',
      default: false,
    })
    .option('wait', {
      type: 'boolean',
      describe: 'Halt before the first instruction',
      default: false,
    })
    .option('on-detach', {
      choices: ['run', 'halt'] as const,
      describe: 'What the machine does when its debugger detaches or vanishes',
      default: 'run' as const,
    })
    .option('serial', {
      type: 'string',
      describe: 'Where COM1 goes: stdio, file:PATH or none',
      defaultDescription: 'stdio; none with --listen stdio',
      requiresArg: true,
    })
    .option('console', {
      type: 'boolean',
      describe: 'Send what is typed to the guest; Ctrl-A x leaves',
      default: false,
    })
    .option('log-level', {
      choices: LOG_LEVELS,
      describe: 'What to log on stderr',
      default: 'info' as const,
    })
    .option('trace-packets', {
      type: 'boolean',
      describe: 'Log every packet',
      default: false,
    });
}

export interface ServeArguments extends MachineArguments {
  readonly listen: string;
  readonly allowRemote: boolean;
  readonly wait: boolean;
  readonly onDetach: 'run' | 'halt';
  readonly serial?: string | undefined;
  readonly console: boolean;
  readonly logLevel: LogLevel;
  readonly tracePackets: boolean;
}

/** Serves until it is told to end; resolves with the process's exit status. */
export async function serve(options: ServeArguments): Promise<number> {
  const address = parseAddress(options.listen);
  const image = readImage(options.image);
  const symbolFiles = readSymbolFiles(options.symbols);
  const logs = await openLogs(options.logLevel, options.tracePackets);
  const usesStdio = address.kind === 'stdio';
  const serial = SerialOutput.open(options.serial ?? (usesStdio ? 'none' : 'stdio'));
  const end = new EndOfService();
  const machine = bootMachine(options, image, {
    onSerialOutput: serial.write,
    onNote: (note) => logs.main.info(note),
  });
  const target = new MachineTarget({
    machine,
    image,
    imageName: options.image,
    symbolFiles,
    onQuit: () => end.come(),
  });
  const session = {
    target,
    registry: new PacketRegistry(PACKET_CHAPTERS),
    seat: new DebuggerSeat(),
    onDetach: options.onDetach,
    server: { name: 'exoscope', version: VERSION },
  };
  target.onStop((stop) => {
    logStop(stop, logs);
    // A guest that reboots itself while nobody debugs goes on, as a PC does.
    const isReboot = stop.kind === 'stopped' && stop.cause.kind === 'reset';
    if (isReboot && session.seat.isFree) setImmediate(() => runUnattended(target));
  });
  try {
    await serveSessions(address, options, session, logs, target, end);
  } finally {
    target.dispose();
    await serial.dispose();
  }
  return EXIT.success;
}

async function serveSessions(
  address: ListenAddress,
  options: ServeArguments,
  session: Omit<SessionOptions, 'log'>,
  logs: Logs,
  target: MachineTarget,
  end: EndOfService,
): Promise<void> {
  if (address.kind === 'stdio') {
    if (!options.wait) runUnattended(target);
    await Promise.race([serveStdio({ ...session, log: logs.forConnection(1) }), end.whenCome]);
    return;
  }
  const listener = await Listener.open(address, {
    session,
    allowRemote: options.allowRemote,
    logFor: (connection) => logs.forConnection(connection),
  });
  const bound = listener.address as typeof address;
  process.stderr.write(banner(bound, relative('', options.image), options.wait));
  logs.main.debug({ address: formatAddress(bound) }, 'listening');
  const console = options.console
    ? new TerminalConsole(
        (keys) => target.enterSerialInput(keys),
        () => end.come(),
      )
    : undefined;
  if (!options.wait) runUnattended(target);
  try {
    await end.whenCome;
  } finally {
    console?.dispose();
    await listener.dispose();
  }
}

/** The guest's end and its crashes are told on the terminal too; the server lives on. */
function logStop(stop: TargetStop, logs: Logs): void {
  if (stop.kind === 'exited') {
    logs.main.warn(
      `the guest has ended with status ${stop.status}; \`monitor reset\` boots it again`,
    );
  } else if (stop.message !== undefined) {
    logs.main.warn(stop.message.trimEnd());
  }
}

/** Ctrl-C, a termination signal, Ctrl-A x or `monitor quit`. */
class EndOfService {
  readonly whenCome: Promise<void>;
  private resolve: () => void = () => undefined;

  constructor() {
    this.whenCome = new Promise((resolve) => (this.resolve = resolve));
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => this.come());
    }
  }

  come(): void {
    this.resolve();
  }
}
