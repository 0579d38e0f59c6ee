/**
 * `translate VA`: the page walk of a linear address, entry by entry.
 */
import type { MachineView } from '../../machine/index.ts';
import { fromLittleEndian } from '../target/register-table.ts';
import { address } from './format.ts';
import { pageFlagLetters } from './page-flags.ts';
import { MonitorError, defineMonitorCommand, parseAddress } from './monitor-command.ts';

const CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LMA = 1n << 10n;

export const translateCommand = defineMonitorCommand({
  name: 'translate',
  syntax: 'translate VA',
  access: 'look',
  summary: 'the physical address of a linear one, and the page walk that leads there',
  help: [
    'VA is a number, a symbol or a $register, with +N or -N. The tables are those of the CPU. Each',
    'level shows where its entry lies, the entry and its bits in the letters of `info tlb`.',
  ].join('\n'),
  sample: [
    'PML4E 0x0000000000141ff8: 0x000000000013b023 ----A---W',
    'PDPTE 0x000000000013bff0: 0x000000000013c023 ----A---W',
    'PDE   0x000000000013c000: 0x000000000013d023 ----A---W',
    'PTE   0x000000000013d808: 0x0000000000101121 -G--A----',
    '0xffffffff80101759 is at physical 0x0000000000101759',
  ].join('\n'),
  run(context, args) {
    const [text, ...rest] = args;
    if (text === undefined || rest.length > 0) throw new MonitorError(`usage: ${this.syntax}`);
    const linear = parseAddress(text, context);
    return [...walkLines(context.machine, linear), conclusion(context.machine, linear)].join('\n');
  },
});

function walkLines(machine: MachineView, linear: bigint): string[] {
  const read = (name: string): bigint => machine.readRegister(name) ?? 0n;
  if ((read('cr0') & CR0_PG) === 0n) return ['paging is off'];
  // The walk of 32-bit paging and PAE is a matter of boot code; only the result is shown.
  if ((read('cr4') & CR4_PAE) === 0n || (read('efer') & EFER_LMA) === 0n) return [];
  const lines: string[] = [];
  let table = read('cr3') & ~0xfffn;
  for (const { name, shift } of LEVELS) {
    const place = table + ((linear >> shift) & 0x1ffn) * 8n;
    const bytes = machine.readPhysical(place, 8);
    if (bytes.length < 8) return [...lines, `${name} ${address(place)}: outside RAM`];
    const entry = fromLittleEndian(bytes);
    const isLeaf = shift === 12n || (shift < 39n && (entry & 0x80n) !== 0n);
    const letters = pageFlagLetters(entry, isLeaf && shift > 12n);
    const isPresent = (entry & 1n) === 1n;
    const state = isPresent ? letters : 'not present';
    lines.push(`${name.padEnd(5)} ${address(place)}: ${address(entry)} ${state}`);
    if (!isPresent || isLeaf) break;
    table = entry & 0xf_ffff_ffff_f000n;
  }
  return lines;
}

const LEVELS = [
  { name: 'PML4E', shift: 39n },
  { name: 'PDPTE', shift: 30n },
  { name: 'PDE', shift: 21n },
  { name: 'PTE', shift: 12n },
];

function conclusion(machine: MachineView, linear: bigint): string {
  const physical = machine.translate(linear);
  if (physical === undefined) return `${address(linear)} is not mapped`;
  return `${address(linear)} is at physical ${address(physical)}`;
}
