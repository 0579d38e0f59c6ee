/**
 * `exoscope serve --sessions N`: each connection gets a machine of its own, in a process of its own,
 * halted before its first instruction or where a snapshot was taken. The machine ends with the connection.
 */
import { totalmem } from 'node:os';
import { connectFleet } from '../fleet/fleet-connection.ts';
import { SessionPool } from '../fleet/session-pool.ts';
import { UsageError, type ListenAddress } from '../listen-address.ts';
import { Listener } from '../listener.ts';
import { openLogs, type LogLevel } from '../log.ts';
import { SESSION_PROGRAM } from '../package-root.ts';
import type { Architecture } from '../target/register-set.ts';
import { banner } from './banner.ts';
import { EndOfService } from './end-of-service.ts';
import { EXIT } from './exit-status.ts';
import type { MachineArguments } from './machine-arguments.ts';
import { fileForDebugger, openSource, readImage, readModules, standing } from './machine-source.ts';
import { SerialOutput } from './serial-output.ts';
import { loadSymbolArguments } from './symbol-arguments.ts';

const MOST_SESSIONS = 256;
/** The JavaScript heap of a session; a session of the example kernel uses some 20 MiB. */
const HEAP_MEGABYTES = 256;
/** Beside guest RAM and heap: Node itself, compiled code, trace buffers, snapshots, states of the past. */
const OTHER_MEGABYTES = 256;
const MIB = 2 ** 20;

export interface FleetArguments extends MachineArguments {
  readonly sessions: number;
  readonly allowRemote: boolean;
  readonly serial?: string | undefined;
  readonly console: boolean;
  readonly logLevel: LogLevel;
  readonly tracePackets: boolean;
  readonly processes: boolean;
  readonly architecture?: Architecture | undefined;
}

/** Serves until it is told to end; resolves with the process's exit status. */
export async function serveFleet(options: FleetArguments, address: ListenAddress): Promise<number> {
  const tcpOrUnix = checkArguments(options, address);
  const file = readImage(options.image);
  const modules = readModules(options);
  const source = openSource(file, options, modules);
  checkMemory(options.sessions, source.memoryBytes);
  const { image: path, memory, append, module, engine, symbols, logLevel, tracePackets } = options;
  const machine = { image: path, memory, append, module, engine, symbols };
  const order = {
    machine,
    file,
    modules,
    symbols: loadSymbolArguments(symbols),
    serial: options.serial ?? 'none',
    logLevel,
    tracePackets,
    processes: options.processes,
    architecture: options.architecture,
  };
  const logs = await openLogs(logLevel, tracePackets);
  const pool = new SessionPool({
    script: SESSION_PROGRAM,
    order,
    heapMegabytes: HEAP_MEGABYTES,
    limit: options.sessions,
    log: logs.main,
  });
  const end = new EndOfService();
  try {
    await pool.start();
    const listener = await Listener.open(tcpOrUnix, {
      session: connectFleet(pool),
      allowRemote: options.allowRemote,
      debuggers: options.sessions,
      logFor: (connection) => logs.forConnection(connection),
    });
    const state = `up to ${options.sessions} machines, each ${standing(source)}`;
    process.stderr.write(
      banner(listener.address as typeof tcpOrUnix, fileForDebugger(source), state),
    );
    await end.whenCome;
    await listener.dispose();
  } finally {
    await pool.dispose();
  }
  return EXIT.success;
}

/** Throws `UsageError` for what does not go together. */
function checkArguments(
  { sessions, serial, console }: FleetArguments,
  address: ListenAddress,
): Exclude<ListenAddress, { kind: 'stdio' }> {
  if (!Number.isInteger(sessions) || sessions < 1 || sessions > MOST_SESSIONS) {
    throw new UsageError(`--sessions: a number from 1 to ${MOST_SESSIONS} is expected`);
  }
  if (address.kind === 'stdio') {
    throw new UsageError('--sessions with --listen stdio: there is only one debugger');
  }
  if (console) throw new UsageError('--sessions with --console: which machine is typed to?');
  if (serial === 'stdio') {
    throw new UsageError('--sessions with --serial stdio: machines would mix; file:PATH or none');
  }
  SerialOutput.check(serial ?? 'none');
  return address;
}

/**
 * What all machines may come to want must be there: a debugger that goes back in time has a second machine
 * for it. Throws `UsageError`.
 */
function checkMemory(sessions: number, guestBytes: number): void {
  const guests = (2 * guestBytes) / MIB;
  const wanted = sessions * (guests + HEAP_MEGABYTES + OTHER_MEGABYTES);
  const there = hostMegabytes();
  if (wanted <= there) return;
  throw new UsageError(
    `--sessions ${sessions}: with ${guestBytes / MIB}M of RAM each they may come to want ` +
      `${wanted}M, and this host has ${there}M; fewer sessions or less --memory`,
  );
}

/** The host's RAM, or what the process's control group may have of it. */
function hostMegabytes(): number {
  const limit = process.constrainedMemory();
  return Math.floor((limit > 0 ? Math.min(limit, totalmem()) : totalmem()) / MIB);
}
