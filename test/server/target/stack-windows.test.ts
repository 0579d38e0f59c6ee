/** Kernel stacks that lie all at one address, told apart for a client whose requests name no thread. */
import { beforeEach, describe, expect, it } from 'vitest';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import { SessionHarness } from '../../session-harness.ts';
import { FakeExo, KERNEL_IMAGE } from '../fake-exo.ts';

const STACK = 0xffff_ff00_0001_0000n;
const SHELL = 4;
/** STACK as the thread SHELL sees it. */
const WINDOW = 0x0004_ff00_0001_0000n;
const SLOT = 0x3e00n;
const OWNER = {};

let exo: FakeExo;
let target: MachineTarget;

beforeEach(() => {
  exo = new FakeExo();
  exo.setThreads([
    { tid: 0, name: 'idle' },
    { tid: 3, name: 'shell', registers: { rsp: STACK + SLOT, rbp: STACK + SLOT + 8n, rbx: 6n } },
  ]);
  exo.setCurrent(0);
  const image = KERNEL_IMAGE;
  target = new MachineTarget({ machine: exo.machine, image, imageName: 'kernel.elf' });
  exo.machine.putU64(STACK + SLOT, 0x1111n, exo.cr3Of(0));
  exo.machine.putU64(STACK + SLOT, STACK + SLOT + 0x20n, exo.cr3Of(3));
  exo.machine.putU64(STACK + SLOT + 8n, 0x2222n, exo.cr3Of(3));
});

function quadwords(bytes: Uint8Array): bigint[] {
  const buffer = Buffer.from(bytes);
  return Array.from({ length: bytes.length / 8 }, (_, at) => buffer.readBigUInt64LE(8 * at));
}

describe('the stack of a thread off the CPU', () => {
  it('is read under the number of its thread, with the pointers into it alike', () => {
    expect(quadwords(target.memory.read(1, STACK + SLOT, 8))).toEqual([0x1111n]);
    const there = quadwords(target.memory.read(1, WINDOW + SLOT, 16));
    expect(there).toEqual([WINDOW + SLOT + 0x20n, 0x2222n]);
  });

  it('is not touched by that: its own thread reads its pointers as they are', () => {
    const own = quadwords(target.memory.read(SHELL, STACK + SLOT, 8));
    expect(own).toEqual([STACK + SLOT + 0x20n]);
  });

  it('is written under the number of its thread', () => {
    target.memory.write(1, WINDOW + SLOT + 8n, Uint8Array.of(0x33));
    expect(exo.machine.readLinear(STACK + SLOT + 8n, 1, exo.cr3Of(3))[0]).toBe(0x33);
    expect(exo.machine.readLinear(STACK + SLOT + 8n, 1, exo.cr3Of(0))[0]).not.toBe(0x33);
  });

  it('has its region there, with its rights', () => {
    const region = target.memoryRegion(1, WINDOW + SLOT);
    expect(region).toMatchObject({ start: WINDOW, lengthBytes: 0x4000n });
    expect(region.permissions).toEqual({ read: true, write: true, execute: false });
  });

  it('cannot be watched there: no CPU forms such an address', () => {
    const watch = { kind: 2, address: WINDOW + SLOT, lengthBytes: 8, process: 1 } as const;
    expect(() => target.breakpoints.insert(OWNER, watch)).toThrow('not an address');
  });

  it('is nowhere under the number of a thread that there is not', () => {
    expect(target.memory.read(1, 0x0009_ff00_0001_0000n + SLOT, 8)).toHaveLength(0);
  });
});

describe('registers of threads that share an address for their stacks', () => {
  const asked = async (...requests: string[]): Promise<string[]> => {
    const session = new SessionHarness({ target });
    const answers: string[] = [];
    for (const request of requests) answers.push(...(await session.send(request)));
    expect(session.internalErrors).toEqual([]);
    return answers;
  };

  it('lead lldb into the window, and gdb, which names the thread, to the address', async () => {
    const rsp = ['p7;thread:0004;', 'p6;thread:0004;', 'p3;thread:0004;'];
    const [, toLldb, frame, other] = await asked('QThreadSuffixSupported', ...rsp);
    expect(toLldb).toBe('003e010000ff0400');
    expect(frame).toBe('083e010000ff0400');
    expect(other).not.toContain('ff0400');
    expect(await asked('Hg4', 'p7')).toEqual(['OK', '003e010000ffffff']);
  });

  it('stay as they are for the thread on the CPU', async () => {
    exo.machine.registers.set('rsp', STACK + SLOT);
    const [, own] = await asked('QThreadSuffixSupported', 'p7;thread:0001;');
    expect(own).toBe('003e010000ffffff');
  });

  it('come to lldb with the stop, with the top of each stack', async () => {
    const [, , stop] = await asked('QThreadSuffixSupported', 'QListThreadsInStopReply', '?');
    const memory = [...stop!.matchAll(/memory:0x(\w+)=(\w+);/g)].map((found) => found.slice(1));
    const [, top] = memory.find(([address]) => address === '4ff0000013e00') ?? [];
    expect(top?.slice(0, 32), stop).toBe('203e010000ff04002222000000000000');
    const others = Buffer.from(/jstopinfo:(\w+);/.exec(stop!)?.[1] ?? '', 'hex').toString();
    expect(JSON.parse(others)).toMatchObject([
      { tid: 1, reason: 'signal' },
      { tid: 4, name: 'shell', registers: { '7': '003e010000ff0400' } },
    ]);
  });
});
