/**
 * Our `info registers`, `info mem` and `info tlb` against QEMU's own, the same kernel booted on both
 * and idle. Values may differ (other devices, other boot code); form and kernel mappings may not.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Machine } from '../../../machine/index.ts';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import { missing } from '../../tools.ts';
import { KERNEL_IMAGE, KERNEL_PATH } from '../fake-exo.ts';

const BOOTED = 'forking a worker every second';
const MEMORY_MIB = 64;
const WAIT_MS = 60_000;

async function askQemu(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'exo-qemu-'));
  const serial = join(folder, 'serial');
  const qemu = spawn('qemu-system-x86_64', [
    ...['-display', 'none', '-m', `${MEMORY_MIB}`, '-kernel', KERNEL_PATH],
    ...['-serial', `file:${serial}`, '-monitor', 'stdio'],
  ]);
  let output = '';
  qemu.stdout.on('data', (chunk: Buffer) => (output += chunk.toString('latin1')));
  const ended = new Promise((resolve) => qemu.on('close', resolve));
  for (let waited = 0; waited < WAIT_MS; waited += 100) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    try {
      if (readFileSync(serial, 'latin1').includes(BOOTED)) break;
    } catch {
      // The file is not there yet.
    }
  }
  qemu.stdin.end('stop\ninfo registers\ninfo mem\ninfo tlb\nquit\n');
  await ended;
  rmSync(folder, { recursive: true });
  return output.replaceAll('\r', '');
}

function askOurs(): string {
  const options = { image: KERNEL_IMAGE, imageName: 'kernel.elf' };
  const machine = new Machine({ ...options, memoryBytes: MEMORY_MIB << 20 });
  const target = new MachineTarget({ machine, ...options });
  const isBooted = (): boolean => Buffer.from(machine.serialHistory()).includes(BOOTED);
  const end = Date.now() + WAIT_MS;
  while (!isBooted() && Date.now() < end) machine.run({ budget: 100_000, skipIdle: true });
  machine.run({ budget: 100_000 });
  let text = '';
  for (const commandLine of ['info registers', 'info mem', 'info tlb']) {
    const output = (part: string): void => {
      text += part;
    };
    target.monitor.run({ commandLine, access: 'look', thread: target.currentThread(), output });
  }
  target.dispose();
  return text;
}

describe.skipIf(missing('qemu-system-x86_64'))('beside QEMU', () => {
  let theirs: readonly string[];
  let ours: readonly string[];
  beforeAll(async () => {
    theirs = (await askQemu()).split('\n');
    ours = askOurs().split('\n');
  });
  afterAll(() => {
    theirs = [];
  });

  /** The lines from the one that starts with `first` to the one that starts with `last`. */
  function part(lines: readonly string[], first: string, last: string): readonly string[] {
    const start = lines.findIndex((line) => line.startsWith(first));
    const length = lines.slice(start).findIndex((line) => line.startsWith(last));
    return lines.slice(start, start + length + 1);
  }

  /** Digits and flag letters become one sign: what is left is the form. */
  function form(line: string): string {
    return line
      .replace(/ DPL=.*/, '')
      .replace(/=(.?)[0-9a-f]+/g, '=$1#')
      .replace(/ [0-9a-f]{4,}/g, (digits) => ' #'.padEnd(digits.length, '#'))
      .replace(/\[[-A-Z]{7}\]/, '[]');
  }

  it('info registers has the same lines in the same form', () => {
    const qemu = part(theirs, 'CPU#0', 'XMM14');
    expect(qemu.length).toBeGreaterThan(30);
    expect(part(ours, 'CPU#0', 'XMM14').map(form)).toEqual(qemu.map(form));
  });

  it('info registers explains the segments that code runs with in the same words', () => {
    for (const name of ['CS =', 'SS =', 'GS =', 'LDT=']) {
      const [qemu, own] = [theirs, ours].map((lines) =>
        lines.find((line) => line.startsWith(name)),
      );
      // QEMU loads a flat SS and CS at boot by other limits; what it says of them is the same.
      expect(own?.replace(/^.{47}/, ''), name).toBe(qemu?.replace(/^.{47}/, ''));
    }
  });

  it('info mem shows the same kernel', () => {
    const kernel = (lines: readonly string[]): readonly string[] =>
      lines.filter((line) => /^ffffff[0-9a-f]{10}-/.test(line));
    expect(kernel(ours)).toEqual(kernel(theirs));
    expect(kernel(ours).length).toBeGreaterThan(2);
  });

  it('info tlb shows the same pages with the same rights', () => {
    const kernel = (lines: readonly string[]): readonly string[] =>
      lines
        .filter((line) => /^ffffffff8[0-9a-f]{7}: /.test(line))
        .map((line) => line.replace(/[DA]/g, '-'));
    expect(kernel(ours)).toEqual(kernel(theirs));
    expect(kernel(ours).length).toBeGreaterThan(20);
  });
});
