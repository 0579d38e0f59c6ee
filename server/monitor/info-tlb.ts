/**
 * `info tlb` in the format of QEMU's monitor (target/i386/monitor.c, print_pte).
 */
import type { PageMapping } from '../../machine/index.ts';
import { CUT_NOTE, forEachMapping } from '../target/mapped-regions.ts';
import { pageFlagLetters } from './page-flags.ts';
import { hex16 } from './format.ts';
import { defineMonitorCommand, expectArguments } from './monitor-command.ts';

const CR0_PG = 1n << 31n;

export const infoTlbCommand = defineMonitorCommand({
  name: 'info tlb',
  syntax: 'info tlb',
  access: 'look',
  summary: 'every leaf entry of the present page tables, as QEMU prints them',
  help: [
    'Linear address, physical address and the bits of the leaf entry: X no-execute, G global,',
    'P large page, D dirty, A accessed, C cache disabled, T write-through, U user, W writable.',
  ].join('\n'),
  sample: 'ffffffff80120000: 0000000000120000 XG-DA---W',
  run({ machine }, args) {
    expectArguments(this, args, 0);
    if (((machine.readRegister('cr0') ?? 0n) & CR0_PG) === 0n) return 'PG disabled';
    const lines: string[] = [];
    const isCut = forEachMapping(machine, undefined, (mapping) => lines.push(entryLine(mapping)));
    return [...lines, ...(isCut ? [CUT_NOTE] : [])].join('\n');
  },
});

function entryLine({ linear, physical, entry, lengthBytes }: PageMapping): string {
  return `${hex16(linear)}: ${hex16(physical)} ${pageFlagLetters(entry, lengthBytes > 4096)}`;
}
