/** `info tss`: the task-state segment's stacks (Intel SDM 3A §7.7, 6.14.5). */
import type { MachineView } from '../../machine/index.ts';
import { explainWalk } from '../../machine/index.ts';
import { address, addressWithSymbol, table } from './format.ts';
import { type MonitorContext, defineMonitorCommand, expectArguments } from './monitor-command.ts';
import {
  interruptStack,
  isLongMode,
  portMapOffset,
  register,
  stackOfLevel,
} from './system-tables.ts';

export const infoTssCommand = defineMonitorCommand({
  name: 'info tss',
  syntax: 'info tss',
  access: 'look',
  summary: 'the task-state segment: the stacks of interrupts, and whether they are mapped',
  help: [
    'A stack pointer names the end of its stack, so the memory that is looked at is the 8 bytes',
    'below it. A stack that is not mapped and writable makes an exception a double fault.',
  ].join('\n'),
  sample: [
    'TSS 0x30 at 0xffffffff80129060, limit 0x67, I/O map at +0x68 (none)',
    'stack  pointer                                memory below it',
    'RSP0   0xffffff0000014000                     writable',
    'IST1   0xffffffff80125050 <ist_stacks+8192>   writable',
  ].join('\n'),
  run(context, args) {
    expectArguments(this, args, 0);
    const { machine } = context;
    const selector = register(machine, 'tr');
    if ((selector & 0xfffcn) === 0n) return 'no task register is loaded (tr is null)';
    return `${heading(machine, selector)}\n${table(
      ['stack', 'pointer', 'memory below it'],
      stacks(machine).map(([name, pointer]) => stackRow(name, pointer, context)),
    )}`;
  },
});

function heading(machine: MachineView, selector: bigint): string {
  const limit = register(machine, 'tr_limit');
  const map = portMapOffset(machine);
  const ports =
    map === undefined
      ? 'no I/O map'
      : `I/O map at +0x${map.toString(16)}${map > limit ? ' (none)' : ''}`;
  const place = address(register(machine, 'tr_base'));
  return `TSS 0x${selector.toString(16)} at ${place}, limit 0x${limit.toString(16)}, ${ports}`;
}

function stacks(machine: MachineView): [string, bigint | undefined][] {
  const isLong = isLongMode(machine);
  const levels = [0, 1, 2].map((level): [string, bigint | undefined] => [
    `${isLong ? 'RSP' : 'ESP'}${level}`,
    stackOfLevel(machine, level),
  ]);
  if (!isLong) return levels;
  const tables = [1, 2, 3, 4, 5, 6, 7].map((number): [string, bigint | undefined] => [
    `IST${number}`,
    interruptStack(machine, number),
  ]);
  return [...levels, ...tables];
}

function stackRow(name: string, pointer: bigint | undefined, context: MonitorContext): string[] {
  if (pointer === undefined) return [name, 'beyond the limit, or not mapped', ''];
  if (pointer === 0n) return [name, '0', 'not set'];
  return [name, addressWithSymbol(pointer, context.symbols), stackState(context.machine, pointer)];
}

/** Whether a push from this stack pointer would succeed. */
export function stackState(machine: MachineView, pointer: bigint): string {
  const walk = explainWalk(machine, BigInt.asUintN(64, pointer - 8n));
  if (walk.outcome !== 'mapped') return 'NOT MAPPED';
  return walk.isWritable || walk.mode === 'off' ? 'writable' : 'READ-ONLY';
}
