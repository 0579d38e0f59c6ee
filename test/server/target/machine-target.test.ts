import { readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { REGISTERS } from '../../../server/target/register-table.ts';
import { MachineTarget } from '../../../server/target/machine-target.ts';
import type { TargetStop, ThreadResume } from '../../../server/target/target.ts';
import { FakeExo, KERNEL_IMAGE, symbolAddress } from '../fake-exo.ts';
import { FakeMachine } from '../fake-machine.ts';

const CONTINUE: ThreadResume = { threads: 'all', action: { kind: 'continue' } };
const STEP: ThreadResume = { threads: 'all', action: { kind: 'step' } };
const OWNER = {};

function targetOf(machine: FakeMachine, image: Uint8Array = new Uint8Array()): MachineTarget {
  return new MachineTarget({ machine, image, imageName: 'somewhere/kernel.elf' });
}

function breakpoint(address: bigint, kind: 0 | 1 | 2 = 0) {
  return { kind, address, lengthBytes: 1, process: 1 } as const;
}

/** Resumes and waits for the stop. */
function run(target: MachineTarget, ...threads: ThreadResume[]): Promise<TargetStop> {
  return new Promise((resolve) => {
    const remove = target.onStop((stop) => {
      remove();
      resolve(stop);
    });
    target.resume(threads);
  });
}

describe('a machine without a known kernel', () => {
  let machine: FakeMachine;
  let target: MachineTarget;
  beforeEach(() => {
    machine = new FakeMachine();
    target = targetOf(machine);
  });

  it('takes a read-only register that keeps its value, as gdb writes it after a call', () => {
    const readOnly = REGISTERS.filter((register) => register.write === undefined);
    for (const { number } of readOnly) {
      const present = target.registers.read(1, number) as Uint8Array;
      expect(target.registers.write(1, number, present), `${number}`).toBe(true);
      const other = present.map((byte) => byte ^ 1);
      expect(target.registers.write(1, number, other), `${number}`).toBe(false);
    }
  });

  it('has one thread, the CPU, from the start', () => {
    expect(target.threads()).toEqual([
      { id: 1, process: 1, name: 'CPU', description: 'running', isOnCpu: true, core: 0 },
    ]);
    expect(target.currentThread()).toBe(1);
    expect(target.state()).toMatchObject({ kind: 'halted', stop: { cause: { kind: 'reset' } } });
  });

  it('steps one instruction with interrupts masked', async () => {
    const stop = await run(target, STEP);
    expect(stop).toMatchObject({ kind: 'stopped', signal: 5, thread: 1, cause: { kind: 'step' } });
    expect(machine.icount).toBe(1n);
    expect(machine.runs).toEqual([
      expect.objectContaining({ budget: 1, step: true, maskInterrupts: true }),
    ]);
  });

  it('stops at a breakpoint and goes on from it', async () => {
    target.breakpoints.insert(OWNER, breakpoint(0x1010n));
    machine.program.set(0x1020n, (self) => self.jump(0x1000n));
    const stop = await run(target, CONTINUE);
    expect(stop).toMatchObject({ cause: { kind: 'breakpoint', address: 0x1010n } });
    expect(machine.icount).toBe(0x10n);
    await run(target, CONTINUE);
    expect(machine.icount).toBe(0x31n);
  });

  it('stops at once where the debugger has moved rip onto a breakpoint', async () => {
    target.breakpoints.insert(OWNER, breakpoint(0x1000n));
    await run(target, CONTINUE);
    expect(machine.icount).toBe(0n);
  });

  it('tells a hardware breakpoint from a software one', async () => {
    target.breakpoints.insert(OWNER, breakpoint(0x1010n, 1));
    expect(await run(target, CONTINUE)).toMatchObject({ cause: { isHardware: true } });
    target.breakpoints.insert(OWNER, breakpoint(0x1020n, 1));
    target.breakpoints.insert(OWNER, breakpoint(0x1020n, 0));
    expect(await run(target, CONTINUE)).toMatchObject({ cause: { isHardware: false } });
  });

  it('counts breakpoints by owner', () => {
    const other = {};
    target.breakpoints.insert(OWNER, breakpoint(0x1010n));
    target.breakpoints.insert(OWNER, breakpoint(0x1010n));
    target.breakpoints.insert(other, breakpoint(0x1010n));
    target.breakpoints.insert(other, breakpoint(0x1010n, 1));
    target.breakpoints.remove(OWNER, breakpoint(0x1010n));
    target.breakpoints.remove(OWNER, breakpoint(0x1010n));
    expect(machine.breakpoints).toEqual(new Set([0x1010n]));
    target.breakpoints.removeAllOf(other);
    expect(machine.breakpoints.size).toBe(0);
  });

  it('hears an interrupt within a slice of a busy guest', async () => {
    machine.program.set(0x1001n, (self) => self.jump(0x1000n));
    const stopped = run(target, CONTINUE);
    expect(target.state().kind).toBe('running');
    await new Promise((resolve) => setTimeout(resolve, 20));
    target.interrupt();
    expect(await stopped).toMatchObject({ signal: 2, cause: { kind: 'interrupt' } });
    const { icount } = machine;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(machine.icount).toBe(icount);
  });

  it('lets an idle guest sleep by the wall clock and wakes it for its event', async () => {
    machine.halted = { wakeAt: 30_000_000n };
    machine.onWake = (self) => self.jump(0x5000n);
    target.breakpoints.insert(OWNER, breakpoint(0x5000n));
    const start = performance.now();
    await run(target, CONTINUE);
    expect(performance.now() - start).toBeGreaterThan(25);
    expect(machine.ticks).toBeGreaterThanOrEqual(30_000_000n);
    expect(machine.runs.length).toBeLessThan(5);
  });

  it('has let time pass for an idle guest that is interrupted in its sleep', async () => {
    machine.halted = { wakeAt: 60_000_000_000n };
    const stopped = run(target, CONTINUE);
    await new Promise((resolve) => setTimeout(resolve, 30));
    target.interrupt();
    await stopped;
    expect(machine.ticks).toBeGreaterThan(20_000_000n);
    expect(machine.ticks).toBeLessThan(5_000_000_000n);
  });

  it('wakes a guest that waits for nothing but input', async () => {
    machine.halted = { wakeAt: undefined };
    target.breakpoints.insert(OWNER, breakpoint(0x1010n));
    const stopped = run(target, CONTINUE);
    await new Promise((resolve) => setTimeout(resolve, 5));
    target.enterSerialInput(Buffer.from('x'));
    await stopped;
    expect(machine.serialInput).toEqual([0x78]);
  });

  it('steps through a range and stops outside it', async () => {
    machine.program.set(0x1004n, (self) => self.jump(0x2000n));
    const action = { kind: 'range-step', start: 0x1000n, end: 0x1010n } as const;
    const stop = await run(target, { threads: 1, action });
    expect(stop).toMatchObject({ cause: { kind: 'step' } });
    expect(machine.rip).toBe(0x2000n);
  });

  it('stops at a breakpoint inside a range', async () => {
    target.breakpoints.insert(OWNER, breakpoint(0x1003n));
    const action = { kind: 'range-step', start: 0x1000n, end: 0x1010n } as const;
    const stop = await run(target, { threads: 1, action });
    expect(stop).toMatchObject({ cause: { kind: 'breakpoint', address: 0x1003n } });
  });

  it('lets a line that waits for an interrupt have it', async () => {
    machine.program.set(0x1001n, (self) => {
      const isMasked = self.runs.at(-1)!.maskInterrupts === true;
      self.jump(isMasked ? 0x1000n : 0x6000n);
      return undefined;
    });
    const action = { kind: 'range-step', start: 0x1000n, end: 0x1010n } as const;
    await run(target, { threads: 1, action });
    expect(machine.rip).toBe(0x6000n);
  });

  it('reports the end of the guest and can still be looked at', async () => {
    machine.program.set(0x1003n, () => ({ kind: 'debug-exit', value: 42 }));
    expect(await run(target, CONTINUE)).toEqual({ kind: 'exited', status: 42, process: 1 });
    expect(target.state()).toMatchObject({ stop: { kind: 'stopped', signal: 15 } });
    expect(target.registers.read(1, 16)).toHaveLength(8);
  });

  it('takes switching the PC off by ACPI for an end with status 0', async () => {
    machine.program.set(0x1003n, () => ({ kind: 'power-off' }));
    expect(await run(target, CONTINUE)).toEqual({ kind: 'exited', status: 0, process: 1 });
  });

  it('explains a triple fault and lives on', async () => {
    machine.program.set(0x1003n, () => ({
      kind: 'triple-fault',
      report: {
        chain: [
          { vector: 14, errorCode: 2 },
          { vector: 8, errorCode: 0 },
        ],
        rip: 0x1003n,
        rsp: 0n,
        cr2: 0xdeadn,
        cr3: 0x3000n,
      },
    }));
    const stop = await run(target, CONTINUE);
    expect(stop).toMatchObject({ kind: 'stopped', signal: 11, cause: { kind: 'exception' } });
    const { message } = stop as { message: string };
    expect(message).toContain('triple fault at rip 0x1003, cr2 0xdead');
    expect(message).toContain('#PF page fault (vector 14, error code 0x2)');
    expect(message.endsWith('\n')).toBe(true);
    target.restart();
    expect(machine.resets).toBe(1);
    expect(await run(target, STEP)).toMatchObject({ cause: { kind: 'step' } });
  });

  it('boots again and halts when the guest asks for a reset', async () => {
    machine.program.set(0x1003n, () => ({ kind: 'reset-request' }));
    expect(await run(target, CONTINUE)).toMatchObject({ cause: { kind: 'reset' }, thread: 1 });
    expect(machine.resets).toBe(1);
  });

  it('refuses a thread that does not exist', () => {
    expect(() => target.registers.readAll(2)).toThrow('no thread 2');
    expect(() => target.resume([{ threads: 7, action: { kind: 'step' } }])).toThrow('no thread 7');
    expect(target.state().kind).toBe('halted');
  });

  it('describes gaps and mappings of memory', () => {
    machine.tables.set(undefined, [
      { linear: 0x2000n, physical: 0n, lengthBytes: 0x1000, isNoExecute: true },
      { linear: 0x3000n, physical: 0x5000n, lengthBytes: 0x1000, isNoExecute: true },
      { linear: 0x4000n, physical: 0x6000n, lengthBytes: 0x1000, isWritable: false },
    ]);
    const data = { read: true, write: true, execute: false };
    expect(target.memoryRegion(1, 0n)).toEqual({ start: 0n, lengthBytes: 0x2000n });
    expect(target.memoryRegion(1, 0x3800n)).toEqual({
      start: 0x2000n,
      lengthBytes: 0x2000n,
      permissions: data,
    });
    expect(target.memoryRegion(1, 0x4000n).permissions).toEqual({
      read: true,
      write: false,
      execute: true,
    });
    const last = target.memoryRegion(1, 0x5000n);
    expect(last.start + last.lengthBytes).toBe(1n << 64n);
  });

  it('offers the image under a name of the guest and nothing else', () => {
    const image = readFileSync('kernel/images/hello.elf');
    const withFile = targetOf(machine, image);
    expect(withFile.files.executableOf(1)).toBe('/boot/kernel.elf');
    expect(withFile.files.open('/boot/kernel.elf')?.sizeBytes).toBe(image.length);
    expect(withFile.files.open('/etc/passwd')).toBeUndefined();
    expect(withFile.files.open('/boot/../boot/kernel.elf')).toBeUndefined();
  });

  it('does not run any more once it is disposed of', async () => {
    const disposed = targetOf(machine);
    disposed.dispose();
    const before = machine.icount;
    disposed.resume([{ threads: 'all', action: { kind: 'continue' } }]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(disposed.state().kind).toBe('halted');
    expect(machine.icount).toBe(before);
  });

  it('names no executable when the image is a flat one, which no debugger can read symbols from', () => {
    const flat = targetOf(machine, Uint8Array.of(1, 2, 3));
    expect(flat.files.executableOf(1)).toBeUndefined();
    expect(flat.files.open('/boot/kernel.elf')?.sizeBytes).toBe(3);
  });
});

describe('a machine with an Exo kernel', () => {
  let exo: FakeExo;
  let target: MachineTarget;
  const RESUME = symbolAddress('context_switch_resume');
  beforeEach(() => {
    exo = new FakeExo();
    target = targetOf(exo.machine, KERNEL_IMAGE);
    exo.machine.jump(0xffff_ffff_8030_0000n);
  });

  function threads(): void {
    exo.setThreads([
      { tid: 0, name: 'idle', registers: { rip: RESUME, rsp: 0x77n, rbx: 5n } },
      { tid: 3, name: 'shell', state: 3, waitReason: 2, registers: { rip: RESUME, rbx: 6n } },
    ]);
  }

  it('calls whatever runs thread 1 until the kernel has threads, and then by its tid', () => {
    expect(target.threads().map(({ id }) => id)).toEqual([1]);
    threads();
    exo.setCurrent(undefined);
    const booting = targetOf(exo.machine, KERNEL_IMAGE);
    expect(booting.threads().map(({ id, isOnCpu }) => [id, isOnCpu])).toEqual([
      [1, true],
      [4, false],
    ]);
    exo.setCurrent(3);
    expect(targetOf(exo.machine, KERNEL_IMAGE).currentThread()).toBe(4);
  });

  it('describes what a thread waits for', () => {
    threads();
    exo.setCurrent(0);
    expect(target.threads()).toEqual([
      expect.objectContaining({ id: 1, name: 'idle', description: 'pid 0, running' }),
      expect.objectContaining({ id: 4, name: 'shell', description: 'pid 3, waiting: child' }),
    ]);
  });

  it('shows the saved registers of a thread off the CPU and hides what was not saved', () => {
    threads();
    exo.setCurrent(0);
    exo.machine.registers.set('rbx', 0x99n);
    const { bytes, known } = target.registers.readAll(4);
    expect(new DataView(bytes.buffer).getBigUint64(8, true)).toBe(6n);
    expect(known!.slice(0, 136).every(Boolean)).toBe(true);
    expect(known!.slice(164, 560).some(Boolean)).toBe(true);
    expect(target.registers.read(4, 40)).toBe('unavailable');
    expect(target.registers.read(1, 1)![0]).toBe(0x99);
    expect(target.registers.expedited(4).map(({ number }) => number)).toEqual([16, 7, 6]);
  });

  it('reads memory of a thread through its own page tables', () => {
    threads();
    exo.setCurrent(0);
    const stack = 0xffff_ff00_0001_0000n;
    exo.machine.putU64(stack, 0x1111n, exo.cr3Of(0));
    exo.machine.putU64(stack, 0x2222n, exo.cr3Of(3));
    expect(target.memory.read(1, stack, 2)).toEqual(Uint8Array.of(0x11, 0x11));
    expect(target.memory.read(4, stack, 2)).toEqual(Uint8Array.of(0x22, 0x22));
    target.memory.write(4, stack, Uint8Array.of(0x33));
    expect(exo.machine.readLinear(stack, 1, exo.cr3Of(3))[0]).toBe(0x33);
    expect(exo.machine.readLinear(stack, 1, exo.cr3Of(0))[0]).toBe(0x11);
  });

  it('refuses to write the registers of a thread off the CPU', () => {
    threads();
    exo.setCurrent(0);
    expect(() => target.registers.write(4, 0, new Uint8Array(8))).toThrow('read-only');
  });

  /** An endless loop in which the kernel switches from thread 0 to thread 3 and back. */
  function switching(): void {
    threads();
    exo.setCurrent(0);
    const { machine } = exo;
    const loop = 0xffff_ffff_8030_0000n;
    let running = 0;
    machine.program.set(loop + 4n, (self) => {
      running = 3 - running;
      exo.setCurrent(running);
      self.jump(RESUME);
      return undefined;
    });
    machine.program.set(RESUME, (self) => self.jump(loop));
  }

  it('steps a thread off the CPU when the scheduler has put it on', async () => {
    switching();
    const stop = await run(target, { threads: 4, action: { kind: 'step' } }, CONTINUE);
    expect(stop).toMatchObject({ thread: 4, cause: { kind: 'step' } });
    expect(target.currentThread()).toBe(4);
    expect(exo.machine.rip).toBe(0xffff_ffff_8030_0000n);
    expect(exo.machine.breakpoints.size).toBe(0);
  });

  it('reports a step in the stepped thread although it was switched away', async () => {
    switching();
    exo.machine.jump(0xffff_ffff_8030_0004n);
    const stop = await run(target, { threads: 1, action: { kind: 'step' } });
    expect(stop).toMatchObject({ thread: 1 });
    expect(target.currentThread()).toBe(4);
  });

  it('passes breakpoints of threads that were not resumed', async () => {
    switching();
    target.breakpoints.insert(OWNER, breakpoint(0xffff_ffff_8030_0002n));
    const stop = await run(target, { threads: 4, action: { kind: 'continue' } });
    expect(stop).toMatchObject({ thread: 4, cause: { kind: 'breakpoint' } });
  });

  it('reports a breakpoint in another thread that was resumed, while one waits to be stepped', async () => {
    switching();
    target.breakpoints.insert(OWNER, breakpoint(0xffff_ffff_8030_0002n));
    const stop = await run(target, { threads: 4, action: { kind: 'step' } }, CONTINUE);
    expect(stop).toMatchObject({ thread: 1, cause: { kind: 'breakpoint' } });
    expect(exo.machine.breakpoints.size).toBe(1);
  });

  it('ends the step of a thread that is reaped while it waits for the CPU', async () => {
    threads();
    exo.setCurrent(0);
    exo.machine.program.set(0xffff_ffff_8030_0001n, (self) => {
      exo.setThreads([{ tid: 0, name: 'idle' }]);
      self.jump(self.rip - 1n);
      return undefined;
    });
    const stop = await run(target, { threads: 4, action: { kind: 'step' } });
    expect(stop).toMatchObject({ thread: 1, cause: { kind: 'no-resumed' } });
    expect(exo.machine.breakpoints.size).toBe(0);
  });

  it('ends a continue of threads that were named when the last of them is reaped', async () => {
    threads();
    exo.setCurrent(0);
    exo.machine.program.set(0xffff_ffff_8030_0001n, (self) => {
      if (self.icount > 100n) exo.setThreads([{ tid: 0, name: 'idle' }]);
      self.jump(self.rip - 1n);
      return undefined;
    });
    const stop = await run(target, { threads: 4, action: { kind: 'continue' } });
    expect(stop).toMatchObject({ kind: 'stopped', thread: 1, cause: { kind: 'no-resumed' } });
  });

  it('reports an interrupt in the thread that was to be stepped', async () => {
    threads();
    exo.setCurrent(0);
    exo.machine.program.set(0xffff_ffff_8030_0001n, (self) => self.jump(self.rip - 1n));
    const stopped = run(target, { threads: 4, action: { kind: 'step' } });
    await new Promise((resolve) => setTimeout(resolve, 5));
    target.interrupt();
    expect(await stopped).toMatchObject({ thread: 4, signal: 2 });
    expect(exo.machine.breakpoints.size).toBe(0);
  });

  it('offers the programs of the guest that the image carries', () => {
    const file = target.files.open('/tmp/hello.elf');
    expect(Buffer.from(file!.read(0, 4) as Uint8Array).toString('latin1')).toBe('\x7fELF');
  });
});
