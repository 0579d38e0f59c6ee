/**
 * Files as debuggers see them that have processes: each process its own program, and in every process's
 * memory the kernel, as a library. A program for which the user gave symbols (`--symbols worker.elf`)
 * is read with them; the guest's own copy is mostly stripped.
 */
import type { GuestProgram } from '../../awareness/awareness.ts';
import { readElf } from '../../symbols/elf-file.ts';
import type { SymbolFile } from '../../symbols/symbol-file.ts';
import type { GuestProc } from '../guest-proc.ts';
import { bootPath, fileName, type MachineFiles } from '../machine-files.ts';
import type { SymbolOffer } from '../offered-symbols.ts';
import type { ProcessNumber, TargetFile, TargetFiles, TargetLibrary } from '../target.ts';
import type { Inferiors } from './inferiors.ts';

export interface ProcessFilesParts {
  readonly machineFiles: MachineFiles;
  readonly proc: GuestProc;
  readonly inferiors: Inferiors;
  readonly imageName: string;
  readonly programs: readonly GuestProgram[];
  readonly symbolFiles: readonly SymbolFile[];
  readonly offer: SymbolOffer;
}

export class ProcessFiles implements TargetFiles {
  readonly #parts: ProcessFilesParts;
  /** Where a program with symbols is offered, by where the guest finds it. */
  readonly #withSymbols: ReadonlyMap<string, string>;

  constructor(parts: ProcessFilesParts) {
    this.#parts = parts;
    this.#withSymbols = programsWithSymbols(parts);
  }

  open(path: string): TargetFile | undefined {
    const { machineFiles, inferiors } = this.#parts;
    const better = inferiors.isActive ? this.#withSymbols.get(path) : undefined;
    return machineFiles.open(better ?? path);
  }

  readLink(path: string): string | undefined {
    return this.#parts.machineFiles.readLink(path);
  }

  /** Never undefined where the machine executes an ELF file: without one gdb takes i386's registers. */
  executableOf(process: ProcessNumber): string | undefined {
    return this.#ownProgram(process) ?? this.#parts.machineFiles.executableOf();
  }

  /** What a process has in its memory besides its program. */
  librariesOf(process: ProcessNumber): readonly TargetLibrary[] {
    const { executable, libraries } = this.#parts.offer;
    if (this.#ownProgram(process) === undefined || executable === undefined) return libraries;
    const programs = [...this.#withSymbols.values()];
    const ofKernel = libraries.filter(({ path }) => !programs.includes(path));
    return [{ path: executable, offset: 0n }, ...ofKernel];
  }

  /** Undefined: it executes the kernel, or nothing that is known. */
  #ownProgram(process: ProcessNumber): string | undefined {
    const { inferiors, proc, imageName } = this.#parts;
    if (!inferiors.isSeparate(process)) return undefined;
    const path = proc.executableOf(process);
    return path === bootPath(imageName) ? undefined : path;
  }
}

/** A file is of the program that has its name and its entry. */
function programsWithSymbols({
  programs,
  symbolFiles,
  offer,
}: ProcessFilesParts): ReadonlyMap<string, string> {
  const pairs = programs.flatMap(({ path, content }) => {
    const entry = readElf(content)?.entry;
    const file = symbolFiles.find(
      ({ name, elf, offset }) =>
        fileName(name) === fileName(path) && offset === 0n && elf?.entry === entry,
    );
    const offered = file && offer.files.find(({ content: bytes }) => bytes === file.content);
    return offered === undefined ? [] : [[path, offered.path] as const];
  });
  return new Map(pairs);
}
