/** A machine with all that a session wants of it: what `serve` makes once and each of `--sessions` anew. */
import type { MachineView } from '../../machine/index.ts';
import { DebuggerSeat } from '../debugger-seat.ts';
import { UsageError } from '../listen-address.ts';
import { VERSION } from '../package-root.ts';
import { PACKET_CHAPTERS } from '../packets/index.ts';
import { PacketRegistry } from '../packets/registry.ts';
import type { SessionOptions } from '../session-options.ts';
import type { SymbolFile } from '../symbols/symbol-file.ts';
import { MachineTarget } from '../target/machine-target.ts';
import type { Architecture } from '../target/register-set.ts';
import type { TargetStop } from '../target/target.ts';
import type { MachineArguments } from './machine-arguments.ts';
import { bootRecordedMachine, type MachineSource } from './machine-source.ts';

export interface MachineToServe {
  readonly machine: MachineArguments;
  readonly source: MachineSource;
  readonly symbolFiles: readonly SymbolFile[];
  readonly onDetach: 'run' | 'halt';
  /** gdb has the guest's processes as inferiors. */
  readonly processes: boolean;
  /** What debuggers take the machine for; absent: what fits the files. */
  readonly architecture?: Architecture | undefined;
  readonly onSerialOutput: (bytes: Uint8Array) => void;
  /** For all that `monitor snapshot` keeps; absent: as much as a server of one machine may. */
  readonly snapshotBytes?: number;
  /** `monitor quit`, after its answer has left. */
  readonly onQuit: () => void;
  readonly log: MachineLog;
}

interface MachineLog {
  info(text: string): void;
  warn(text: string): void;
}

/** What sessions are made of, but for their logs. */
export interface ServedMachine extends Omit<SessionOptions, 'log'> {
  readonly machine: MachineView;
  readonly target: MachineTarget;
}

/** Boots the image, halted before its first instruction or where its snapshot was taken. Throws `ImageError` or `UsageError`. */
export function serveMachine(options: MachineToServe): ServedMachine {
  const { source, symbolFiles, onDetach, onQuit, log, snapshotBytes, architecture } = options;
  const connections = {
    onSerialOutput: options.onSerialOutput,
    onNote: (note: string) => log.info(note),
  };
  const recording = bootRecordedMachine(source, options.machine, connections, snapshotBytes);
  const { image, imageName } = source;
  const file = source.state === undefined ? { imagePath: imageName } : {};
  const bounds = snapshotBytes === undefined ? {} : { snapshotBytes };
  const { machine } = recording;
  const own = { machine, recording, image, imageName, symbolFiles, onQuit };
  const shown = architecture === undefined ? {} : { architecture };
  const target = new MachineTarget({ ...own, ...file, ...bounds, ...shown });
  if (options.processes) wantProcesses(target);
  target.onStop((stop) => logStop(stop, log));
  return {
    machine,
    target,
    registry: new PacketRegistry(PACKET_CHAPTERS),
    seat: new DebuggerSeat(),
    onDetach,
    server: { name: 'exoscope', version: VERSION },
  };
}

/** Throws `UsageError` for a kernel whose processes the server does not know. */
function wantProcesses({ processes }: MachineTarget): void {
  if (processes === undefined) {
    throw new UsageError(
      '--processes needs a kernel whose processes the server follows, with its symbols',
    );
  }
  processes.isWanted = true;
}

/** The guest's end and its crashes are told on the terminal too; the server lives on. */
function logStop(stop: TargetStop, log: MachineLog): void {
  if (stop.kind === 'exited') {
    log.warn(`the guest has ended with status ${stop.status}; \`monitor reset\` boots it again`);
  } else if (stop.kind === 'stopped' && stop.message !== undefined) {
    log.warn(stop.message.trimEnd());
  }
}
