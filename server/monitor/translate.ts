/**
 * `translate VA`: the page walk of a linear address, entry by entry, in every paging mode.
 */
import { explainWalk } from '../../machine/index.ts';
import { MonitorError, defineMonitorCommand, parseAddress } from './monitor-command.ts';
import { walkConclusion, walkLines } from './page-walk-lines.ts';

export const translateCommand = defineMonitorCommand({
  name: 'translate',
  syntax: 'translate VA',
  access: 'look',
  summary: 'the physical address of a linear one, and the page walk that leads there',
  help: [
    'VA is a number, a symbol or a $register, with +N or -N. The tables are those of the CPU, in',
    '4-level, PAE or 32-bit paging. Each level shows where its entry lies, the entry and its bits in',
    'the letters of `info tlb`; the last line says what all levels together allow, or which of them',
    'ends the walk.',
  ].join('\n'),
  sample: [
    'PML4E 0x0000000000141ff8: 0x000000000013b023 ----A---W',
    'PDPTE 0x000000000013bff0: 0x000000000013c023 ----A---W',
    'PDE   0x000000000013c000: 0x000000000013d023 ----A---W',
    'PTE   0x000000000013d808: 0x0000000000101121 -G--A----',
    '0xffffffff80101759 is at physical 0x0000000000101759: 4 KiB page, supervisor, read-only, executable',
  ].join('\n'),
  run(context, args) {
    const [text, ...rest] = args;
    if (text === undefined || rest.length > 0) throw new MonitorError(`usage: ${this.syntax}`);
    const linear = parseAddress(text, context);
    const walk = explainWalk(context.machine, linear);
    return [...walkLines(walk), walkConclusion(linear, walk)].join('\n');
  },
});
