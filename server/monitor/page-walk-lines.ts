/** A page walk in words, entry by entry, for `translate` and `why`. */
import type { WalkExplanation, WalkStep } from '../../machine/index.ts';
import { address } from './format.ts';
import { pageFlagLetters } from './page-flags.ts';

/** The mode where it is not the usual one, then one line per entry. */
export function walkLines({ mode, steps }: WalkExplanation): string[] {
  if (mode === 'off') return ['paging is off: linear addresses are physical ones'];
  const note = { '32-bit': ['32-bit paging'], pae: ['PAE paging'], '4-level': [] }[mode];
  return [...note, ...steps.map(stepLine)];
}

function stepLine(step: WalkStep): string {
  const name = `${step.table.padEnd(5)} ${address(step.entryAddress)}`;
  if (step.entry === undefined) return `${name}: outside RAM`;
  return `${name}: ${address(step.entry)} ${meaning(step, step.entry)}`;
}

function meaning(step: WalkStep, entry: bigint): string {
  if (!step.isPresent) return 'not present';
  const letters = pageFlagLetters(entry, step.isLeaf && step.table !== 'PTE');
  const reserved = step.reservedBits;
  return reserved === 0n ? letters : `${letters} reserved bits set: 0x${reserved.toString(16)}`;
}

/** One line: where the walk came to, and what its levels together allow. */
export function walkConclusion(linear: bigint, walk: WalkExplanation): string {
  const place = address(linear);
  const last = walk.steps.at(-1);
  switch (walk.outcome) {
    case 'mapped':
      return `${place} is at physical ${address(walk.physical ?? 0n)}${rights(walk)}`;
    case 'not canonical':
      return walk.mode === '4-level'
        ? `${place} is not mapped: it is not canonical (bits 63-47 differ)`
        : `${place} is not mapped: linear addresses have 32 bits in this mode`;
    case 'absent':
      return `${place} is not mapped: entry ${last?.index} of its ${tableOf(last)} is not present`;
    case 'reserved':
      return `${place} is not mapped: its ${last?.table} has reserved bits set`;
    case 'outside RAM':
      return `${place} is not mapped: its ${tableOf(last)} lies outside RAM`;
  }
}

/** `, 4 KiB page, supervisor, read only, no execute (PDE: …)`: who denies what. */
function rights(walk: WalkExplanation): string {
  if (walk.mode === 'off') return '';
  const user = walk.isUser ? 'user' : `supervisor${denier(walk, 2n, 0n)}`;
  const write = walk.isWritable ? 'writable' : `read-only${denier(walk, 1n, 0n)}`;
  const execute = walk.isNoExecute ? `no-execute${denier(walk, 63n, 1n)}` : 'executable';
  return `: ${pageSize(walk.pageBytes)} page, ${user}, ${write}, ${execute}`;
}

/** Names the levels above the leaf that deny something which the leaf would allow. */
function denier({ steps }: WalkExplanation, bit: bigint, denying: bigint): string {
  const denies = (step: WalkStep): boolean =>
    step.hasPermissions && (((step.entry ?? 0n) >> bit) & 1n) === denying;
  const last = steps.at(-1);
  if (last === undefined || denies(last)) return '';
  const names = steps.filter(denies).map(({ table }) => table);
  return names.length === 0 ? '' : ` (by its ${names.join(', ')})`;
}

function pageSize(bytes: number): string {
  if (bytes >= 1 << 30) return `${bytes / (1 << 30)} GiB`;
  return bytes >= 1 << 20 ? `${bytes / (1 << 20)} MiB` : `${bytes / 1024} KiB`;
}

const TABLES = {
  PML4E: 'PML4',
  PDPTE: 'page-directory-pointer table',
  PDE: 'page directory',
  PTE: 'page table',
} as const;

function tableOf(step: WalkStep | undefined): string {
  return step === undefined ? 'top table' : TABLES[step.table];
}
