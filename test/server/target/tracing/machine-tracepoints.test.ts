import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Machine } from '../../../../machine/index.ts';
import { readElf } from '../../../../server/symbols/elf-file.ts';
import { SymbolTable } from '../../../../server/symbols/symbol-table.ts';
import { MachineTarget } from '../../../../server/target/machine-target.ts';
import type { TraceAction, TraceFrame } from '../../../../server/target/target.ts';
import { smallGuest } from '../../../machine/small-guest.ts';
import { KERNEL_IMAGE, symbolAddress } from '../../fake-exo.ts';
import { FakeMachine } from '../../fake-machine.ts';

const ALL_REGISTERS: TraceAction = { kind: 'registers', mask: (1n << 72n) - 1n };
/** reg 7 (rsp), const8 64, trace, end. */
const STACK: TraceAction = {
  kind: 'expression',
  bytecode: Uint8Array.of(0x26, 0, 7, 0x22, 64, 0x0c, 0x27),
};
const RIP = 16;

function fake(): { machine: FakeMachine; target: MachineTarget } {
  const machine = new FakeMachine();
  // A loop of 0x10 bytes.
  machine.program.set(0x100fn, (self) => self.jump(0x1000n));
  return {
    machine,
    target: new MachineTarget({ machine, image: new Uint8Array(), imageName: '' }),
  };
}

function rip(frame: TraceFrame | undefined): bigint | undefined {
  const bytes = frame?.register(RIP);
  return bytes instanceof Uint8Array ? Buffer.from(bytes).readBigUInt64LE() : undefined;
}

function frames(target: MachineTarget): TraceFrame[] {
  const count = target.tracepoints.status().frames;
  return Array.from({ length: count }, (_, number) => {
    return target.tracepoints.find({ kind: 'number', number })!;
  });
}

/** Lets the target run on the event loop until a condition holds. */
async function runUntil(target: MachineTarget, isDone: () => boolean): Promise<void> {
  target.resume([{ threads: 'all', action: { kind: 'continue' } }]);
  for (let turn = 0; turn < 10_000 && !isDone(); turn++) {
    await new Promise((resolve) => setImmediate(resolve));
  }
  target.interrupt();
  if (!isDone()) throw new Error('it did not come to that');
}

describe('many large frames', () => {
  const address = 0x10_0020n;
  const frame: TraceAction = { kind: 'memory', offset: 0x10_0000n, lengthBytes: 1_000_000 };

  /** A guest that is at one place over and over, with so many tracepoints there. */
  function traced(count: number): MachineTarget {
    const machine = smallGuest([0x90, 0xeb, 0xfd]);
    const target = new MachineTarget({ machine, image: new Uint8Array(), imageName: '' });
    target.tracepoints.configure({ isCircular: true, bufferBytes: 1 << 28 });
    for (let number = 1; number <= count; number++) {
      const place = { number, address };
      target.tracepoints.define({ ...place, isEnabled: true, stepCount: 0, passCount: 0 });
      target.tracepoints.addActions(place, [frame]);
    }
    target.tracepoints.start();
    return target;
  }

  it('end the trace when those of one place take longer than anybody can wait for', async () => {
    const target = traced(1000);
    const { tracepoints } = target;
    await runUntil(target, () => tracepoints.status().stop !== 'running');
    const { stop, framesCreated } = tracepoints.status();
    const text = 'the tracepoints of one place take too long';
    expect(stop).toMatchObject({ kind: 'error', text });
    expect(framesCreated).toBeGreaterThan(100);
    expect(framesCreated).toBeLessThan(200);
  });

  it('go on when each time they are few', async () => {
    const target = traced(3);
    const { tracepoints } = target;
    await runUntil(target, () => tracepoints.status().framesCreated >= 1000);
    expect(tracepoints.status().stop).toBe('running');
  });
});

describe('tracepoints over a machine', () => {
  const place = { number: 3, address: 0x1004n };
  const definition = { ...place, isEnabled: true, stepCount: 0, passCount: 0 };

  it('follows the CPU for as many instructions as while-stepping says, then counts on', async () => {
    const { target } = fake();
    const { tracepoints } = target;
    tracepoints.define({ ...definition, stepCount: 3, passCount: 2 });
    tracepoints.addActions(place, [ALL_REGISTERS, { kind: 'while-stepping' }, ALL_REGISTERS]);
    tracepoints.start();
    await runUntil(target, () => tracepoints.status().stop !== 'running');
    const seen = [0x1004n, 0x1005n, 0x1006n, 0x1007n];
    expect(frames(target).map(rip)).toEqual([...seen, ...seen]);
    expect(tracepoints.status().stop).toEqual({ kind: 'pass count', tracepoint: 3 });
    expect(tracepoints.usage(place).hits).toBe(2);
  });

  it('stops at a breakpoint that stands in the steps of a tracepoint', async () => {
    const { target } = fake();
    const { tracepoints } = target;
    tracepoints.define({ ...definition, stepCount: 5 });
    tracepoints.addActions(place, [{ kind: 'while-stepping' }, ALL_REGISTERS]);
    tracepoints.start();
    const breakpoint = { kind: 0, address: 0x1006n, lengthBytes: 1, process: 1 } as const;
    target.breakpoints.insert({}, breakpoint);
    await runUntil(target, () => target.state().kind === 'halted');
    expect(target.state()).toMatchObject({ stop: { cause: { kind: 'breakpoint' } } });
    expect(frames(target).map(rip)).toEqual([0x1004n, 0x1005n, 0x1006n]);
  });

  it('leaves a breakpoint at its own place alone', async () => {
    const { target } = fake();
    const { tracepoints } = target;
    tracepoints.define({ ...definition, stepCount: 1 });
    tracepoints.start();
    const breakpoint = { kind: 0, address: 0x1004n, lengthBytes: 1, process: 1 } as const;
    const code = { conditions: [Uint8Array.of(0x22, 0, 0x27)], commands: [] };
    target.breakpoints.insert({}, breakpoint, code);
    await runUntil(target, () => tracepoints.status().frames >= 6);
    expect(target.state()).toMatchObject({ stop: { cause: { kind: 'interrupt' } } });
    tracepoints.stop();
    target.breakpoints.insert({}, breakpoint);
    await runUntil(target, () => target.state().kind === 'halted');
    expect(target.state()).toMatchObject({ stop: { cause: { address: 0x1004n } } });
  });

  it('ends with the reason when a condition cannot be evaluated or a frame is too large', async () => {
    const { target } = fake();
    const { tracepoints } = target;
    // const32 0x7fffffff, ref64, end
    const condition = Uint8Array.of(0x24, 0x7f, 0xff, 0xff, 0xff, 0x1a, 0x27);
    tracepoints.define({ ...definition, condition });
    tracepoints.start();
    await runUntil(target, () => tracepoints.status().stop !== 'running');
    expect(tracepoints.status().stop).toMatchObject({ kind: 'error', tracepoint: 3 });
    expect(tracepoints.status().frames).toBe(0);
    tracepoints.define(definition);
    const lengthBytes = 2 ** 40;
    tracepoints.addActions(place, [{ kind: 'memory', offset: 0n, lengthBytes }]);
    tracepoints.start();
    await runUntil(target, () => tracepoints.status().stop !== 'running');
    expect(tracepoints.status().stop).toMatchObject({ kind: 'error', text: /beyond/ as never });
  });

  it('keeps a frame as it was while memory and the buffer go on', async () => {
    const { machine, target } = fake();
    const { tracepoints } = target;
    machine.putU64(0x2000n, 11n);
    tracepoints.configure({ isCircular: true, bufferBytes: 2000 });
    tracepoints.define(definition);
    tracepoints.addActions(place, [{ kind: 'memory', offset: 0x2000n, lengthBytes: 8 }]);
    tracepoints.start();
    await runUntil(target, () => tracepoints.status().frames > 0);
    const kept = tracepoints.find({ kind: 'number', number: 0 })!;
    machine.putU64(0x2000n, 12n);
    const { framesCreated } = tracepoints.status();
    await runUntil(target, () => tracepoints.status().framesCreated > framesCreated + 200);
    expect([...kept.memory(0x2000n, 8)]).toEqual([11, 0, 0, 0, 0, 0, 0, 0]);
    expect(kept.memory(0x2008n, 1)).toHaveLength(0);
    const newest = frames(target).at(-1)!;
    expect(newest.memory(0x2000n, 1)[0]).toBe(12);
    expect(rip(newest)).toBe(0x1004n);
  });
});

describe('what expressions collect', () => {
  const place = { number: 1, address: 0x1004n };

  /** The memory of the first frame that a bytecode, in hex, has made: start and text. */
  async function collected(hex: string): Promise<readonly [bigint, string][]> {
    const { machine, target } = fake();
    machine.writeLinear(0x2000n, Buffer.from('two words\0and more'));
    const { tracepoints } = target;
    tracepoints.define({ ...place, isEnabled: true, stepCount: 0, passCount: 1 });
    const bytecode = Buffer.from(hex, 'hex');
    tracepoints.addActions(place, [{ kind: 'expression', bytecode }]);
    tracepoints.start();
    await runUntil(target, () => tracepoints.status().stop !== 'running');
    const frame = tracepoints.find({ kind: 'number', number: 0 });
    if (frame === undefined) throw new Error(JSON.stringify(tracepoints.status().stop));
    return frame.memoryRanges.map(({ start, lengthBytes }) => [
      start,
      Buffer.from(frame.memory(start, lengthBytes)).toString('latin1'),
    ]);
  }

  it('is as long as trace, trace_quick and trace16 say', async () => {
    // const16 0x2000, const8 3, trace; const16 0x2004, trace_quick 5, pop; const16 0x2000, trace16 2, end
    const all = await collected('23200022030c2320040d052923200030000227');
    expect(all).toEqual([
      [0x2000n, 'two'],
      [0x2004n, 'words'],
      [0x2000n, 'tw'],
    ]);
  });

  it('ends with the zero of a string, or where tracenz has enough', async () => {
    // const16 0x2000, const8 64, tracenz; const16 0x2004, const8 2, tracenz, end
    const all = await collected('23200022402f23200422022f27');
    expect(all).toEqual([
      [0x2000n, 'two words\0'],
      [0x2004n, 'wo'],
    ]);
  });

  it('ends where memory ends, and is nothing where there is none', async () => {
    // const32 0xffff0, const8 64, trace; const32 0x7fffffff, const8 8, trace, end
    const all = await collected('24000ffff022400c247fffffff22080c27');
    expect(all.map(([start, text]) => [start, text.length])).toEqual([[0xffff0n, 16]]);
  });
});

describe('tracing a real machine', () => {
  const image = readFileSync(join(import.meta.dirname, '../../../../kernel/images/bench.elf'));
  const hot = SymbolTable.fromElf(readElf(image)).find('bench_hot')!.address;

  /** All that a run leaves behind. */
  function digest(machine: Machine): string {
    const hash = createHash('sha256');
    for (const name of ['rax', 'rbx', 'rcx', 'rdx', 'rsp', 'rip', 'rflags', 'cr3']) {
      hash.update(`${name} ${machine.readRegister(name)}`);
    }
    hash.update(`${machine.icount} ${machine.ticks}`).update(machine.readFxsave());
    return hash.update(machine.readPhysical(0n, 16 << 20)).digest('hex');
  }

  for (const engine of ['step', 'block'] as const) {
    it(`changes nothing of the run, ${engine} engine`, async () => {
      const end = async (stepCount: number | undefined): Promise<[string, number]> => {
        const options = { image, imageName: 'bench.elf', memoryBytes: 16 << 20 };
        const machine = new Machine({ ...options, commandLine: 'spin', engine });
        const target = new MachineTarget({ machine, image, imageName: 'bench.elf' });
        machine.run({ budget: 2_000_000, skipIdle: true });
        const place = { number: 1, address: hot };
        if (stepCount !== undefined) {
          target.tracepoints.define({ ...place, isEnabled: true, stepCount, passCount: 0 });
          const steps: TraceAction[] = [{ kind: 'while-stepping' }, ALL_REGISTERS];
          target.tracepoints.addActions(place, [ALL_REGISTERS, STACK, ...steps]);
          target.tracepoints.start();
          if (stepCount > 0) {
            await runUntil(target, () => target.tracepoints.status().frames > 500);
            // It steps by the runner, which `machine.run` below goes without.
            target.tracepoints.stop();
          }
        }
        // Collecting ends slices early.
        while (machine.icount < 4_000_000n) {
          machine.run({ budget: Number(4_000_000n - machine.icount), skipIdle: true });
        }
        return [digest(machine), target.tracepoints.status().framesCreated];
      };
      const [without, none] = await end(undefined);
      const [traced, many] = await end(0);
      const [stepped] = await end(4);
      expect(none).toBe(0);
      expect(many).toBeGreaterThan(50_000);
      expect(traced).toBe(without);
      expect(stepped).toBe(without);
    });
  }

  it('has traced the forks since boot before anybody attaches, and again after a reset', () => {
    const machine = new Machine({ image: KERNEL_IMAGE, imageName: 'kernel.elf', memoryBytes: 32 << 20 }); // prettier-ignore
    const target = new MachineTarget({ machine, image: KERNEL_IMAGE, imageName: 'kernel.elf' });
    const { tracepoints } = target;
    const boot = (): TraceFrame[] => {
      machine.run({ budget: 3_000_000, skipIdle: true });
      return frames(target);
    };
    const forks = boot();
    expect(forks.length).toBeGreaterThan(2);
    expect(tracepoints.status().stop).toMatchObject({ kind: 'stopped', note: /forks/ as never });
    const [first] = forks;
    expect(rip(first)).toBe(symbolAddress('sys_fork'));
    expect(tracepoints.describe()[0]?.definition.address).toBe(symbolAddress('sys_fork'));
    target.restart();
    expect(tracepoints.status().frames).toBe(0);
    expect(boot().length).toBe(forks.length);
    tracepoints.debuggerLeft();
    expect(tracepoints.status().stop).toMatchObject({ kind: 'stopped', note: /forks/ as never });
    // A debugger's own trace takes its place.
    tracepoints.clear();
    tracepoints.start();
    expect(tracepoints.status()).toMatchObject({ stop: 'running', frames: 0 });
    target.dispose();
  });
});
