/** A guest that relies on ACPI, the I/O APIC and the HPET: the same on our PC as on QEMU's, to its end. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  Machine,
  type EngineKind,
  type MachineOptions,
  type StopReason,
} from '../../machine/index.ts';
import { inTemporaryFolder, qemuArguments } from '../kernel/qemu.ts';
import { missing } from '../tools.ts';
import { build32 } from './build32.ts';
import { collect, gdbWith, type GdbResult } from './gdb.ts';
import { MAIN, ServerProcess } from './server-process.ts';

const LIMIT_SECONDS = '60';
const LINES = [
  'FACP',
  'APIC',
  'I/O APIC with 24 inputs',
  'the PIT is input 2',
  ...['5 ticks', '10 ticks', '15 ticks', '20 ticks', '25 ticks'],
  'masked: 0 more in 50 ms',
  'HPET',
  'HPET of 100000000 Hz with 3 timers',
  ...['5 ticks of the HPET', '10 ticks of the HPET', '15 ticks of the HPET'],
  'once: 1 in 50 ms',
  'S5 is type 0',
  '',
].join('\n');

const build = (folder: string): string => build32(folder, 'acpi-guest', '-O2');

/** What the guest says before it switches its PC off, and the emulator's status. */
const run = (program: string, ...args: readonly string[]) =>
  inTemporaryFolder((folder) =>
    collect('timeout', [LIMIT_SECONDS, program, ...args, build(folder)]),
  );

describe.skipIf(missing('gcc'))('a guest with ACPI, the I/O APIC and the HPET', () => {
  it.each(['step', 'block'])('counts ticks and switches the PC off, %s engine', async (engine) => {
    const ended = await run(process.execPath, MAIN, 'run', '--engine', engine);
    expect(ended).toEqual({ output: LINES, status: 0 });
  });

  it.skipIf(missing('qemu-system-x86_64'))('says the same on QEMU', async () => {
    const { output, status } = await run('qemu-system-x86_64', ...qemuArguments(['-kernel']));
    expect({ output: output.replaceAll('\r', ''), status }).toEqual({ output: LINES, status: 0 });
  });
});

interface Way {
  readonly engine: EngineKind;
  readonly slice: number;
  /** After so many slices another machine goes on from the saved state. */
  readonly slicesPerMachine?: number;
}

/** Runs to the power-off: when that is, and what RAM holds then. */
function end(image: Uint8Array, { engine, slice, slicesPerMachine = Infinity }: Way): unknown {
  const options: MachineOptions = { image, imageName: 'acpi-guest', engine };
  let machine = new Machine(options);
  const run = (): StopReason => machine.run({ budget: slice, skipIdle: true });
  let stop = run();
  for (let slices = 1; stop.kind === 'budget'; slices++) {
    if (slices % slicesPerMachine === 0) {
      machine = new Machine({ ...options, state: machine.save() });
    }
    stop = run();
  }
  const ram = createHash('sha256').update(machine.readPhysical(0n, 0x20_0000)).digest('hex');
  return { stop, icount: machine.icount, ticks: machine.ticks, ram };
}

describe.skipIf(missing('gcc'))('the timers of that guest', () => {
  it('tick the same to the bit, by both engines, in any slices, over snapshots', () =>
    inTemporaryFolder((folder) => {
      const image = readFileSync(build(folder));
      const whole = end(image, { engine: 'block', slice: 1e9 });
      expect(whole).toMatchObject({ stop: { kind: 'power-off' } });
      expect(end(image, { engine: 'step', slice: 12_345 })).toEqual(whole);
      const often: Way = { engine: 'block', slice: 7001, slicesPerMachine: 333 };
      expect(end(image, often)).toEqual(whole);
      return Promise.resolve();
    }));
});

describe.skipIf(missing('gcc', 'gdb'))('a debugger whose guest switches the PC off', () => {
  type Session = (...commands: readonly string[]) => Promise<GdbResult>;

  const served = (use: (session: Session) => Promise<void>): Promise<void> =>
    inTemporaryFolder(async (folder) => {
      const image = build(folder);
      const server = await ServerProcess.start('--wait', image);
      const attach = `target remote ${server.address}`;
      try {
        await use((...commands) => gdbWith([image], attach, ...commands));
      } finally {
        await server.stop();
      }
    });

  it('hears that it has exited normally', () =>
    served(async (session) => {
      const { printed, everything } = await session(
        'tbreak tick',
        'continue',
        'continue',
        'info threads',
      );
      expect(printed[2], everything).toContain('Temporary breakpoint 1, tick (');
      expect(printed[3]).toContain('[Inferior 1 (process 1) exited normally]\n');
      expect(printed[4]).toBe('No threads.\n');
    }));

  it('can look at what is left, and boot it again', () =>
    served(async (session) => {
      await session('continue');
      const looks = ['x/i $eip', 'p ticks'];
      const again = ['monitor reset', 'maint flush register-cache', 'continue'];
      const { printed, everything } = await session(...looks, ...again);
      expect(printed[1], everything).toContain('<guest+');
      expect(printed[2]).toBe('$1 = 1\n');
      expect(printed[5]).toContain('[Inferior 1 (process 1) exited normally]\n');
    }));
});
