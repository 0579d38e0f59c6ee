/** Two machines with the same guest and different engines, which must never differ. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import {
  Machine,
  type EngineKind,
  type MachineOptions,
  type RunOptions,
  type StopReason,
} from '../../../machine/index.ts';
import { fingerprint } from '../small-guest.ts';

/** Compiles nearly everything that is executed more than a few times. */
export const EAGER = { sampleInstructions: 500, firstThreshold: 1 } as const;

const REGISTERS =
  'rip rflags rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 cs ss cr2 cr3 cpl mxcsr'.split(
    ' ',
  );

const BENCH_IMAGE = readFileSync(join(import.meta.dirname, '../../../kernel/images/bench.elf'));

export function benchMachine(commandLine: string, options: Partial<MachineOptions> = {}): Machine {
  const guest = { image: BENCH_IMAGE, imageName: 'bench.elf', commandLine, memoryBytes: 32 << 20 };
  return new Machine({ ...guest, hotness: EAGER, ...options });
}

/** What differs from instruction to instruction, as lines that a failing test shows. */
function visibleState(machine: Machine): string {
  const registers = REGISTERS.map((name) => `${name}=${machine.readRegister(name)?.toString(16)}`);
  const vectors = Array.from({ length: 16 }, (_, register) =>
    Buffer.from(machine.readVector(register)).toString('hex'),
  );
  return [`icount=${machine.icount}`, `ticks=${machine.ticks}`, ...registers, ...vectors].join(
    '\n',
  );
}

export class Lockstep {
  readonly step: Machine;
  readonly block: Machine;

  constructor(make: (engine: EngineKind) => Machine) {
    this.step = make('step');
    this.block = make('block');
  }

  /** Does the same to both machines. */
  both(action: (machine: Machine) => void): void {
    action(this.step);
    action(this.block);
  }

  run(options: RunOptions): StopReason {
    const stop = this.step.run(options);
    expect(this.block.run(options)).toEqual(stop);
    const [expected, found] = [visibleState(this.step), visibleState(this.block)];
    if (found !== expected) expect(found).toBe(expected);
    return stop;
  }

  /** Runs to an end other than the budget's, in slices. */
  runToEnd(budget: number, mostInstructions = 1e9): StopReason {
    for (;;) {
      const stop = this.run({ budget, skipIdle: true });
      if (stop.kind !== 'budget' || this.step.icount > mostInstructions) return stop;
    }
  }

  expectSameMemory(): void {
    expect(fingerprint(this.block)).toBe(fingerprint(this.step));
  }

  get compiledRegions(): number {
    return this.block.describeJit()?.compiled ?? 0;
  }
}
