/**
 * `threads`: the guest kernel's threads, with where each is and what it waits for.
 */
import type { GuestThread } from '../awareness/awareness.ts';
import { address, addressWithSymbol, complaintLines, table } from './format.ts';
import { type MonitorContext, defineMonitorCommand, expectArguments } from './monitor-command.ts';

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
  run(context, args) {
    expectArguments(this, args, 0);
    const { items, complaints } = context.guest.threads();
    const current = context.guest.currentThread();
    if (items.length === 0) return `${onlyTheCpu(context)}${complaintLines(complaints)}`;
    const headings = ['', '>tid', '>pid', 'name', 'state', 'waits for', 'rip', 'rsp', 'stack'];
    const rows = items.map((thread) => row(context, thread, thread.tid === current?.tid));
    const isListed = items.some(({ tid }) => tid === current?.tid);
    const note = isListed ? '' : `\n${onlyTheCpu(context)}`;
    return `${table(headings, rows)}${note}${complaintLines(complaints)}`;
  },
});

function row(
  { machine, symbols }: MonitorContext,
  thread: GuestThread,
  isOnCpu: boolean,
): string[] {
  const register = (name: string): bigint =>
    (isOnCpu ? machine.readRegister(name) : thread.registers.get(name)) ?? 0n;
  return [
    isOnCpu ? '*' : '',
    `${thread.tid}`,
    `${thread.pid}`,
    thread.name,
    isOnCpu ? 'running' : thread.state,
    isOnCpu ? '-' : (thread.waitsFor ?? '-'),
    addressWithSymbol(register('rip'), symbols),
    address(register('rsp')),
    stackUse(thread, register('rsp')),
  ];
}

function stackUse({ kernelStack: { base, sizeBytes } }: GuestThread, rsp: bigint): string {
  const top = base + sizeBytes;
  return rsp < base || rsp > top ? '-' : `${top - rsp}/${sizeBytes}`;
}

function onlyTheCpu({ machine, guest, symbols }: MonitorContext): string {
  const rip = addressWithSymbol(machine.readRegister('rip') ?? 0n, symbols);
  const why =
    guest.kernel === undefined
      ? 'the image is not a kernel that the server knows'
      : 'no thread in the list of the kernel is on it';
  return `the CPU is at ${rip}; ${why}`;
}
