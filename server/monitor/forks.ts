/**
 * `forks [N]`: all forks since boot, or one in full, as the CPU saw it beside what the kernel says.
 */
import type { ForkEntry, Forks } from '../awareness/fork-journal.ts';
import { forkRows, forkVerdict, idComplaint } from '../awareness/fork-verdict.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { address, complaintLines, table } from './format.ts';
import {
  MonitorError,
  defineMonitorCommand,
  expectArguments,
  parseCount,
} from './monitor-command.ts';

export const NO_FORKS = 'the image is not a kernel whose forks the server knows';

export const forksCommand = defineMonitorCommand({
  name: 'forks',
  syntax: 'forks [N]',
  access: 'look',
  summary: 'all forks since boot, newest first; with N the registers of one and a verdict',
  help: [
    'true      what the CPU held when control reached the fork function; never from guest memory',
    'captured  what the kernel recorded as the registers at the call (rip: the quadword at rsp)',
    "stale     the parent's context as its last switch away stored it",
    'child     the context that the child starts with',
    'A child must hold rax = 0, rsp + 8 and the return address in rip; that is not marked. What else',
    'differs is marked `<<`. Caller-saved registers are not compared: after a call they are free.',
    'Of forks before the snapshot from which a machine began the true registers were not recorded.',
  ].join('\n'),
  sample: [
    'fork  kind   parent         child          returns to                                verdict',
    '  34  fork   tid 18 pid 18  tid 38 pid 38  0xffffffff80105c02 <syscall_dispatch+93>  sound',
    '  33  vfork  tid 18 pid 18  tid 37 pid 37  0xffffffff80105c02 <syscall_dispatch+93>  sound',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 1);
    const { forks } = context;
    if (forks === undefined) {
      throw new MonitorError(NO_FORKS);
    }
    return forksText(forks, context.symbols, args[0]);
  },
});

/** The answer of `forks`, or of `forks N`, without a final line feed. Throws `MonitorError`. */
export function forksText(forks: Forks, symbols: SymbolTable, which: string | undefined): string {
  // Before the total: records are read here.
  const entries = forks.entries();
  if (which === undefined) {
    return `${overview(symbols, entries, forks.total)}${complaintLines(forks.complaints)}`;
  }
  const number = parseCount(which, 'the number of a fork');
  const entry = entries.find((candidate) => candidate.number === number);
  if (entry === undefined) throw new MonitorError(missing(number, forks.total));
  return describeFork(entry, symbols);
}

function missing(number: number, total: number): string {
  return number <= total
    ? `fork ${number} is so old that it was dropped`
    : `there is no fork ${number}; there were ${total} since boot`;
}

function overview(symbols: SymbolTable, entries: readonly ForkEntry[], total: number): string {
  if (total === 0) return 'no fork since boot';
  const rows = entries.toReversed().map((entry) => {
    const { sighting, record } = entry;
    return [
      `${entry.number}`,
      sighting?.kind ?? record?.kind ?? '',
      parentOf(entry),
      record === undefined ? '-' : `tid ${record.childTid} pid ${record.childPid}`,
      returnAddress(sighting?.returnAddress ?? record?.derivedRip, symbols),
      forkVerdict(entry).kind,
    ];
  });
  const headings = ['>fork', 'kind', 'parent', 'child', 'returns to', 'verdict'];
  const dropped = total > entries.length ? `\n${total - entries.length} older ones dropped` : '';
  return `${table(headings, rows)}${dropped}`;
}

function parentOf({ sighting, record }: ForkEntry): string {
  const thread = sighting?.thread;
  if (thread !== undefined) return `tid ${thread.tid} pid ${thread.pid}`;
  return record === undefined ? '?' : `tid ${record.parentTid} pid ${record.parentPid}`;
}

function returnAddress(value: bigint | undefined, symbols: SymbolTable): string {
  if (value === undefined) return '?';
  const symbol = symbols.describeReturn(value);
  return symbol === '' ? address(value) : `${address(value)} <${symbol}>`;
}

function describeFork(entry: ForkEntry, symbols: SymbolTable): string {
  const { sighting, record } = entry;
  const cell = (value: bigint | undefined): string => (value === undefined ? '-' : address(value));
  const rows = forkRows(entry).map((row) => [
    row.register,
    cell(row.captured),
    cell(row.true),
    cell(row.stale),
    cell(row.child),
    row.marks.length === 0 ? '' : `<< ${row.marks.join('; ')}`,
  ]);
  const child = record === undefined ? '-' : `tid ${record.childTid} pid ${record.childPid}`;
  const icount = sighting?.icount;
  const when = icount === undefined ? '' : `, at instruction ${icount}`;
  const tick = record === undefined ? '' : `, tick ${record.tick}`;
  return [
    `fork ${entry.number}: ${sighting?.kind ?? record?.kind ?? 'fork'} by ${parentOf(entry)}, ` +
      `child ${child}${when}${tick}`,
    `returns to ${returnAddress(sighting?.returnAddress ?? record?.derivedRip, symbols)}`,
    table(['register', 'captured', 'true', 'stale', 'child', ''], rows),
    ...(idComplaint(entry) === undefined ? [] : [`<< ${idComplaint(entry)!}`]),
    `verdict: ${forkVerdict(entry).text}`,
  ].join('\n');
}
