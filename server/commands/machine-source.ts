/** Where a machine begins: at the power-on of an image, or where a snapshot was taken. */
import { relative } from 'node:path';
import {
  Machine,
  type BootModule,
  RecordedMachine,
  StateError,
  type MachineControl,
  type MachineOptions,
  type MachineState,
  type MachineView,
} from '../../machine/index.ts';
import { UsageError } from '../listen-address.ts';
import { isSnapshot, SnapshotError } from '../snapshots/snapshot-sections.ts';
import { decodeSnapshot, type Snapshot } from '../snapshots/snapshot-file.ts';
import { readElf } from '../symbols/elf-file.ts';
import { fileName } from '../target/machine-files.ts';
import type { Recording } from '../target/reverse/machine-past.ts';
import { DEFAULT_MEMORY, parseMemory, type MachineArguments } from './machine-arguments.ts';
import { readWholeFile } from './read-whole-file.ts';

export interface MachineSource {
  /** A path, or of a snapshot's image the last part of it. */
  readonly imageName: string;
  /** What a reset boots, and debuggers read symbols from. */
  readonly image: Uint8Array;
  readonly commandLine: string;
  readonly modules: readonly BootModule[];
  readonly memoryBytes: number;
  /** Absent: the machine begins at power-on. */
  readonly state?: MachineState;
}

/** Throws `ImageError`, one line. */
export function readImage(path: string): Uint8Array {
  return readWholeFile(path, 'image');
}

/** What the words of --module name. Throws `ImageError` or `UsageError`. */
export function readModules({ module: words }: MachineArguments): readonly BootModule[] {
  return words.map((word) => {
    const [path, ...rest] = word.split(' ');
    if (path === undefined || path === '') {
      throw new UsageError(`--module '${word}': a file's name is missing`);
    }
    return { name: path, commandLine: rest.join(' '), content: readWholeFile(path, 'module') };
  });
}

/** What the bytes of the file named IMAGE are. Throws `ImageError` or `UsageError`. */
export function openSource(
  file: Uint8Array,
  options: MachineArguments,
  modules: readonly BootModule[] = readModules(options),
): MachineSource {
  const { image: path, memory, append } = options;
  if (isSnapshot(file)) return snapshotSource(file, options);
  const memoryBytes = parseMemory(memory ?? DEFAULT_MEMORY);
  return { imageName: path, image: file, commandLine: append ?? '', modules, memoryBytes };
}

/** A machine that has run takes no other memory, command line or modules. */
function snapshotSource(file: Uint8Array, options: MachineArguments): MachineSource {
  const { image: path, memory, append } = options;
  const { state, ...origin } = refusing(path, () => decodeSnapshot(file));
  const { memoryBytes } = state.core;
  if (memory !== undefined && parseMemory(memory) !== memoryBytes) {
    throw new UsageError(
      `--memory ${memory}: the machine of this snapshot has ${memoryBytes / 2 ** 20}M`,
    );
  }
  if (append !== undefined && append !== origin.commandLine) {
    throw new UsageError(
      `--append: the kernel of this snapshot has started already, with '${origin.commandLine}'`,
    );
  }
  if (options.module.length > 0) {
    throw new UsageError('--module: the kernel of this snapshot has started already');
  }
  return { ...origin, memoryBytes, state };
}

/** How a machine that nobody has let run yet stands there. */
export function standing({ state }: MachineSource): string {
  return state === undefined
    ? 'halted before the first instruction'
    : 'halted where the snapshot was taken';
}

/** The file that lldb is to load, as seen from here; a snapshot knows no folder. Empty: lldb knows no such. */
export function fileForDebugger({ image, imageName, state }: MachineSource): string {
  if (readElf(image) === undefined) return '';
  return state === undefined ? relative('', imageName) : imageName;
}

interface MachineConnections {
  readonly onSerialOutput?: (bytes: Uint8Array) => void;
  readonly onNote?: (note: string) => void;
}

/** Makes the machine. Throws `ImageError`, one line. */
export function bootMachine(
  source: MachineSource,
  options: MachineArguments,
  connections: MachineConnections,
): MachineView & MachineControl {
  return refusing(options.image, () => new Machine(machineOptions(source, options, connections)));
}

/** Makes a machine that remembers what it does, in so many bytes. Throws `ImageError`, one line. */
export function bootRecordedMachine(
  source: MachineSource,
  options: MachineArguments,
  connections: MachineConnections,
  stateBytes?: number,
): Recording {
  const own = machineOptions(source, options, connections);
  const silent = machineOptions(source, options, {});
  return {
    machine: refusing(options.image, () => new RecordedMachine(own, stateBytes)),
    makeReplica: () => new Machine(silent),
  };
}

function machineOptions(
  { imageName, ...source }: MachineSource,
  { engine }: MachineArguments,
  connections: MachineConnections,
): MachineOptions {
  return { ...source, imageName, engine, hostClock: () => performance.now(), ...connections };
}

/** What a snapshot is made of. Throws `Error` for a machine that cannot be saved. */
export function takeSnapshot(
  machine: Pick<MachineControl, 'save'>,
  source: MachineSource,
): Snapshot {
  const state = machine.save?.();
  if (state === undefined) throw new Error('this machine cannot be saved');
  const { imageName, image, commandLine, modules } = source;
  return { imageName: fileName(imageName), image, commandLine, modules, state };
}

function refusing<Result>(path: string, work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof SnapshotError) && !(error instanceof StateError)) throw error;
    throw new SnapshotError(`snapshot '${path}': ${error.message}`);
  }
}
