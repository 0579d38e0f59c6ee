/**
 * `exoscope snapshot`: boots an image, or goes on from a snapshot, without a debugger up to a place, and
 * writes the machine as it stands there into a file. `serve` and `run` begin from that file.
 */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import type { Argv } from 'yargs';
import type { MachineControl, MachineView } from '../../machine/index.ts';
import { UsageError } from '../listen-address.ts';
import { MonitorError, parseAddress } from '../monitor/monitor-command.ts';
import { encodeSnapshot } from '../snapshots/snapshot-file.ts';
import { readElf } from '../symbols/elf-file.ts';
import { allSymbols } from '../symbols/symbol-file.ts';
import type { SymbolTable } from '../symbols/symbol-table.ts';
import { EXIT } from './exit-status.ts';
import { describeEnd, say } from './guest-end.ts';
import { machineArguments, type MachineArguments } from './machine-arguments.ts';
import { bootMachine, openSource, readImage, takeSnapshot, type MachineSource } from './machine-source.ts'; // prettier-ignore
import { runToEnd } from './run-to-end.ts';
import { SerialOutput } from './serial-output.ts';
import { readSymbolFiles } from './symbol-arguments.ts';

/** So often it is looked whether a text has been printed: a tenth of a millisecond of the guest's. */
const LOOK_INSTRUCTIONS = 10_000;

export const SNAPSHOT_EXAMPLES: readonly [string, string][] = [
  ['$0 snapshot --until sys_fork --output fork.snapshot', 'as the kernel is about to fork first'],
  ["$0 snapshot kernel.elf --until-output '$ ' --output shell.snapshot", 'when a prompt is there'],
  [
    '$0 serve --sessions 8 shell.snapshot',
    'eight debuggers, each with a machine that begins there',
  ],
];

export function snapshotOptions<Arguments>(parser: Argv<Arguments>) {
  return machineArguments(parser)
    .option('output', {
      type: 'string',
      describe: 'The file to write',
      demandOption: true,
      requiresArg: true,
    })
    .option('until', {
      type: 'string',
      describe: 'Stop where control reaches this: a symbol, symbol+offset or 0xADDRESS',
      requiresArg: true,
    })
    .option('until-output', {
      type: 'string',
      describe: 'Stop when COM1 has printed this',
      requiresArg: true,
    })
    .option('instructions', {
      type: 'number',
      describe: 'Stop after so many instructions',
      requiresArg: true,
    })
    .option('max-instructions', {
      type: 'number',
      describe: 'Give up after so many instructions, with status 122',
      requiresArg: true,
    });
}

export interface SnapshotArguments extends MachineArguments {
  readonly output: string;
  readonly until?: string | undefined;
  readonly untilOutput?: string | undefined;
  readonly instructions?: number | undefined;
  readonly maxInstructions?: number | undefined;
}

/** The process's exit status. */
export async function snapshot(options: SnapshotArguments): Promise<number> {
  checkArguments(options);
  const source = openSource(readImage(options.image), options);
  const symbols = allSymbols(readElf(source.image), readSymbolFiles(options.symbols));
  const serial = SerialOutput.open('stdio');
  const awaited = new AwaitedText(options.untilOutput);
  const machine = bootMachine(source, options, {
    onSerialOutput: (bytes) => {
      serial.write(bytes);
      awaited.take(bytes);
    },
    onNote: () => undefined,
  });
  const { until, untilOutput, instructions } = options;
  if (until !== undefined) machine.addBreakpoint(addressOf(until, machine, symbols));
  const { end, isInterrupted } = await runToEnd(machine, serial, {
    maxInstructions: instructions ?? options.maxInstructions,
    ...(untilOutput === undefined ? {} : { sliceInstructions: LOOK_INSTRUCTIONS }),
    isOver: () => awaited.isThere,
  });
  await serial.dispose();
  if (isInterrupted) return EXIT.interrupted;
  const isThere = end.kind === 'breakpoint' || awaited.isThere;
  if (isThere || (end.kind === 'budget' && instructions !== undefined)) {
    return write(options.output, machine, source, symbols);
  }
  const status = describeEnd(end, options.maxInstructions, () => symbols);
  say(`the guest did not come so far: no snapshot is written`);
  return status === EXIT.success ? EXIT.failure : status;
}

function checkArguments({ until, untilOutput, instructions }: SnapshotArguments): void {
  const given = [until, untilOutput, instructions].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new UsageError('snapshot: one of --until, --until-output and --instructions is needed');
  }
  if (untilOutput === '') throw new UsageError('--until-output: the text is empty');
  if (instructions !== undefined && !(Number.isSafeInteger(instructions) && instructions >= 0)) {
    throw new UsageError('--instructions: a whole number is expected');
  }
}

/** Throws `UsageError`. */
function addressOf(text: string, machine: MachineView, symbols: SymbolTable): bigint {
  try {
    return parseAddress(text, { machine, symbols });
  } catch (error) {
    throw error instanceof MonitorError ? new UsageError(`--until: ${error.message}`) : error;
  }
}

function write(
  path: string,
  machine: MachineView & MachineControl,
  source: MachineSource,
  symbols: SymbolTable,
): number {
  const taken = takeSnapshot(machine, source);
  const file = encodeSnapshot(taken);
  const temporary = `${path}.${process.pid}.part`;
  try {
    // Whoever serves from the old file meanwhile has it whole.
    writeFileSync(temporary, file, { flag: 'wx' });
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    say(`'${path}' cannot be written: ${(error as Error).message}`);
    return EXIT.failure;
  }
  const rip = machine.readRegister('rip') ?? 0n;
  const symbol = symbols.describe(rip);
  const place = `0x${rip.toString(16)}${symbol === '' ? '' : ` <${symbol}>`}`;
  const pages = [...taken.state.pages].reduce((sum, { numbers }) => sum + numbers.length, 0);
  say(
    `wrote ${path}: at ${place} after ${machine.icount} instructions; ` +
      `${Math.ceil((pages * 4) / 1024)} of ${source.memoryBytes / 2 ** 20} MiB in use, ` +
      `${Math.ceil(file.length / 1024)} KiB`,
  );
  return EXIT.success;
}

/** Whether a text has come over the serial line, in whatever pieces. */
class AwaitedText {
  isThere = false;
  private readonly wanted: Buffer | undefined;
  private tail = Buffer.alloc(0);

  constructor(text: string | undefined) {
    this.wanted = text === undefined ? undefined : Buffer.from(text);
  }

  take(bytes: Uint8Array): void {
    const { wanted } = this;
    if (wanted === undefined || this.isThere) return;
    const text = Buffer.concat([this.tail, bytes]);
    this.isThere = text.includes(wanted);
    this.tail = text.subarray(Math.max(0, text.length - wanted.length + 1));
  }
}
