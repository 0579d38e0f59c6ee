import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from '../../../machine/machine.ts';
import { missing } from '../../tools.ts';

const SOURCE = new URL('./programs.c', import.meta.url).pathname;
const FLAGS = ['-O2', '-msse2', '-mfpmath=sse', '-ffp-contract=off', '-fno-tree-vectorize'];
const GUEST_FLAGS = [
  ...['-DGUEST', '-m32', '-ffreestanding', '-fno-pic', '-fno-stack-protector', '-mstackrealign'],
  ...[
    '-nostdlib',
    '-static',
    '-Wl,--build-id=none',
    '-Wl,--section-start=.multiboot=0x200000',
    '-Wl,-Ttext=0x201000',
  ],
];
const BUDGET = 20_000_000;

/** The program's lines by their first word. */
function lines(text: string): Map<string, string> {
  return new Map(
    text
      .trim()
      .split('\n')
      .map((line) => [line.split(' ')[0]!, line]),
  );
}

function runInGuest(image: Uint8Array): string {
  const output: Uint8Array[] = [];
  const onSerialOutput = (bytes: Uint8Array): void => void output.push(Uint8Array.from(bytes));
  const machine = new Machine({
    image,
    imageName: 'programs',
    memoryBytes: 4 << 20,
    onSerialOutput,
  });
  for (let slice = 0; slice < 50; slice++) {
    const stop = machine.run({ budget: BUDGET });
    if (stop.kind === 'debug-exit') return Buffer.concat(output).toString();
    expect(stop.kind).toBe('budget');
  }
  throw new Error('the guest did not end');
}

describe.skipIf(process.arch !== 'x64' || missing('gcc'))('floating-point programs', () => {
  let folder = '';
  let native = new Map<string, string>();
  let guest = new Map<string, string>();

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'exoscope-programs-'));
    const [program, kernel] = [join(folder, 'program'), join(folder, 'kernel.elf')];
    execFileSync('gcc', [...FLAGS, '-o', program, SOURCE]);
    execFileSync('gcc', [...FLAGS, ...GUEST_FLAGS, '-o', kernel, SOURCE]);
    native = lines(execFileSync(program).toString());
    guest = lines(runInGuest(readFileSync(kernel)));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(['orbits', 'fractal', 'whole', 'extremes', 'vectors'])(
    'print the same bits in the guest as on the host: %s',
    (name) => {
      expect(guest.get(name)).toBe(native.get(name));
      expect(native.get(name)).toMatch(/^\w+( [0-9a-f]+)+ ?$/);
    },
  );
});
