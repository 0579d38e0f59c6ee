/**
 * `info mem` in the format of QEMU's monitor (target/i386/monitor.c, mem_info_la48).
 */
import type { PageMapping } from '../../machine/index.ts';
import { CUT_NOTE, type MappedRegion, mappedRegions } from '../target/mapped-regions.ts';
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
    'with equal rights are one line. Tables that describe more than a sound kernel has are cut.',
  ].join('\n'),
  sample: 'ffffffff80101000-ffffffff80114000 0000000000013000 -r-',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    if (((machine.readRegister('cr0') ?? 0n) & CR0_PG) === 0n) return 'PG disabled';
    const { regions, isCut } = mappedRegions(machine, haveEqualRights);
    return [...regions.map(regionLine), ...(isCut ? [CUT_NOTE] : [])].join('\n');
  },
});

function haveEqualRights(left: PageMapping, right: PageMapping): boolean {
  return left.isUser === right.isUser && left.isWritable === right.isWritable;
}

/** QEMU's end of the last page of all is 2^48. */
function regionLine({ start, end, first }: MappedRegion): string {
  const rights = `${first.isUser ? 'u' : '-'}r${first.isWritable ? 'w' : '-'}`;
  const last = end === 1n << 64n ? 1n << 48n : end;
  return `${hex16(start)}-${hex16(last)} ${hex16(end - start)} ${rights}`;
}
