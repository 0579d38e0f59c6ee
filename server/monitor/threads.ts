/**
 * `threads`: the guest kernel's threads, with where each is and what it waits for.
 */
import type { GuestThread, Listing } from '../awareness/awareness.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { address, addressWithSymbol, complaintLines, table } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

/** What the table is made of, read from our machine or, by the proxy, from another stub. */
export interface ThreadsView {
  readonly listing: Listing<GuestThread>;
  readonly currentTid: number | undefined;
  readonly isKernelKnown: boolean;
  readonly symbols: SymbolTable;
  /** Of the CPU. */
  readonly register: (name: 'rip' | 'rsp') => bigint | undefined;
}

export const threadsCommand = defineMonitorCommand({
  name: 'threads',
  syntax: 'threads',
  access: 'look',
  summary: "the guest's threads: state, what each waits for, rip, rsp, kernel-stack use",
  help: [
    'The thread on the CPU is marked `*` and shows the registers of the CPU; all others show what',
    'their last switch saved. `stack` is how much of the kernel stack is in use; `-` while rsp is',
    'elsewhere (user mode). gdb numbers threads from 1: its thread N is tid N - 1.',
  ].join('\n'),
  sample: [
    '   tid  pid  name  state    waits for                         rip                                         rsp                 stack',
    '*    0    0  idle  running  -                                 0xffffffff80101759 <idle+6>                 0xffffff0000013ff0  16/16384',
    '     1    1  init  waiting  sleep until tick 180 (in 0.98 s)  0xffffffff80105774 <context_switch_resume>  0xffffff0000013e68  408/16384',
  ].join('\n'),
  run({ guest, machine, symbols }, args) {
    expectArguments(this, args, 0);
    return threadsTable({
      listing: guest.threads(),
      currentTid: guest.currentThread()?.tid,
      isKernelKnown: guest.kernel !== undefined,
      symbols,
      register: (name) => machine.readRegister(name),
    });
  },
});

/** The answer of `threads`, without a final line feed. */
export function threadsTable(view: ThreadsView): string {
  const { items, complaints } = view.listing;
  if (items.length === 0) return `${onlyTheCpu(view)}${complaintLines(complaints)}`;
  const headings = ['', '>tid', '>pid', 'name', 'state', 'waits for', 'rip', 'rsp', 'stack'];
  const rows = items.map((thread) => row(view, thread));
  const isListed = items.some(({ tid }) => tid === view.currentTid);
  const note = isListed ? '' : `\n${onlyTheCpu(view)}`;
  return `${table(headings, rows)}${note}${complaintLines(complaints)}`;
}

function row(view: ThreadsView, thread: GuestThread): string[] {
  const isOnCpu = thread.tid === view.currentTid;
  const register = (name: 'rip' | 'rsp'): bigint =>
    (isOnCpu ? view.register(name) : thread.registers.get(name)) ?? 0n;
  return [
    isOnCpu ? '*' : '',
    `${thread.tid}`,
    `${thread.pid}`,
    thread.name,
    isOnCpu ? 'running' : thread.state,
    isOnCpu ? '-' : (thread.waitsFor ?? '-'),
    addressWithSymbol(register('rip'), view.symbols),
    address(register('rsp')),
    stackUse(thread, register('rsp')),
  ];
}

function stackUse({ kernelStack: { base, sizeBytes } }: GuestThread, rsp: bigint): string {
  const top = base + sizeBytes;
  return rsp < base || rsp > top ? '-' : `${top - rsp}/${sizeBytes}`;
}

function onlyTheCpu({ register, isKernelKnown, symbols }: ThreadsView): string {
  const rip = addressWithSymbol(register('rip') ?? 0n, symbols);
  const why = isKernelKnown
    ? 'no thread in the list of the kernel is on it'
    : 'the image is not a kernel that the server knows';
  return `the CPU is at ${rip}; ${why}`;
}
