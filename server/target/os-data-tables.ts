/**
 * The tables of gdb's `info os` (GDB manual, "Operating System Auxiliary Information"), which MI has as
 * `-info-os` for editors: the guest's threads, processes, forks and system calls, and the machine's
 * devices. Rows have all columns, because gdb takes a table's columns from its first row; long ones
 * come last, because gdb pads all to ten characters.
 */
import type { MachineControl, MachineView } from '../../machine/index.ts';
import type {
  GuestProcess,
  GuestSystemCall,
  GuestThread,
  KernelAwareness,
  Listing,
} from '../awareness/awareness.ts';
import type { ForkEntry, Forks } from '../awareness/fork-journal.ts';
import { forkVerdict } from '../awareness/fork-verdict.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import type { ThreadsView } from '../monitor/threads.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import type { Awaitable } from './awaitable.ts';
import { numberOfThread } from './machine-threads.ts';
import type { OsDataTable } from './target.ts';

type CpuAndThreads = Omit<ThreadsView, 'isKernelKnown'>;

/** A kernel that the server knows, as it is now: read from our machine or, by the proxy, a stub. */
export interface GuestTables {
  readonly kernel: Pick<KernelAwareness, 'systemCalls' | 'forkEntryPoints'>;
  readonly symbols: SymbolTable;
  readonly threads: () => Awaitable<CpuAndThreads>;
  readonly processes: () => Awaitable<Listing<GuestProcess>>;
  readonly forks: () => Awaitable<Forks | undefined>;
}

export interface OsDataSources {
  readonly machine: MachineView & Pick<MachineControl, 'describeDevices'>;
  readonly guest: GuestView;
  /** Absent: not a kernel whose forks the server knows. */
  readonly forks: Forks | undefined;
  readonly symbols: SymbolTable;
}

type Row = Readonly<Record<string, string>>;

/** Of our machine. A kernel that the server does not know has its devices only. */
export function osDataTables(sources: OsDataSources): readonly OsDataTable[] {
  const { machine, guest, forks, symbols } = sources;
  const { kernel } = guest;
  const devices = table('devices', "the machine's devices and their state", () =>
    machine.describeDevices().map(({ name, text }) => ({ device: name, state: text })),
  );
  if (kernel === undefined) return [devices];
  const threads = () => {
    guest.forget();
    const register = (name: 'rip' | 'rsp'): bigint | undefined => machine.readRegister(name);
    const currentTid = guest.currentThread()?.tid;
    return { listing: guest.threads(), currentTid, register, symbols };
  };
  const processes = () => guest.processes();
  return [...guestTables({ kernel, symbols, threads, processes, forks: () => forks }), devices];
}

/** Those that awareness of the kernel fills; what its image does not tell has no table. */
export function guestTables(guest: GuestTables): readonly OsDataTable[] {
  const { symbols } = guest;
  const { systemCalls, forkEntryPoints } = guest.kernel;
  const calls = table('syscalls', "the guest kernel's system calls", () =>
    systemCalls.map((call) => systemCallRow(call, symbols)),
  );
  const forks = table('forks', 'all forks since boot, newest first, with a verdict', async () => {
    const entries = (await guest.forks())?.entries() ?? [];
    return entries.toReversed().map((entry) => forkRow(entry, symbols));
  });
  return [
    table('threads', "the guest's threads", async () => threadRows(await guest.threads())),
    table('processes', "the guest's processes", () => processRows(guest)),
    ...(forkEntryPoints.length === 0 ? [] : [forks]),
    ...(systemCalls.length === 0 ? [] : [calls]),
  ];
}

function table(
  name: string,
  description: string,
  rows: () => Awaitable<readonly Row[]>,
): OsDataTable {
  const read = async () => (await rows()).map((row) => new Map(Object.entries(row)));
  return { name, description, rows: read };
}

function systemCallRow({ number, name, handler }: GuestSystemCall, symbols: SymbolTable): Row {
  return { number: `${number}`, name, handler: place(handler, symbols.describe(handler)) };
}

function threadRows({ listing, currentTid, register, symbols }: CpuAndThreads): Row[] {
  return listing.items.map((thread) => {
    const isOnCpu = thread.tid === currentTid;
    const rip = isOnCpu ? register('rip') : thread.registers.get('rip');
    return threadRow(thread, isOnCpu, place(rip, symbols.describe(rip ?? 0n)));
  });
}

function threadRow(thread: GuestThread, isOnCpu: boolean, at: string): Row {
  return {
    thread: `${numberOfThread(thread.tid)}`,
    tid: `${thread.tid}`,
    pid: `${thread.pid}`,
    mode: thread.mode,
    state: isOnCpu ? 'running' : thread.state,
    switches: `${thread.switchCount}`,
    name: thread.name,
    at,
    'waits for': isOnCpu ? '' : (thread.waitsFor ?? ''),
  };
}

async function processRows(guest: GuestTables): Promise<Row[]> {
  const threads = (await guest.threads()).listing.items;
  return (await guest.processes()).items.map((process) => {
    const own = threads.filter(({ pid }) => pid === process.pid).map(({ tid }) => tid);
    return processRow(process, own.join(' '));
  });
}

function processRow(process: GuestProcess, tids: string): Row {
  return {
    pid: `${process.pid}`,
    parent: `${process.parentPid}`,
    mode: process.mode,
    state: process.state,
    forks: `${process.forkCount ?? '-'}`,
    name: process.name,
    ending: process.ending ?? '',
    tids,
  };
}

function forkRow(entry: ForkEntry, symbols: SymbolTable): Row {
  const { number, sighting, record } = entry;
  const returnsTo = sighting?.returnAddress ?? record?.derivedRip;
  return {
    fork: `${number}`,
    kind: sighting?.kind ?? record?.kind ?? '',
    'parent tid': `${sighting?.thread?.tid ?? record?.parentTid ?? ''}`,
    'parent pid': `${sighting?.thread?.pid ?? record?.parentPid ?? ''}`,
    'child tid': `${record?.childTid ?? ''}`,
    'child pid': `${record?.childPid ?? ''}`,
    'returns to': place(returnsTo, symbols.describeReturn(returnsTo ?? 0n)),
    verdict: forkVerdict(entry).kind,
  };
}

/** `0xffffffff80101234 <sys_fork+4>`; empty for what is not known. */
function place(address: bigint | undefined, symbol: string): string {
  if (address === undefined) return '';
  const digits = `0x${address.toString(16).padStart(16, '0')}`;
  return symbol === '' ? digits : `${digits} <${symbol}>`;
}
