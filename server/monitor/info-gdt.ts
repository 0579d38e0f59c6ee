/** `info gdt`: the global descriptor table and what the segment registers name (SDM 3A §3.4, 3.5). */
import type { MachineView } from '../../machine/index.ts';
import { address, table } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';
import {
  type SegmentDescriptor,
  descriptorType,
  readDescriptor,
  register,
} from './system-tables.ts';

const HEADINGS = ['selector', 'base', 'limit', 'DPL', 'type', 'loaded in'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'] as const;

export const infoGdtCommand = defineMonitorCommand({
  name: 'info gdt',
  syntax: 'info gdt',
  access: 'look',
  summary: 'the global descriptor table, and which segment registers hold what',
  help: [
    'Descriptors as they stand in memory now; a segment register keeps what it loaded, see',
    '`info registers`. In 64-bit code base and limit of code and data segments count for nothing.',
  ].join('\n'),
  sample: [
    'GDT at 0xffffffff80116000, limit 0x3f',
    'selector  base                limit       DPL  type                   loaded in',
    '0x0008    0x0000000000000000  0xffffffff  0    64-bit code, readable  cs',
    '0x0030    0xffffffff80129060  0x00000067  0    TSS, busy              tr',
  ].join('\n'),
  run({ machine }, args) {
    expectArguments(this, args, 0);
    const limit = Number(register(machine, 'gdtr_limit'));
    const base = address(register(machine, 'gdtr_base'));
    const heading = `GDT at ${base}, limit 0x${limit.toString(16)}`;
    const descriptors = allDescriptors(machine, limit);
    if (descriptors.length === 0) return `${heading}\nno descriptor, or its memory is not mapped`;
    const rows = descriptors.map((descriptor) => descriptorRow(descriptor, machine));
    return `${heading}\n${table(HEADINGS, rows)}`;
  },
});

/** Those that are not empty, in order; a 16-byte one takes two places. */
function allDescriptors(machine: MachineView, limit: number): SegmentDescriptor[] {
  const found: SegmentDescriptor[] = [];
  for (let selector = 8; selector + 7 <= limit && selector <= 0xfff8;) {
    const descriptor = readDescriptor(machine, selector);
    if (typeof descriptor === 'string') break;
    if (!descriptor.isEmpty) found.push(descriptor);
    selector += descriptor.lengthBytes;
  }
  return found;
}

function descriptorRow(descriptor: SegmentDescriptor, machine: MachineView): string[] {
  const { selector, base, limit, level, isPresent } = descriptor;
  const users = SEGMENTS.filter((name) => (register(machine, name) & 0xfffcn) === BigInt(selector));
  const type = descriptorType(descriptor);
  return [
    `0x${selector.toString(16).padStart(4, '0')}`,
    address(base),
    `0x${limit.toString(16).padStart(8, '0')}`,
    String(level),
    isPresent ? type : `${type}, not present`,
    users.join(' '),
  ];
}
