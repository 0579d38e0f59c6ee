/** The machine's loop and the step engine on guests of a few bytes. */
import { describe, expect, it } from 'vitest';
import { CODE_ADDRESS, kernelMachine, smallGuest } from './small-guest.ts';

const BASE = BigInt(CODE_ADDRESS);

/** mov eax, value */
function movEax(value: number): number[] {
  return [0xb8, value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff];
}

/** out 0xf4, eax: the debug exit */
const EXIT = [0xe7, 0xf4];
/** inc eax; jmp to itself */
const COUNT_FOREVER = [0x40, 0xeb, 0xfd];

describe('the machine', () => {
  it('runs a guest to its debug exit and gives the value it wrote', () => {
    const machine = smallGuest([...movEax(42), ...EXIT]);
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'debug-exit', value: 42 });
    expect(machine.icount).toBe(2n);
    expect(machine.readRegister('rip')).toBe(BASE + 7n);
  });

  it('stops a hot loop exactly at its budget', () => {
    const machine = smallGuest(COUNT_FOREVER);
    for (const budget of [1, 2, 3, 1000, 99_999]) {
      const before = machine.icount;
      expect(machine.run({ budget })).toEqual({ kind: 'budget' });
      expect(machine.icount - before).toBe(BigInt(budget));
    }
  });

  it('stops at a repeated string instruction once, wherever a run ends between its elements', () => {
    // mov ecx, 1000; mov edi, 0x180000; rep stosd; hlt
    const fill = [...movEax(0), 0xb9, 0xe8, 3, 0, 0, 0xbf, 0, 0, 0x18, 0, 0xf3, 0xab, 0xf4];
    const machine = smallGuest(fill);
    machine.addBreakpoint(BASE + 15n);
    expect(machine.run({ budget: 100 }).kind).toBe('breakpoint');
    expect(machine.run({ budget: 10 }).kind).toBe('breakpoint');
    expect(machine.run({ budget: 10, passBreakpoint: true }).kind).toBe('budget');
    for (let slice = 2; slice <= 100; slice++) {
      expect(machine.run({ budget: 10 }).kind).toBe('budget');
      expect(machine.readRegister('rcx')).toBe(BigInt(1000 - 10 * slice));
    }
    expect(machine.run({ budget: 10 }).kind).toBe('idle');
  });

  it('stops at an instruction that jumps to itself each time', () => {
    // mov ecx, 9; loop to itself
    const machine = smallGuest([0xb9, 9, 0, 0, 0, 0xe2, 0xfe, 0xf4]);
    machine.addBreakpoint(BASE + 5n);
    for (let left = 9n; left > 0n; left--) {
      expect(machine.run({ budget: 100, passBreakpoint: true }).kind).toBe('breakpoint');
      expect(machine.readRegister('rcx')).toBe(left);
    }
    expect(machine.run({ budget: 100, passBreakpoint: true }).kind).toBe('idle');
  });

  it('leaves RF to the instruction before which a breakpoint stops', () => {
    const machine = smallGuest([0x90, 0x90]);
    machine.writeRegister('rflags', 0x10002n);
    machine.addBreakpoint(BASE);
    expect(machine.run({ budget: 1 }).kind).toBe('breakpoint');
    expect(machine.readRegister('rflags')).toBe(0x10002n);
    machine.run({ budget: 1, passBreakpoint: true });
    expect(machine.readRegister('rflags')).toBe(2n);
  });

  it('stops before the instruction at a breakpoint and passes it when told to', () => {
    const machine = smallGuest(COUNT_FOREVER);
    machine.addBreakpoint(BASE + 1n);
    machine.addBreakpoint(BASE + 1n);
    expect(machine.run({ budget: 1000 })).toEqual({ kind: 'breakpoint', address: BASE + 1n });
    const eax = machine.readRegister('rax');
    expect(machine.run({ budget: 1000 }).kind).toBe('breakpoint');
    expect(machine.readRegister('rax')).toBe(eax);
    expect(machine.run({ budget: 1000, passBreakpoint: true }).kind).toBe('breakpoint');
    expect(machine.readRegister('rax')).toBe(eax! + 1n);
    machine.removeBreakpoint(BASE + 1n);
    expect(machine.run({ budget: 1000 }).kind).toBe('budget');
  });

  it('stops at a breakpoint where nothing may be executed, and delivers the fault when told to pass', () => {
    const machine = kernelMachine('');
    machine.run({ budget: 3_000_000, skipIdle: true });
    const stack = machine.readRegister('rsp')! & ~0xfffn;
    machine.writeRegister('rip', stack);
    machine.addBreakpoint(stack);
    const { icount } = machine;
    expect(machine.run({ budget: 10 })).toEqual({ kind: 'breakpoint', address: stack });
    expect(machine.icount).toBe(icount);
    machine.run({ budget: 1, passBreakpoint: true });
    expect(machine.readRegister('cr2')).toBe(stack);
    expect(machine.readRegister('rip')).not.toBe(stack);
  });

  it('stops there too when it comes from a breakpoint that it was told to pass', () => {
    const machine = kernelMachine('');
    machine.run({ budget: 3_000_000, skipIdle: true });
    const stack = machine.readRegister('rsp')! & ~0xfffn;
    const rip = machine.readRegister('rip')!;
    machine.writeLinear(rip, Uint8Array.of(0xff, 0xe0)); // jmp rax
    machine.writeRegister('rax', stack);
    for (const address of [rip, stack]) machine.addBreakpoint(address);
    const stop = machine.run({ budget: 10, passBreakpoint: true });
    expect(stop).toEqual({ kind: 'breakpoint', address: stack });
  });

  it('faults first at a breakpoint where nothing is mapped', () => {
    const machine = kernelMachine('');
    machine.run({ budget: 3_000_000, skipIdle: true });
    const nowhere = 0xffff_f000_0000_0000n;
    machine.writeRegister('rip', nowhere);
    machine.addBreakpoint(nowhere);
    expect(machine.run({ budget: 1 }).kind).not.toBe('breakpoint');
    expect(machine.readRegister('cr2')).toBe(nowhere);
  });

  it('runs a hook once each time control comes to its address, without stopping', () => {
    const machine = smallGuest(COUNT_FOREVER);
    const seen: bigint[] = [];
    const remove = machine.addExecutionHook(BASE + 1n, (view) => seen.push(view.icount));
    for (let slice = 0; slice < 5; slice++) machine.run({ budget: 3 });
    expect(seen).toEqual([1n, 3n, 5n, 7n, 9n, 11n, 13n]);
    machine.addBreakpoint(BASE + 1n);
    expect(machine.run({ budget: 10 }).kind).toBe('breakpoint');
    expect(machine.run({ budget: 10, passBreakpoint: true }).kind).toBe('breakpoint');
    expect(seen.slice(7)).toEqual([15n, 17n]);
    remove();
    machine.removeBreakpoint(BASE + 1n);
    machine.run({ budget: 100 });
    expect(seen).toHaveLength(9);
  });

  it('runs hooks at two addresses between which nothing retires', () => {
    const machine = smallGuest(COUNT_FOREVER);
    const seen: string[] = [];
    machine.addExecutionHook(BASE, () => seen.push('first'));
    machine.addExecutionHook(BASE + 1n, () => seen.push('second'));
    machine.addBreakpoint(BASE + 1n);
    expect(machine.run({ budget: 10 }).kind).toBe('breakpoint');
    expect(seen.splice(0)).toEqual(['first', 'second']);
    // As an interrupt's delivery would: control is elsewhere at the same count of instructions.
    machine.writeRegister('rip', BASE);
    expect(machine.run({ budget: 10 }).kind).toBe('breakpoint');
    expect(seen).toEqual(['first', 'second']);
  });

  it('lends the bytes of a register, and copies memory into what is there', () => {
    const machine = smallGuest(COUNT_FOREVER);
    const rax = machine.registerBytes('rax')!;
    machine.run({ budget: 100 });
    expect(Buffer.from(rax).readBigUInt64LE()).toBe(machine.readRegister('rax'));
    expect(machine.registerBytes('xmm15')).toHaveLength(16);
    expect(machine.registerBytes('x87')).toHaveLength(160);
    expect(['rflags', 'xmm16', 'none'].map((name) => machine.registerBytes(name))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    const into = new Uint8Array(0x3000).fill(0xee);
    expect(machine.copyLinear(BASE - 4n, 0x2100, into, 8)).toBe(0x2100);
    const copy = Buffer.from(machine.readLinear(BASE - 4n, 0x2100));
    expect(copy.equals(into.subarray(8, 0x2108))).toBe(true);
    expect([into[7], into[0x2108]]).toEqual([0xee, 0xee]);
    expect(machine.copyLinear(0xffff_0000_0000_0000n, 8, into, 0)).toBe(0);
  });

  it('stops after a store to a watched place and names it', () => {
    // mov [0x102000], eax; inc eax; jmp back
    const machine = smallGuest([0xa3, 0x00, 0x20, 0x10, 0x00, 0x40, 0xeb, 0xf8]);
    machine.run({ budget: 300 });
    machine.addWatchpoint(0x10_2002n, 1, 'write');
    const stop = machine.run({ budget: 300 });
    expect(stop).toEqual({ kind: 'watchpoint', address: 0x10_2002n, watch: 'write' });
    expect(machine.readRegister('rip')).toBe(BASE + 5n);
    machine.removeWatchpoint(0x10_2002n, 1, 'write');
    expect(machine.run({ budget: 300 }).kind).toBe('budget');
  });

  it('stops at the entry of a handler whose frame is pushed to a watched place', () => {
    const machine = kernelMachine('test', { memoryBytes: 16 << 20 });
    machine.run({ budget: 900_000, skipIdle: true });
    const state = machine.save();
    const rsp = (): bigint => machine.readRegister('rsp')!;
    const isInterruptible = (): boolean => (machine.readRegister('rflags')! & 0x200n) !== 0n;
    // A timer's interrupt turns IF off and pushes SS, RSP, RFLAGS, CS and RIP.
    for (let [before, wasOn] = [rsp(), isInterruptible()]; ;) {
      machine.run({ budget: 1, step: true });
      if (wasOn && !isInterruptible() && before - rsp() >= 40n) break;
      [before, wasOn] = [rsp(), isInterruptible()];
    }
    const [entry, frame, icount] = [machine.readRegister('rip'), rsp(), machine.icount];
    machine.restore(state);
    machine.run({ budget: Number(icount - machine.icount) - 1, skipIdle: true });
    machine.addWatchpoint(frame, 8, 'write');
    const stop = machine.run({ budget: 2000, skipIdle: true });
    expect(stop).toEqual({ kind: 'watchpoint', address: frame, watch: 'write' });
    expect(machine.readRegister('rip')).toBe(entry);
    expect(machine.icount).toBe(icount);
  });

  it.each(['step', 'block'] as const)(
    'stops before a caught exception is delivered, once, %s engine',
    (engine) => {
      // ud2, without an IDT: what follows its delivery is a triple fault.
      const machine = smallGuest([0x40, 0x0f, 0x0b], { engine });
      machine.catchExceptions(new Set([6]));
      const stop = machine.run({ budget: 100 });
      expect(stop).toMatchObject({ kind: 'exception', report: { chain: [{ vector: 6 }] } });
      expect(machine.readRegister('rip')).toBe(BASE + 1n);
      expect(machine.icount).toBe(1n);
      expect(machine.run({ budget: 100 }).kind).toBe('triple-fault');
      machine.reset();
      expect(machine.run({ budget: 100 }).kind).toBe('exception');
      machine.catchExceptions(new Set());
      machine.reset();
      expect(machine.run({ budget: 100 }).kind).toBe('triple-fault');
    },
  );

  it.each(['step', 'block'] as const)(
    'executes nothing in ring 3 that is held, while time and the kernel go on, %s engine',
    (engine) => {
      const machine = kernelMachine('test', { engine });
      const places = new Set<string>();
      const isHeld = (): boolean => {
        places.add(`${machine.readRegister('cr3')} ${machine.readRegister('rip')}`);
        return true;
      };
      machine.holdCode({ places: new Set(), isHeld });
      const run = (budget = 1000) => machine.run({ budget, skipIdle: true });
      for (let slices = 0; slices < 50_000 && places.size === 0; slices++) run();
      const { icount, ticks } = machine;
      for (let slices = 0; slices < 20; slices++) expect(run().kind).toBe('budget');
      // The timer's handler has run again and again, and has come back to the same place.
      expect(machine.ticks - ticks).toBeGreaterThan(100n * (machine.icount - icount));
      expect([...places].map((place) => place.split(' ')[1])).toEqual([String(0x401000)]);
      machine.holdCode(undefined);
      machine.addBreakpoint(0x401006n);
      expect(run(1_000_000).kind).toBe('breakpoint');
    },
  );

  it('does not execute held places of ring 0, and does when they are not held', () => {
    const machine = kernelMachine('');
    // sti, nop, jmp to the nop: in the kernel's own mode.
    machine.run({ budget: 3_000_000, skipIdle: true });
    const code = machine.readRegister('rip')!;
    machine.writeLinear(code, Uint8Array.of(0xfb, 0x90, 0xeb, 0xfd));
    let isHeld = true;
    machine.holdCode({ places: new Set([code + 2n]), isHeld: () => isHeld });
    for (let waits = 0; waits < 5; waits++) {
      expect(machine.run({ budget: 100_000 }).kind).toBe('idle');
      expect(machine.readRegister('rip')).toBe(code + 2n);
    }
    isHeld = false;
    expect(machine.run({ budget: 1000 }).kind).toBe('budget');
  });

  it('asks a breakpoint with a condition inside the slice and stops only where it is true', () => {
    for (const engine of ['step', 'block'] as const) {
      const machine = smallGuest(COUNT_FOREVER, { engine });
      const readRax = machine.registerReader('rax')!;
      const seen: bigint[] = [];
      machine.addBreakpoint(BASE + 1n, (view) => {
        seen.push(view.icount);
        return readRax() === 5n;
      });
      machine.writeRegister('rax', 0n);
      expect(machine.run({ budget: 1000 })).toEqual({ kind: 'breakpoint', address: BASE + 1n });
      expect(readRax()).toBe(5n);
      expect(machine.icount).toBe(9n);
      expect(seen).toEqual([1n, 3n, 5n, 7n, 9n]);
      expect(machine.run({ budget: 1000, passBreakpoint: true }).kind).toBe('budget');
      expect(machine.icount).toBe(1009n);
      machine.addBreakpoint(BASE + 1n);
      expect(machine.run({ budget: 1000 }).kind).toBe('breakpoint');
    }
  });

  it('asks a watchpoint with a condition when the store has retired', () => {
    // mov [0x102000], eax; inc eax; jmp back
    const machine = smallGuest([0xa3, 0x00, 0x20, 0x10, 0x00, 0x40, 0xeb, 0xf8]);
    machine.writeRegister('rax', 0n);
    const isSeven = (): boolean => machine.readInteger(0x10_2000n, 4) === 7n;
    machine.addWatchpoint(0x10_2000n, 4, 'write', isSeven);
    const stop = machine.run({ budget: 300 });
    expect(stop).toEqual({ kind: 'watchpoint', address: 0x10_2000n, watch: 'write' });
    expect(machine.readRegister('rax')).toBe(7n);
    expect(machine.run({ budget: 300 }).kind).toBe('budget');
  });

  it('reads integers of every width, also over the end of a page, and none where nothing is', () => {
    const machine = smallGuest(COUNT_FOREVER);
    machine.writeLinear(0x10_1ffcn, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 0xf8));
    expect(machine.readInteger(0x10_1ffcn, 8)).toBe(0xf807_0605_0403_0201n);
    expect(machine.readInteger(0x10_1ffcn, 4)).toBe(0x0403_0201n);
    expect(machine.readInteger(0x10_1ffdn, 2)).toBe(0x0302n);
    expect(machine.readInteger(0x10_1ffdn, 1)).toBe(2n);
    expect(machine.readInteger(0x100_0000n, 8)).toBeUndefined();
    expect(machine.readInteger(0x3f_fffcn, 8)).toBeUndefined();
  });

  it('sees code that the guest has changed, also in the page that runs', () => {
    // mov byte [target], 0x48 (dec eax); target: inc eax; out 0xf4, eax
    const target = CODE_ADDRESS + 12;
    const address = [target & 0xff, (target >> 8) & 0xff, (target >> 16) & 0xff, 0];
    const code = [...movEax(10), 0xc6, 0x05, ...address, 0x48, 0x40, ...EXIT];
    expect(smallGuest(code).run({ budget: 100 })).toEqual({ kind: 'debug-exit', value: 9 });
  });

  it('sees code that the debugger has changed', () => {
    const machine = smallGuest(COUNT_FOREVER);
    machine.run({ budget: 1000 });
    machine.writeLinear(BASE, Uint8Array.of(0x48)); // dec eax
    const before = machine.readRegister('rax')!;
    machine.run({ budget: 10 });
    expect(machine.readRegister('rax')).toBe(before - 5n);
  });

  it('executes an instruction that lies across two pages, and sees its second half change', () => {
    // At 0x100ffd: mov eax, imm32 crosses into 0x101000; then out 0xf4, eax.
    const jump = 0x10_0ffd - (CODE_ADDRESS + 5);
    const code = [0xe9, jump & 0xff, (jump >> 8) & 0xff, 0, 0];
    const padded = new Array<number>(0x10_0ffd - CODE_ADDRESS).fill(0x90);
    code.forEach((byte, index) => (padded[index] = byte));
    const image = [...padded, ...movEax(7), ...EXIT, 0xeb, 0xf7];
    const machine = smallGuest(image);
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'debug-exit', value: 7 });
    machine.writeLinear(0x10_1000n, Uint8Array.of(1));
    const stop = machine.run({ budget: 100 });
    expect(stop).toEqual({ kind: 'debug-exit', value: 7 + (1 << 16) });
  });

  it('is idle at HLT with nothing armed, and never wakes with interrupts off', () => {
    const machine = smallGuest([0xfa, 0xf4, 0xeb, 0xfd]);
    expect(machine.run({ budget: 1000 })).toEqual({ kind: 'idle', ticks: undefined });
    expect(machine.run({ budget: 1000, skipIdle: true })).toEqual({
      kind: 'idle',
      ticks: undefined,
    });
    expect(machine.icount).toBe(2n);
  });

  it('reports a triple fault with its chain, and survives it', () => {
    // An IDT of limit 0 and ud2: #UD, then #GP on delivery, #DF, triple fault.
    const machine = smallGuest([0x0f, 0x01, 0x1d, 0x00, 0x30, 0x10, 0x00, 0x0f, 0x0b]);
    const stop = machine.run({ budget: 1000 });
    if (stop.kind !== 'triple-fault') throw new Error(`stopped with ${stop.kind}`);
    expect(stop.report.rip).toBe(BASE + 7n);
    expect(stop.report.chain[0]?.vector).toBe(6);
    expect(stop.report.chain.map(({ vector }) => vector)).toContain(8);
    machine.reset();
    expect(machine.run({ budget: 1000 }).kind).toBe('triple-fault');
  });

  it('asks for a reset when the guest does', () => {
    // mov al, 0xfe; out 0x64, al
    const machine = smallGuest([0xb0, 0xfe, 0xe6, 0x64]);
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'reset-request' });
  });

  it.each(['step', 'block'] as const)('reaches the I/O APIC in the %s engine', (engine) => {
    // mov dword [0xfec00000], 1; mov eax, [0xfec00010]: the version
    const select = [0xc7, 0x05, 0x00, 0x00, 0xc0, 0xfe, 0x01, 0x00, 0x00, 0x00];
    const machine = smallGuest([...select, 0xa1, 0x10, 0x00, 0xc0, 0xfe, ...EXIT], { engine });
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'debug-exit', value: 0x17_0011 });
  });

  it.each(['step', 'block'] as const)('reads the HPET as time goes, %s engine', (engine) => {
    // mov dword [0xfed00010], 1; mov ebx, [0xfed000f0]; mov eax, [0xfed000f0]; sub eax, ebx
    const enable = [0xc7, 0x05, 0x10, 0x00, 0xd0, 0xfe, 0x01, 0x00, 0x00, 0x00];
    const read = [0x8b, 0x1d, 0xf0, 0, 0xd0, 0xfe, 0xa1, 0xf0, 0x00, 0xd0, 0xfe, 0x29, 0xd8];
    const machine = smallGuest([...enable, ...read, ...EXIT], { engine });
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'debug-exit', value: 1 });
    expect(machine.readRegister('rbx')).toBe(0n);
  });

  it.each([0x604, 0xb004])('is off when the guest writes S5 to port %s', (port) => {
    // mov edx, port; mov eax, SLP_EN; out dx, ax
    const machine = smallGuest([0xba, port & 0xff, port >> 8, 0, 0, ...movEax(0x2000), 0x66, 0xef]);
    expect(machine.run({ budget: 100 })).toEqual({ kind: 'power-off' });
    expect(machine.icount).toBe(3n);
  });

  it('counts each pass of REP as an instruction and stops inside it', () => {
    // mov ecx, 1000; mov edi, 0x102000; mov al, 0x55; rep stosb
    const code = [0xb9, 0xe8, 3, 0, 0, 0xbf, 0x00, 0x20, 0x10, 0x00, 0xb0, 0x55, 0xf3, 0xaa];
    const machine = smallGuest([...code, ...EXIT]);
    machine.run({ budget: 3 + 600 });
    expect(machine.readRegister('rcx')).toBe(400n);
    expect(machine.readRegister('rip')).toBe(BASE + 12n);
    expect(machine.readLinear(0x10_2000n + 599n, 2)).toEqual(Uint8Array.of(0x55, 0));
    machine.run({ budget: 1000 });
    expect(machine.icount).toBe(3n + 1000n + 1n);
  });

  it('boots the kernel, whose tests pass, and keeps what it wrote', () => {
    const machine = kernelMachine('test');
    let text = '';
    const observed = kernelMachine('test', {
      onSerialOutput: (bytes) => (text += Buffer.from(bytes).toString('latin1')),
    });
    for (const each of [machine, observed]) {
      expect(each.run({ budget: 100_000_000, skipIdle: true })).toEqual({
        kind: 'debug-exit',
        value: 0,
      });
    }
    expect(text).toContain('[TEST] summary: kernel-mode 6 passed, 0 failed');
    expect(text).toContain('[TEST] summary: ring-3 6 passed, 0 failed');
    expect(Buffer.from(machine.serialHistory()).toString('latin1')).toBe(text);
  });
});
