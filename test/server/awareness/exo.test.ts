import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { DESCRIPTOR_BYTES, findDescriptor } from '../../../server/awareness/exo/descriptor.ts';
import { findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { GuestView } from '../../../server/awareness/guest-view.ts';
import { runWalkLater } from '../../../server/awareness/walk.ts';
import { missing } from '../../tools.ts';
import { FakeExo, KERNEL_IMAGE, KERNEL_PATH, symbolAddress } from '../fake-exo.ts';
import { FakeMachine } from '../fake-machine.ts';

const INCLUDE = fileURLToPath(new URL('../../../kernel/include', import.meta.url));

function viewOf(exo: FakeExo): GuestView {
  return new GuestView(exo.machine, findKernelAwareness(KERNEL_IMAGE));
}

describe('the descriptor', () => {
  it('names the fork function that the symbol table names', () => {
    const descriptor = findDescriptor(KERNEL_IMAGE)!;
    expect(descriptor.header.fork_entry_address).toBe(symbolAddress('sys_fork'));
    expect(descriptor.threadStates).toEqual(['unused', 'ready', 'running', 'waiting', 'zombie']);
    expect(descriptor.waitReasons[0]).toBe('none');
  });

  it.skipIf(missing('gcc'))('is as long as the kernel header makes it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'exo-descriptor-'));
    const source = join(folder, 'size.c');
    writeFileSync(
      source,
      `#include "exo_debug.h"\n_Static_assert(sizeof(struct ExoDebug) == ${DESCRIPTOR_BYTES}, "");\n`,
    );
    const gcc = spawnSync('gcc', ['-fsyntax-only', `-I${INCLUDE}`, source], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    expect(gcc.stderr).toBe('');
  });

  it.skipIf(missing('strip'))('is found by its note in a stripped kernel', () => {
    const folder = mkdtempSync(join(tmpdir(), 'exo-stripped-'));
    const stripped = join(folder, 'kernel.elf');
    spawnSync('strip', ['-o', stripped, KERNEL_PATH]);
    const kernel = findDescriptor(spawnSync('cat', [stripped], { maxBuffer: 1 << 26 }).stdout);
    rmSync(folder, { recursive: true });
    expect(kernel?.header.fork_entry_address).toBe(symbolAddress('sys_fork'));
  });

  it('is refused when a field leads out of its structure', () => {
    const copy = Uint8Array.from(KERNEL_IMAGE);
    const start = Buffer.from(copy).indexOf('EXODEBUG');
    expect(findDescriptor(copy)).toBeDefined();
    new DataView(copy.buffer).setUint32(start + 184 + 8 + 4, 0xffff_fff0, true);
    expect(findDescriptor(copy)).toBeUndefined();
  });
});

describe('threads of an Exo kernel', () => {
  it('with ids that debuggers cannot number are left out, and said so', () => {
    const exo = new FakeExo();
    const tids = [0, 7, 0x7fff_fffe, 0x7fff_ffff, 0xffff_ffff];
    exo.setThreads(tids.map((tid) => ({ tid, name: `t${tid}` })));
    const { items, complaints } = viewOf(exo).threads();
    expect(items.map(({ tid }) => tid)).toEqual([0, 7, 0x7fff_fffe]);
    expect(complaints).toEqual([
      expect.stringMatching(/^the thread at 0x\w+ says it is tid 2147483647; left out$/),
      expect.stringMatching(/^the thread at 0x\w+ says it is tid 4294967295; left out$/),
    ]);
  });

  it('with such an id on the CPU: whatever it runs is no known thread', () => {
    const exo = new FakeExo();
    exo.setThreads([{ tid: 0 }, { tid: 0xffff_ffff }]);
    exo.setCurrent(0xffff_ffff);
    expect(viewOf(exo).currentThread()).toBeUndefined();
    exo.setCurrent(0);
    expect(viewOf(exo).currentThread()).toEqual({ tid: 0, pid: 0 });
  });

  it('are none while memory is not mapped or the list is empty', () => {
    const unmapped = new GuestView(new FakeMachine(), findKernelAwareness(KERNEL_IMAGE));
    expect(unmapped.threads()).toEqual({ items: [], complaints: [] });
    expect(unmapped.currentThread()).toBeUndefined();
    expect(viewOf(new FakeExo()).threads()).toEqual({ items: [], complaints: [] });
  });

  it('have names, states and what they wait for', () => {
    const exo = new FakeExo();
    exo.setThreads([
      { tid: 0, name: 'idle', state: 2, registers: { rip: 0x1234n, rsp: 0x5678n } },
      { tid: 3, name: 'shell', state: 3, waitReason: 2, waitChannel: 4n },
    ]);
    exo.setCurrent(0);
    const [idle, shell] = viewOf(exo).threads().items;
    expect(idle).toMatchObject({ tid: 0, name: 'idle', state: 'running', mode: 'kernel' });
    expect(idle!.registers.get('rip')).toBe(0x1234n);
    expect(idle!.registers.get('rsp')).toBe(0x5678n);
    expect(shell).toMatchObject({ tid: 3, state: 'waiting', waitsFor: 'child 4' });
    expect(viewOf(exo).currentThread()).toEqual({ tid: 0, pid: 0 });
  });

  it('end with a complaint where the list is circular', () => {
    const exo = new FakeExo();
    exo.setThreads([{ tid: 0 }, { tid: 1 }]);
    exo.setNextThread(exo.threadAddress(1), exo.threadAddress(0));
    const { items, complaints } = viewOf(exo).threads();
    expect(items.map(({ tid }) => tid)).toEqual([0, 1]);
    expect(complaints).toEqual([expect.stringContaining('circular')]);
  });

  it('end with a complaint where the list leads to nothing', () => {
    const exo = new FakeExo();
    exo.setThreads([{ tid: 0 }, { tid: 1 }]);
    exo.setNextThread(exo.threadAddress(1), 0xdead_0000_0000n);
    const { items, complaints } = viewOf(exo).threads();
    expect(items).toHaveLength(2);
    expect(complaints).toEqual(['thread list: 0xdead00000000 is not mapped']);
  });

  it('are shown once when two have the same id', () => {
    const exo = new FakeExo();
    exo.setThreads([
      { tid: 5, name: 'first' },
      { tid: 5, name: 'second' },
    ]);
    const { items, complaints } = viewOf(exo).threads();
    expect(items.map(({ name }) => name)).toEqual(['first']);
    expect(complaints).toHaveLength(1);
  });

  it('have names that cannot harm a terminal or XML', () => {
    const exo = new FakeExo();
    exo.setThreads([{ tid: 1, name: '\x1b[2J\xff' }]);
    expect(viewOf(exo).threads().items[0]!.name).toMatch(/^[ -~]*$/);
  });

  it('are read alike through memory that answers later', async () => {
    const exo = new FakeExo();
    exo.setThreads([{ tid: 0 }, { tid: 1 }]);
    const kernel = findKernelAwareness(KERNEL_IMAGE)!;
    const later = await runWalkLater(kernel.threads(), ({ address, lengthBytes, cr3 }) =>
      Promise.resolve(exo.machine.readLinear(address, lengthBytes, cr3)),
    );
    expect(later).toEqual(viewOf(exo).threads());
  });
});

describe('processes of an Exo kernel', () => {
  it('show how a zombie ended', () => {
    const exo = new FakeExo();
    exo.setProcesses([
      { pid: 1, ppid: 0 },
      { pid: 2, ppid: 1, state: 2, status: 42 << 8 },
      { pid: 3, ppid: 1, state: 2, status: 9 },
    ]);
    const endings = viewOf(exo)
      .processes()
      .items.map(({ ending }) => ending);
    expect(endings).toEqual([undefined, 'exit 42', 'signal 9']);
  });
});
