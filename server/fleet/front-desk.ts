/**
 * Who answers when a connection has no machine: monitor commands about the sessions, and a word to the
 * debugger that is one too many. To the packets it is a target without anything but a monitor.
 */
import { DebuggerSeat } from '../debugger-seat.ts';
import { table } from '../monitor/format.ts';
import { MONITOR_FEATURE } from '../monitor-feature.ts';
import { VERSION } from '../package-root.ts';
import { PACKET_CHAPTERS } from '../packets/index.ts';
import { PacketRegistry } from '../packets/registry.ts';
import { ERRNO, RemoteError } from '../rsp/errno.ts';
import type { SessionOptions } from '../session-options.ts';
import type { MonitorRequest, MonitorResult, Target } from '../target/target.ts';
import { SessionError } from './session-process.ts';
import type { SessionPool, SessionReport } from './session-pool.ts';

const REGISTRY = new PacketRegistry(PACKET_CHAPTERS);

/** A connection's first packet says that it wants monitor commands and no machine. */
export function isForFrontDesk(payload: Uint8Array): boolean {
  const text = Buffer.from(payload).toString('latin1');
  if (text.startsWith('qRcmd,')) return true;
  return text.startsWith('qSupported:') && text.slice(11).split(';').includes(MONITOR_FEATURE);
}

/** What a session with the front desk is made of. */
export function frontDesk(pool: SessionPool, isMonitor: boolean): Omit<SessionOptions, 'log'> {
  const inUse = pool.limit === 1 ? 'the one machine is' : `all ${pool.limit} machines are`;
  const seat = new DebuggerSeat(
    isMonitor
      ? 'this connection is for monitor commands: a debugger needs one of its own'
      : `${inUse} in use: end a session first (exoscope sessions lists them)`,
  );
  // Nobody may debug here.
  seat.take(seat);
  return {
    target: deskTarget((request) => runAtDesk(pool, request)),
    registry: REGISTRY,
    seat,
    onDetach: 'halt',
    server: { name: 'exoscope', version: VERSION },
  };
}

async function runAtDesk(pool: SessionPool, request: MonitorRequest): Promise<MonitorResult> {
  const line = request.commandLine.trim();
  if (line === 'sessions') {
    request.output(`${sessionsTable(await pool.reports(), pool.limit)}\n`);
    return {};
  }
  const [, number, commandLine = ''] = /^session\s+(\d{1,9})\s*(.*)$/s.exec(line) ?? [];
  if (number === undefined) {
    return {
      failure:
        'each debugger has a machine of its own here: say which one with --session K ' +
        '(exoscope sessions lists them)',
    };
  }
  try {
    const { text, failure } = await pool.monitor(Number(number), commandLine);
    request.output(text);
    return failure === undefined ? {} : { failure };
  } catch (error) {
    if (error instanceof SessionError) return { failure: error.message };
    throw error;
  }
}

const HEADINGS = ['>session', 'since', 'client', '>process', 'state', '>instructions', '>memory'];

/** The answer of `sessions`, without a final line feed. */
function sessionsTable(reports: readonly SessionReport[], limit: number): string {
  const free = `${limit - reports.length} of ${limit} free`;
  if (reports.length === 0) return `no sessions; ${free}`;
  return `${table(HEADINGS, reports.map(row))}\n${free}`;
}

function row({ session: { number, since, client, process }, look }: SessionReport): string[] {
  const isKnown = typeof look !== 'string';
  return [
    String(number),
    localTime(since),
    client,
    String(process.pid ?? ''),
    isKnown ? look.state : look,
    isKnown ? String(look.instructions) : '',
    isKnown ? `${Math.round(look.residentBytes / 2 ** 20)}M` : '',
  ];
}

/** `2026-11-23 01:15:09`, as the host's clock shows it. */
function localTime(time: Date): string {
  const pad = (value: number): string => String(value).padStart(2, '0');
  const day = [time.getFullYear(), time.getMonth() + 1, time.getDate()].map(pad).join('-');
  return `${day} ${[time.getHours(), time.getMinutes(), time.getSeconds()].map(pad).join(':')}`;
}

/** There is nothing to debug: sessions let no packet come so far. */
function deskTarget(run: (request: MonitorRequest) => Promise<MonitorResult>): Target {
  const refuse = (): never => {
    throw new RemoteError(ERRNO.EPERM, 'there is no machine behind this connection');
  };
  const stop = { kind: 'stopped', thread: 1, signal: 5, cause: { kind: 'reset' } } as const;
  return {
    monitor: { run },
    registers: {
      programCounter: 0,
      readAll: refuse,
      writeAll: refuse,
      read: refuse,
      write: refuse,
      expedited: refuse,
    },
    memory: { read: refuse, write: refuse },
    breakpoints: { kinds: [], insert: refuse, remove: refuse, removeAllOf: () => undefined },
    description: () => undefined,
    threads: () => [],
    currentThread: () => 1,
    state: () => ({ kind: 'halted', stop }),
    resume: refuse,
    interrupt: () => undefined,
    onStop: () => () => undefined,
  };
}
