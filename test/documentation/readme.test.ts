/**
 * The README's tables are made from the lists they describe. `UPDATE_GOLDEN=1` writes them anew.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { INSTRUCTIONS } from '../../machine/instructions/index.ts';
import { MONITOR_COMMANDS } from '../../server/monitor/index.ts';
import { PACKET_CHAPTERS } from '../../server/packets/index.ts';
import { COMPARISON_HEADS, comparisonRows } from './comparison.ts';
import { PEER_PACKETS } from './peers.ts';

const README = join(import.meta.dirname, '../../README.md');

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const escaped = rows.map((cells) => cells.map((cell) => cell.replaceAll('|', '\\|')));
  return [line(heads), line(heads.map(() => '---')), ...escaped.map(line)].join('\n');
}

function mnemonics(isSse: boolean): string {
  const names = INSTRUCTIONS.filter(({ sse }) => (sse === true) === isSse).map(
    ({ mnemonic }) => mnemonic,
  );
  return wrap([...new Set(names)].sort().join(' '));
}

function wrap(text: string): string {
  return text.replace(/(.{1,100})(?: |$)/g, '$1\n').trimEnd();
}

function chapter({ title, packets }: (typeof PACKET_CHAPTERS)[number]): string {
  const rows = packets.map(({ syntax, purpose }) => [`\`${syntax}\``, purpose]);
  return `### ${title}\n\n${table(['packet', 'what it does'], rows)}`;
}

const SECTIONS: Record<string, string> = {
  'monitor commands: made from server/monitor/': table(
    ['command', 'what it says'],
    MONITOR_COMMANDS.map(({ syntax, summary }) => [`\`${syntax}\``, summary]),
  ),
  'packets: made from server/packets/': PACKET_CHAPTERS.map(chapter).join('\n\n'),
  'comparison: made from server/packets/ and test/documentation/peers.ts': table(
    COMPARISON_HEADS,
    comparisonRows(),
  ),
  'instructions: made from machine/instructions/': [
    'General purpose and system:',
    `\`\`\`\n${mnemonics(false)}\n\`\`\``,
    'SSE and SSE2:',
    `\`\`\`\n${mnemonics(true)}\n\`\`\``,
  ].join('\n\n'),
};

function withSection(text: string, name: string, content: string): string {
  const start = `<!-- ${name} -->`;
  const from = text.indexOf(start);
  const to = text.indexOf('<!-- end -->', from);
  if (from < 0 || to < 0) throw new Error(`README.md has no section "${name}"`);
  return `${text.slice(0, from + start.length)}\n\n${content}\n\n${text.slice(to)}`;
}

describe('the comparison', () => {
  it('speaks of packets that there are', () => {
    const ours = PACKET_CHAPTERS.flatMap(({ packets }) => packets.map(({ name }) => name));
    expect([...PEER_PACKETS.keys()].filter((name) => !ours.includes(name))).toEqual([]);
  });
});

describe('README.md', () => {
  if (process.env['UPDATE_GOLDEN'] === '1') {
    const text = Object.entries(SECTIONS).reduce(
      (so, [name, content]) => withSection(so, name, content),
      readFileSync(README, 'utf8'),
    );
    writeFileSync(README, text);
  }

  for (const [name, content] of Object.entries(SECTIONS)) {
    it(`is current: ${name}`, () => {
      const text = readFileSync(README, 'utf8');
      expect(text).toBe(withSection(text, name, content));
    });
  }
});
