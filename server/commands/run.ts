/**
 * `exoscope run`: boots an image without a debugger, its serial console on stdout, and ends with the
 * status that the guest writes to the debug-exit port.
 */
import { setImmediate } from 'node:timers/promises';
import type { Argv } from 'yargs';
import type { MachineControl, MachineView, StopReason } from '../../machine/index.ts';
import { readElf } from '../symbols/elf-file.ts';
import { allSymbols } from '../symbols/symbol-file.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { describeTripleFault } from '../target/exception-text.ts';
import { EXIT } from './exit-status.ts';
import {
  bootMachine,
  machineArguments,
  readImage,
  type MachineArguments,
} from './machine-arguments.ts';
import { SerialOutput } from './serial-output.ts';
import { readSymbolFiles } from './symbol-arguments.ts';

/** Some ten milliseconds: between slices the output is handed on and signals are seen. */
const SLICE_INSTRUCTIONS = 1_000_000;

export const RUN_EXAMPLES: readonly [string, string][] = [
  ['$0 run --append test', "run the kernel's tests; status 0 if all passed"],
  ['$0 run kernel.elf --memory 64M --max-instructions 500000000', 'give up after 500 million'],
];

export function runOptions<Arguments>(parser: Argv<Arguments>) {
  return machineArguments(parser)
    .option('exit-code', {
      choices: ['plain', 'qemu'] as const,
      describe: "Status: the value written to the debug-exit port, or QEMU's (value << 1) | 1",
      default: 'plain' as const,
    })
    .option('max-instructions', {
      type: 'number',
      describe: 'End with status 122 after so many instructions',
      requiresArg: true,
    });
}

export interface RunArguments extends MachineArguments {
  readonly exitCode: 'plain' | 'qemu';
  readonly maxInstructions?: number | undefined;
}

/** The process's exit status. All serial output has left when it resolves. */
export async function run(options: RunArguments): Promise<number> {
  const image = readImage(options.image);
  const symbolFiles = readSymbolFiles(options.symbols);
  const serial = SerialOutput.open('stdio');
  const machine = bootMachine(options, image, {
    onSerialOutput: serial.write,
    onNote: () => undefined,
  });
  const { end, isInterrupted } = await runToEnd(machine, serial, options.maxInstructions);
  await serial.dispose();
  if (isInterrupted) return EXIT.interrupted;
  if (serial.error !== undefined) return serialFailure(serial.error);
  return exitStatus(end, options, () => allSymbols(readElf(image), symbolFiles));
}

interface RunResult {
  readonly end: StopReason;
  readonly isInterrupted: boolean;
}

async function runToEnd(
  machine: MachineView & MachineControl,
  serial: SerialOutput,
  maxInstructions = Number.MAX_SAFE_INTEGER,
): Promise<RunResult> {
  const signal = new AbortController();
  const interrupt = (): void => signal.abort();
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  try {
    for (;;) {
      const left = maxInstructions - Number(machine.icount);
      if (left <= 0) return { end: { kind: 'budget' }, isInterrupted: false };
      const end = machine.run({ budget: Math.min(left, SLICE_INSTRUCTIONS), skipIdle: true });
      if (end.kind !== 'budget') return { end, isInterrupted: false };
      await serial.drained();
      await setImmediate();
      const isInterrupted = signal.signal.aborted;
      if (isInterrupted || serial.error !== undefined) return { end, isInterrupted };
    }
  } finally {
    process.removeListener('SIGINT', interrupt).removeListener('SIGTERM', interrupt);
  }
}

function serialFailure(error: NodeJS.ErrnoException): number {
  if (error.code === 'EPIPE') return EXIT.brokenPipe;
  say(`the serial output cannot be written: ${error.message}`);
  return EXIT.failure;
}

function exitStatus(end: StopReason, options: RunArguments, symbols: () => SymbolTable): number {
  switch (end.kind) {
    case 'debug-exit':
      return (options.exitCode === 'qemu' ? (end.value << 1) | 1 : end.value) & 0xff;
    case 'triple-fault': {
      for (const line of describeTripleFault(end.report, symbols())) say(line);
      return EXIT.tripleFault;
    }
    case 'budget':
      say(`${options.maxInstructions ?? ''} instructions (--max-instructions) are used up`);
      return EXIT.instructionLimit;
    case 'reset-request':
      say('the guest asked for a reset');
      return EXIT.reset;
    case 'idle':
      say('the guest halted, and no timer is armed that could wake it');
      return EXIT.idleForGood;
    case 'breakpoint':
    case 'watchpoint':
    case 'step':
    case 'system-call':
    case 'exception':
      throw new Error(`a run without a debugger ended with ${end.kind}`);
  }
}

function say(line: string): void {
  process.stderr.write(`exoscope: ${line}\n`);
}
