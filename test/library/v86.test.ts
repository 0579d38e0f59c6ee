/** npm's v86, an emulator that nobody here wrote, behind `exoscope/rsp`, with the real gdb. */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { V86 } from 'v86';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { gdb } from '../end-to-end/gdb.ts';
import { missing } from '../tools.ts';
import { serveTarget, type Served } from './serve-target.ts';
import { V86Target } from './v86/v86-target.ts';

/** A Multiboot kernel: v86 loads it itself, where a BIOS would be a file that npm does not ship. */
const KERNEL = Buffer.from(
  [
    '02b0ad1b00000100fe4f51e4', //     Multiboot header: magic, flags, checksum
    '0000100000001000000000000000000020001000', // load at 0x100000, enter at 0x100020
    'bb34120000', //           100020  mov ebx, 0x1234
    'c7050020100083000000', // 100025  mov dword [0x102000], 0x83   0..4M is itself
    'c705002c100083000000', // 10002f  mov dword [0x102c00], 0x83   3G.. is 0..4M
    '0f20e083c8100f22e0', //   100039  cr4 |= PSE
    'b8002010000f22d8', //     100042  cr3 = 0x102000
    '0f20c00d000000800f22c0', //       cr0 |= PG
    'ff05001010c0', //         100055  inc dword [0xc0101000]
    'ebf8', //                 10005b  jmp 100055
  ].join(''),
  'hex',
);

async function startV86(): Promise<V86> {
  const emulator = new V86({
    wasm_path: join(dirname(createRequire(import.meta.url).resolve('v86')), 'v86.wasm'),
    memory_size: 16 << 20,
    vga_memory_size: 1 << 20,
    multiboot: { buffer: Uint8Array.from(KERNEL).buffer },
    autostart: false,
  });
  await new Promise<void>((resolve) => emulator.add_listener('emulator-loaded', () => resolve()));
  return emulator;
}

describe.skipIf(missing('gdb'))('v86 behind exoscope/rsp', () => {
  let emulator: V86;
  let served: Served;

  beforeAll(async () => {
    emulator = await startV86();
    served = await serveTarget(new V86Target(emulator), 'run');
  });
  afterAll(async () => {
    await served.dispose();
    await emulator.destroy();
  });

  const session = (...commands: string[]) => gdb(`target remote ${served.address}`, ...commands);

  it('is found at its entry, with the registers that Multiboot promises', async () => {
    const { printed } = await session('p $pc', 'p/x $eax', 'x/i $pc', 'p $st0', 'info threads');
    expect(printed[1]).toContain('0x100020');
    expect(printed[2]).toContain('= 0x2badb002');
    expect(printed[3]).toMatch(/mov +\$0x1234,%ebx/);
    expect(printed[4]).toContain('<unavailable>');
    expect(printed[5]).toMatch(/"v86" \(\d+ instructions\)/);
  });

  it('runs when gdb leaves, and stops where it is when gdb comes back', async () => {
    await sleep(300);
    expect(emulator.is_running()).toBe(true);
    const { printed } = await session('p/x $ebx', 'p $pc', 'p $cs');
    expect(emulator.get_instruction_counter()).toBeGreaterThan(1000);
    expect(printed[1]).toContain('= 0x1234');
    expect(printed[2]).toMatch(/0x1000(55|5b)/);
    expect(printed[3]).toContain('= 8');
  });

  it('reads and writes memory through the guest’s page tables', async () => {
    const { printed, everything } = await session(
      'p *(int*)0xc0101000 == *(int*)0x101000 && *(int*)0x101000 > 1000',
      'set var *(int*)0xc0101000 = 5',
      'p *(int*)0x101000',
      'x/x 0x40000000',
    );
    expect(printed[1]).toContain('= 1');
    expect(printed[3]).toContain('= 5');
    expect(everything).toContain('Cannot access memory at address 0x40000000');
  });

  it('refuses breakpoints, steps and register writes, and leaves the guest unpatched', async () => {
    const { printed, everything } = await session(
      'break *0x100020',
      'continue',
      'delete',
      'stepi',
      'set var $ebx = 1',
      'x/2xb 0x100020',
    );
    expect(everything).toContain('Cannot insert breakpoint 1');
    expect(everything).toContain('Remote failure reply');
    expect(everything).toMatch(/Could not write register/);
    expect(printed[6]).toMatch(/0xbb\s+0x34/);
  });

  it('breaks in with Ctrl-C', async () => {
    const script = [`target remote ${served.address}`, 'continue', 'p/x $ebx', 'detach'];
    const client = spawn('gdb', [
      '-nx',
      '-q',
      '-batch',
      ...script.flatMap((text) => ['-ex', text]),
    ]);
    let output = '';
    client.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const ended = new Promise((resolve) => client.once('close', resolve));
    while (!emulator.is_running() || !output.includes('in ??')) await sleep(20);
    await sleep(200);
    client.kill('SIGINT');
    await ended;
    expect(output).toContain('Program received signal SIGINT');
    expect(output).toContain('= 0x1234');
  });
});
