/**
 * `retaddr [TID | all | ADDRESS]`: the return addresses that a stack pointer leads to.
 */
import type { GuestThread } from '../awareness/awareness.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { address } from './format.ts';
import {
  type MonitorContext,
  MonitorError,
  defineMonitorCommand,
  expectArguments,
  parseAddress,
} from './monitor-command.ts';
import { type CallBefore, type ReturnCandidate, scanStack } from './stack-scan.ts';

/** How far up a stack whose end is not known is looked at. */
const UNKNOWN_STACK_BYTES = 4096n;
const MOST_CANDIDATES = 32;

export const returnAddressesCommand = defineMonitorCommand({
  name: 'retaddr',
  syntax: 'retaddr [TID | all | ADDRESS]',
  access: 'look',
  summary: 'return addresses from rsp: the quadword at rsp, then a scan up the stack',
  help: [
    'Without an argument: of the thread on the CPU. A number is a tid; an address (0x…, symbol or',
    '$register) is where to start in the memory that the CPU sees. First comes the quadword at rsp,',
    'then each quadword above it that points into executable memory, up to the end of the kernel',
    'stack. `after call X`: a call instruction stands before it, and goes to X; without one the',
    'quadword is probably left over or a pointer to code.',
  ].join('\n'),
  sample: [
    'tid 1 "init": rsp 0xffffff0000013e08, scanned to 0xffffff0000014000',
    '  rsp+0     0xffffffff80105505 <schedule+120>  after call context_switch',
    '  rsp+48    0xffffffff801055b0 <thread_wait+56>  after call schedule',
    '  rsp+144   0xffffffff80105c02 <syscall_dispatch+93>  after an indirect call',
    '  rsp+152   0xffffffff801016e4 <init_main>  not after a call',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 1);
    const [which] = args;
    const threads = context.guest.threads().items;
    if (which === 'all') {
      if (threads.length === 0) return describe(context, cpuStack(context));
      return threads.map((thread) => describe(context, threadStack(context, thread))).join('\n');
    }
    return describe(context, chosenStack(context, threads, which));
  },
});

interface Stack {
  readonly title: string;
  readonly rsp: bigint;
  readonly end: bigint;
  readonly cr3: bigint | undefined;
}

function chosenStack(
  context: MonitorContext,
  threads: readonly GuestThread[],
  which: string | undefined,
): Stack {
  const isTid = which === undefined || /^\d{1,9}$/.test(which);
  if (isTid) {
    const tid = which === undefined ? context.guest.currentThread()?.tid : Number(which);
    const thread = threads.find((candidate) => candidate.tid === tid);
    if (thread !== undefined) return threadStack(context, thread);
    if (which === undefined) return cpuStack(context);
    throw new MonitorError(`no thread has tid ${tid}; \`threads\` lists them`);
  }
  const start = parseAddress(which, context);
  return { title: `from ${address(start)}`, rsp: start, end: endOfUnknown(start), cr3: undefined };
}

function cpuStack({ machine }: MonitorContext): Stack {
  const rsp = machine.readRegister('rsp') ?? 0n;
  return { title: `CPU: rsp ${address(rsp)}`, rsp, end: endOfUnknown(rsp), cr3: undefined };
}

function threadStack({ guest, machine }: MonitorContext, thread: GuestThread): Stack {
  const isOnCpu = guest.currentThread()?.tid === thread.tid;
  const rsp = (isOnCpu ? machine.readRegister('rsp') : thread.registers.get('rsp')) ?? 0n;
  const { base, sizeBytes } = thread.kernelStack;
  const isInStack = rsp >= base && rsp < base + sizeBytes;
  return {
    title: `tid ${thread.tid} "${thread.name}": rsp ${address(rsp)}`,
    rsp,
    end: isInStack ? base + sizeBytes : endOfUnknown(rsp),
    cr3: isOnCpu ? undefined : thread.cr3,
  };
}

function endOfUnknown(start: bigint): bigint {
  const end = start + UNKNOWN_STACK_BYTES;
  return end > 1n << 64n ? 1n << 64n : end;
}

function describe({ machine, symbols }: MonitorContext, stack: Stack): string {
  const { title, rsp, end, cr3 } = stack;
  const candidates = scanStack({ machine, rsp, end, cr3 }, MOST_CANDIDATES);
  const header = `${title}, scanned to ${address(end)}`;
  if (candidates.length === 0) return `${header}\n  nothing is mapped there`;
  const lines = candidates.map((candidate) => line(candidate, symbols));
  const isCut = candidates.length === MOST_CANDIDATES;
  return [header, ...lines, ...(isCut ? [`  … the first ${MOST_CANDIDATES} only`] : [])].join('\n');
}

function line({ offset, value, call }: ReturnCandidate, symbols: SymbolTable): string {
  const symbol = call === undefined ? symbols.describe(value) : symbols.describeReturn(value);
  const place = symbol === '' ? address(value) : `${address(value)} <${symbol}>`;
  const origin = call === undefined ? 'not after a call' : `after ${callText(call, symbols)}`;
  return `  rsp+${`${offset}`.padEnd(5)} ${place}  ${origin}`;
}

function callText(call: CallBefore, symbols: SymbolTable): string {
  const name = (target: bigint): string => symbols.describe(target) || address(target);
  switch (call.kind) {
    case 'direct':
      return `call ${name(call.target)}`;
    case 'memory':
      return `call through ${address(call.pointer)}, now ${name(call.target)}`;
    case 'indirect':
      return 'an indirect call';
  }
}
