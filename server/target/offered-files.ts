/** All files that debuggers may read of our machine: the image, its programs, symbols, and /proc. */
import type { GuestView } from '../awareness/guest-view.ts';
import type { ElfFile } from '../symbols/elf-file.ts';
import type { Architecture } from './register-set.ts';
import type { SymbolFile } from '../symbols/symbol-file.ts';
import { GuestProc } from './guest-proc.ts';
import { bootPath, MachineFiles, type OfferedFile } from './machine-files.ts';
import { offerSymbols, type SymbolOffer } from './offered-symbols.ts';
import type { Inferiors } from './processes/inferiors.ts';
import { ProcessFiles } from './processes/process-files.ts';

export interface FileSources {
  readonly image: Uint8Array;
  readonly imageName: string;
  /** The image's; undefined: it is none. */
  readonly elf: ElfFile | undefined;
  readonly symbolFiles?: readonly SymbolFile[];
  readonly files?: readonly OfferedFile[];
  readonly guest: GuestView;
  readonly inferiors: Inferiors;
  /** What debuggers take the machine for. */
  readonly architecture: Architecture;
}

export function offerFiles(sources: FileSources): {
  readonly files: ProcessFiles;
  readonly offer: SymbolOffer;
} {
  const { guest, inferiors, image, imageName, elf, symbolFiles = [], files = [] } = sources;
  const { machine } = guest;
  const offer = offerSymbols(imageName, elf, symbolFiles, sources.architecture);
  const programs = guest.kernel?.programs ?? [];
  const whole = { path: bootPath(imageName), content: image };
  const executable = elf === undefined ? undefined : whole.path;
  const hasProcesses = (): boolean => inferiors.isActive;
  const proc = new GuestProc({ machine, guest, executable, image: elf, hasProcesses });
  const offered = [...programs, ...files, ...offer.files, whole];
  const machineFiles = new MachineFiles(offer.executable, offered, proc);
  const parts = { machineFiles, proc, inferiors, imageName, programs, symbolFiles, offer };
  return { files: new ProcessFiles(parts), offer };
}
