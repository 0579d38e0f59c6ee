/** Runs GNU objdump over raw code and gives its text in the form that `intelSyntax` writes. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ListedInstruction {
  readonly address: number;
  readonly lengthBytes: number;
  readonly text: string;
}

/** Takes away what the two spell differently by intent. */
export function normalized(text: string): string {
  return (
    text
      .replace(/\s*<.*>$/, '')
      .replace(/\[[re]ip[+-]0x[0-9a-f]+\](.*?)\s*# (0x[0-9a-f]+)/, '[$2]$1')
      .replace(/\s*#.*$/, '')
      // Prefixes that mean nothing here.
      .replace(/^((data16|addr32|[c-es]s|rex(\.\w+)?) )+/, '')
      .replace(/^xlat .*/, 'xlat')
      .replace(/\bds:(0x[0-9a-f]+)/, '[$1]')
      .replace(/[+-]0x0\]/, ']')
      // An index of none with a scale.
      .replace(/\+[er]iz\*\d/, '')
      .replace(/^([ls][gi]dt)[wd]/, '$1')
      .replace(/\s+/g, ' ')
      .replace(/, /g, ',')
      .trim()
  );
}

const LINE = /^\s*([0-9a-f]+):\t((?:[0-9a-f]{2} )+)\s*\t?(.*)$/;

/** Lists code that is loaded at address 0. */
export function objdump(
  code: Uint8Array,
  machine: 'i8086' | 'i386' | 'i386:x86-64',
): ListedInstruction[] {
  const folder = mkdtempSync(join(tmpdir(), 'exoscope-objdump-'));
  try {
    const file = join(folder, 'code.bin');
    writeFileSync(file, code);
    const options = ['-D', '-b', 'binary', '-m', machine, '-M', 'intel,intel64', '-w', file];
    const run = spawnSync('objdump', options, { encoding: 'utf8', maxBuffer: 1 << 28 });
    return run.stdout.split('\n').flatMap((line) => {
      const match = LINE.exec(line);
      if (match === null) return [];
      const [, address, bytes, text] = match;
      const lengthBytes = bytes!.trim().split(' ').length;
      return [{ address: Number.parseInt(address!, 16), lengthBytes, text: normalized(text!) }];
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
