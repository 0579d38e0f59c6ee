/**
 * `info mem` in the format of QEMU's monitor (target/i386/monitor.c, mem_info_la48).
 */
import type { PageMapping } from '../../machine/index.ts';
import { hex16 } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

const CR0_PG = 1n << 31n;

export const infoMemCommand = defineMonitorCommand({
  name: 'info mem',
  syntax: 'info mem',
  access: 'look',
  summary: 'the mapped ranges of the present page tables, as QEMU prints them',
  help: [
    'Start, end (exclusive), length and rights: `u` user, `r` read, `w` write. Neighbouring pages',
    'with equal rights are one line.',
  ].join('\n'),
  sample: 'ffffffff80101000-ffffffff80114000 0000000000013000 -r-',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    if (((machine.readRegister('cr0') ?? 0n) & CR0_PG) === 0n) return 'PG disabled';
    return mappedRanges(machine.mappings()).map(rangeLine).join('\n');
  },
});

interface MappedRange {
  readonly start: bigint;
  end: bigint;
  readonly rights: string;
}

function mappedRanges(mappings: Iterable<PageMapping>): MappedRange[] {
  const ranges: MappedRange[] = [];
  for (const mapping of mappings) {
    const rights = `${mapping.isUser ? 'u' : '-'}r${mapping.isWritable ? 'w' : '-'}`;
    const last = ranges.at(-1);
    const end = mapping.linear + BigInt(mapping.lengthBytes);
    if (last?.end === mapping.linear && last.rights === rights) last.end = end;
    else ranges.push({ start: mapping.linear, end, rights });
  }
  return ranges;
}

/** QEMU's end of the last page of all is 2^48. */
function rangeLine({ start, end, rights }: MappedRange): string {
  const last = end === 1n << 64n ? 1n << 48n : end;
  return `${hex16(start)}-${hex16(last)} ${hex16(end - start)} ${rights}`;
}
