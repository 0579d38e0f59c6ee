/**
 * `exoscope run`: boots an image without a debugger, its serial console on stdout, and ends with the
 * status that the guest writes to the debug-exit port.
 */
import type { Argv } from 'yargs';
import type { MachineView, StopReason } from '../../machine/index.ts';
import { readElf } from '../symbols/elf-file.ts';
import { allSymbols } from '../symbols/symbol-file.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { EXIT } from './exit-status.ts';
import { describeEnd, say } from './guest-end.ts';
import { screenLines } from '../monitor/screen.ts';
import { machineArguments, type MachineArguments } from './machine-arguments.ts';
import { bootMachine, openSource, readImage } from './machine-source.ts';
import { runToEnd } from './run-to-end.ts';
import { SerialOutput } from './serial-output.ts';
import { readSymbolFiles } from './symbol-arguments.ts';

export const RUN_EXAMPLES: readonly [string, string][] = [
  ['$0 run --append test', "run the kernel's tests; status 0 if all passed"],
  ['$0 run booted.snapshot', 'go on where a snapshot was taken'],
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
  const source = openSource(readImage(options.image), options);
  const symbolFiles = readSymbolFiles(options.symbols);
  const serial = SerialOutput.open('stdio');
  const machine = bootMachine(source, options, {
    onSerialOutput: serial.write,
    onNote: () => undefined,
  });
  const { end, isInterrupted } = await runToEnd(machine, serial, {
    maxInstructions: options.maxInstructions,
  });
  await serial.dispose();
  if (isInterrupted) return EXIT.interrupted;
  if (serial.error !== undefined) return serialFailure(serial.error);
  if (machine.serialHistory().length === 0) sayScreen(machine);
  return exitStatus(end, options, () => allSymbols(readElf(source.image), symbolFiles));
}

/** A kernel without a serial driver has not been silent: it prints where nobody looks. */
function sayScreen(machine: MachineView): void {
  const lines = screenLines(machine);
  if (lines.length === 0) return;
  say('nothing was sent to COM1; this is on the VGA text screen:');
  process.stderr.write(lines.map((line) => `${line}\n`).join(''));
}

function serialFailure(error: NodeJS.ErrnoException): number {
  if (error.code === 'EPIPE') return EXIT.brokenPipe;
  say(`the serial output cannot be written: ${error.message}`);
  return EXIT.failure;
}

/** As the guest wrote it to the debug-exit port, or as QEMU makes a status of that. */
function exitStatus(end: StopReason, options: RunArguments, symbols: () => SymbolTable): number {
  const status = describeEnd(end, options.maxInstructions, symbols);
  if (end.kind !== 'debug-exit') return status;
  return (options.exitCode === 'qemu' ? (status << 1) | 1 : status) & 0xff;
}
