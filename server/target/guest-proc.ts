/**
 * What gdb reads for `info proc` (gdb/linux-tdep.c, linux_info_proc): a few files below /proc, made of
 * the guest, by vFile. Numbers are the guest's own, 1 its init; nothing here is a file of the host.
 *
 * A debugger without processes takes the machine for its process 1, and asks the same files for `info proc
 * mappings` and for `info proc mappings 1`: it is shown what is mapped where the CPU is. Facts are init's, and
 * the machine's own while the guest has no process 1.
 *
 *     /proc/PID/maps      the regions of its page tables, the kernel's too
 *     /proc/PID/smaps     and what of them belongs in a core file, for generate-core-file
 *     /proc/PID/cmdline comm stat status    of what the kernel knows of it
 *     /proc/PID/exe cwd   links
 */
import type { GuestProcess, GuestThread } from '../awareness/awareness.ts';
import type { GuestView } from '../awareness/guest-view.ts';
import { type ElfFile, readElf, SEGMENT_TYPE } from '../symbols/elf-file.ts';
import type { BackedMachine } from './backed-regions.ts';
import { MACHINE_PROCESS } from './machine-threads.ts';
import {
  mapsText,
  smapsText,
  type Landmark,
  type ProcProcess,
  statText,
  statusText,
} from './proc-texts.ts';

/** Of a hostile image or list; each region is compared with each. */
const MOST_LANDMARKS = 64;

export interface GuestProcOptions {
  readonly machine: BackedMachine;
  readonly guest: GuestView;
  /** What the machine executes: where debuggers find it; absent for a flat image. */
  readonly executable: string | undefined;
  readonly image: ElfFile | undefined;
  /** The debugger has the guest's processes, each by its number. */
  readonly hasProcesses: () => boolean;
}

/** A process with its threads; the machine has all of them. */
interface FoundProcess extends ProcProcess {
  readonly tables: bigint | 'in force' | undefined;
  readonly executable: string | undefined;
  /** What its program's segments are called, if the server has its file. */
  readonly program?: { readonly path: string; readonly elf: ElfFile | undefined };
}

export class GuestProc {
  readonly #options: GuestProcOptions;

  constructor(options: GuestProcOptions) {
    this.#options = options;
  }

  /** The content as it is now; undefined: there is no such file. */
  read(path: string): Uint8Array | undefined {
    const found = this.#find(path);
    const text = found && this.#text(found.process, found.name);
    return text === undefined ? undefined : Buffer.from(text, 'utf8');
  }

  /** Where a link leads; undefined: there is no such link. */
  readLink(path: string): string | undefined {
    const found = this.#find(path);
    if (found?.name === 'cwd') return '/';
    return found?.name === 'exe' ? found.process.executable : undefined;
  }

  /** What a guest process executes: where debuggers find it; undefined: it is not offered. */
  executableOf(pid: number): string | undefined {
    const { guest } = this.#options;
    const process = guest.processes().items.find((candidate) => candidate.pid === pid);
    return process && this.#guestProcess(process, []).executable;
  }

  #find(path: string): { readonly process: FoundProcess; readonly name: string } | undefined {
    const match = /^\/proc\/([1-9]\d{0,9})\/([a-z]+)$/.exec(path);
    if (match === null) return undefined;
    this.#options.guest.forget();
    const process = this.#process(Number(match[1]));
    return process === undefined ? undefined : { process, name: match[2]! };
  }

  #text(process: FoundProcess, name: string): string | undefined {
    switch (name) {
      case 'maps':
        return this.#regions(process, mapsText);
      case 'smaps':
        return this.#regions(process, smapsText);
      case 'cmdline':
        return `${process.executable ?? process.name}\0`;
      case 'comm':
        return `${process.name}\n`;
      case 'stat':
        return statText(process);
      case 'status':
        return statusText(process);
      default:
        return undefined;
    }
  }

  #process(pid: number): FoundProcess | undefined {
    const { guest } = this.#options;
    const threads = guest.threads().items;
    const process = guest.processes().items.find((candidate) => candidate.pid === pid);
    if (process !== undefined) {
      const own = threads.filter((thread) => thread.pid === pid);
      return this.#guestProcess(process, own);
    }
    return pid === MACHINE_PROCESS ? this.#wholeMachine(Math.max(threads.length, 1)) : undefined;
  }

  /** Whether the debugger means the machine by it. */
  #isMachine(pid: number): boolean {
    return pid === MACHINE_PROCESS && !this.#options.hasProcesses();
  }

  /** What the CPU executes and sees. */
  #running(otherwise: FoundProcess): FoundProcess {
    const current = this.#options.guest.currentThread();
    const running = current && this.#process(current.pid);
    return { ...(running ?? otherwise), tables: 'in force' };
  }

  #wholeMachine(threads: number): FoundProcess {
    const { guest, executable } = this.#options;
    const name = guest.kernel?.kernelName ?? 'machine';
    const machine = { pid: MACHINE_PROCESS, parentPid: 0, name, state: 'running', startTick: 0n };
    return { ...machine, threads, tables: 'in force', executable };
  }

  #guestProcess(process: GuestProcess, threads: readonly GuestThread[]): FoundProcess {
    const { guest, executable } = this.#options;
    const isOnCpu = guest.currentThread()?.pid === process.pid;
    const state = isOnCpu ? 'running' : (threads[0]?.state ?? process.state);
    const program = guest.kernel?.programs.find(({ path }) => path.endsWith(`/${process.name}`));
    return {
      ...process,
      state: process.ending === undefined ? state : process.state,
      threads: threads.length,
      tables: isOnCpu ? 'in force' : threads[0]?.cr3,
      executable: program?.path ?? (process.mode === 'kernel' ? executable : undefined),
      ...(program && { program: { path: program.path, elf: readElf(program.content) } }),
    };
  }

  #regions(process: FoundProcess, textOf: typeof smapsText): string {
    const isMachine = this.#isMachine(process.pid);
    const { tables, program } = isMachine ? this.#running(process) : process;
    if (tables === undefined) return '';
    const { machine, image, executable } = this.#options;
    const cr3 = tables === 'in force' ? undefined : tables;
    const inForce = machine.readRegister('cr3');
    const landmarks = [
      ...segmentsOf(executable, image),
      ...(program === undefined ? [] : segmentsOf(program.path, program.elf)),
      ...this.#kernelStacks(cr3 ?? inForce),
    ];
    return textOf(machine, cr3, landmarks.slice(0, MOST_LANDMARKS));
  }

  #kernelStacks(cr3: bigint | undefined): Landmark[] {
    const threads = this.#options.guest.threads().items.filter((thread) => thread.cr3 === cr3);
    return threads.map(({ tid, kernelStack: { base, sizeBytes } }) => ({
      start: base,
      end: base + sizeBytes,
      name: `[kernel stack of tid ${tid}]`,
      fileOffset: 0n,
    }));
  }
}

function segmentsOf(name: string | undefined, elf: ElfFile | undefined): Landmark[] {
  const segments = elf?.segments.filter(({ type }) => type === SEGMENT_TYPE.load) ?? [];
  if (name === undefined) return [];
  return segments.map(({ address, memoryBytes, fileOffset }) => ({
    start: address,
    end: address + memoryBytes,
    name,
    fileOffset,
  }));
}
