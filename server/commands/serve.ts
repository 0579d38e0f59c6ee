/**
 * `exoscope serve`: boots an image and lets debuggers attach. Prints first, on stderr, where it listens
 * and what to type; the guest's serial console follows on stdout.
 */
import type { Argv } from 'yargs';
import { formatAddress, parseAddress, type ListenAddress } from '../listen-address.ts';
import { Listener, serveStdio } from '../listener.ts';
import { openLogs, type LogLevel, type Logs } from '../log.ts';
import { runUnattended } from '../session-context.ts';
import { ARCHITECTURES, type Architecture } from '../target/register-set.ts';
import { banner } from './banner.ts';
import { TerminalConsole } from './console.ts';
import { EndOfService } from './end-of-service.ts';
import { EXIT } from './exit-status.ts';
import { LOG_OPTIONS } from './log-options.ts';
import { machineArguments, type MachineArguments } from './machine-arguments.ts';
import { fileForDebugger, openSource, readImage, standing, type MachineSource } from './machine-source.ts'; // prettier-ignore
import { serveFleet } from './serve-fleet.ts';
import { SerialOutput } from './serial-output.ts';
import { serveMachine, type ServedMachine } from './served-machine.ts';
import { readSymbolFiles } from './symbol-arguments.ts';

export const SERVE_EXAMPLES: readonly [string, string][] = [
  ['$0 serve', 'boot the example kernel, listen on 127.0.0.1:1234'],
  ['$0 serve kernel.elf --wait --listen 127.0.0.1:0', 'halt at the entry; any free port'],
  ['$0 serve --listen unix:/tmp/exo.sock --console', 'a Unix socket; type to the guest'],
  ['$0 serve stripped.elf --symbols kernel.elf', 'symbols from another file'],
  ['$0 serve booted.snapshot', 'go on where a snapshot was taken (exoscope snapshot)'],
  ['$0 serve --sessions 8', 'eight debuggers at once, a machine for each'],
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
      describe: 'Halt before the first instruction, or where the snapshot was taken',
      default: false,
    })
    .option('on-detach', {
      choices: ['run', 'halt'] as const,
      describe: 'What the machine does when its debugger detaches or vanishes',
      default: 'run' as const,
    })
    .option('processes', {
      type: 'boolean',
      describe: "Show gdb the guest's processes as inferiors",
      default: false,
    })
    .option('architecture', {
      choices: ARCHITECTURES,
      describe: 'What debuggers take the machine for',
      defaultDescription: 'as the ELF file of --symbols or the image is for',
      requiresArg: true,
    })
    .option('serial', {
      type: 'string',
      describe: 'Where COM1 goes: stdio, file:PATH (with --sessions: PATH-NUMBER) or none',
      defaultDescription: 'stdio; none with --listen stdio and with --sessions',
      requiresArg: true,
    })
    .option('console', {
      type: 'boolean',
      describe: 'Send what is typed to the guest; Ctrl-A x leaves',
      default: false,
    })
    .option('sessions', {
      type: 'number',
      describe: 'A machine of its own for each of so many debuggers, halted where it begins',
      requiresArg: true,
    })
    .options(LOG_OPTIONS);
}

export interface ServeArguments extends MachineArguments {
  readonly listen: string;
  readonly allowRemote: boolean;
  readonly wait: boolean;
  readonly onDetach: 'run' | 'halt';
  readonly processes: boolean;
  readonly architecture?: Architecture | undefined;
  readonly serial?: string | undefined;
  readonly console: boolean;
  readonly sessions?: number | undefined;
  readonly logLevel: LogLevel;
  readonly tracePackets: boolean;
}

/** Serves until it is told to end; resolves with the process's exit status. */
export async function serve(options: ServeArguments): Promise<number> {
  const address = parseAddress(options.listen);
  if (options.sessions !== undefined) {
    return serveFleet({ ...options, sessions: options.sessions }, address);
  }
  const source = openSource(readImage(options.image), options);
  const symbolFiles = readSymbolFiles(options.symbols);
  const logs = await openLogs(options.logLevel, options.tracePackets);
  const usesStdio = address.kind === 'stdio';
  const serial = SerialOutput.open(options.serial ?? (usesStdio ? 'none' : 'stdio'));
  const end = new EndOfService();
  const session = serveMachine({
    machine: options,
    source,
    symbolFiles,
    onDetach: options.onDetach,
    processes: options.processes,
    architecture: options.architecture,
    onSerialOutput: serial.write,
    onQuit: () => end.come(),
    log: logs.main,
  });
  const { target } = session;
  target.onStop((stop) => {
    // A guest that reboots itself while nobody debugs goes on, as a PC does.
    const isReboot = stop.kind === 'stopped' && stop.cause.kind === 'reset';
    if (isReboot && session.seat.isFree) setImmediate(() => runUnattended(target));
  });
  try {
    await serveSessions(address, { ...options, source }, session, logs, end);
  } finally {
    target.dispose();
    await serial.dispose();
  }
  return EXIT.success;
}

async function serveSessions(
  address: ListenAddress,
  options: ServeArguments & { readonly source: MachineSource },
  session: ServedMachine,
  logs: Logs,
  end: EndOfService,
): Promise<void> {
  const { target } = session;
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
  const state = options.wait ? standing(options.source) : 'running';
  const file = fileForDebugger(options.source);
  process.stderr.write(banner(bound, file, `the machine is ${state}`));
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
