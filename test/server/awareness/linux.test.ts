/** Linux's tasks, of an image with its types and variables in which nothing runs. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { KernelAwareness } from '../../../server/awareness/awareness.ts';
import { findKernelAmong, findKernelAwareness } from '../../../server/awareness/find-kernel.ts';
import { BtfTypes } from '../../../server/awareness/linux/btf.ts';
import { runWalk, type MemoryRequest, type Walk } from '../../../server/awareness/walk.ts';
import { readElf, readLoaded, type ElfFile } from '../../../server/symbols/elf-file.ts';
import { SymbolTable } from '../../../server/symbols/symbol-table.ts';
import { missing } from '../../tools.ts';

const SOURCE = join(import.meta.dirname, 'linux-tasks.c');
const FLAGS = [
  '-gbtf', '-O0', '-static', '-nostdlib', '-ffreestanding', '-mcmodel=kernel', '-fno-pie', '-no-pie', '-w',
  '-Wl,-Ttext-segment=0xffffffff81000000', '-Wl,--build-id=none', '-Wl,-e,another',
]; // prettier-ignore

describe.skipIf(missing('gcc'))('Linux', () => {
  let image: Uint8Array;
  let file: ElfFile;
  let symbols: SymbolTable;
  let kernel: KernelAwareness;

  beforeAll(() => {
    const folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
    const path = join(folder, 'vmlinux');
    execFileSync('gcc', [...FLAGS, '-o', path, SOURCE]);
    image = readFileSync(path);
    rmSync(folder, { recursive: true });
    file = readElf(image)!;
    symbols = SymbolTable.fromElf(file);
    kernel = findKernelAwareness(image)!;
  });

  const address = (name: string): bigint => symbols.find(name)!.address;
  const types = (): BtfTypes =>
    BtfTypes.read(file.sections.find(({ name }) => name === '.BTF')!.content)!;

  /** What a walk finds; `changes`: quadwords that are not as in the image. */
  function walk<Result>(what: Walk<Result>, changes: ReadonlyMap<bigint, bigint> = new Map()) {
    return runWalk(what, ({ address: from, lengthBytes }: MemoryRequest) => {
      const bytes = Uint8Array.from(readLoaded(file, from, lengthBytes));
      const view = new DataView(bytes.buffer);
      for (const [place, value] of changes) {
        const offset = Number(place - from);
        if (offset >= 0 && offset + 8 <= bytes.length) view.setBigUint64(offset, value, true);
      }
      return bytes;
    });
  }

  /** The link in `task` by which its list goes on. */
  const link = (task: string): bigint =>
    address(task) + BigInt(types().offsetOf('task_struct', 'tasks')!);

  it('is known by its types and symbols, and by its banner', () => {
    expect(kernel.kernelName).toBe('Linux 6.1.0-test');
    expect(findKernelAwareness(image, new SymbolTable([]))).toBeUndefined();
  });

  it('is known beside an image that does not have its types, as a bzImage', () => {
    const bzImage = new Uint8Array(0x1000);
    expect(findKernelAmong([bzImage, image], symbols)?.kernelName).toBe('Linux 6.1.0-test');
    expect(findKernelAmong([bzImage], symbols)).toBeUndefined();
  });

  it('has threads of processes, the idle one, and words for their states', () => {
    const { items, complaints } = walk(kernel.threads());
    expect(complaints).toEqual([]);
    expect(items.map(({ tid, pid, name, state, mode }) => [tid, pid, name, state, mode])).toEqual([
      [0, 0, 'swapper/0', 'runnable', 'kernel'],
      [1, 1, 'init', 'sleeping', 'user'],
      [7, 1, 'helper', 'disk sleep', 'user'],
      [2, 2, 'kthreadd', 'idle', 'kernel'],
      [9, 9, 'sh?[31m', 'zombie', 'kernel'],
    ]);
    expect(walk(kernel.currentThread())).toEqual({ tid: 0, pid: 0 });
  });

  it('has left registers of a thread on its stack, as __switch_to_asm does', () => {
    const init = walk(kernel.threads()).items[1]!;
    const rsp = address('sleeping') + 56n;
    expect(Object.fromEntries(init.registers)).toEqual({ r15: 15n, r14: 14n, r13: 13n, r12: 12n, rbx: 3n, rbp: 5n, rip: 0xffff_ffff_8100_1234n, rsp, cs: 0x10n }); // prettier-ignore
    expect(init.kernelStack).toEqual({ base: address('sleeping'), sizeBytes: 0x4000n });
    expect(init.switchCount).toBe(7n);
  });

  it('translates by the page tables of a program, or those of the kernel', () => {
    const [idle, init] = walk(kernel.threads()).items;
    expect(init?.cr3).toBe(0x5000n);
    expect(idle?.cr3).toBe(address('init_top_pgt') - 0xffff_ffff_8000_0000n + 0x100_0000n);
  });

  it('has processes with their parents and endings', () => {
    const { items, complaints } = walk(kernel.processes());
    expect(complaints).toEqual([]);
    expect(items.map(({ pid, parentPid, name, ending }) => [pid, parentPid, name, ending])).toEqual(
      [
        [1, 0, 'init', undefined],
        [2, 0, 'kthreadd', undefined],
        [9, 1, 'sh?[31m', 'exit 42'],
      ],
    );
    expect(items[0]?.startTick).toBe(123n);
  });

  it('has system calls by their names', () => {
    expect(kernel.systemCalls.map(({ number, name }) => [number, name])).toEqual([
      [0, 'read'],
      [2, 'write'],
    ]);
  });

  it('has no threads while nothing is mapped, and complains of nothing', () => {
    const nothing = runWalk(kernel.threads(), () => new Uint8Array());
    expect(nothing).toEqual({ items: [], complaints: [] });
    expect(runWalk(kernel.currentThread(), () => new Uint8Array())).toBeUndefined();
  });

  it('has 64-bit addresses where the lists of the guest lead beyond the first or the last', () => {
    const everything = runWalk(kernel.threads(), ({ address: from, lengthBytes }) => {
      expect(BigInt.asUintN(64, from)).toBe(from);
      const bytes = new Uint8Array(lengthBytes);
      bytes.fill(from === address('init_task') ? 0x01 : 0xff);
      return bytes;
    });
    for (const thread of everything.items) {
      expect(BigInt.asUintN(64, thread.address)).toBe(thread.address);
      expect(thread.registers.get('rsp')).toBeLessThan(1n << 64n);
    }
  });

  it('is walked no further than a list that is circular, wild or endless', () => {
    const circle = walk(kernel.threads(), new Map([[link('kthreadd'), link('init')]]));
    expect(circle.items.map(({ tid }) => tid)).toEqual([0, 1, 7, 2]);
    expect(circle.complaints).toEqual([
      `task list: 0x${address('init').toString(16)} appears twice: the list is circular`,
    ]);
    const wild = walk(kernel.threads(), new Map([[link('init'), 0x1234n]]));
    expect(wild.items.map(({ tid }) => tid)).toEqual([0, 1, 7]);
    expect(wild.complaints[0]).toMatch(/^task list: 0x[0-9a-f]{3,16} is not mapped$/);
    // Memory of tasks only, each with the next one behind it.
    const next = BigInt(types().offsetOf('task_struct', 'tasks')!);
    const endless = runWalk(kernel.threads(), ({ address: from, lengthBytes }) => {
      const bytes = new Uint8Array(lengthBytes);
      const view = new DataView(bytes.buffer);
      if (lengthBytes > 64) view.setBigUint64(Number(next), from + 0x1000n + next, true);
      return bytes;
    });
    expect(endless.complaints.some((line) => line.includes('over 4096 tasks'))).toBe(true);
  });
});

describe.skipIf(missing('gcc'))('BTF', () => {
  it('that is damaged anywhere gives other offsets or none, and ends', () => {
    const whole = file();
    for (let at = 0; at < whole.length; at += 3) {
      const damaged = Uint8Array.from(whole);
      damaged[at] = damaged[at]! ^ 0xff;
      const offset = BtfTypes.read(damaged)?.offsetOf('task_struct', 'thread', 'sp');
      expect(offset === undefined || offset >= 0).toBe(true);
      BtfTypes.read(whole.subarray(0, at))?.offsetOf('task_struct', 'thread', 'sp');
    }
  });

  it('says where members lie, in structures without a name and behind typedefs', () => {
    const types = BtfTypes.read(file())!;
    expect(types.offsetOf('mm_struct', 'pgd')).toBe(8);
    expect(types.offsetOf('task_struct', 'stack')).toBe(8);
    expect(types.offsetOf('task_struct', 'tasks', 'prev')).toBe(32);
    const thread = types.offsetOf('task_struct', 'thread')!;
    expect(types.offsetOf('task_struct', 'thread', 'sp')).toBe(thread + 24);
    expect(types.offsetOf('task_struct', 'in_execve')).toBeUndefined();
    expect(types.offsetOf('task_struct', 'nothing')).toBeUndefined();
    expect(types.offsetOf('no_struct', 'pid')).toBeUndefined();
  });

  function file(): Uint8Array {
    const folder = mkdtempSync(join(tmpdir(), 'exoscope-'));
    const path = join(folder, 'types.o');
    execFileSync('gcc', ['-gbtf', '-w', '-c', '-o', path, SOURCE]);
    const object = readElf(readFileSync(path))!;
    rmSync(folder, { recursive: true });
    return object.sections.find(({ name }) => name === '.BTF')!.content;
  }
});
