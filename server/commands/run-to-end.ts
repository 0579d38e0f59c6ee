/** Runs a machine without a debugger, as fast as it goes: for `run` and `snapshot`. */
import { setImmediate } from 'node:timers/promises';
import type { MachineControl, MachineView, StopReason } from '../../machine/index.ts';
import type { SerialOutput } from './serial-output.ts';

/** Some ten milliseconds: between slices the output is handed on and signals are seen. */
const SLICE_INSTRUCTIONS = 1_000_000;

export interface RunLimits {
  /** Counted from here on; undefined: no limit. */
  readonly maxInstructions?: number | undefined;
  readonly sliceInstructions?: number;
  /** Asked after each slice; true ends with `budget`. */
  readonly isOver?: () => boolean;
}

export interface RunResult {
  readonly end: StopReason;
  readonly isInterrupted: boolean;
}

/** Resolves when the machine stops, a limit is reached, a signal comes or nobody reads the output. */
export async function runToEnd(
  machine: MachineView & MachineControl,
  serial: SerialOutput,
  { maxInstructions, sliceInstructions = SLICE_INSTRUCTIONS, isOver }: RunLimits,
): Promise<RunResult> {
  const signal = new AbortController();
  const interrupt = (): void => signal.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const start = machine.icount;
  try {
    for (;;) {
      const left = (maxInstructions ?? Number.MAX_SAFE_INTEGER) - Number(machine.icount - start);
      if (left <= 0) return { end: { kind: 'budget' }, isInterrupted: false };
      const end = machine.run({ budget: Math.min(left, sliceInstructions), skipIdle: true });
      if (end.kind !== 'budget' || isOver?.() === true) return { end, isInterrupted: false };
      await serial.drained();
      await setImmediate();
      const isInterrupted = signal.signal.aborted;
      if (isInterrupted || serial.error !== undefined) return { end, isInterrupted };
    }
  } finally {
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt);
  }
}
