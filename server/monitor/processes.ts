/**
 * `processes`: the guest kernel's processes as a tree.
 */
import type { GuestProcess, Listing } from '../awareness/awareness.ts';
import { complaintLines, table } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

export const processesCommand = defineMonitorCommand({
  name: 'processes',
  syntax: 'processes',
  access: 'look',
  summary: "the guest's processes as a tree, with state and exit status",
  help: [
    'Children stand below their parent. A zombie shows how it ended; `forks` counts the children',
    'that a process has forked. A process whose parent is gone stands at the left.',
  ].join('\n'),
  sample: [
    'pid  name                state  mode    forks  ending',
    '  1  init                alive  kernel      0',
    ' 18    protection.elf    alive  user       20',
    ' 38      protection.elf  zombie user        0  exit 0',
  ].join('\n'),
  run({ guest }, args) {
    expectArguments(this, args, 0);
    return processesTable(guest.processes());
  },
});

/** The answer of `processes`, without a final line feed. */
export function processesTable({ items, complaints }: Listing<GuestProcess>): string {
  if (items.length === 0) return `no processes${complaintLines(complaints)}`;
  const headings = ['>pid', 'name', 'state', 'mode', '>forks', 'ending'];
  const rows = treeOrder(items).map(({ process, depth }) => [
    `${process.pid}`,
    `${'  '.repeat(depth)}${process.name}`,
    process.state,
    process.mode,
    `${process.forkCount ?? '-'}`,
    process.ending ?? '',
  ]);
  return `${table(headings, rows)}${complaintLines(complaints)}`;
}

interface TreeNode {
  readonly process: GuestProcess;
  readonly depth: number;
}

/** Parents before children; processes in a circle of parents come last, at the left. */
export function treeOrder(processes: readonly GuestProcess[]): TreeNode[] {
  const nodes: TreeNode[] = [];
  const placed = new Set<number>();
  const place = (process: GuestProcess, depth: number): void => {
    if (placed.has(process.pid)) return;
    placed.add(process.pid);
    nodes.push({ process, depth });
    for (const child of processes) {
      if (child.parentPid === process.pid) place(child, depth + 1);
    }
  };
  const pids = new Set(processes.map(({ pid }) => pid));
  const isRoot = ({ pid, parentPid }: GuestProcess): boolean =>
    parentPid === pid || !pids.has(parentPid);
  for (const process of processes.filter(isRoot)) place(process, 0);
  for (const process of processes) place(process, 0);
  return nodes;
}
